from collections.abc import Iterator
from pathlib import Path

import pytest

from mtlab.report import document
from mtlab.report.figures import scores
from tests import figures

from . import factory


@pytest.fixture
def trials():
    """Three seeds of six scenarios, one of which failed."""
    bad = factory.trial(
        "ner_head_frozen", 1, status="diverged", reason="the loss is inf at step 12"
    )
    return [bad if trial.key == bad.key else trial for trial in factory.all_trials()]


@pytest.fixture
def suite(trials):
    return factory.suite(trials)


@pytest.fixture(scope="module")
def html_report(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a report over two points of a sweep, with a failure and with what each kind of
    figure is drawn of."""
    folder = tmp_path_factory.mktemp("html")
    trials = [
        trial for size in (100, 300) for trial in factory.all_trials(2, {"data.train_size": size})
    ]
    trials[0] = trials[0].model_copy(
        update={"status": "diverged", "test": None, "contributions": None}
    )
    factory.journal(
        folder, factory.suite(trials, seeds=2, sweep={"data.train_size": [100, 300]}), trials
    )
    with pytest.MonkeyPatch.context() as patch:
        some = ("decision", "time_by_lap")  # marks and clips, bars, words
        patch.setattr(scores, "FIGURES", {kind: scores.FIGURES[kind] for kind in some})
        with figures.saved(figures.drawn):
            document.write(folder)
        yield folder
