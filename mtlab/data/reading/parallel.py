"""Splits in folders of text files that belong together line by line: words, tags and a label of each
sentence, as JointBERT's ``seq.in``, ``seq.out`` and ``label``.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from mtlab.data import disk
from mtlab.data.reading import cells, lines
from mtlab.data.reading.table import Row, Summary, Table, gathered
from mtlab.plan.errors import Mistakes, UserError

NAMES = {
    "tokens": ("seq.in", "seq_in.txt", "seq.in.txt", "sentences.txt", "words.txt", "tokens.txt"),
    "text": ("text.txt", "texts.txt"),
    "ner_tags": ("seq.out", "seq_out.txt", "seq.out.txt", "tags.txt", "slots.txt", "labels.txt"),
    "label": ("label", "label.txt", "intent", "intent.txt", "intents.txt"),
}
"""Our names of columns to those of their files."""
SIGNS = (".", "_", "-")
"""Signs between the name of a split and one of these names of files."""


def files(place: Path) -> dict[str, Path]:
    """The files of a split, by what they hold. Empty unless there are words or text, and also tags
    or labels.

    Args:
        place: their folder; or, if the files of other splits are in the same folder, the beginning
            of their paths: up to ``train`` for ``train.seq.in``.
    """
    signs = [""] if place.is_dir() else SIGNS
    for sign in signs:
        paths = {
            ours: path
            for ours, names in NAMES.items()
            if (path := next((path for name in names if (path := _at(place, sign, name))), None))
        }
        if "text" in paths and "tokens" not in paths and "ner_tags" in paths:
            paths.setdefault("label", paths.pop("ner_tags"))
        elif "tokens" in paths:
            paths.pop("text", None)
        if len(paths) > 1 and not {"tokens", "text"}.isdisjoint(paths):
            return paths
    return {}


def _at(place: Path, sign: str, name: str) -> Path | None:
    path = place / name if not sign else place.with_name(f"{place.name}{sign}{name}")
    return path if path.is_file() else None


def heads(paths: Iterable[Path]) -> dict[str, dict[str, Path]]:
    """Splits whose files are in one folder: the beginning of their names, to the files."""
    known = {name for names in NAMES.values() for name in names}
    heads = {
        path.name.removesuffix(f"{sign}{name}"): path
        for path in paths
        for sign in SIGNS
        for name in known
        if path.name.endswith(f"{sign}{name}")
    }
    by_head = {head: files(path.with_name(head)) for head, path in heads.items() if head}
    return {head: files_of for head, files_of in by_head.items() if files_of}


def read(folder: Path, mistakes: Mistakes = None) -> Table:
    """The sentences of a folder.

    Raises:
        UserError: a file is not UTF-8, or has another number of lines than the one of words.
    """
    paths = files(folder)
    for path in paths.values():
        lines.check_text(path)
    counts = {ours: sum(1 for _ in _trimmed(path)) for ours, path in paths.items()}
    words = next(iter(paths))
    for ours, count in counts.items():
        if count != counts[words]:
            problem = f"{count:,} lines, and {paths[words].name} has {counts[words]:,}"
            raise UserError(
                problem,
                "give every sentence a line in each of these files",
                where=str(paths[ours]),
                code="lengths-differ",
            )

    def rows(mistakes: Mistakes, summary: Summary) -> Iterator[Row]:
        summary.columns.update(dict.fromkeys(paths))
        sentences = zip(*map(_trimmed, paths.values()), strict=True)
        for number, texts in enumerate(sentences, start=1):
            cut = dict(zip(paths, texts, strict=True))
            values = {
                ours: text.strip() if ours in ("label", "text") else cells.items(text)
                for ours, text in cut.items()
            }
            if any(values.values()):
                yield Row(values, str(paths[words]), number)
            else:
                summary.skipped += 1

    large = sum(path.stat().st_size for path in paths.values()) > disk.FILE
    stored, summary = gathered(rows, large, mistakes)
    names = ", ".join(path.name for path in paths.values())
    notes = [f"{folder}: sentences are the lines of {names}."]
    notes += [f"{folder}: blank lines skipped: {summary.skipped:,}."] if summary.skipped else []
    return Table(str(folder), tuple(paths), stored, tuple(notes))


def _trimmed(path: Path) -> Iterator[str]:
    """The lines of a file without blank ones at its end."""
    waiting = 0
    for _, line in lines.lines_of(path):
        if lines.is_blank(line):
            waiting += 1
            continue
        yield from [""] * waiting
        waiting = 0
        yield line
