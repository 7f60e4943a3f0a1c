"""A partition as a table to print: what trains at which rate, what is frozen, and the number of
parameters of each.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mtlab.model.freezing import Partition, units
from mtlab.tuning.parts import Parts


@dataclass(frozen=True)
class Overview(Partition):
    """A partition that prints as a table.

    Attributes:
        counts: unit to its number of parameters, in execution order.
    """

    counts: Mapping[str, int]

    @property
    def trained(self) -> int:
        """Number of parameters that train."""
        return sum(self.counts[unit] for unit in self.trained_units)

    def __str__(self) -> str:
        total = sum(self.counts.values())
        lines = [f"trains {self.trained:,} of {total:,} parameters ({self.trained / total:.1%})"]
        rows = [(f"{group.rate:g}", group.selector, group.units) for group in self.trainable]
        if self.frozen:
            rows.append(("frozen", "", self.frozen))
        for rate, selector, names in rows:
            count = sum(self.counts[name] for name in names)
            lines.append(f"  {rate:>7}  {selector:<16} {count:>13,}  {_listed(names)}".rstrip())
        return "\n".join(lines)


def overview(parts: Parts, partition: Partition) -> Overview:
    """A partition with the sizes of its units."""
    counts = {name: unit.count for name, unit in units(parts, partition.divided).items()}
    return Overview(partition.trainable, partition.frozen, partition.prefix_depth, counts)


def _listed(names: Iterable[str]) -> str:
    """Names of units; neighbouring blocks as one slice."""
    runs: list[tuple[int, int] | str] = []
    for name in names:
        is_block = name.startswith("layers[") and name.endswith("]")  # not a part of a block
        index = int(name[7:-1]) if is_block else None
        last = runs[-1] if runs else ""
        if index is None:
            runs.append(name)
        elif isinstance(last, tuple) and last[1] == index:
            runs[-1] = (last[0], index + 1)
        else:
            runs.append((index, index + 1))
    return ", ".join(run if isinstance(run, str) else _slice(*run) for run in runs)


def _slice(start: int, stop: int) -> str:
    return f"layers[{start}]" if stop == start + 1 else f"layers[{start}:{stop}]"
