"""The parts of a user's model: its encoder, with the names of its blocks, and the heads that read
the encoder's output.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from mtlab.model import backbone
from mtlab.model.backbone import TAKE, Backbone
from mtlab.model.freezing import units
from mtlab.plan import selectors
from mtlab.plan.errors import UserError

POOLER = "pooler"
"""The layer that some families of encoders have on top, for their heads; it counts as a head."""


class Parts(nn.Module):
    """A model as :mod:`mtlab.model.freezing` sees a network. It shares the model's modules.

    Attributes:
        backbone: the encoder and the names of its blocks.
        heads: name of an attribute outside the encoder to its module.
        loose: modules outside the encoder that have no parameters, such as dropout.
    """

    def __init__(
        self, encoder: Backbone, heads: Mapping[str, nn.Module], loose: tuple[nn.Module, ...]
    ) -> None:
        super().__init__()
        self.backbone, self.loose = encoder, loose
        self.pooled = POOLER in heads and getattr(encoder.model, POOLER, None) is heads[POOLER]
        self.heads = nn.ModuleDict(heads)
        self.encoder = encoder.model

    def named_modules(self, *arguments: Any, **options: Any) -> Iterator[tuple[str, nn.Module]]:
        """The modules as torch names them, but the pooler only as a head."""
        for name, module in super().named_modules(*arguments, **options):
            if not (self.pooled and f"{name}.".startswith(f"encoder.{POOLER}.")):
                yield name, module


def parts(model: nn.Module) -> Parts:
    """Find the encoder of a model, its blocks, and its heads. The model is not changed.

    Raises:
        UserError: it has no encoder, or several, or one whose blocks do not run one after another;
            or its parts share weights, as a language model's head and embeddings do.
    """
    path = _path_of_encoder(model)
    encoder = model.get_submodule(path)
    heads, loose = _beside(model, path)
    pooler = getattr(encoder, POOLER, None)
    if pooler is not None and POOLER not in heads:
        heads[POOLER] = pooler
    model_parts = Parts(_inspected(encoder), heads, tuple(loose))
    units(model_parts)  # refuses weights that two units share
    return model_parts


def written_out(train: Any, heads: nn.ModuleDict) -> Any:
    """Selectors to rates, in which a head that is named by its attribute becomes ``head.NAME``.

    Raises:
        UserError: two selectors name the same head.
    """
    if not isinstance(train, Mapping):  # a mistake that later checks report
        return train
    full: dict[str, float] = {}
    for text, rate in train.items():
        name = f"head.{text}" if text in heads and text not in selectors.NAMES else text
        if name in full:
            raise UserError(
                f"two selectors are {name}",
                "keep one of them",
                where=text,
                code="twice",
            )
        full[name] = rate
    return full


def _path_of_encoder(model: nn.Module) -> str:
    """The name of the encoder within a model; empty if the model itself is an encoder."""
    pretrained = [
        name for name, module in model.named_modules() if isinstance(module, PreTrainedModel)
    ]
    outer = [
        name
        for name in pretrained
        if not any(
            other != name and (not other or name.startswith(f"{other}.")) for other in pretrained
        )
    ]
    if len(outer) != 1:
        number = "no encoder" if not outer else f"{len(outer)} encoders ({', '.join(outer)})"
        raise UserError(
            f"{type(model).__name__} has {number} of transformers",
            f"one is needed; {TAKE}",
            where="model",
            code="encoder-unfit",
        )
    outer_model = model.get_submodule(outer[0])
    inner = next(
        name for name, module in outer_model.named_modules() if module is outer_model.base_model
    )
    return ".".join(filter(None, (outer[0], inner)))


def _beside(model: nn.Module, path: str) -> tuple[dict[str, nn.Module], list[nn.Module]]:
    """The modules of a model outside its encoder: heads by the name of their attribute, and modules
    without parameters.
    """
    heads: dict[str, nn.Module] = {}
    loose: list[nn.Module] = []
    owner = model
    for step in path.split(".") if path else ():
        owned: dict[str, nn.Module] = {
            name: nn.ParameterDict({name: own})
            for name, own in owner.named_parameters(recurse=False)
        }
        for name, child in owner.named_children():
            if name != step:
                owned.update(child if isinstance(child, nn.ModuleDict) else {name: child})
        for name, child in owned.items():
            if next(child.parameters(), None) is None:
                loose += child.modules()
            elif name in heads:
                raise UserError(
                    f"two heads are called {name}",
                    "rename one of the attributes",
                    where="model",
                    code="twice",
                )
            else:
                heads[name] = child
        owner = owner.get_submodule(step)
    return heads, loose


def _inspected(encoder: nn.Module) -> Backbone:
    """The encoder with the names of its blocks. Its pooler and the modes of its modules, which the
    inspection changes, are restored.
    """
    pooler = getattr(encoder, POOLER, None)
    modes = [(module, module.training) for module in encoder.modules()]
    try:
        return backbone.inspect(encoder)
    finally:
        if pooler is not None:
            encoder.pooler = pooler
        for module, training in modes:
            module.training = training
