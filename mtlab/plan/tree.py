"""Nested values of dicts and lists, and paths into them."""

from typing import Any

from mtlab.plan.errors import UserError, did_you_mean

Path_ = tuple[str | int, ...]


DOTTED = ("sweep", "settings", "train")
"""Keys whose own keys contain dots (swept keys, ``head.ner``): in a dotted key, the rest after them
is one key."""


def address(tree: Any, key: str, where: str) -> Path_:
    """The path that the dotted ``key`` means in ``tree``.

    Raises:
        UserError: the key names an item that a list does not have, or an item of a list that does
            not exist.
    """
    path: list[str | int] = []
    parts = key.split(".")
    while parts:
        part_count = 1
        if path and path[-1] in DOTTED:
            # `decay` in `train.encoder.decay` is a key; `head.decay` may be the head of a task
            inner = (
                path[-1] == "train" and parts[-1] in ("rate", "decay") and parts[:-1] != ["head"]
            )
            part_count = max(1, len(parts) - inner)
        part, parts = ".".join(parts[:part_count]), parts[part_count:]
        if isinstance(tree, list):
            if not (part.isascii() and part.isdecimal() and int(part) < len(tree)):
                raise UserError(
                    f"there is no item {part!r}",
                    f"the list has {len(tree)}, counted from 0",
                    where=where,
                    code="unknown-key",
                )
            path.append(int(part))
        else:
            if parts and parts[0].isdecimal() and not (isinstance(tree, dict) and tree.get(part)):
                raise UserError(
                    f"there is no {part!r} to set",
                    did_you_mean(part, tree if isinstance(tree, dict) else ()),
                    where=where,
                    code="unknown-key",
                )
            path.append(part)
        tree = value_at(tuple(path[-1:]), tree)
    return tuple(path)


def put(tree: Any, path: Path_, value: Any) -> Any:
    """A copy of ``tree`` with ``value`` merged into the value at ``path``."""
    if not path:
        return merged(tree, value)
    first, rest = path[0], path[1:]
    if isinstance(tree, list) and isinstance(first, int):
        return [*tree[:first], put(tree[first], rest, value), *tree[first + 1 :]]
    return merged(tree, {first: put(value_at((first,), tree), rest, value)})


def merged(base: Any, overlay: Any) -> Any:
    """``base`` with ``overlay`` merged into it: mappings are merged, everything else is
    replaced.
    """
    if isinstance(base, str) and isinstance(overlay, dict):
        base = {"name": base}  # the long form of `encoder: minilm`
    if not (isinstance(base, dict) and isinstance(overlay, dict)):
        return overlay
    return {**base, **{key: merged(base.get(key), value) for key, value in overlay.items()}}


def value_at(path: Path_, tree: Any) -> Any:
    """The value at a path; None where the tree does not have it."""
    for part in path:
        if isinstance(tree, dict):
            tree = tree.get(str(part))
        elif isinstance(tree, list) and isinstance(part, int) and part < len(tree):
            tree = tree[part]
        else:
            return None
    return tree
