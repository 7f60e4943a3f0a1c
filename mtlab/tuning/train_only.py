"""Train some parts of a model, each at its rate, and freeze the rest."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from mtlab.model.freezing import Partition, resolve, units
from mtlab.plan.errors import UserError
from mtlab.plan.scenario import Stage
from mtlab.tuning.modes import freeze
from mtlab.tuning.overview import Overview, overview
from mtlab.tuning.parts import Parts, parts, written_out
from mtlab.tuning.stages import joined, validated


def train_only(
    model: nn.Module, train: Mapping[str, float]
) -> tuple[list[dict[str, Any]], Overview]:
    """Train what selectors name, each at its learning rate, and freeze the rest of a model.

    Frozen parameters have no gradients. Frozen modules are in eval mode, also after
    ``model.train()``, so that their dropout is off.

    Args:
        model: an encoder of transformers (BERT, RoBERTa, DistilBERT, ELECTRA, MPNet, DeBERTa or
            ModernBERT) with any heads, or a module of your own around one. It is changed.
        train: selector to learning rate; the first match wins. Selectors are ``encoder``,
            ``embeddings``, ``layers[-2:]``, ``layers[-1/3:]``, ``heads``, ``all``, and the name of
            any attribute outside the encoder, such as ``classifier``.

    Returns:
        Parameter groups for an optimizer, one per selector; and an overview of what trains, which
        can be printed.

    Raises:
        UserError: a selector is unknown or matches nothing, a rate is not above 0, or the model's
            parts cannot be frozen alone.

    Example:
        ``groups, partition = mtlab.train_only(model, {"layers[-2:]": 1e-4, "classifier": 1e-3})``,
        ``optimizer = torch.optim.AdamW(groups)``, ``print(partition)``.
    """
    if not train:
        raise UserError(
            "there is nothing to train", 'write {"heads": 1e-3}, say', where="train", code="empty"
        )
    model_parts = parts(model)
    _, partition = resolved({"epochs": 1, "train": dict(train)}, model_parts)
    freeze(model, model_parts, partition)
    return parameter_groups(model_parts, partition), overview(model_parts, partition)


def resolved(
    written: Mapping[str, Any], model_parts: Parts, place: str = ""
) -> tuple[Stage, Partition]:
    """A stage for a model, with the model's heads as its tasks, and the parts that the stage
    trains.

    Args:
        written: the stage as in an experiment file, without losses.
        model_parts: the parts of the model.
        place: where the stage was written, for errors.

    Raises:
        UserError: the stage does not fit the model; ``where`` begins with the place.
    """
    heads = tuple(model_parts.heads) or ("none",)
    try:
        train = written_out(written.get("train", {}), model_parts.heads)
    except UserError as error:
        raise _below(error, place) from None
    stage = validated({**written, "train": train, "losses": heads, "tasks": heads}, place)
    try:
        return stage, resolve(stage, model_parts)
    except UserError as error:
        raise _below(error, place) from None


def parameter_groups(model_parts: Parts, partition: Partition) -> list[dict[str, Any]]:
    """A group of parameters for each selector, with its rate."""
    by_name = units(model_parts, partition.divided)
    return [
        {
            "params": [own for unit in group.units for own in by_name[unit].parameters.values()],
            "lr": group.rate,
        }
        for group in partition.trainable
    ]


def _below(error: UserError, place: str) -> UserError:
    """An error about ``train``, with the place of the stage."""
    where = joined(place, "train", error.where)
    return UserError(error.problem, error.remedy, where=where, code=error.code)
