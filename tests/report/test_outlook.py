"""What more seeds or sentences would tell, and what an experiment can show before it runs."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from mtlab.report import power
from mtlab.report.statistics.outlook import MOST_SEEDS, Outlook
from mtlab.report.statistics.variances import Spread, half_width

from . import factory, tables
from .tables import CONTROL, MARGIN, RIVALS


def outlook(mean: float, seed: float, sentence: float, seeds: int = 3) -> Outlook:
    """Of a difference with these standard deviations of a seed and of the test split."""
    spread = Spread(seed**2 / seeds, seeds - 1, sentence**2, 999, 0.0)
    return Outlook(mean, seeds, spread, 1000, 0.05, MARGIN)


def test_the_width_with_more_seeds_by_hand() -> None:
    known = outlook(0.0, 0.03, 0.0)
    assert known.half(9) == pytest.approx(stats.t.ppf(0.975, 8) * 0.03 / 3)
    assert known.half(math.inf) == 0.0
    assert outlook(0.0, 0.03, 0.01).half(math.inf) == pytest.approx(stats.t.ppf(0.975, 999) * 0.01)


def test_the_seeds_that_a_clear_verdict_takes() -> None:
    known = outlook(0.0, 0.03, 0.0)
    needed = known.seeds_needed
    assert needed is not None and known.clear(needed) and not known.clear(needed - 1)
    assert outlook(0.0, 0.5, 0.0).seeds_needed is None


def test_the_sentences_that_the_margin_takes() -> None:
    wide = outlook(0.0, 0.01, 0.02)
    half = stats.t.ppf(0.975, 999) * 0.02
    assert wide.sentences_needed == math.ceil(1000 * (half / MARGIN) ** 2)
    assert outlook(0.0, 0.01, 0.005).sentences_needed is None
    assert outlook(0.2, 0.01, 0.02).sentences_needed is None, "its sign will be clear"


@pytest.mark.parametrize(("mean", "seed"), [(0.0, 0.01), (0.012, 0.03), (0.05, 0.05), (0.0, 0.2)])
def test_the_chance_of_a_verdict_is_what_draws_say(mean: float, seed: float) -> None:
    known, last = outlook(mean, seed, 0.0), 8
    rng = np.random.default_rng(0)
    later = mean + rng.normal(0, seed * math.sqrt(1 / 3 - 1 / last), 20_000)
    half = known.half(last)
    clear = (abs(later) > half) | (abs(later) < MARGIN - half)
    assert known.hopeless(last) == (clear.mean() < 0.1)


def test_at_the_last_look_nothing_is_left_to_hope_for() -> None:
    assert not outlook(0.0, 0.5, 0.0, seeds=8).hopeless(8)


def earlier(place: Path, seeds: int = 5, seed: float = 0.02, **changes) -> dict:
    """Records of four rivals and the control; returns their settings."""
    shown = {
        **{name: tables.noisy(0.0, seeds, seed, 800, at) for at, name in enumerate(RIVALS[:4])},
        CONTROL: tables.control(seeds, 800),
    }
    suite, trials = tables.ran(shown)
    data = {"": {**next(iter(suite.data.values())), "fingerprint": "f"}}
    factory.journal(place, suite.model_copy(update={"data": data}), trials)
    return {**suite.experiment, "seeds": list(range(5)), **changes}


def test_power_comes_from_earlier_records_of_the_same_data(tmp_path: Path) -> None:
    settings = earlier(tmp_path / "before")
    lines = list(power.lines(settings, tmp_path / "now", "f"))
    assert lines[0].startswith(f"What it can show, from {tmp_path / 'before'} (5 seeds)")
    shown = float(lines[1].split(": ")[1].split(";")[0])
    source = power.find(tmp_path / "now", "f", settings)
    assert source is not None
    (of_task,) = power._powers(source.group, settings, 5)
    spread = Spread(of_task.spread.seeds / 5, 4, of_task.spread.sentences, 799, 0.0)
    error = math.sqrt(spread.seeds + spread.sentences)
    half = half_width(spread, 1 - 0.05 / 4)
    assert shown == pytest.approx(half + stats.norm.ppf(0.8) * error, abs=6e-4)
    needed = of_task.seeds_of_margin
    assert needed is not None and f"the margin of 0.02 takes {needed} seeds" in lines[1]


def test_power_is_not_known_without_such_records(tmp_path: Path) -> None:
    settings = earlier(tmp_path / "before")
    for fingerprint, asked in (("other", settings), ("f", {**settings, "encoder": "other"})):
        (line,) = power.lines(asked, tmp_path / "now", fingerprint)
        assert line.startswith("What it can show is not known") and str(tmp_path) in line


def test_records_that_cannot_be_read_are_no_hindrance(tmp_path: Path) -> None:
    settings = earlier(tmp_path / "before")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "suite.json").write_text("{")
    assert len(list(power.lines(settings, tmp_path / "now", "f"))) == 2


def test_a_margin_that_no_number_of_seeds_shows(tmp_path: Path) -> None:
    settings = earlier(tmp_path / "before", margins={"classifier": 0.0005})
    line = list(power.lines(settings, tmp_path / "now", "f"))[1]
    assert "test sentences (800 are there), and no number of seeds is enough" in line
    settings = earlier(tmp_path / "noisy", seeds=6, seed=0.2, margins={"classifier": 0.02})
    assert f"more than {MOST_SEEDS} seeds" in list(power.lines(settings, tmp_path / "now", "f"))[1]
