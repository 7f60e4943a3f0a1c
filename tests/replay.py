"""``python -m tests.replay``: every published comparison under looks at 2, 3, 5 and 8 seeds.

Records have three or five seeds, so that what would be saved against eight fixed ones is simulated: from
each contrast's mean difference and variances, as its records have them, seeds are drawn and the
procedure decides. Contrasts are drawn apart; that they share a control is left out.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mtlab.record.journal import Journal
from mtlab.report.comparison import across, decisions, training_failures
from mtlab.report.comparison.groups import Group, groups
from mtlab.report.statistics import scale
from mtlab.report.statistics.intervals import Interval
from mtlab.report.statistics.outlook import Outlook
from mtlab.report.statistics.variances import Spread, estimable, half_width, moderated

PUBLISHED = Path(__file__).parents[1] / "reports" / "published"
LOOKS, SUITES = (2, 3, 5, 8), 200


@dataclass(frozen=True)
class Truth:
    """A contrast at a task, as if its records were the truth.

    Attributes:
        scenario: against the control.
        mean: difference.
        seed: variance of one seed's difference.
        sentences: variance that the test sentences add to any mean.
        number: of test sentences.
        margin: of the task.
        trains: whether the scenario trains anything.
    """

    scenario: str
    mean: float
    seed: float
    sentences: float
    number: int
    margin: float
    trains: bool


def truths(group: Group) -> list[list[Truth]]:
    """Each task's contrasts whose variances can be estimated."""
    by_task = []
    for task in group.tasks:
        samples, known = group.samples(task), []
        for name in group.scenarios:
            shared = samples[name].keys() & samples[group.control or ""].keys()
            if name == group.control or len(shared) < 2:
                continue
            table = np.stack(
                [samples[name][seed] - samples[group.control or ""][seed] for seed in shared]
            )
            spread = estimable(table)
            if spread is not None:
                seed, trains = spread.seeds * len(table), training_failures.trains(group, name)
                truth = Truth(
                    name,
                    float(table.mean()),
                    seed,
                    spread.sentences,
                    table.shape[1],
                    task.margin,
                    trains,
                )
                known.append(truth)
        by_task.append(known)
    return by_task


def settled(tasks: list[list[Truth]], family: int, rng: np.random.Generator) -> dict[str, int]:
    """Scenario to the number of seeds at which a simulated suite stops it."""
    alphas = [alpha / family for alpha in scale.spending(LOOKS)]
    drawn = [
        [
            truth.mean
            + rng.normal(0, truth.sentences**0.5)
            + rng.normal(0, truth.seed**0.5, LOOKS[-1])
            for truth in task
        ]
        for task in tasks
    ]
    last: dict[str, int] = {}
    for task, values in zip(tasks, drawn, strict=True):
        for place, truth in enumerate(task):
            seeds = next(
                (look for at, look in enumerate(LOOKS) if _ends(task, values, place, at, alphas)),
                LOOKS[-1],
            )
            last[truth.scenario] = max(last.get(truth.scenario, 0), seeds)
    return last


def _ends(
    task: list[Truth], values: list[np.ndarray], place: int, at: int, alphas: list[float]
) -> bool:
    truth, look = task[place], LOOKS[at]
    own = [float(drawn[:look].var(ddof=1)) for drawn in values]
    pool = [variance for variance, other in zip(own, task, strict=True) if other.trains]
    pooled = float(np.mean(pool)) if len(pool) >= decisions.FEWEST else None
    spread = Spread(own[place] / look, look - 1, truth.sentences, truth.number - 1, 0.0)
    mean = float(values[place][:look].mean())
    half = half_width(moderated(spread, pooled, look, generous=look in LOOKS[1:-1]), 1 - alphas[at])
    if scale.verdict(Interval(mean, mean - half, mean + half, look), truth.margin) != "unclear":
        return True
    outlook = Outlook(mean, look, spread, truth.number, alphas[-1], truth.margin)
    return outlook.sentences_needed is not None or (look > 2 and outlook.hopeless(LOOKS[-1]))


def judged(folder: Path) -> list[Group]:
    """The groups of published records whose verdicts are told."""
    suite, trials = Journal(folder).read()
    points = groups(suite, trials)
    chosen = [across.chosen(points)[0]] if across.settings_only(points) else points
    return [group for group in chosen if group.control is not None]


def main() -> None:
    """Print a line a report."""
    rng, used, most = np.random.default_rng(0), 0.0, 0
    for folder in sorted(PUBLISHED.iterdir()):
        points = judged(folder)
        words: Counter[str] = Counter()
        mine, fixed = 0.0, 0
        for group in points:
            words.update(contrast.verdict for contrast in decisions.against_control(group))
            family, tasks = decisions.planned(group), truths(group)
            for _ in range(SUITES):
                last = settled(tasks, family, rng)
                mine += (sum(last.values()) + max(last.values(), default=0)) / SUITES
            fixed += LOOKS[-1] * (len({truth.scenario for task in tasks for truth in task}) + 1)
        used, most = used + mine, most + fixed
        print(
            f"{folder.name:18} {dict(words)}; trials {mine:.0f} of {fixed}, {1 - mine / fixed:.0%} saved"
        )
    print(f"all: {used:.0f} of {most} trials, {1 - used / most:.0%} saved")


if __name__ == "__main__":
    main()
