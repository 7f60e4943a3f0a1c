"""Which files of a folder are which split, by their names; files of unknown kinds are opened."""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from mtlab.data.reading import names, parallel
from mtlab.data.reading.kinds import (
    check_readable,
    extension,
    is_about,
    is_by_content,
    is_other,
    is_ours,
    is_saved,
    is_split,
    saved_splits,
    stem,
    visible,
)
from mtlab.data.reading.names import SPLITS, Choice
from mtlab.data.reading.readers import COMPRESSED, EXTENSIONS, is_marked
from mtlab.plan.errors import UserError, did_you_mean, shown

SHARD = re.compile(r"(?P<stem>.+?)[-_.](?P<number>\d+)-of-(?P<total>\d+)(-[0-9a-f]{16})?")
"""The name of a shard, one of several files of a split, as the hub and ``datasets`` write it."""
DEPTH = 3
"""How many levels of nested folders are searched."""
SHOWN = 7
"""How many files a message names when there are more."""
Fits = Callable[[Path], bool]
"""Whether a file is of a kind."""


@dataclass(frozen=True)
class Piece:
    """A candidate for a split: a file, its shards, or a folder of files."""

    name: str
    """As messages call it, relative to the folder that was given."""
    said: str
    """The part of its name that says the split."""
    files: tuple[Path, ...]
    """Empty where ``saved`` is set."""
    whole: Path
    """The file or folder; for shards, the common part of their names."""
    saved: bool = False
    """Whether it is a folder that is read as a whole: one that ``save_to_disk`` wrote, or whose files
    belong together line by line.
    """
    missing: str = ""
    """A shard that should be there."""

    @property
    def split(self) -> str | None:
        """The split that its name says."""
        return names.claim(self.said).split

    @property
    def paths(self) -> frozenset[Path]:
        """All its files, and the folder."""
        return frozenset((self.whole, *self.files))


@dataclass(frozen=True)
class Layout:
    """A folder's files by split."""

    pieces: dict[str, Piece]
    choices: dict[str, Choice] = field(default_factory=dict)
    """The choices for splits that the user did not name."""
    unread: tuple[str, ...] = ()
    """Files and folders that are not read, without those that only describe data."""
    ours: bool = True
    """Whether we read these files; else ``datasets`` does."""


def resolve(folder: Path, named: Mapping[str, str], option: str) -> Layout | None:
    """The files of each split in a folder; None if none of its files could be a split.

    Args:
        folder: where the files are: directly in it, in a folder for each split, in ``data``, or in
            the only folder below it that has some.
        named: splits to the names that the user gave their files.
        option: of the source on the command line, for messages.

    Raises:
        UserError: there is no train split, a file that the user names does not exist, a shard is
            missing, or the names do not say which file is which split.
    """
    pieces, ours = _there(folder, bool(named))
    if not pieces and not named:
        check_readable(folder)
        return None
    chosen = {split: meant_by(name, folder, pieces, split) for split, name in named.items()}
    used = frozenset[Path]().union(*(piece.paths for piece in chosen.values()))
    free = {
        piece.name: piece
        for piece in pieces
        if piece.split in SPLITS or used.isdisjoint(piece.paths)
    }
    try:
        choices = names.assign({name: piece.said for name, piece in free.items()}, named, option)
    except UserError as error:
        raise UserError(error.problem, error.remedy, where=str(folder), code=error.code) from None
    if not choices and not named and len(pieces) == 1:
        choices = {"train": Choice(pieces[0].name, "since it is the only file")}
    chosen |= {split: free[choice.name] for split, choice in choices.items()}
    if "train" not in chosen:
        _no_train(
            folder, [piece.name for piece in free.values() if piece not in chosen.values()], option
        )
    for piece in chosen.values():
        if piece.missing:
            raise UserError(
                f"{piece.missing} is missing, of {piece.name}",
                "add it, or take the other shards away",
                where=str(folder),
                code="file-missing",
            )
    read = frozenset[Path]().union(*(piece.paths for piece in chosen.values()))
    return Layout(
        {split: chosen[split] for split in SPLITS if split in chosen},
        choices,
        tuple(unread(folder, folder, read)),
        ours,
    )


