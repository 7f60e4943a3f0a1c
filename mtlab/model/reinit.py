"""Re-initialisation: blocks whose weights are drawn anew when a stage begins (Zhang et al. 2021).

The blocks nearest to the output are tied most to pretraining, and a few of them may transfer worse
than new ones do. New weights are those that transformers gives an encoder of this configuration.
"""

import copy
from collections.abc import Mapping

import torch

from mtlab.model import freezing, sub_units
from mtlab.model.freezing import CertificateError, Network, Partition
from mtlab.model.network import stream_seed
from mtlab.plan.scenario import Stage


def resolve(stage: Stage, network: Network) -> Partition:
    """What a stage draws anew, as what a partition trains.

    Raises:
        UserError: a selector matches nothing, or nothing that an earlier one has not taken.
    """
    drawn = {"train": dict.fromkeys(stage.reinit, 1.0), "decay": {}, "withheld": ()}
    return freezing.resolve(stage.model_copy(update=drawn), network)


@torch.no_grad()
def draw(network: Network, drawn: Partition, seed: int) -> None:
    """Draw blocks, or parts of them, as the encoder's configuration initialises them.

    Each block has a stream of random numbers of its own, named by the block and the seed. The draw
    happens on the CPU, so that every device and every stage comes to the same weights.

    Args:
        network: it is changed in place.
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
            vars(parameter).pop("_is_hf_initialized", None)  # transformers would leave it as it is
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
    """Certify that what was drawn differs from what was there, and that nothing else changed.

    Norms and biases are set to constants, which they may have been before.

    Args:
        network: of which the digests are.
        drawn: see :func:`resolve`.
        before: digests of units and of the sub-units of divided ones.
        after: the same, after the draw.

    Raises:
        CertificateError: naming the first unit that breaks it.
    """
    for name in freezing.units(network, drawn.divided):
        same = before[name] == after[name]
        if name in drawn.frozen and not same:
            raise CertificateError(f"{name} changed while others were drawn anew")
        if name in drawn.trained_units and same and not name.endswith((".biases", "norms.weights")):
            raise CertificateError(f"{name} was not drawn anew")
