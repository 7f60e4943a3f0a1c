"""Replaying an encoder from the middle: what its frozen lower blocks compute is taken from outside.

Nothing here knows a family. What goes into a block is seen, and replaced, by a hook on the block.
The lower blocks are not taken out of the encoder's list, where their index may mean something
(ModernBERT alternates kinds of attention, DeBERTa has a convolution after the first), but stood in
for by copies that hand on what they are given.
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
    """Note, during forward passes, the hidden states (sentences, tokens, hidden) that go into the
    blocks ``depths``.

    The depth of all blocks stands for the encoder's output, which no block takes as input: the caller
    has it already.
    """
    states: dict[int, Tensor] = {}

    def note(depth: int) -> Any:
        def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            place = _place(backbone, args, kwargs)
            states[depth] = (
                (args[place] if isinstance(place, int) else kwargs[place]).detach().clone()
            )  # a block may work in place

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
    """An encoder without the work of its lowest blocks, computing on the states that go into the
    one above them.

    Args:
        backbone: the encoder; its modules are used as they are, in whatever mode they are.
        depth: blocks to leave out, fewer than there are.
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
            states: what goes into the entry block; whatever stands at padding is not read by any
                token.
            input_ids: what the encoder was given; some families make masks and relative positions
                from it.
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
    """Where among a block's arguments its hidden states stand: the first tensor (…, …, hidden)."""
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
    """A stand-in for a block: all its attributes, none of its work."""

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
    """A shallow copy of ``module`` in which the submodule at ``path`` is changed; all others are
    shared.
    """
    if not path:
        return change(module)
    copied = copy.copy(module)
    copied._modules = {
        **module._modules,
        path[0]: _with(module.get_submodule(path[0]), path[1:], change),
    }
    return copied
