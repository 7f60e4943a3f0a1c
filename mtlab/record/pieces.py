"""Combines the pieces of a stage into one record. A stage is trained in pieces if some of its
blocks train only part of the time.
"""

import itertools
from collections.abc import Iterable, Sequence

from mtlab.record.records import StageRecord, Units


def grouped(stages: Sequence[StageRecord]) -> list[list[StageRecord]]:
    """The pieces of each stage; a stage that was not trained in pieces is its only piece."""

    def stage(piece: tuple[int, StageRecord]) -> tuple[bool, int]:
        number, record = piece
        return (True, number) if record.of is None else (False, record.of)

    pairs = itertools.groupby(enumerate(stages), stage)
    return [[record for _, record in pieces] for _, pieces in pairs]


def joined(stages: Sequence[StageRecord]) -> list[StageRecord]:
    """The stages as a scenario has them, each combined from its pieces. The number of trainable
    parameters of a unit is the mean over the pieces, weighted by their epochs.
    """
    return [_as_one(pieces) for pieces in grouped(stages)]


def _as_one(pieces: Sequence[StageRecord]) -> StageRecord:
    if len(pieces) == 1:
        return pieces[0]
    first, epochs = pieces[0], sum(piece.epochs for piece in pieces)
    units = {}
    for unit in first.parameters:
        counts = [(piece.parameters[unit], piece.epochs) for piece in pieces]
        total = first.parameters[unit].trainable + first.parameters[unit].frozen
        trained = round(
            sum(count.trainable * piece_epochs for count, piece_epochs in counts) / max(1, epochs)
        )
        units[unit] = Units(trainable=trained, frozen=total - trained)
    changes = {
        "name": name_of_stage(first.name),
        "epochs": epochs,
        "steps": sum(piece.steps for piece in pieces),
        "parameters": units,
        "params_trainable": sum(count.trainable for count in units.values()),
        "params_frozen": sum(count.frozen for count in units.values()),
        "prefix_depth": min(piece.prefix_depth for piece in pieces),
    }
    return first.model_copy(update=changes)


def epochs_of(stages: Iterable[StageRecord]) -> dict[str, int]:
    """Block to the number of epochs in which any of its parameters trained, bottom block first."""
    trained: dict[str, int] = {}
    for stage in stages:
        for unit, count in stage.parameters.items():
            if unit.startswith("layers["):
                trained[unit] = trained.get(unit, 0) + (stage.epochs if count.trainable else 0)
    return trained


def name_of_stage(piece: str) -> str:
    """The name of the stage of a piece. The piece's own name is this name, followed by the blocks
    in brackets.
    """
    return piece.rpartition(" (layers[")[0] or piece
