"""LoRA (Hu et al. 2021): a low-rank product is added to every linear layer of the encoder, and only
that product is trained. The layers come from peft.
"""

import math
import warnings
from collections.abc import Sequence

import torch

from mtlab.model.network import Network, generator
from mtlab.plan.scenario import Stage
from mtlab.plan.settings import Lora

UNIT = "lora"
"""The unit of all adapters of a network, and the selector that trains it."""

PARTS = ("lora_A", "lora_B")
"""What peft calls the modules that hold adapters."""


def wanted(stages: Sequence[Stage]) -> bool:
    """Whether a scenario of these stages trains adapters."""
    return any(UNIT in stage.train for stage in stages)


def inject(network: Network, settings: Lora, seed: int = 0) -> None:
    """Put adapters into every linear layer of the encoder. Before they are trained, they do not
    change the network's outputs.

    ``A`` is drawn from the uniform distribution that torch uses for the weights of a linear layer,
    by a generator that depends on the seed; ``B`` is 0.

    Args:
        network: changed in place; the names of its linear layers' weights change.
        settings: rank and scale.
        seed: of the trial.
    """
    from peft import LoraConfig, inject_adapter_in_model

    meta = next(network.encoder.parameters()).is_meta
    config = LoraConfig(
        r=settings.rank, lora_alpha=settings.alpha, lora_dropout=0.0, target_modules="all-linear"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        inject_adapter_in_model(config, network.encoder, low_cpu_mem_usage=meta)
    draw = generator(UNIT, seed)
    with torch.no_grad():
        for name, weight in network.encoder.named_parameters():
            if ".lora_A." in name and not meta:
                bound = 1 / math.sqrt(weight.shape[1])
                weight.copy_(torch.empty(weight.shape).uniform_(-bound, bound, generator=draw))


def merge(network: Network) -> None:
    """Add the adapters to the weights of their linear layers, and put these layers back in place.
    The network's outputs stay equal up to rounding.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in list(network.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            network.set_submodule(name, module.get_base_layer())
