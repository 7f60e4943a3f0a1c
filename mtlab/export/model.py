"""A trial's model as it was tested, built from the pretrained encoder and the weights that were
kept.
"""

from dataclasses import dataclass

from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import PreTrainedTokenizerBase

from mtlab.model import backbone, freezing, lora
from mtlab.model.network import Network
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Experiment
from mtlab.plan.scenario import content_key, point_label
from mtlab.record.journal import Journal
from mtlab.record.records import SuiteRecord, TrialRecord, best_on_validation
from mtlab.report.claims.evidence import Evidence
from mtlab.report.comparison.groups import Group, groups
from mtlab.report.comparison.winner import winner
from mtlab.tasks.kind import Task
from mtlab.tasks.registry import codes
from mtlab.train.prepare import length_limit


@dataclass(frozen=True)
class Choice:
    """The trial whose model is exported.

    Attributes:
        suite: the record of its experiment.
        group: the trials of the comparison: all at one point, or each scenario at its best
            settings.
        trial: the trial, whose weights were kept.
        why: a clause that says why its scenario is recommended; empty if the user named it.
    """

    suite: SuiteRecord
    group: Group
    trial: TrialRecord
    why: str


def choose(journal: Journal, scenario: str | None, point: str | None) -> Choice:
    """The trial whose model is exported: the scenario's best seed on validation.

    Args:
        journal: the records.
        scenario: its name; the recommended scenario by default.
        point: as reports write it, such as ``data.train_size = 300``; by default the point that the
            report is based on.

    Raises:
        UserError: there is no such trial, its weights were not kept, or each task has its own
            weights.
    """
    suite, trials = journal.read()
    candidates = groups(suite, trials)
    group = Evidence(suite, candidates).base
    if point is not None:
        labels = {group.label: group for group in candidates}
        if point not in labels:
            raise UserError(
                f"no point {point!r}",
                f"the points are {', '.join(filter(None, labels)) or 'one alone'}",
                where="--point",
                code="unknown-point",
            )
        group = labels[point]
    if scenario is None:
        picked = winner(group)
        if picked is None:
            raise UserError(
                "no scenario is called best, for a trial has no result",
                "name one with --scenario",
                where=str(journal.directory),
                code="no-winner",
            )
        trial, why = picked.trial, picked.why
    else:
        if scenario not in group.scenarios:
            raise UserError(
                f"no scenario {scenario!r}",
                f"the scenarios are {', '.join(group.scenarios)}",
                where="--scenario",
                code="unknown-scenario",
            )
        if not group.of(scenario):
            raise UserError(
                f"no trial of {scenario} ended well",
                "its report says why",
                where=str(journal.directory),
                code="no-result",
            )
        trial, why = best_on_validation(group.of(scenario)), ""
    _check_kept(journal, trial)
    return Choice(suite, group, trial, why)


def as_run(choice: Choice) -> Experiment:
    """The experiment at the trial's point as it was run, even if the file was changed since."""
    return Experiment.model_validate(choice.suite.experiment).at(tuple(choice.trial.point.items()))


def tasks(choice: Choice) -> dict[str, Task]:
    """The tasks of the model, by name, with the codes that they were trained with."""
    settings = as_run(choice).tasks
    by_task = choice.suite.data[point_label(choice.trial.point.items())]["tasks"]
    return {
        name: Task(name, settings[name].as_kind, codes(facts)) for name, facts in by_task.items()
    }


def build(choice: Choice, journal: Journal) -> tuple[Network, PreTrainedTokenizerBase]:
    """The network with the weights that were tested, into which adapters are merged, and its
    tokenizer, with the limit on the length from training.

    Raises:
        UserError: the encoder or the kept weights are not those of the test.
    """
    trial, file = choice.trial, journal.weights_path(choice.trial)
    label = point_label(trial.point.items())
    at = as_run(choice)
    revision = choice.suite.encoder[label].get("revision")
    location = backbone.find(at.encoder.model_copy(update={"revision": revision}))
    tokenizer = backbone.tokenizer(location)
    pristine = backbone.load(location, str(choice.suite.encoder[label]["attention"]))
    shapes = {name: task.shape for name, task in tasks(choice).items()}
    network = Network(pristine, shapes, at.head)
    adapted = any(unit == lora.UNIT for stage in trial.stages for unit in stage.parameters)
    if adapted:
        lora.inject(network, at.lora, trial.seed)
    try:
        unknown = network.load_state_dict(
            load_file(file, device="cpu"), strict=False
        ).unexpected_keys
    except (OSError, SafetensorError, RuntimeError):
        unknown = ["all"]
    if unknown or content_key(freezing.digests(network)) != trial.final_digest:
        remedy = "put the encoder back that it was trained with, or train it again"
        raise UserError(
            f"with encoder {location.name} these are not the weights that were tested",
            remedy,
            where=str(file),
            code="weights-differ",
        )
    if adapted:
        lora.merge(network)
    tokenizer.model_max_length = length_limit(at, pristine, tokenizer)
    return network.eval(), tokenizer


def _check_kept(journal: Journal, trial: TrialRecord) -> None:
    if trial.selection is not None and trial.selection.by_task:
        raise UserError(
            f"{trial.scenario} has weights of its own for each task, and so no one model",
            "export another --scenario",
            code="several-models",
        )
    if not journal.weights_path(trial).exists():
        where = journal.predictions_path(trial)
        remedy = (
            f"run the experiment with `--keep_weights best`, after removing {where} if it is there"
        )
        raise UserError(
            f"the weights of {trial.label} were not kept",
            remedy,
            where=str(journal.weights_path(trial)),
            code="weights-missing",
        )
