"""mtlab for notebooks and scripts: the functions behind the commands, which return values.

An experiment is the path of a file, a mapping with the content of such a file, or an
:class:`~mtlab.plan.experiment.Experiment`. Keyword arguments are settings that replace those of the
experiment: ``seeds=[0, 1]``, or ``**{"data.train_size": 300}``. Errors name them like the options
of the command line. A mistake raises :class:`~mtlab.plan.errors.UserError` with one line.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtlab.plan import given
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Experiment
from mtlab.plan.given import Given, Source

if TYPE_CHECKING:  # importing torch takes seconds, and reading results does not need it
    from mtlab.comparison import Comparison
    from mtlab.planning import Plan

__all__ = ["compare", "dry_run", "export_model", "load", "recommend"]


def compare(experiment: Source, **settings: Any) -> "Comparison":
    """Run every scenario of an experiment, log to MLflow, and write the report: `mtlab compare`.

    Trials that an earlier run finished are read from its records. A trial that fails is in
    ``failures`` of the result. At an interruption the running trial first writes a checkpoint; a
    second interruption stops at once.

    Args:
        experiment: a file, a mapping or an Experiment. A mapping or Experiment is also written to
            ``experiment.yaml`` in its output, so that commands can read it.
        settings: settings that replace those of the experiment: mappings are merged, everything
            else is replaced, and a list of ``scenarios`` selects some.

    Raises:
        UserError: the experiment has a mistake, or cannot run here.
        KeyboardInterrupt: the run was interrupted; the same call continues it.
    """
    request = given.of(experiment, given.words(settings))
    from mtlab import comparing

    return comparing.run(request)


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
        sources: an experiment, or one or two sources of data, such as a folder or a hub id. For
            data, the findings are printed, and an experiment file is written.
        looks: the number of fresh seeds after which a scenario may be accepted, or several such
            numbers; by default 3.
        margin: the largest decrease of the score that is accepted, for every task.
        tasks: the tasks that decide; by default all.
        budget: seconds, or text such as ``"10m"``; as many fresh seeds run as fit, from 2 to 8.
        settings: settings that replace those of the experiment, as for :func:`compare`.

    Raises:
        UserError: the data or the settings have a mistake, or the experiment cannot run here.
        KeyboardInterrupt: the run was interrupted; the same call continues it.
    """
    seconds = f"{budget}s" if isinstance(budget, int | float) else budget
    own = {"looks": looks, "margin": margin, "tasks": tasks, "budget": seconds}
    words = {key: _listed(value) for key, value in own.items() if value is not None}
    request = recommended(sources, {**words, **given.words(settings)})
    from mtlab import comparing

    return comparing.run(request)


def _listed(value: Any) -> list[str]:
    """A value, or each of several values, as text."""
    several = isinstance(value, Sequence) and not isinstance(value, str)
    return [str(word) for word in (value if several else [value])]


def recommended(sources: Sequence[Source], settings: dict[str, list[str]]) -> Given:
    """The experiment that a recommendation runs.

    Args:
        sources: an experiment, or one or two sources of data.
        settings: key to its values as text, as on the command line.

    Raises:
        UserError: the data or the settings have a mistake.
    """
    from mtlab import advising

    experiment, settings, budget = advising.asked(sources, settings)
    if budget is not None:
        from mtlab import comparing

        loaded = given.of(experiment, settings).experiment
        settings |= advising.seeds([comparing.affordable(loaded, budget)])
    return given.of(experiment, settings)


def dry_run(experiment: Source, **settings: Any) -> "Plan":
    """What an experiment would train, freeze, cost and show, without training: `mtlab plan`.

    Args:
        experiment: a file, a mapping or an Experiment.
        settings: settings that replace those of the experiment, as for :func:`compare`.

    Raises:
        UserError: something is wrong with the experiment, its data or its encoder.
    """
    loaded = given.of(experiment, given.words(settings)).experiment
    from mtlab import planning

    return planning.plan(loaded)


def load(source: Source, **settings: Any) -> "Comparison":
    """The results of an experiment that ran, without running or writing anything.

    Args:
        source: the folder with its records; or the experiment, whose output is read.
        settings: settings that replace those of the experiment, such as ``output``.

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
        scenario: the scenario; by default the recommended one.
        to: the folder, which must not exist; by default ``models/<experiment>-<scenario>``.
        point: a point of the sweep, spelt as in the report.
        settings: settings that replace those of the experiment.

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
