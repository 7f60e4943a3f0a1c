"""The folder that `mtlab export` writes: an encoder and a tokenizer as transformers stores them,
the heads, and a card.
"""

import inspect
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerBase

from mtlab.export import agreement, card
from mtlab.export.agreement import Agreement
from mtlab.export.model import Choice, as_run, build, choose, tasks
from mtlab.export.predict import load
from mtlab.export.reader import FORMAT, HEADS
from mtlab.model.network import Network
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Experiment
from mtlab.plan.scenario import point_label
from mtlab.record.files import HALF, cannot_write
from mtlab.record.journal import Journal
from mtlab.record.records import TrialRecord, damaged
from mtlab.tasks.registry import written


@dataclass(frozen=True)
class Written:
    """A folder that was written.

    Attributes:
        folder: its path.
        checked: a line that says whether its predictions were compared with the recorded ones, and
            how many were equal.
    """

    folder: Path
    checked: str


def write(
    experiment: Experiment, to: Path | None, scenario: str | None, point: str | None
) -> Written:
    """Write a scenario's model, and check that the folder gives the recorded predictions for the
    test split, if the data and these predictions are available.

    Args:
        experiment: the experiment that was run.
        to: the folder, which must not exist; ``models/<experiment>-<scenario>`` by default.
        scenario: its name; the recommended scenario by default.
        point: a point of the sweep, as reports write it.

    Raises:
        UserError: there is no such model, the folder exists or cannot be written, or its
            predictions are not the recorded ones.
    """
    journal = Journal(experiment.output)
    choice = choose(journal, scenario, point)
    to = to or Path("models") / f"{experiment.name}-{_short(choice.trial)}"
    if to.exists() or to.is_symlink():
        raise UserError(
            "is there already",
            "remove it, or choose another folder with --to",
            where=str(to),
            code="exists",
        )
    network, tokenizer = build(choice, journal)
    at, data = as_run(choice), choice.suite.data[point_label(choice.trial.point.items())]
    corpus, why_not = agreement.corpus_of(at, data["fingerprint"], journal.directory)
    if data.get("inputs", {}).keys() != at.tasks.keys():
        raise damaged(str(journal.directory / "suite.json"))
    facts = _facts(choice, network, tokenizer, data["inputs"])
    half = to.with_name(f".{to.name}{HALF}")
    try:
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True)
        _fill(half, network, tokenizer, facts)
        comparison = Agreement(why_not=why_not)
        if corpus is not None:
            reader = load(half, _device(str(choice.suite.environment["device"])))
            comparison = agreement.check(
                reader, corpus, tokenizer, journal.predictions_path(choice.trial)
            )
        (half / "README.md").write_text(card.write(choice, facts, comparison), encoding="utf-8")
        for file in half.iterdir():
            file.chmod(0o644)
        half.rename(to)
    except (OSError, SafetensorError) as error:
        reason = cannot_write(to, error)
        raise UserError(
            reason.problem,
            "choose another folder with --to, or make room",
            where=str(to),
            code=reason.code,
        ) from None
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return Written(to, comparison.line)


def _facts(
    choice: Choice, network: Network, tokenizer: PreTrainedTokenizerBase, inputs: dict[str, str]
) -> dict[str, Any]:
    """The content of ``heads.json``."""
    label = point_label(choice.trial.point.items())
    kernel = choice.suite.encoder[label]["attention"]
    return {
        "format": FORMAT,
        "tasks": {
            name: {**written(task), "input": inputs[name]} for name, task in tasks(choice).items()
        },
        "pooling": network.settings.pooling,
        "precision": choice.suite.environment["precision"],
        "max_length": tokenizer.model_max_length,
        "encoder": {"attn_implementation": kernel, **_without_pooler(network.backbone.model)},
    }


def _fill(
    folder: Path, network: Network, tokenizer: PreTrainedTokenizerBase, facts: dict[str, Any]
) -> None:
    """Write all files except the card."""
    network.backbone.model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    heads = {
        f"{task}.{part}": tensor.contiguous()
        for task, head in network.heads.items()
        for part, tensor in head.linear.state_dict().items()
    }
    save_file(heads, folder / "heads.safetensors")
    (folder / HEADS).write_text(
        json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def _device(measured: str) -> str:
    """The device on which to read the test split, which may be long: a GPU if the test ran on a GPU
    and this machine has one.
    """
    return "cuda" if measured.startswith("cuda") and torch.cuda.is_available() else "cpu"


def _short(trial: TrialRecord) -> str:
    """The part of a model's name that distinguishes it from those of other scenarios and points."""
    return re.sub(
        r"[^\w.-]+",
        "_",
        f"{trial.scenario}{trial.label.removeprefix(f'{trial.scenario}-seed{trial.seed}')}",
    )[:100]


def _without_pooler(encoder: transformers.PreTrainedModel) -> dict[str, bool]:
    """Settings that keep transformers from adding a pooler with random weights, and from a warning
    about it.
    """
    init_parameters = inspect.signature(type(encoder).__init__).parameters
    return {"add_pooling_layer": False} if "add_pooling_layer" in init_parameters else {}
