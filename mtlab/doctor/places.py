"""Checks of the places that a run reads and writes: the encoder, the data, the hub, MLflow's store,
the output.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mtlab.data.reading.locate import BUILTIN, must_be_id
from mtlab.doctor.finding import PATIENCE_S, Finding, fault, gb, note, ok, within
from mtlab.doctor.wanted import Wanted, here, is_of_hub
from mtlab.model import embedded
from mtlab.plan.errors import Busy, UserError
from mtlab.plan.settings import Encoder
from mtlab.record import lock
from mtlab.record.mlflow.address import database_file, tracking_uri, without_credentials

ROOM, COPIES = 200_000_000, 12
"""Bytes that records, predictions and plots may take, and copies of the weights, in two checkpoints
and one that is being written. The kept weights of each scenario are added."""

OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
"""Environment variables that prevent libraries from contacting the hub."""


def encoder(wanted: Wanted) -> Iterator[Finding]:
    """The embedded encoder, and encoders in folders of this machine."""
    for settings in wanted.encoders:
        if settings.name == embedded.NAME and embedded.found() is None:
            yield note(
                "encoder",
                f"{settings.name}, the embedded one, is not installed: the first run downloads it from the hub (91 MB)",
                f"to have it without the hub, {embedded.INSTALL}",
            )
        elif settings.name == embedded.NAME:
            embedded.folder()
            yield ok(
                "encoder",
                f"{settings.name}, the embedded one: its weights are those that they should be (SHA-256 {embedded.SHA256[:12]}...)",
            )
        elif not is_of_hub(settings):
            yield _local(settings)


def data(wanted: Wanted) -> Iterator[Finding]:
    """The data that are on this machine."""
    for source in wanted.sources:
        name = str(source.source)
        if here(name) is None and name != BUILTIN:
            must_be_id(name)  # then the hub should have it
        else:
            yield ok(
                "data",
                source.title
                if name == BUILTIN
                else f"{source.title} is there; `mtlab plan` reads it whole",
            )


def hub(wanted: Wanted) -> Iterator[Finding]:
    """The hub: whether it can be reached, and whether that matters."""
    from huggingface_hub import constants, get_token

    token = "a token is set" if get_token() else "no token is set"
    away = _away(
        constants.ENDPOINT,
        [name for name in OFFLINE if os.environ.get(name)] if constants.is_offline_mode() else [],
    )
    text = f"{without_credentials(constants.ENDPOINT)} {away or 'can be reached'}, {token}"
    if not wanted.of_hub:
        yield ok("hub", f"{text}; not needed, for encoder and data are here")
    elif away:
        yield from (_kept(text, *entry) for entry in wanted.of_hub)
    else:
        yield ok("hub", text)
        yield from (_offered(*entry) for entry in wanted.of_hub)
        cache = Path(constants.HF_HOME)
        room = f"{cache}, where downloads are kept, has {gb(shutil.disk_usage(_nearest_existing(cache)).free)} free"
        yield _writable("hub", _nearest_existing(cache), room, "set HF_HOME to another place")


def tracking(wanted: Wanted) -> Iterator[Finding]:
    """Whether MLflow's store can be used; a database that does not exist is not created."""
    uri = tracking_uri()
    shown, file = without_credentials(uri), database_file(uri)
    if file is not None:
        finding = _writable(
            "tracking",
            _nearest_existing(file.parent),
            f"{shown} will be made at the first run",
            "set MLFLOW_TRACKING_URI to another place",
        )
        if finding.level == "fault" or not file.exists():
            yield finding
            return
        if not os.access(file, os.W_OK):
            yield fault(
                "tracking",
                f"{shown} cannot be written",
                "give yourself the right, or set MLFLOW_TRACKING_URI to another place",
            )
            return
    from mtlab.record.mlflow import connection

    try:
        within(PATIENCE_S, lambda: connection.look(uri, wanted.experiment.name))
    except (Busy, TimeoutError) as error:
        problem = str(error.problem) if isinstance(error, Busy) else f"MLflow at {shown}: {error}"
        yield note(
            "tracking",
            problem,
            "training does not wait for it, and `mtlab sync` brings it what it missed",
        )
    except UserError as error:
        yield fault("tracking", error)
    else:
        yield ok("tracking", f"{shown} can be opened")


