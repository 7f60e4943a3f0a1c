"""Where the splits of a source lie: the built-in corpus, files in a directory, one file, a
directory as the hub lays it out, or the hub.

Runs and ``mtlab check`` both read their sources here.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, combinations
from pathlib import Path

from mtlab.data import disk
from mtlab.data.reading import columned, hub, layout, long, names, objects, parallel, readers
from mtlab.data.reading.kinds import stem
from mtlab.data.reading.layout import Piece
from mtlab.data.reading.names import SPLITS, Choice
from mtlab.data.reading.table import Again, Form, Row, Table
from mtlab.plan.data import Source
from mtlab.plan.errors import Mistakes, UserError, did_you_mean, noted, shown

BUILTIN = "builtin"
CORPUS = Path(__file__).parents[1] / "corpus"
DOMAINS = ("news", "chat")
"""Subsets of the built-in corpus; the first is what ``builtin`` alone means."""


@dataclass(frozen=True)
class Located:
    """The splits of a source, opened, with the choices that led to them."""

    tables: dict[str, Table]
    """By our names of splits."""
    notes: tuple[str, ...] = ()
    choices: dict[str, Choice] = field(default_factory=dict)
    """The choices for splits that the user did not name."""
    unread: tuple[str, ...] = ()
    """Files of a folder, or splits of a data set, that are not read."""
    beside: tuple[str, ...] = ()
    """For a single file: files and folders in the same folder that have the name of a split."""

    @property
    def guesses(self) -> dict[str, Choice]:
        """The choices whose names are not exactly those of their splits."""
        return {split: choice for split, choice in self.choices.items() if choice.why}

    @property
    def skipped(self) -> str:
        """A sentence on unread files; empty if there are none."""
        return (
            f"not read: {layout.described(self.unread)}{layout.remedy(self.unread)}"
            if self.unread
            else ""
        )

    def missed(self, split: str, read: Collection[str]) -> str:
        """A sentence on unread files and columns that may be a missing split; empty if there are
        none. ``read`` has the columns that are read for another purpose.
        """
        expected = [
            name for name in (*self.unread, *self.beside) if names.may_be(stem(Path(name)), split)
        ]
        columns = [
            f"column {shown(column)}"
            for column in names.in_columns(next(iter(self.tables.values())), read)
        ]
        places = [*([layout.described(expected)] if expected else []), *columns]
        return f"it may be in what is not read: {', '.join(places)}" if places else ""


def read(source: Source, option: str, mistakes: Mistakes = None) -> Located:
    """Open a source: its splits by our names, train at least.

    Args:
        source: a path that exists, or else a hub id.
        option: of the source on the command line, for messages.
        mistakes: a list that collects mistakes in files; None raises the first one.

    Raises:
        UserError: the source does not exist, two files claim one split, a split that the user names
            does not exist, or there is no train split.
    """
    try:
        located = _read(source, option, mistakes)
        _check_forms(located.tables, mistakes)
        located = replace(located, tables=_by_sentence(located.tables, mistakes))
        return located if source.split_column is None else divided(located, source, option)
    except UserError as error:
        if error.where:
            raise
        raise UserError(
            error.problem, error.remedy, where=f"{option}.source", code=error.code
        ) from None
    except OSError as error:
        raise UserError(
            f"cannot be read ({error.strerror or type(error).__name__})",
            where=f"{option}.source",
            code="unreadable",
        ) from None


def _read(source: Source, option: str, mistakes: Mistakes) -> Located:
    source_name = str(source.source)
    path = _path(source_name)
    of_rows = source.split_column is not None  # then ``splits`` has values of that column
    splits = {} if of_rows else {str(ours): name for ours, name in source.splits.items()}
    if source_name == BUILTIN and not path.exists():
        return _of_folder(_built_in(source, option), splits, option, mistakes)
    local = path.exists()
    if local and source.revision is not None:
        raise UserError(
            "local data has no revisions",
            "leave it out",
            where=f"{option}.revision",
            code="no-revisions",
        )
    if path.is_dir():
        read_by_hub = source.subset is not None or (
            hub.has_card(path) and not any((path / name).is_file() for name in splits.values())
        )
        return (
            _as_the_hub(path, source, option)
            if read_by_hub
            else _of_folder(path, splits, option, mistakes, source)
        )
    if local:
        if source.subset:
            raise UserError(
                "a single file has no subsets",
                "leave it out",
                where=f"{option}.subset",
                code="no-subsets",
            )
        inside = objects.of_splits(path, mistakes)
        return _choose(inside, source, option) if inside else _of_file(path, splits, mistakes)
    must_be_id(source_name)
    tables, commit = hub.from_hub(source_name, source.subset, source.revision)
    located = _choose(tables, source, option)
    return replace(located, notes=(f"{source_name}: commit {commit}.", *located.notes))


def divided(located: Located, source: Source, option: str) -> Located:
    """The splits of a source whose one table has a column that says the split of each row.

    Raises:
        UserError: the column does not exist, or does not say it.
    """
    tables, unread = columned.divided(located.tables, source, option)
    return replace(located, tables=tables, choices={}, unread=(*located.unread, *unread))


def _check_forms(tables: Mapping[str, Table], mistakes: Mistakes) -> None:
    """Refuse a split with another number of columns than train, unless in both the first column
    holds the words and the last one the tags.
    """
    forms = [
        (table, table.form) for table in tables.values() if table.form is not None and table.rows
    ]
    for table, form in forms[1:]:
        train, usual = forms[0]
        if form.width != usual.width and not (form.of_ends and usual.of_ends):
            with noted(mistakes):
                raise UserError(
                    f"{form.width} columns, and {train.name} has {usual.width}",
                    "give all splits the same columns",
                    where=table.name,
                    code="forms-differ",
                )


def _by_sentence(tables: dict[str, Table], mistakes: Mistakes) -> dict[str, Table]:
    """The tables with a sentence a row; tables with a token a row are regrouped."""
    train = tables.get("train")
    shape = long.shape_of(train) if train is not None else None
    if shape is None:
        return tables
    return {split: long.regrouped(table, mistakes, shape) for split, table in tables.items()}


def _built_in(source: Source, option: str) -> Path:
    """The directory of one domain of the corpus that comes with mtlab."""
    if source.revision is not None:
        raise UserError(
            "the built-in corpus has no revisions",
            "leave it out",
            where=f"{option}.revision",
            code="no-revisions",
        )
    if source.subset not in (None, *DOMAINS):
        hint = did_you_mean(source.subset, DOMAINS)
        raise UserError(
            f"the built-in corpus has no domain {source.subset!r}",
            hint,
            where=f"{option}.subset",
            code="unknown-value",
        )
    return CORPUS / (source.subset or DOMAINS[0])


def _path(given: str) -> Path:
    """The path with ``~`` expanded, where that stands for the home of a known user."""
    try:
        return Path(given).expanduser()
    except RuntimeError:
        return Path(given)


def must_be_id(given: str) -> None:
    """Refuse what cannot be a hub id."""
    if (
        given.startswith((".", "/", "~"))
        or given.endswith(readers.EXTENSIONS)
        or not hub.HUB_ID.fullmatch(given)
    ):
        raise UserError(
            "no such file or directory", "check the path", where=given, code="file-missing"
        )


def _of_folder(
    path: Path,
    splits: dict[str, str],
    option: str,
    mistakes: Mistakes,
    source: Source | None = None,
) -> Located:
    """The splits of a folder, by the names of its files."""
    plan = layout.resolve(path, splits, option)
    if plan is None:
        return _as_the_hub(path, source or Source(source=str(path)), option)
    alone = next(iter(plan.pieces.values())) if len(plan.pieces) == 1 else None
    if alone is not None and not splits and len(alone.files) == 1:
        inside = objects.of_splits(alone.files[0], mistakes)
        if inside:
            located = _choose(inside, source or Source(source=str(path)), option)
            return replace(located, unread=(*located.unread, *plan.unread))
    if plan.ours:
        tables = _all_opened(plan.pieces, mistakes)
    else:
        tables, _ = hub.from_directory(
            path, None, {split: list(piece.files) for split, piece in plan.pieces.items()}
        )
    return Located(tables, _same(plan.pieces), plan.choices, plan.unread)


def _as_the_hub(path: Path, source: Source, option: str) -> Located:
    """The splits of a folder as ``datasets`` reads them: as its card says, or from files of other
    kinds.
    """
    tables, files = hub.from_directory(path, source.subset)
    located = _choose(tables, source, option)
    return replace(
        located, unread=(*located.unread, *layout.unread(path.absolute(), path.absolute(), files))
    )


def _of_file(path: Path, named: dict[str, str], mistakes: Mistakes) -> Located:
    """The splits of a single file, which is the train split; ``named`` names files of others."""
    pieces = {
        split: layout.meant_by(name, path.parent, layout.beside(path), split)
        for split, name in named.items()
    }
    train = pieces.setdefault("train", Piece(path.name, stem(path), (path,), path))
    if train.whole != path:
        problem = f"{path.name} and {train.name} are both the train split"
        raise UserError(problem, "pass the directory as the source", where=str(path), code="twice")
    tables = _all_opened({split: pieces[split] for split in SPLITS if split in pieces}, mistakes)
    read = {file for piece in pieces.values() for file in piece.files}
    beside = [
        piece
        for piece in layout.beside(path)
        if piece.split is not None and read.isdisjoint(piece.files)
    ]
    shard = layout.SHARD.fullmatch(stem(path))
    notes = (
        [f"{path} is one of {int(shard['total']):,} shards; the others are not read."]
        if shard and int(shard["total"]) > 1
        else []
    )
    return Located(tables, (*notes, *_same(pieces)), beside=tuple(piece.name for piece in beside))


def _same(pieces: dict[str, Piece]) -> tuple[str, ...]:
    """Notes on pairs of splits with the same files."""
    pairs = [
        (first, other)
        for first, other in combinations(pieces, 2)
        if pieces[first].paths & pieces[other].paths
    ]
    return tuple(
        f"{pieces[first].whole} is both the {first} and the {other} split."
        for first, other in pairs
    )


def _all_opened(pieces: Mapping[str, Piece], mistakes: Mistakes) -> dict[str, Table]:
    """The splits of pieces; the other splits are read with the columns of train."""
    tables: dict[str, Table] = {}
    for split, piece in pieces.items():
        form_of_train = tables["train"].form if "train" in tables else None
        tables[split] = _opened(piece, mistakes, form_of_train)
    return tables


def _opened(piece: Piece, mistakes: Mistakes, like: Form | None) -> Table:
    """The rows of a piece; those of several files one after another."""
    if piece.saved and parallel.files(piece.whole):
        with noted(mistakes):
            return parallel.read(piece.whole, mistakes)
        return Table(str(piece.whole), (), [])
    if piece.saved:
        return hub.from_disk(piece.whole)
    if len(piece.files) == 1:
        return readers.read(piece.files[0], mistakes, like, every=True)
    kinds = sorted({file.suffix.lower() for file in piece.files})
    if len(kinds) > 1:
        raise UserError(
            f"one split in files of several kinds ({' '.join(kinds)})",
            "keep one kind",
            where=str(piece.whole),
            code="unknown-kind",
        )
    large = sum(file.stat().st_size for file in piece.files) > disk.FILE
    tables: list[Table] = []
    for file in piece.files:
        table = readers.read(
            file, mistakes, like or (tables[0].form if tables else None), every=True
        )
        if tables and table.classes != tables[0].classes:
            raise UserError(
                f"other classes than in {tables[0].name}",
                "write them with the same",
                where=table.name,
                code="classes-differ",
            )
        reread = Again(partial(_rows_of, file, mistakes, table.form), len(table.rows))
        tables.append(replace(table, rows=reread) if large else table)
    return _one_table(str(piece.whole), tables, large)


def _rows_of(file: Path, mistakes: Mistakes, like: Form | None) -> Iterator[Row]:
    return iter(readers.read(file, None if mistakes is None else [], like, every=True).rows)


def _one_table(name: str, tables: Sequence[Table], large: bool) -> Table:
    columns = tuple(dict.fromkeys(column for table in tables for column in table.columns))
    notes = tuple(note for table in tables for note in table.notes)
    flattened = chain.from_iterable
    rows = Again(
        lambda: flattened(table.rows for table in tables), sum(len(table.rows) for table in tables)
    )
    return replace(
        tables[0], name=name, columns=columns, rows=rows if large else list(rows), notes=notes
    )


def _choose(tables: dict[str, Table], source: Source, option: str) -> Located:
    """Those splits of a data set that are train, validation or test, under these names."""
    chosen: dict[str, Table] = {}
    for split, name in source.splits.items():
        if name not in tables:
            raise UserError(
                f"no split {name!r}",
                did_you_mean(name, tables),
                where=str(source.source),
                code="no-split",
            )
        chosen[str(split)] = tables[name]
    named = set(source.splits.values())
    free = {name: name for name in tables if name not in named or names.claim(name).split in SPLITS}
    try:
        choices = names.assign(free, chosen, option)
    except UserError as error:
        raise UserError(
            error.problem, error.remedy, where=str(source.source), code=error.code
        ) from None
    chosen |= {split: tables[choice.name] for split, choice in choices.items()}
    if "train" not in chosen:
        remedy = f"pass --{option}.splits.train NAME"
        raise UserError(
            f"no train split among {', '.join(tables)}",
            remedy,
            where=str(source.source),
            code="no-split",
        )
    names_chosen = [table.name for table in chosen.values()]
    pairs = [
        (first, other) for first, other in combinations(chosen, 2) if chosen[first] is chosen[other]
    ]
    notes = tuple(
        f"{chosen[first].name} is both the {first} and the {other} split." for first, other in pairs
    )
    unread = tuple(name for name, table in tables.items() if table.name not in names_chosen)
    return Located(
        {split: chosen[split] for split in SPLITS if split in chosen}, notes, choices, unread
    )
