"""What is made once for all points of a sweep that need it."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from mtlab.data import sources
from mtlab.data.sources import Corpus
from mtlab.plan.experiment import Experiment
from mtlab.plan.scenario import content_key

T = TypeVar("T")

CACHE = "cache"
"""The folder in an experiment's output folder for data that are too large for memory."""


class Shared:
    """What points of the sweep have in common: each thing is made once, and the seconds it took are
    kept.
    """

    def __init__(self) -> None:
        self.kept: dict[str, tuple[Any, float]] = {}

    def get(self, make: Callable[[], T], *settings: Any) -> tuple[T, float]:
        """What ``make`` returns, made once for equal ``settings``, and the seconds that took."""
        key = content_key(*settings)
        if key not in self.kept:
            start = time.perf_counter()
            self.kept[key] = (make(), time.perf_counter() - start)
        return self.kept[key]

    def corpus(self, experiment: Experiment, option: str) -> tuple[Corpus, float]:
        """The data of an experiment, and the seconds that reading them took; ``option`` is the key
        in the experiment file that names the data.
        """
        data, seed, directory = experiment.data, experiment.data_seed, experiment.output / CACHE
        tasks = experiment.tasks  # the same at every point
        return self.get(
            lambda: sources.load(data, tasks, seed, option, directory),
            "corpus",
            data.model_dump(),
            seed,
        )
