"""The encoders and data that an experiment needs."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from mtlab.data.reading.locate import BUILTIN, must_be_id
from mtlab.model import embedded
from mtlab.plan.data import Data, Source
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Experiment
from mtlab.plan.settings import Encoder

T = TypeVar("T")

DEFAULT = Experiment.model_validate(
    {
        "name": "default",
        "data": {"source": BUILTIN},
        "output": "reports",
        "scenarios": {"any": [{"epochs": 0}]},
    }
)
"""The experiment that is examined if no file is given."""


@dataclass(frozen=True)
class Wanted:
    """An experiment, and the encoders and sources of all its points."""

    experiment: Experiment

    @cached_property
    def encoders(self) -> list[Encoder]:
        """Every encoder, once."""
        return _once(point.encoder for point in self._points)

    @cached_property
    def sources(self) -> list[Source]:
        """Every source of data, once."""
        return _once(
            source
            for point in self._points
            for data in (*_data(point), *point.also_test.values())
            for source in _sources(data)
        )

    @cached_property
    def of_hub(self) -> list[tuple[str, str, str | None]]:
        """The models and data sets that are only on the hub: ``model`` or ``dataset``, the id, and
        the revision.
        """
        models = [
            ("model", encoder.name, encoder.revision)
            for encoder in map(_as_downloaded, self.encoders)
            if is_of_hub(encoder)
        ]
        return models + [
            ("dataset", str(source.source), source.revision)
            for source in self.sources
            if _is_of_hub(source)
        ]

    @cached_property
    def weights(self) -> int | None:
        """Bytes of the largest encoder's weights; None if an encoder is not on this machine."""
        sizes = [_size(encoder) for encoder in self.encoders]
        return max(size or 0 for size in sizes) if all(sizes) else None

    @cached_property
    def _points(self) -> list[Experiment]:
        return [self.experiment.at(point) for point in self.experiment.points]


def here(name: str) -> Path | None:
    """The path on this machine that a name stands for; None if it does not exist."""
    try:
        path = Path(name).expanduser()
        return path if path.exists() else None
    except (OSError, RuntimeError):  # the name is too long, or the home folder is unknown
        return None


def is_of_hub(encoder: Encoder) -> bool:
    """Whether an encoder comes from the hub."""
    path = here(encoder.name)
    is_local = encoder.name == embedded.NAME or encoder.name.startswith(("/", ".", "~"))
    return not is_local and (path is None or not path.is_dir())


def _as_downloaded(encoder: Encoder) -> Encoder:
    """The encoder, but the hub's copy of the embedded encoder if that is not on this machine."""
    missing = encoder.name == embedded.NAME and embedded.found() is None
    return embedded.HUB if missing else encoder


def _is_of_hub(source: Source) -> bool:
    name = str(source.source)
    try:
        must_be_id(name)
    except UserError:
        return False
    return name != BUILTIN and here(name) is None


def _once(items: Iterable[T]) -> list[T]:
    distinct: list[T] = []
    for item in items:
        if item not in distinct:
            distinct.append(item)
    return distinct


def _data(experiment: Experiment) -> list[Data]:
    return (
        [experiment.data] if experiment.start is None else [experiment.data, experiment.start.data]
    )


def _sources(data: Source) -> list[Source]:
    """The sources of data or of a test set; a changed test split has no source of its own."""
    of_tasks = list(data.by_task.values()) if isinstance(data, Data) else []
    chosen = [data] if data.source is not None else of_tasks
    return [
        Source.model_validate(source.model_dump(include=set(Source.model_fields)))
        for source in chosen
    ]


def _size(encoder: Encoder) -> int | None:
    folder = embedded.found() if encoder.name == embedded.NAME else here(encoder.name)
    return (
        sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        if folder is not None
        else None
    )
