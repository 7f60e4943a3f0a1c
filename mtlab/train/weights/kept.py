"""Weights that outlive their trial: those of the best seed of each scenario on validation, at each
point of the sweep.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from mtlab.model import freezing
from mtlab.model.network import Network
from mtlab.plan.scenario import point_label
from mtlab.record.journal import Journal
from mtlab.record.records import TrialRecord, best_on_validation
from mtlab.train.weights.source_checkpoint import write_tensors


def keep(network: Network, pretrained: Mapping[str, str], file: Path) -> None:
    """Write the weights in which a network differs from the pretrained encoder: the units that
    changed, and the heads.

    Args:
        network: a trial's.
        pretrained: SHA-256 of each unit as it was pretrained.
        file: for the weights.

    Raises:
        UserError: it cannot be written.
    """
    now = freezing.digests(network)
    changed = {unit for unit, digest in now.items() if digest != pretrained.get(unit)}
    names = {
        name
        for unit, parts in freezing.units(network).items()
        if unit in changed
        for name in (*parts.parameters, *parts.buffers)
    }
    write_tensors(
        {name: tensor for name, tensor in network.state_dict().items() if name in names}, file
    )


def prune(journal: Journal, trials: Iterable[TrialRecord]) -> None:
    """Remove the weights of these trials, except those of the best trial of each scenario and
    point; weights of other trials stay.
    """
    by_place: dict[tuple[str, str], list[TrialRecord]] = {}
    for trial in trials:
        if trial.ok and journal.weights_path(trial).exists():
            by_place.setdefault((trial.scenario, point_label(trial.point.items())), []).append(
                trial
            )
    for same_place in by_place.values():
        best = best_on_validation(same_place)
        for trial in same_place:
            if trial is not best:
                journal.weights_path(trial).unlink(missing_ok=True)
