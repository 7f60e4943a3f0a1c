"""Re-initialisation: blocks whose weights are drawn anew when a stage begins (Zhang et al. 2021).

The blocks nearest to the output are the most specific to pretraining, and they may transfer worse
than blocks with new weights. New weights are drawn as transformers initialises an encoder of this
configuration.
"""

import copy
from collections.abc import Mapping

import torch

from mtlab.model import freezing, sub_units
from mtlab.model.freezing import CertificateError, Network, Partition
from mtlab.model.network import stream_seed
from mtlab.plan.scenario import Stage


def resolve(stage: Stage, network: Network) -> Partition:
    """The partition whose trained units and sub-units are those that a stage draws anew.

    Raises:
        UserError: a selector matches nothing, or only what earlier selectors match.
    """
    update = {"train": dict.fromkeys(stage.reinit, 1.0), "decay": {}, "withheld": ()}
    return freezing.resolve(stage.model_copy(update=update), network)


@torch.no_grad()
def draw(network: Network, drawn: Partition, seed: int) -> None:
    """Draw blocks, or parts of them, as the encoder's configuration initialises them.

    Each block has its own stream of random numbers, which depends on the block and the seed alone.
    The weights are drawn on the CPU, so that every device and every stage gets the same ones.

    Args:
        network: changed in place.
        drawn: see :func:`resolve`.
        seed: of the trial.
    """
    backbone = network.backbone
    parts = freezing.units(network, drawn.divided)
    for index, block in enumerate(backbone.blocks):
        names = [
            name for name in drawn.trained_units if sub_units.owner(name) == f"layers[{index}]"
        ]
        if not names:
            continue
        fresh = copy.deepcopy(backbone.model.get_submodule(block)).cpu()
        for parameter in fresh.parameters():
            vars(parameter).pop("_is_hf_initialized", None)  # else _init_weights would skip it
        with torch.random.fork_rng([]):
            torch.default_generator.manual_seed(stream_seed(f"reinit.layers[{index}]", seed))
            fresh.apply(backbone.model._init_weights)
        weights = {f"encoder.{block}.{name}": weight for name, weight in fresh.named_parameters()}
        for name in names:
            for key, parameter in parts[name].parameters.items():
                parameter.copy_(weights[key])


def check(
    network: Network, drawn: Partition, before: Mapping[str, str], after: Mapping[str, str]
) -> None:
    """Certify that what was drawn anew has changed, and that nothing else has.

    Norms and biases are set to constants. They may have had these values before, so they need not
    change.

    Args:
        network: the network that the digests belong to.
        drawn: see :func:`resolve`.
        before: the digests before the draw, of units and of the sub-units of divided units.
        after: the same digests after the draw.

    Raises:
        CertificateError: a unit fails; the message names the first one.
    """
    for name in freezing.units(network, drawn.divided):
        unchanged = before[name] == after[name]
        if name in drawn.frozen and not unchanged:
            raise CertificateError(f"{name} changed while others were drawn anew")
        if (
            name in drawn.trained_units
            and unchanged
            and not name.endswith((".biases", "norms.weights"))
        ):
            raise CertificateError(f"{name} was not drawn anew")
