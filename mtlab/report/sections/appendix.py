"""The folded end of a report: what is looked up, not read."""

from mtlab.report.claims import verdicts
from mtlab.report.comparison.groups import Group, Task
from mtlab.report.figures import curves
from mtlab.report.markdown import text
from mtlab.report.sections import body, length, provenance, staged
from mtlab.report.view import Pairs, Plots, View, each, figures, folded, joined


def parts(view: View, pairs: Pairs, over: Plots) -> list[str]:
    """Every folded part that has words."""
    suite, groups = view.suite, view.groups
    others = [(group, plots) for group, plots in pairs if group is not view.base]
    return [
        folded("Results at the other points", each(others, _results)),
        folded("What was kept, in numbers", each(pairs, lambda group, _: staged.section(group))),
        folded("The claims about freezing", verdicts.section(suite, groups)),
        folded("What each scenario trains", _scenarios(pairs)),
        *(_metrics(task, pairs, over) for task in view.base.every),
        folded("Work and memory", each(pairs, lambda group, _: body.work(group))),
        folded(
            "Length of training",
            each(pairs, lambda group, _: length.section(group, suite.experiment)),
        ),
        folded("Parameters and rates", each(pairs, lambda group, _: body.parameters(group))),
        folded("Certificates", provenance.certificates(groups)),
        folded("Selection", each(pairs, lambda group, _: provenance.selection(group))),
        folded("Data", provenance.data(suite)),
        folded("Encoder", provenance.encoder(suite)),
        folded("Environment", provenance.environment(suite, view.groups)),
        folded("MLflow", provenance.tracking(suite)),
    ]


def _results(group: Group, plots: Plots) -> str:
    return joined(body.results(group), figures(plots, "decision"))


def _metrics(task: Task, pairs: Pairs, over: Plots) -> str:
    words = each(pairs, lambda group, _: body.metrics(group, task))
    drawn = figures(over, curves.parts(task)) if words else ""
    return folded(f"{text(task.heading)}: every metric", joined(words, drawn))


def _scenarios(pairs: Pairs) -> str:
    """The lines on scenarios once, unless the sweep changes them."""
    lines = {body.scenarios(group) for group, _ in pairs}
    if len(lines) == 1:
        return lines.pop()
    return each(pairs, lambda group, _: body.scenarios(group))
