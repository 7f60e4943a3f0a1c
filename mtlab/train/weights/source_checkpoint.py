"""A checkpoint: the weights that trials of a seed start from, as safetensors, and what the network
computes with them.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mtlab.model.network import Network
from mtlab.plan.errors import UserError
from mtlab.record.files import HALF, cannot_write, sync
from mtlab.record.records import DomainScore

Logits = Mapping[str, Tensor]
States = Mapping[int, Tensor]


@dataclass(frozen=True)
class Look:
    """What a network computes on a test split, without cached states.

    Attributes:
        score: the scores on the split, with the stage and domain that they are of.
        logits: task to (items, classes), in the order of the batches; an item is a sentence, or a
            word with a tag.
        states: depth to (sub-words, hidden): the output of the embeddings (depth 0) or of the
            lowest blocks, as many as the depth, for some of the sub-words.
    """

    score: DomainScore
    logits: Logits
    states: States


@dataclass(frozen=True)
class Checkpoint:
    """A network that was trained on source data.

    Attributes:
        key: of the trial that trained it.
        file: its weights.
        digests: SHA-256 of each of its units.
        source: what it computes on the source test split.
        target: its scores on the experiment's own test split.
    """

    key: str
    file: Path
    digests: Mapping[str, str]
    source: Look
    target: DomainScore

    def load_into(self, network: Network) -> None:
        """Give a network these weights; the caller compares its digests.

        Raises:
            UserError: they cannot be read.
        """
        load(network, self.file)


def save(network: Network, file: Path) -> None:
    """Write a network's weights.

    Raises:
        UserError: they cannot be written.
    """
    write_tensors(network.state_dict(), file)


def write_tensors(tensors: Mapping[str, Tensor], file: Path) -> None:
    """Write tensors under a temporary name, sync, and rename it.

    Raises:
        UserError: they cannot be written; an earlier file stays as it was.
    """
    temporary = file.with_suffix(f".{os.getpid()}{HALF}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file(
            {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
            temporary,
        )
        temporary.chmod(0o644)
        sync(temporary)
        temporary.replace(file)
    except (OSError, SafetensorError) as error:
        raise cannot_write(file, error) from None
    finally:
        temporary.unlink(missing_ok=True)


def load(network: Network, file: Path) -> None:
    """Read weights into a network.

    Raises:
        UserError: they cannot be read, or are of another network.
    """
    try:
        network.load_state_dict(load_file(file, device="cpu"))
    except (OSError, SafetensorError, RuntimeError):
        raise UserError(
            "cannot be read, or belongs to another network",
            "remove it and run again",
            where=str(file),
            code="damaged",
        ) from None