def output(wanted: Wanted) -> Iterator[Finding]:
    """Whether the output folder is not in use, can be written, and has room on its disk."""
    folder = wanted.experiment.output.absolute()
    try:
        lock.check_free(folder)
    except OSError as error:
        yield fault(
            "output", f"{folder} cannot be used ({error.strerror})", "choose another --output"
        )
        return
    finding = _writable(
        "output",
        _nearest_existing(folder),
        f"{wanted.experiment.output} can be written",
        "choose another --output",
    )
    if finding.level == "ok":
        kept = (
            len(wanted.experiment.scenarios) * len(wanted.experiment.points)
            if wanted.experiment.keeps_weights
            else 0
        )
        free, need = (
            shutil.disk_usage(_nearest_existing(folder)).free,
            ROOM + (COPIES + kept) * (wanted.weights or 0),
        )
        text = f"{finding.text}, {gb(free)} free"
        short = f"{text}, and a run may take {gb(need)}"
        finding = (
            ok("output", text)
            if free >= need
            else fault("output", short, "make room, or choose another --output")
        )
    yield finding


def _local(settings: Encoder) -> Finding:
    from mtlab.model import backbone

    location = backbone.find(settings)
    backbone.tokenizer(location)
    if not list(Path(location.path).glob("*.safetensors")):
        return fault("encoder", f"no weights in {location.path}", "it needs model.safetensors")
    return ok(
        "encoder", f"{settings.name}: {location.config.model_type}, with a tokenizer and weights"
    )


def _away(endpoint: str, offline: list[str]) -> str:
    """Why the hub cannot be reached; empty if it can."""
    from huggingface_hub.utils import get_session

    if offline:
        return f"is not asked ({' and '.join(offline)} set)"
    try:
        within(PATIENCE_S, lambda: get_session().head(endpoint, timeout=PATIENCE_S))
    except (
        Exception
    ) as error:  # httpx fails in many ways; its text may repeat the secrets of the address
        return f"cannot be reached ({type(error).__name__})"
    return ""


def _offered(kind: str, name: str, revision: str | None) -> Finding:
    """Whether the user can get a model or a data set from the hub; it is not downloaded."""
    from huggingface_hub import errors, get_hf_file_metadata, get_token, hf_hub_url

    refusals = {
        errors.GatedRepoError: (
            "is gated",
            "ask for access there, then set HF_TOKEN or run `hf auth login`",
        ),
        errors.RepositoryNotFoundError: (
            "is neither here nor on the hub, or private",
            "check the name, or set HF_TOKEN",
        ),
        errors.RevisionNotFoundError: (
            f"has no revision {revision}",
            "pass a branch, a tag or a commit of it",
        ),
    }

    def ask() -> None:
        url = hf_hub_url(
            name,
            "config.json" if kind == "model" else "README.md",
            repo_type=kind,
            revision=revision,
        )
        with suppress(errors.EntryNotFoundError):
            get_hf_file_metadata(url, token=get_token(), timeout=PATIENCE_S)

    try:
        within(PATIENCE_S, ask)
    except Exception as error:  # of the hub, or of the network
        problem = f"cannot be had ({type(error).__name__})", "check the name, or try again later"
        problem = next(
            (answer for error_type, answer in refusals.items() if isinstance(error, error_type)),
            problem,
        )
        return fault("hub", f"{name} {problem[0]}", problem[1])
    return ok("hub", f"{name} is there")


def _kept(text: str, kind: str, name: str, revision: str | None) -> Finding:
    """Whether a model or a data set is in the cache, if the hub cannot be reached."""
    from huggingface_hub import constants, try_to_load_from_cache

    if kind == "model":
        cached = {
            file: isinstance(try_to_load_from_cache(name, file, revision=revision), str)
            for file in ("config.json", "model.safetensors", "model.safetensors.index.json")
        }
        is_cached = cached.pop("config.json") and any(cached.values())
    else:
        cache = os.environ.get("HF_DATASETS_CACHE") or Path(constants.HF_HOME) / "datasets"
        is_cached = (Path(cache) / name.replace("/", "___")).is_dir()
    if is_cached:
        return note(
            "hub", f"{text}; {name} is taken from the cache", "a newer one is not looked for"
        )
    return fault(
        "hub",
        f"{text}, and {name} is not in the cache",
        "see that it can be reached, or pass a local directory",
    )


def _nearest_existing(folder: Path) -> Path:
    """The folder, or the nearest folder above it that exists."""
    return next(path for path in (folder, *folder.parents) if os.path.lexists(path))


def _writable(topic: str, folder: Path, text: str, remedy: str) -> Finding:
    """Whether a folder can be written, tested with a temporary file."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        return fault(topic, f"{folder} cannot be written ({error.strerror})", remedy)
    return ok(topic, text)
