"""mtlab for notebooks and scripts: the functions behind the commands, with values as their results.

An experiment is the path of a file, a mapping of what the file would say, or an
:class:`~mtlab.plan.experiment.Experiment`. Keywords are settings over it, as the options of the
command line are, and errors name them so: ``seeds=[0, 1]``, or ``**{"data.train_size": 300}``. A
mistake raises :class:`~mtlab.plan.errors.UserError` with one line.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtlab.plan import given
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Experiment
from mtlab.plan.given import Given, Source

if TYPE_CHECKING:  # a function imports what it needs: torch takes seconds, and results need none
    from mtlab.comparison import Comparison
    from mtlab.planning import Plan

__all__ = ["compare", "dry_run", "export_model", "load", "recommend"]


def compare(experiment: Source, **settings: Any) -> "Comparison":
    """Run every scenario of an experiment, log to MLflow, and write the report: `mtlab compare`.

    Trials that ended before are read back. A trial that fails is in ``failures`` of the result. An
    interruption writes down the running trial first; a second one leaves at once.

    Args:
        experiment: a file, a mapping or an Experiment. One without a file is written to
            ``experiment.yaml`` in its output, for commands.
        settings: over those of the experiment; mappings merge, all else is replaced, and a list of
            ``scenarios`` chooses some.

    Raises:
        UserError: the experiment has a mistake, or cannot run here.
        KeyboardInterrupt: it was interrupted; the same call continues.
    """
    asked = given.of(experiment, given.words(settings))
    from mtlab import comparing

    return comparing.run(asked)


def recommend(
    *sources: Source,
    looks: int | Sequence[int] | None = None,
    margin: float | None = None,
    tasks: str | Sequence[str] | None = None,
    budget: str | float | None = None,
    **settings: Any,
) -> "Comparison":
    """Train a pilot seed, and confirm the cheapest good scenario on fresh seeds: `mtlab recommend`.

    Args:
        sources: an experiment, or one source of data or two, such as a folder or a hub id. What is
            found in data is printed, and the experiment file for them is written.
        looks: fresh seeds after which a scenario may be accepted; 3 where nothing is said.
        margin: the largest loss, at every task.
        tasks: those that decide; all where nothing is said.
        budget: seconds, or text such as ``"10m"``: takes as many fresh seeds as fit.
        settings: over those of the experiment, as for :func:`compare`.

    Raises:
        UserError: the data or the settings have a mistake, or the experiment cannot run here.
        KeyboardInterrupt: it was interrupted; the same call continues.
    """
    seconds = f"{budget}s" if isinstance(budget, int | float) else budget
    own = {"looks": looks, "margin": margin, "tasks": tasks, "budget": seconds}
    words = {key: _listed(value) for key, value in own.items() if value is not None}
    asked = recommended(sources, {**words, **given.words(settings)})
    from mtlab import comparing

    return comparing.run(asked)


def _listed(value: Any) -> list[str]:
    """The words of one value, or of several."""
    several = isinstance(value, Sequence) and not isinstance(value, str)
    return [str(word) for word in (value if several else [value])]


def recommended(sources: Sequence[Source], settings: dict[str, list[str]]) -> Given:
    """The experiment that a recommendation runs.

    Args:
        sources: an experiment, or one source of data or two.
        settings: key to words, as the command line has them.

    Raises:
        UserError: the data or the settings have a mistake.
    """
    from mtlab import advising

    experiment, settings, budget = advising.asked(sources, settings)
    if budget is not None:
        from mtlab import comparing

        whole = given.of(experiment, settings).experiment
        settings |= advising.seeds([comparing.affordable(whole, budget)])
    return given.of(experiment, settings)


def dry_run(experiment: Source, **settings: Any) -> "Plan":
    """What an experiment would train, freeze, cost and show, without training: `mtlab plan`.

    Args:
        experiment: a file, a mapping or an Experiment.
        settings: over those of the experiment, as for :func:`compare`.

    Raises:
        UserError: something is wrong with the experiment, its data or its encoder.
    """
    asked = given.of(experiment, given.words(settings)).experiment
    from mtlab import planning

    return planning.plan(asked)


def load(source: Source, **settings: Any) -> "Comparison":
    """The results of an experiment that ran, without running or writing anything.

    Args:
        source: the folder with its records; or the experiment, whose output is read.
        settings: over those of the experiment, such as ``output``.

    Raises:
        UserError: there are no records, or one cannot be read.
    """
    from mtlab import comparison

    if isinstance(source, str | Path) and Path(source).is_dir():
        if settings:
            raise UserError(
                "settings are those of an experiment, and this is a folder of records",
                "leave them out",
                where=str(source),
                code="no-effect",
            )
        return comparison.read(Path(source))
    words = given.words(settings)
    return comparison.read(given.of(source, words, with_data=False).experiment.output)


def export_model(
    source: "Comparison | Source",
    scenario: str | None = None,
    to: str | Path | None = None,
    point: str | None = None,
    **settings: Any,
) -> Path:
    """Write a scenario's model as a folder for plain transformers: `mtlab export`.

    Args:
        source: a comparison, or the experiment.
        scenario: whose; the recommended one where none is named.
        to: the folder, which must not exist; ``models/<experiment>-<scenario>`` where none is given.
        point: of a sweep, as the report writes it.
        settings: over those of the experiment.

    Returns:
        The folder.

    Raises:
        UserError: there is no such model, or the folder exists or cannot be written.
    """
    from mtlab.comparison import Comparison
    from mtlab.export import directory

    if isinstance(source, Comparison):
        if settings:
            raise UserError(
                "settings are those of an experiment, and this is a comparison that ran",
                "leave them out",
                where=next(iter(settings)),
                code="no-effect",
            )
        experiment = Experiment.model_validate(source.suite.experiment)
        experiment = experiment.model_copy(update={"output": source.origin})
    else:
        experiment = given.of(source, given.words(settings), with_data=False).experiment
    return directory.write(experiment, Path(to) if to else None, scenario, point).folder
