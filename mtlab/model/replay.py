"""Running an encoder from the middle, on stored outputs of its frozen lower blocks.

The code here is the same for all families of encoders. A hook on a block records or replaces the
block's input. The lower blocks are not removed from the encoder's list, because a block's index may
matter (ModernBERT alternates kinds of attention, DeBERTa has a convolution after the first block).
They are replaced by copies that return their input.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from mtlab.model.backbone import Backbone, probe


@contextmanager
def watch(backbone: Backbone, depths: Sequence[int]) -> Iterator[dict[int, Tensor]]:
    """Record, during forward passes, the hidden states (sentences, tokens, hidden) that are the
    input of the blocks ``depths``.

    A depth equal to the number of blocks means the encoder's output. It is not recorded, because no
    block takes it as input; the caller has it already.
    """
    states: dict[int, Tensor] = {}

    def note(depth: int) -> Any:
        def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            place = _place(backbone, args, kwargs)
            states[depth] = (
                (args[place] if isinstance(place, int) else kwargs[place]).detach().clone()
            )  # cloned, because a block may change its input in place

        return hook

    hooks = [
        backbone.model.get_submodule(backbone.blocks[depth]).register_forward_pre_hook(
            note(depth), with_kwargs=True
        )
        for depth in depths
        if depth < len(backbone.blocks)
    ]
    try:
        yield states
    finally:
        for hook in hooks:
            hook.remove()


class Tail:
    """An encoder that does not compute its lowest blocks, and starts from the input states of the
    next block, the entry block.

    Args:
        backbone: the encoder; its modules are shared, and their train or eval modes stay as they
            are.
        depth: the number of blocks to leave out, fewer than the encoder has.
    """

    def __init__(self, backbone: Backbone, depth: int) -> None:
        self.backbone = backbone
        self.entry = backbone.model.get_submodule(backbone.blocks[depth])
        holder, _, _ = backbone.blocks[0].rpartition(".")
        self.model = _with(
            backbone.model,
            holder.split("."),
            lambda blocks: nn.ModuleList(self._thinned(blocks, depth)),
        )

    def _thinned(self, blocks: nn.Module, depth: int) -> list[nn.Module]:
        assert isinstance(blocks, nn.ModuleList)
        width = _outputs(self.backbone)
        return [
            _idle(block, self.backbone, width) if index < depth else block
            for index, block in enumerate(blocks)
        ]

    def __call__(self, states: Tensor, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """The encoder's last hidden states (sentences, tokens, hidden).

        Args:
            states: the input of the entry block (sentences, tokens, hidden); no token reads the
                states at padding.
            input_ids: the token ids (sentences, tokens) that the states were computed from; some
                families make masks and relative positions from them.
            attention_mask: (sentences, tokens), 1 for tokens and 0 for padding.
        """

        def replace(
            _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
        ) -> tuple[tuple[Any, ...], dict[str, Any]]:
            place = _place(self.backbone, args, kwargs)
            if isinstance(place, int):
                return (*args[:place], states, *args[place + 1 :]), kwargs
            return args, {**kwargs, place: states}

        hook = self.entry.register_forward_pre_hook(replace, with_kwargs=True)
        try:
            return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        finally:
            hook.remove()


def _place(backbone: Backbone, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int | str:
    """The position or the name of the hidden states among a block's arguments: those of the first
    tensor of shape (…, …, hidden).
    """
    arguments: list[tuple[int | str, Any]] = [*enumerate(args), *kwargs.items()]
    for place, value in arguments:
        if (
            isinstance(value, torch.Tensor)
            and value.dim() == 3
            and value.shape[-1] == backbone.hidden_size
        ):
            return place
    raise RuntimeError("a block of this encoder is given no hidden states")


def _idle(block: nn.Module, backbone: Backbone, width: int) -> nn.Module:
    """A copy of a block with all its attributes, whose forward pass returns its input states. It
    returns them in a tuple of ``width`` values, or alone where that is 0.
    """

    def forward(*args: Any, **kwargs: Any) -> Any:
        place = _place(backbone, args, kwargs)
        states = args[place] if isinstance(place, int) else kwargs[place]
        return (states, *(None for _ in range(width - 1))) if width else states

    idle = copy.copy(block)
    idle.forward = forward
    return idle


def _outputs(backbone: Backbone) -> int:
    """How many values a block returns in a tuple; 0 where it returns its states alone."""
    returned: list[Any] = []
    hook = backbone.model.get_submodule(backbone.blocks[0]).register_forward_hook(
        lambda _module, _args, output: returned.append(output)
    )
    try:
        with torch.no_grad():
            probe(backbone.model, 1, 4)
    finally:
        hook.remove()
    return len(returned[0]) if isinstance(returned[0], tuple) else 0


def _with(module: nn.Module, path: list[str], change: Any) -> nn.Module:
    """A shallow copy of ``module`` with ``change`` applied to the submodule at ``path``; it shares
    all other submodules with the original.
    """
    if not path:
        return change(module)
    copied = copy.copy(module)
    copied._modules = {
        **module._modules,
        path[0]: _with(module.get_submodule(path[0]), path[1:], change),
    }
    return copied