def _there(folder: Path, named: bool) -> tuple[list[Piece], bool]:
    """Candidates for splits: files that we read, else files that ``datasets`` reads; and whether we
    read them.
    """
    if not named and is_saved(folder):
        return [Piece(folder.name, "train", (), folder, saved=True)], True
    candidates = [
        (_home(folder, folder, fits, named, DEPTH), fits is is_ours) for fits in (is_ours, is_other)
    ]
    telling = [candidate for candidate in candidates if _tells(candidate[0])]
    pieces, ours = next(
        iter(telling or [candidate for candidate in candidates if candidate[0]]), ([], True)
    )
    if ours and (with_others := _by_content(folder, pieces, named)):
        return with_others, True
    if not pieces and not named and is_split(folder):
        return [Piece(folder.name, "train", (), folder, saved=True)], True
    return pieces, ours


def _tells(pieces: Sequence[Piece]) -> bool:
    return any(piece.split for piece in pieces)


def _by_content(folder: Path, pieces: Sequence[Piece], named: bool) -> list[Piece]:
    """The candidates, and files of unknown kinds that are read by their content: if no candidate
    has the name of a split, or for the splits that are missing if all others have a token a line.
    Empty if there are no such files.
    """
    if {piece.split for piece in pieces} >= {*SPLITS}:
        return []
    more = _home(folder, folder, is_by_content, named, DEPTH)
    if not _tells(pieces):
        return [*pieces, *more] if more and (named or _tells(more) or not pieces) else []
    if not all(is_marked(file) for piece in pieces if piece.split for file in piece.files):
        return []
    splits = {piece.split for piece in pieces}
    extra = [piece for piece in more if piece.split not in (None, *splits)]
    return [*pieces, *extra] if extra else []


def _no_train(folder: Path, rest: Sequence[str], option: str) -> NoReturn:
    if rest:
        remedy = f"pass --{option}.splits.train FILE, or name the files train, validation and test"
        raise UserError(
            f"no train split among {names.listed(rest)}", remedy, where=str(folder), code="no-split"
        )
    raise UserError(
        "no train split",
        f"add a file train with one of {' '.join(EXTENSIONS)}",
        where=str(folder),
        code="no-split",
    )


def _home(root: Path, folder: Path, fits: Fits, named: bool, depth: int) -> list[Piece]:
    """Candidates for splits in the folder of the splits: this one, ``data``, or the only folder
    below that has a train split.

    If there is no such folder, the candidates of all folders.
    """
    own_pieces, folders = _pieces(root, folder, fits)
    splits = {piece.split for piece in own_pieces}
    if "train" in splits or (named and splits != {None} and own_pieces) or not depth:
        return own_pieces
    below: dict[Path, list[Piece]] = {}
    for path in folders:
        with suppress(OSError):  # a folder without access counts as not read
            below[path] = _home(root, path, fits, named, depth - 1)
    homes = [
        path for path, pieces in below.items() if any(piece.split == "train" for piece in pieces)
    ]
    homes = [path for path in homes if path.name == "data"] or homes
    if len(homes) == 1:
        return below[homes[0]]
    if homes and not named:
        listed = names.listed([f"{path.relative_to(root)}/" for path in homes])
        raise UserError(
            f"each of {listed} has a train split",
            "pass one of these folders as the source",
            where=str(root),
            code="ambiguous-split",
        )
    return [*own_pieces, *(piece for pieces in below.values() for piece in pieces)]


def _pieces(root: Path, folder: Path, fits: Fits) -> tuple[list[Piece], list[Path]]:
    """Candidates for splits in a folder, and the other folders in it."""
    pieces: list[Piece] = []
    folders: list[Path] = []
    shards = defaultdict[tuple[str, int, str], dict[int, Path]](dict)
    saved = saved_splits(folder)
    together = parallel.heads(visible(folder)) if fits is is_ours else {}
    for head, some in together.items():
        files = tuple(some.values())
        pieces.append(Piece(f"{_name(root, folder / head)}.*", head, files, folder / head, True))
    of_others = {path for some in together.values() for path in some.values()}
    for path in (path for path in visible(folder) if path not in of_others):
        shard = SHARD.fullmatch(stem(path))
        if path.is_dir():
            piece = _of_folder(root, path, fits) if saved is None or path.name in saved else None
            if piece is None:
                folders.append(path)
            else:
                pieces.append(piece)
        elif not fits(path):
            continue
        elif shard and (number := int(shard["number"])) not in (
            group := shards[shard["stem"], int(shard["total"]), extension(path)]
        ):
            group[number] = path
        else:
            pieces.append(
                Piece(_name(root, path), shard["stem"] if shard else stem(path), (path,), path)
            )
    return [*pieces, *(_of_shards(root, *key, group) for key, group in shards.items())], folders


