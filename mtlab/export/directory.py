"""The folder that `mtlab export` writes: an encoder and a tokenizer as transformers keeps them, the heads, and a card."""

import inspect
import json
import re
import shutil
from pathlib import Path

import transformers
from safetensors import SafetensorError
from safetensors.torch import save_file

from mtlab.export import card
from mtlab.export.model import build, choose
from mtlab.export.reader import HEADS
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Experiment
from mtlab.plan.scenario import point_label
from mtlab.record.journal import HALF, Journal, cannot_write
from mtlab.record.records import TrialRecord

FORMAT = 1
"""Of ``heads.json``."""


def write(experiment: Experiment, to: Path | None, scenario: str | None, point: str | None) -> Path:
    """Write a scenario's model.

    Args:
        experiment: that was run.
        to: the folder, which must not exist; ``models/<experiment>-<scenario>`` where none is given.
        scenario: whose; the one to take home where none is named.
        point: of the sweep.

    Returns:
        The folder.

    Raises:
        UserError: there is no such model, or the folder exists or cannot be written.
    """
    journal = Journal(experiment.output)
    choice = choose(journal, scenario, point)
    to = to or Path("models") / f"{experiment.name}-{_short(choice.trial)}"
    if to.exists() or to.is_symlink():
        raise UserError("is there already", "remove it, or choose another folder with --to", where=str(to))
    network, tokenizer = build(choice, journal)
    label = point_label(choice.trial.point.items())
    data, encoder = choice.suite.data[label], network.backbone.model
    facts = {
        "format": FORMAT,
        "labels": data["labels"],
        "tags": data["tags"],
        "pooling": network.settings.pooling,
        "precision": choice.suite.environment["precision"],
        "max_length": tokenizer.model_max_length,
        "encoder": {"attn_implementation": choice.suite.encoder[label]["attention"], **_without_pooler(encoder)},
    }
    half = to.with_name(f".{to.name}{HALF}")
    try:
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True)
        encoder.save_pretrained(half)
        tokenizer.save_pretrained(half)
        heads = {
            f"{task}.{part}": tensor.contiguous()
            for task, head in network.heads.items()
            for part, tensor in head.linear.state_dict().items()
        }
        save_file(heads, half / "heads.safetensors")
        (half / HEADS).write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        (half / "README.md").write_text(card.write(choice, facts), encoding="utf-8")
        for file in half.iterdir():
            file.chmod(0o644)
        half.rename(to)
    except (OSError, SafetensorError) as error:
        reason = cannot_write(to, error)
        raise UserError(reason.problem, "choose another folder with --to, or make room", where=str(to)) from None
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return to


def _short(trial: TrialRecord) -> str:
    """What tells a scenario's model from those of other scenarios and points."""
    return re.sub(r"[^\w.-]+", "_", f"{trial.scenario}{trial.label.removeprefix(f'{trial.scenario}-seed{trial.seed}')}")[:100]


def _without_pooler(encoder: transformers.PreTrainedModel) -> dict[str, bool]:
    """What keeps transformers from adding a pooler with random weights, of which it would warn."""
    known = inspect.signature(type(encoder).__init__).parameters
    return {"add_pooling_layer": False} if "add_pooling_layer" in known else {}
