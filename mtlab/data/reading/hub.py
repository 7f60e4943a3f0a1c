"""Data sets of the Hugging Face hub, and local directories laid out as the hub lays them out,
through ``datasets``.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from glob import escape
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.events import AliasEvent

from mtlab.data import disk
from mtlab.data.reading.readers import class_names
from mtlab.data.reading.table import Row, Summary, Table, gathered
from mtlab.plan.errors import Mistakes, UserError, shown

HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
AS_TEXT = {"keep_default_na": False}
"""For hub data in CSV files: pandas would otherwise take ``NA``, ``null`` and ``None`` for missing
values."""
CARDS = ("README.md", ".huggingface.yaml")
"""Files in which a data set describes itself."""


def from_hub(name: str, subset: str | None, revision: str | None) -> tuple[dict[str, Table], str]:
    """The splits of a hub data set, and the commit they come from.

    The revision is resolved to a commit first. If the hub is out of reach, that commit is read from
    the local caches.

    Raises:
        UserError: there is no such data set, revision or subset, or no access to it, or the hub is
            out of reach and the data set is not cached.
    """
    from huggingface_hub import HfApi, errors
    from huggingface_hub.utils import httpx

    api = HfApi()
    try:
        commit = api.resolve_revision(name, repo_type="dataset", revision=revision).resolved
        try:
            api.dataset_info(
                name, revision=commit, timeout=10
            )  # one request: load_dataset would retry for 20 s and more
        except (errors.OfflineModeIsEnabled, httpx.TransportError):
            return _tables(
                _cached(name, subset, commit), name
            ), f"{commit} (from the cache: the hub is out of reach)"
        for card in CARDS:
            with suppress(errors.EntryNotFoundError):
                _check_card(
                    Path(api.hf_hub_download(name, card, repo_type="dataset", revision=commit)),
                    name,
                )
        return _tables(_build(name, subset, commit)[0], name), commit
    except (errors.RevisionResolutionError, httpx.TransportError):
        _out_of_reach(name)
    except errors.GatedRepoError:
        _gated(name)
    except errors.RevisionNotFoundError:
        raise UserError(
            f"data set {name!r} has no revision {revision!r}",
            "pass a branch, a tag or a commit of it",
            code="unknown-revision",
        ) from None
    except errors.RepositoryNotFoundError:
        problem = f"{name!r} is neither a file or directory here nor a data set on the hub that can be read without further rights"
        raise UserError(
            problem,
            "check the spelling; for a private one set HF_TOKEN or run `hf auth login`",
            code="hub-unavailable",
        ) from None
    except (
        errors.HfHubHTTPError,
        ValueError,
    ) as error:  # a ValueError: not an id, or the answer of a server that is not a hub
        problem = f"the hub does not give out data set {name!r} ({type(error).__name__})"
        raise UserError(
            problem, "check the id, or try again later", code="hub-unavailable"
        ) from None


def has_card(path: Path) -> bool:
    """Whether a local directory has a card that names the files of its splits, valid or not."""
    try:
        cards = [_card(path / card, str(path)) for card in CARDS if (path / card).is_file()]
    except UserError:
        return True
    return any(
        "data_files" in config or "data_dir" in config
        for card in cards
        for config in _configs(card)
    )


def from_directory(
    path: Path, subset: str | None, files: dict[str, list[Path]] | None = None
) -> tuple[dict[str, Table], set[Path]]:
    """The splits of a local directory as the hub would read it, and the files that they come from.

    Args:
        path: the directory, with a card in ``README.md`` or files of kinds that ``datasets`` knows.
        subset: one of the configurations that the card has.
        files: of each split, where the card does not say it.

    Raises:
        UserError: no data files, no such subset, or files that cannot be read.
    """
    for card in CARDS:
        if (path / card).is_file():
            _check_card(path / card, str(path))
    splits, read = _build(str(path), subset, None, files)
    return _tables(splits, str(path)), {Path(file).absolute() for file in read}


def from_disk(path: Path) -> Table:
    """A split that ``save_to_disk`` wrote.

    Raises:
        UserError: it cannot be read.
    """
    import datasets

    where = str(path)
    try:
        files = [
            file["filename"]
            for file in json.loads((path / "state.json").read_bytes())["_data_files"]
        ]
        if any(Path(file).name != file for file in files):
            raise UserError(
                "state.json names files outside of the folder",
                "save the data set again",
                where=where,
                code="outside-path",
            )
        split = datasets.load_from_disk(where)
    except (OSError, UserError):
        raise
    except Exception as error:  # json, datasets and pyarrow fail in many ways
        problem = f"the files could not be read ({type(error).__name__})"
        raise UserError(
            problem, "save the data set again with save_to_disk", where=where, code="unreadable"
        ) from error
    return table(split, where)


def _check_card(file: Path, name: str) -> None:
    """Check a data set's own description before ``datasets`` reads it, which would follow any path
    in it.

    Raises:
        UserError: it has aliases, which may stand for more than memory holds, names files outside
            of the data set, or cannot be read.
    """
    for config in _configs(_card(file, name)):
        for place in _strings([config.get(key) for key in ("data_files", "data_dir")]):
            if (
                Path(place).is_absolute()
                or ".." in Path(place).parts
                or "://" in place
                or "::" in place
                or place.startswith("~")
            ):
                raise UserError(
                    f"{file.name} names {shown(place)}, outside of the data set",
                    "take it out",
                    where=name,
                    code="outside-path",
                )


def _card(file: Path, name: str) -> dict[str, Any]:
    """The content of a data set's own description; empty if it names no files.

    Raises:
        UserError: it has aliases, or cannot be read.
    """
    from huggingface_hub.repocard import REGEX_YAML_BLOCK

    text = file.read_text(encoding="utf-8", errors="replace")
    if file.suffix == ".md":
        block = REGEX_YAML_BLOCK.search(text)
        text = block[2] if block else ""
    try:
        has_aliases = "*" in text and any(
            isinstance(event, AliasEvent) for event in YAML(typ="safe").parse(text)
        )
        names_files = "data_" in text or "configs" in text
        card = YAML(typ="safe").load(text) if names_files and not has_aliases else {}
    except Exception as error:  # ruamel fails in many ways
        raise UserError(
            f"the files could not be read ({type(error).__name__})",
            f"check the card in {file.name}",
            where=name,
            code="unreadable",
        ) from error
    if has_aliases:
        raise UserError(
            f"{file.name} has aliases (`*name`)",
            "write out what they stand for",
            where=name,
            code="malformed",
        )
    return card if isinstance(card, dict) else {}


def _configs(card: dict[str, Any]) -> list[dict[str, Any]]:
    configs = card.get("configs")
    return (
        [config for config in configs if isinstance(config, dict)]
        if isinstance(configs, list)
        else []
    )


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _strings(part)


def _gated(name: str) -> NoReturn:
    remedy = f"ask for access at huggingface.co/datasets/{name}, then set HF_TOKEN or run `hf auth login`"
    raise UserError(f"data set {name!r} is gated", remedy, code="hub-unavailable") from None


def _out_of_reach(name: str) -> NoReturn:
    problem = f"{name!r} is not a file or directory here, and as a data set it is not in the cache, with the hub out of reach"
    raise UserError(
        problem,
        "check the path, or connect and unset HF_HUB_OFFLINE where it is set",
        code="hub-unavailable",
    ) from None


def _build(
    name: str, subset: str | None, commit: str | None, files: dict[str, list[Path]] | None = None
) -> tuple[dict[str, Any], list[str]]:
    """The splits of a data set, and the files that they are made of."""
    import datasets
    from huggingface_hub import errors
    from huggingface_hub.utils import httpx

    named = {
        split: [escape(os.path.relpath(file, name)) for file in paths]
        for split, paths in (files or {}).items()
    }
    load = partial(
        datasets.load_dataset_builder, name, subset, revision=commit, data_files=named or None
    )
    try:
        builder = load()
        if hasattr(builder.config, "keep_default_na"):
            builder = load(**AS_TEXT)
        builder.download_and_prepare()
        return builder.as_dataset(), [
            str(file) for paths in (builder.config.data_files or {}).values() for file in paths
        ]
    except (ConnectionError, errors.LocalEntryNotFoundError):
        _out_of_reach(name)
    except FileNotFoundError as error:
        if isinstance(error, datasets.exceptions.DatasetNotFoundError) and "gated" in str(error):
            _gated(name)  # anyone may read about it, but not its files
        remedy = "name the files train, validation and test (.jsonl .json .csv .parquet .conll), or lay them out as the hub does"
        raise UserError(
            "no data files that could be read", remedy, where=name, code="hub-unavailable"
        ) from None
    except ValueError as error:
        problem = re.sub(r"\s*Example of usage.*", "", str(error), flags=re.DOTALL)
        if (
            "onfig" in problem
        ):  # a subset that is missing or unknown: the message lists the existing ones
            raise UserError(
                problem, "pass one of its configurations as `subset`", where=name, code="malformed"
            ) from None
        raise UserError(
            f"the files could not be read ({problem})", "check them", where=name, code="unreadable"
        ) from None
    except (OSError, httpx.HTTPError):
        raise
    except Exception as error:  # datasets, pandas, pyarrow and yaml fail in many ways
        if isinstance(error, RuntimeError) and "script" in str(error):
            remedy = "for one of the hub try `revision: refs/convert/parquet`, where it keeps a converted copy"
            raise UserError(
                "the data set is a script, which is never run", remedy, where=name, code="runs-code"
            ) from None
        problem = f"the files could not be read ({type(error).__name__})"
        raise UserError(
            problem,
            "check the card in README.md, and that all files have the same columns",
            where=name,
            code="unreadable",
        ) from error


def _cached(name: str, subset: str | None, commit: str) -> dict[str, Any]:
    """The data set as an earlier run left it in the cache of ``datasets``.

    ``load_dataset`` itself would take the revision that was cached last, even if it is another one.
    """
    from datasets.packaged_modules.cache.cache import Cache

    short = name.rpartition("/")[2]
    for options in (AS_TEXT, {}):
        try:
            builder = Cache(
                repo_id=name,
                dataset_name=short,
                config_name=subset,
                version="auto",
                hash="auto",
                **options,
            )
        except ValueError:
            continue
        with suppress(FileNotFoundError):  # load the requested commit of the subset that was found
            version = str(builder.config.version)
            return Cache(
                repo_id=name,
                dataset_name=short,
                config_name=builder.config.name,
                version=version,
                hash=commit,
            ).as_dataset()
    _out_of_reach(f"{name}@{commit}")


def _tables(splits: dict[str, Any], name: str) -> dict[str, Table]:
    return {str(split): table(data, f"{name} {split}") for split, data in splits.items()}


def table(data: Any, where: str) -> Table:
    """A split of ``datasets`` as a table; ``where`` is its name in messages."""
    rows, _ = gathered(partial(_rows, data, where), data.num_rows > disk.SENTENCES, None)
    return Table(
        where, tuple(data.column_names), rows, classes=class_names(data.features), flat=True
    )  # several data sets have a sentence's words in one text


def _rows(data: Any, where: str, mistakes: Mistakes, summary: Summary) -> Iterator[Row]:
    """The rows of a split as ``datasets`` has them: with numbers of classes, not their names."""
    try:
        rows = chain.from_iterable(
            table.to_pylist() for table in data.with_format("arrow").iter(disk.CHUNK)
        )
        for number, row in enumerate(rows, start=1):
            yield Row(row, where, number, " row ")
    except (ArithmeticError, ValueError) as error:  # dates that Python does not have
        raise UserError(
            f"values that cannot be read ({type(error).__name__})",
            "write them as text",
            where=where,
            code="unreadable",
        ) from None
