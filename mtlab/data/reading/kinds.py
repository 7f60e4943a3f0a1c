"""Which files of a folder may hold data: their names decide, or else their content."""

import json
import re
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from mtlab.data.reading import lines, names, parallel
from mtlab.data.reading.readers import COMPRESSED, EXTENSIONS, is_inline, is_marked
from mtlab.plan.errors import UserError

OTHERS = (".ndjson", ".arrow")
"""Kinds of files that ``datasets`` reads for us, where a folder has none of ours."""


PACKED = (".jsonl", ".json", ".csv", ".tsv", ".parquet")
"""Kinds of files that ``datasets`` reads where they are compressed."""


ABOUT = re.compile(
    r"(readme|licen[cs]e|copying|citation|changelog|notice|authors|requirements|makefile)\b.*",
    re.IGNORECASE,
)


ABOUT_KINDS = (
    ".md",
    ".rst",
    ".py",
    ".sh",
    ".yaml",
    ".yml",
    ".toml",
    ".cfg",
    ".ipynb",
    ".html",
    ".pdf",
    ".png",
    ".jpg",
    ".svg",
    ".bib",
)
"""Files that describe data and hold none, by name or by extension."""


OF_DATASETS = (
    "dataset_info.json",
    "dataset_infos.json",
    "dataset_dict.json",
    "state.json",
    "config.json",
    "_success",
)
"""Files that ``datasets`` and other programs write beside data."""


def stem(path: Path) -> str:
    """The name of a file without its extension, and without both if it is compressed. The end of
    ``eng.train`` is not an extension, because it is the name of a split.
    """
    if names.claim(path.suffix[1:]).exact:
        return path.name
    return Path(path.stem).stem if path.suffix.lower() in COMPRESSED else path.stem


def extension(path: Path) -> str:
    """All extensions of a file: ``.csv.gz``."""
    return path.name[len(stem(path)) :]


def is_ours(path: Path) -> bool:
    """Whether we read a file of this kind."""
    return path.suffix.lower() in EXTENSIONS and path.is_file() and not is_about(path)


def is_other(path: Path) -> bool:
    """Whether ``datasets`` reads a file of this kind for us."""
    kind = extension(path).lower()
    packed = kind.endswith(COMPRESSED) and Path(kind).stem.endswith((*PACKED, *OTHERS))
    return (kind in OTHERS or packed) and path.is_file() and not is_about(path)


def is_by_content(path: Path) -> bool:
    """Whether a file of an unknown kind has a token a line, or words with tags, or labels, in its
    lines.
    """
    kind = extension(path).lower()
    known = path.suffix.lower() in EXTENSIONS or kind.endswith((*OTHERS, *COMPRESSED))
    return (
        not known and path.is_file() and not is_about(path) and (is_marked(path) or is_inline(path))
    )


def is_about(path: Path) -> bool:
    """Whether a file describes data and holds none."""
    kind = path.suffix.lower()
    return (
        kind in ABOUT_KINDS
        or path.name.lower() in OF_DATASETS
        or (kind in ("", ".txt") and bool(ABOUT.match(path.name)))
    )


def is_saved(folder: Path) -> bool:
    """Whether ``save_to_disk`` wrote a folder as one split."""
    return all((folder / name).is_file() for name in ("state.json", "dataset_info.json"))


def is_split(folder: Path) -> bool:
    """Whether a folder is one split: ``save_to_disk`` wrote it, or its files belong together line by
    line.
    """
    return is_saved(folder) or bool(parallel.files(folder))


def saved_splits(folder: Path) -> Collection[str] | None:
    """The splits that ``save_to_disk`` wrote into a folder; None if it did not. Folders of other
    splits are left over from an earlier time.
    """
    with suppress(OSError, ValueError, RecursionError, TypeError, KeyError):
        return [
            str(name) for name in json.loads((folder / "dataset_dict.json").read_bytes())["splits"]
        ]
    return None


def visible(folder: Path) -> list[Path]:
    """The files and folders in a folder, sorted, without hidden ones and those of Python."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith((".", "__")))


def check_readable(folder: Path) -> None:
    """For a folder without data: refuse a file that has the name of a split but cannot be read.

    Raises:
        UserError: there is such a file: it is compressed, or not UTF-8.
    """
    for path in visible(folder):
        if not path.is_file() or is_about(path) or names.claim(stem(path)).split is None:
            continue
        kind = extension(path).lower()
        if kind.endswith(COMPRESSED) and not Path(kind).stem.endswith((*PACKED, *OTHERS)):
            raise UserError("is compressed", "unpack it", where=str(path), code="unknown-kind")
        with path.open("rb") as file:
            binary = b"\0" in file.read(4096)
        if not binary and not kind.endswith(COMPRESSED):
            lines.check_text(path)
