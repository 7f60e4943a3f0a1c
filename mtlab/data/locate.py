"""Where the splits of a source lie: the built-in corpus, files in a directory, one file, a directory as the hub lays it out, or the hub."""

from pathlib import Path

from mtlab.data import hub, readers
from mtlab.data.readers import Table
from mtlab.plan.errors import Found, UserError, did_you_mean
from mtlab.plan.experiment import Source

SPLITS = ("train", "validation", "test")
ALIASES = {"training": "train", "testing": "test", **dict.fromkeys(("dev", "valid", "val", "eval"), "validation")}
"""Other names of splits that are understood."""
BUILTIN = "builtin"
CORPUS = Path(__file__).parent / "corpus"
DOMAINS = ("news", "chat")
"""Subsets of the built-in corpus; the first is what ``builtin`` alone means."""


def read(source: Source, option: str, found: Found = None) -> tuple[dict[str, Table], list[str]]:
    """The tables of a source by our names of splits, train at least, and notes.

    Args:
        source: a path that exists, or else a hub id.
        option: what sets the source on the command line, for messages.
        found: where mistakes in files are gathered, if they are.

    Raises:
        UserError: there is no such thing, two files claim one split, a split that is named is not there, or there is no train.
    """
    try:
        return _read(source, option, found)
    except UserError as error:
        if error.where:
            raise
        raise UserError(error.problem, error.remedy, where=f"{option}.source") from None
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror or type(error).__name__})", where=f"{option}.source") from None


def _read(source: Source, option: str, found: Found) -> tuple[dict[str, Table], list[str]]:
    given = str(source.source)
    path = _path(given)
    splits = {str(ours): name for ours, name in source.splits.items()}
    if given == BUILTIN and not path.exists():
        return _opened(_files(_built_in(source, option), splits), found), []
    local = path.exists()
    if local and source.revision is not None:
        raise UserError("local data has no revisions", "leave it out", where=f"{option}.revision")
    if path.is_dir():
        files = {} if source.subset else _files(path, splits)
        if files:
            return _opened(files, found), []
        return _choose(hub.from_directory(path, source.subset), source, option), []
    if local:
        if source.subset:
            raise UserError("a single file has no subsets", "leave it out", where=f"{option}.subset")
        return _opened(_beside(path, splits), found), []
    must_be_id(given)
    tables, commit = hub.from_hub(given, source.subset, source.revision)
    return _choose(tables, source, option), [f"{given}: commit {commit}."]


def _built_in(source: Source, option: str) -> Path:
    """The directory of one domain of the corpus that comes with mtlab."""
    if source.revision is not None:
        raise UserError("the built-in corpus has no revisions", "leave it out", where=f"{option}.revision")
    if source.subset not in (None, *DOMAINS):
        hint = did_you_mean(source.subset, DOMAINS)
        raise UserError(f"the built-in corpus has no domain {source.subset!r}", hint, where=f"{option}.subset")
    return CORPUS / (source.subset or DOMAINS[0])


def _path(given: str) -> Path:
    """The path with ``~`` expanded, where that stands for somebody's home."""
    try:
        return Path(given).expanduser()
    except RuntimeError:
        return Path(given)


def must_be_id(given: str) -> None:
    """Refuse what cannot be a hub id."""
    if given.startswith((".", "/", "~")) or given.endswith(readers.EXTENSIONS) or not hub.HUB_ID.fullmatch(given):
        raise UserError("no such file or directory", "check the path", where=given)


def _opened(files: dict[str, Path], found: Found) -> dict[str, Table]:
    if "train" not in files:
        directory = next(iter(files.values())).parent
        raise UserError("no train split", f"add a file train with one of {' '.join(readers.EXTENSIONS)}", where=str(directory))
    return {split: readers.read(files[split], found) for split in SPLITS if split in files}


def _files(directory: Path, named: dict[str, str]) -> dict[str, Path]:
    """The files of a directory's splits: those that ``splits`` names, and for the rest those with the name of a split."""
    there = sorted(file for file in directory.iterdir() if file.suffix.lower() in readers.EXTENSIONS and file.is_file())
    if not there:
        return {}
    files = {split: _named(directory, name, there, split) for split, name in named.items()}
    for file in there:
        split = ALIASES.get(file.stem.lower(), file.stem.lower())
        if split not in SPLITS or split in named:
            continue
        if split in files:
            remedy = f"keep one, or name it with splits: {{{split}: {file.name}}}"
            raise UserError(f"{files[split].name} and {file.name} are both the {split} split", remedy, where=str(directory))
        files[split] = file
    return files


def _named(directory: Path, name: str, there: list[Path], split: str) -> Path:
    """The file that ``splits`` means by ``name``: with its extension or without."""
    path = directory / Path(name).expanduser()
    if path.is_file():
        return path
    found = [file for file in there if file.stem == name]
    if len(found) != 1:
        hint = did_you_mean(name, [file.name for file in there])
        raise UserError(f"no file {name!r} for the {split} split", hint, where=str(directory))
    return found[0]


def _beside(path: Path, named: dict[str, str]) -> dict[str, Path]:
    """A single file is the train split; ``splits`` may name others beside it."""
    there = [file for file in path.parent.iterdir() if file.suffix.lower() in readers.EXTENSIONS]
    files = {split: _named(path.parent, name, sorted(there), split) for split, name in named.items()}
    if files.setdefault("train", path) != path:
        problem = f"{path.name} and {files['train'].name} are both the train split"
        raise UserError(problem, "pass the directory as the source", where=str(path))
    return files


def _choose(tables: dict[str, Table], source: Source, option: str) -> dict[str, Table]:
    """Of a data set's splits those that are ours, under our names."""
    chosen: dict[str, Table] = {}
    for split, name in source.splits.items():
        if name not in tables:
            raise UserError(f"no split {name!r}", did_you_mean(name, tables), where=str(source.source))
        chosen[split] = tables[name]
    for name, table in tables.items():
        chosen.setdefault(ALIASES.get(name.lower(), name.lower()), table)
    if "train" not in chosen:
        remedy = f"pass --{option}.splits.train NAME"
        raise UserError(f"no train split among {', '.join(tables)}", remedy, where=str(source.source))
    return {split: chosen[split] for split in SPLITS if split in chosen}