def _of_shards(root: Path, said: str, total: int, kind: str, group: Mapping[int, Path]) -> Piece:
    first = next(iter(group.values()))
    missing_number = next((number for number in range(total) if number not in group), None)
    digits = len(str(SHARD.fullmatch(stem(first))["number"]))  # type: ignore[index]
    name = f"{said}-*-of-{total:0{digits}}{kind}"
    missing = "" if missing_number is None else name.replace("*", f"{missing_number:0{digits}}")
    if total == 1:
        name = first.name
    files = tuple(group[number] for number in sorted(group))
    return Piece(
        _name(root, first.parent / name), said, files, first.parent / said, missing=missing
    )


def _of_folder(root: Path, path: Path, fits: Fits) -> Piece | None:
    """A folder as a split: one that ``save_to_disk`` wrote, or one with the name of a split in
    which no file has the name of another split. None for other folders.
    """
    name = f"{_name(root, path)}/"
    if is_saved(path):
        return Piece(name, path.name, (), path, saved=True) if fits is is_ours else None
    meant = names.claim(path.name).split
    if meant is None:
        return None
    if is_split(path):
        return Piece(name, path.name, (), path, saved=True) if fits is is_ours else None
    inside = _pieces(root, path, fits)[0]
    if not inside or any(piece.split not in (None, meant) for piece in inside):
        return None
    missing = next((piece.missing for piece in inside if piece.missing), "")
    return Piece(
        name,
        path.name,
        tuple(file for piece in inside for file in piece.files),
        path,
        missing=missing,
    )


def beside(path: Path) -> list[Piece]:
    """Candidates for splits in the folder of a file."""
    return _pieces(path.parent, path.parent, is_ours)[0]


def meant_by(name: str, folder: Path, there: Sequence[Piece], split: str) -> Piece:
    """The file, shards or folder that a user names for a split, with an extension or without.

    Raises:
        UserError: there is none, or more than one.
    """
    path = folder
    with suppress(RuntimeError):  # ``~name`` of an unknown user
        path = folder / Path(name).expanduser()
    if path.is_file():
        return Piece(_name(folder, path), stem(path), (path,), path)
    matches = [
        piece for piece in there if name in (piece.name, piece.said, piece.name.removesuffix("/"))
    ]
    if not matches and path.is_dir() and path != folder:
        matches = [
            piece for fits in (is_ours, is_other) if (piece := _of_folder_named(folder, path, fits))
        ][:1]
    if len(matches) != 1:
        hint = did_you_mean(name, [piece.name for piece in there])
        raise UserError(
            f"no file {name!r} for the {split} split", hint, where=str(folder), code="file-missing"
        )
    return matches[0]


def _of_folder_named(root: Path, path: Path, fits: Fits) -> Piece | None:
    files = tuple(file for piece in _pieces(root, path, fits)[0] for file in piece.files)
    return (
        Piece(f"{_name(root, path)}/", path.name, files, path, saved=is_split(path))
        if files or is_split(path)
        else None
    )


def unread(root: Path, folder: Path, read: Collection[Path]) -> Iterator[str]:
    """Files and folders that are not read, without those that only describe data."""
    if folder in read and is_split(folder):
        return
    for path in visible(folder):
        if path.is_file():
            if path not in read and not is_about(path):
                yield _name(root, path)
        elif path in read or any(path in file.parents for file in read):
            yield from unread(root, path, read)
        elif _holds_data(path, DEPTH):
            yield f"{_name(root, path)}/"


def described(unread: Sequence[str]) -> str:
    """The unread files as messages name them, with the kind of a file where that is the reason."""
    rest = [f"{len(unread) - SHOWN:,} more"] if len(unread) > SHOWN else []
    return names.listed([*(shown(name) + _why(name) for name in unread[:SHOWN]), *rest])


def remedy(unread: Sequence[str]) -> str:
    """What to do, if files are not read because of their kind; else empty."""
    return f"; read are {' '.join(EXTENSIONS)}, not compressed" if any(map(_why, unread)) else ""


def _why(name: str) -> str:
    kind = Path(name).suffix.lower()
    return (
        " (compressed)"
        if kind in COMPRESSED
        else " (unknown kind)"
        if kind and kind not in EXTENSIONS
        else ""
    )


def _holds_data(folder: Path, depth: int) -> bool:
    """Whether a folder has a file that may hold data; true if the folder cannot be read."""
    try:
        return any(
            not is_about(path) if path.is_file() else depth > 0 and _holds_data(path, depth - 1)
            for path in visible(folder)
        )
    except OSError:
        return True


def _name(root: Path, path: Path) -> str:
    """The name of a file or folder in messages."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
