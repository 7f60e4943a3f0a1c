"""Three keys of a stage that choose which of its blocks train at a time, and the checks of these
keys and of ``average``.

``choose`` picks some blocks before the stage, ``rotate`` picks others every few epochs, and
``freeze_when`` freezes blocks one after the other during the stage. ``train`` names the blocks that
they choose among.
"""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from mtlab.plan.errors import mistake
from mtlab.plan.values import Count, Number, Strict


class Choose(Strict):
    """Trains the blocks with the highest scores alone. The scores come from the first training
    sentences when the stage begins, in eval mode, before anything trains.
    """

    by: Literal["fisher", "relative_gradient"] = "fisher"
    """``fisher``: the mean, over sentences and weights, of the squared gradient of a sentence's loss
    (the diagonal of the empirical Fisher information; Sung et al. 2021). ``relative_gradient``: the norm
    of the gradient of all these sentences' loss over the norm of the weights (Auto-RGN, Lee et al.
    2023)."""
    blocks: Count = Field(ge=1)
    """How many train."""
    batches: Count = Field(default=8, ge=1)
    """Batches of training sentences that are looked at, at most an epoch."""


class Rotate(Strict):
    """Trains some blocks for a few epochs, then others, each time with a new optimizer. What
    ``train`` names beside blocks trains all the time (LISA, Pan et al. 2024; HiFT, Liu et al. 2024).
    """

    blocks: Count = Field(ge=1)
    """How many train at a time."""
    every: Count = Field(default=1, ge=1)
    """Epochs until others do."""
    order: Literal["random", "up", "down"] = "random"
    """``random``: drawn anew each time, by the trial's seed. ``up`` and ``down``: one after the other,
    from the bottom or the top, and again."""


class FreezeWhen(Strict):
    """Freezes blocks from the bottom up while the stage trains, where their gradients change least
    (AutoFreeze, Liu et al. 2021). With the lowest block the embeddings are frozen.

    For each block, ``g`` is the L1 norm of its gradients, added up since the last look, and ``c =
    |g_before - g| / g_before``. What lies below the first block whose ``c`` reaches the percentile
    of all that train is frozen, and the optimizer begins anew.
    """

    by: Literal["gradient_norm"] = "gradient_norm"
    """What is watched."""
    percentile: Number = Field(default=50.0, gt=0, le=100)
    """The percentile of the changes."""
    every: Count = Field(default=1, ge=1)
    """Epochs between two looks."""


KEYS = ("choose", "rotate", "freeze_when")
"""The keys of which a stage may have only one."""


def check_every(rotate: Rotate | None, freeze_when: FreezeWhen | None, epochs: int) -> None:
    """Refuse a stage that ends before its keys change anything.

    Raises:
        PydanticCustomError: with the line to print.
    """
    if rotate is not None and rotate.every >= epochs > 0:
        line = f"the {epochs} epochs of the stage are one turn; lower it, or add epochs"
        raise mistake(line, "rotate", "every", code="no-effect")
    if freeze_when is not None and 2 * freeze_when.every >= epochs > 0:
        line = f"two looks come first, and the stage has {epochs} epochs; lower it, or add epochs"
        raise mistake(line, "freeze_when", "every", code="no-effect")


def check(there: Sequence[str], *, trains: bool, guided: bool, drawn: bool) -> None:
    """Refuse keys of a stage that do not work together.

    Args:
        there: the keys that the stage has, among :data:`KEYS` and ``average``.
        trains: whether the stage has epochs.
        guided: whether it has guidance.
        drawn: whether it draws blocks anew (``reinit``).

    Raises:
        PydanticCustomError: with the line to print.
    """
    choices = [key for key in there if key in KEYS]
    for key in choices[1:]:
        line = f"{choices[0]} and {key} both choose blocks; keep one of them, or use two stages"
        raise mistake(line, key, code="conflict")
    for key in there:
        if not trains:
            raise mistake(f"{key} needs training; give the stage epochs", key, code="conflict")
        if guided:
            line = f"guidance and {key} both change what a stage trains; keep one of them"
            raise mistake(line, key, code="conflict")
        if drawn and key in ("choose", "average"):
            line = f"{key} needs the weights that reinit replaces; use two stages"
            raise mistake(line, key, code="conflict")
