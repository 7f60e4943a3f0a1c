"""Keeping trials as they stand between two steps, and taking them up again: weights, moments, rates, position, and what was measured.

What a position decides is not kept but made again: the order of the sentences, the masks of dropout, what is frozen.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Checkpoints
from mtlab.plan.scenario import Stage
from mtlab.record.records import TrialRecord
from mtlab.train import stall, stopping
from mtlab.train.guidance import Guide, Watched
from mtlab.train.heads import Heads
from mtlab.train.processes import ALONE, Processes
from mtlab.train.selection import Best
from mtlab.train.tally import Tally
from mtlab.train.unfinished import Saved, Unfinished, read

if TYPE_CHECKING:
    from mtlab.train.trial import Run

Tensors = dict[str, Tensor]


@dataclass
class Keeper:
    """Writes the checkpoints of trials that run together, and gives them back the last one.

    Of several processes the first writes: it holds what all of them hold.

    Attributes:
        folder: where checkpoints lie.
        often: how often they are written.
        say: tells the user what went wrong.
        processes: that run the trials.
        saved: the checkpoint that the trials go on from; None where they begin.
        before: how often the trials had begun before.
    """

    folder: Unfinished
    often: Checkpoints
    say: Callable[[str], None]
    processes: Processes = ALONE
    saved: Saved | None = None
    before: int = 0
    _last: float = field(default_factory=time.monotonic)
    _steps: int = 0
    _told: bool = False

    def begin(self) -> None:
        """Find what the trials can go on from."""
        self.before = self.processes.once(self.folder.begin)
        saved = self.folder.read() if self.before and self.processes.leads else None
        manifest = self.processes.once(lambda: None if saved is None else saved.manifest)
        self.saved = read(manifest) if saved is None and manifest is not None else saved
        self.processes.barrier()  # the next checkpoints may take its place

    def left(self, reason: str = "") -> bool:
        """Note that this process leaves the others in the middle of the trials, and why; returns whether it is the first that does."""
        return self.processes.several and self.folder.left(self.before + 1, reason)

    def watched(self) -> AbstractContextManager[None]:
        """Within, the process ends when it hangs."""
        return stall.watched(self.folder.folder, self.often.stall_s)

    def stepped(self) -> bool:
        """Count a step; returns whether a checkpoint is to be written after it, by this process."""
        self._steps += 1
        stall.beat()
        return self._due()

    def _due(self) -> bool:
        if not self.processes.leads:
            return False
        late = time.monotonic() - self._last >= self.often.every_s
        return late or stopping.asked() or bool(self.often.every_steps and self._steps >= self.often.every_steps)

    def keep_if_due(self, runs: "Sequence[Run]", heads: Heads | None = None) -> None:
        """Write a checkpoint of the trials, where it is time; outside every lap, and its memory is not counted.

        Raises:
            Stopped: that is what it was written for.
        """
        if not self._due():
            return
        try:
            if runs:
                with runs[0].shared.memory.uncounted(collect=False):
                    self._keep(runs, heads)
        except UserError as error:
            if not self._told:
                self.say(f"no checkpoint: {error}")
            self._told = True
        self._last, self._steps = time.monotonic(), 0
        stopping.leave_if_asked()

    def _keep(self, runs: "Sequence[Run]", heads: Heads | None) -> None:
        facts: dict[str, Any] = {"runs": {}, "heads": None}
        tensors: Tensors = {}
        for run in runs:
            facts["runs"][run.record.key], own = _state_of(run)
            tensors |= {f"{run.record.key}/{name}": tensor for name, tensor in own.items()}
        if heads is not None:
            facts["heads"], own = heads.state()
            tensors |= {f"heads/{name}": tensor for name, tensor in own.items()}
        self.folder.save(facts, tensors)

    def restore(self, run: "Run") -> bool:
        """Give a run that has its network the state that was kept of it; False where none was."""
        kept = self.saved is not None and run.record.key in self.saved.facts["runs"]
        if kept and self.saved is not None:
            _give_state(run, self.saved.facts["runs"][run.record.key], _below(self.saved.tensors, run.record.key))
        run.record = run.record.model_copy(update={"attempts": self.before + 1})
        return kept

    def restore_learner(self, run: "Run") -> None:
        """Give a run that has the learner of its stage, for the first time since :meth:`restore`, the learner's state."""
        kept = self.saved.facts["runs"].pop(run.record.key, None) if self.saved is not None else None
        if kept is not None and self.saved is not None and run.learner is not None:
            run.learner.go_on(kept["learner"], _below(self.saved.tensors, f"{run.record.key}/learner"))

    def restore_heads(self, heads: Heads) -> None:
        """Give heads that were just stacked the state that was kept of them, if any was; once."""
        if self.saved is not None and self.saved.facts["heads"] is not None:
            heads.go_on(self.saved.facts["heads"], _below(self.saved.tensors, "heads"))
            self.saved.facts["heads"] = None

    def end(self) -> None:
        """The trials have ended, and their records are written."""
        self.saved = None
        if self.processes.leads:
            self.folder.end()


def _state_of(run: "Run") -> tuple[dict[str, Any], Tensors]:
    tensors: Tensors = {f"network/{name}": tensor for name, tensor in run.network.state_dict().items()}
    tensors |= {f"best/{name}/{weight}": tensor for name, best in run.best.items() for weight, tensor in best.weights.items()}
    tensors |= {f"taught/{task}": torch.cat([one.flatten() for one in logits]) for task, logits in run.taught.logits.items()}
    learner: dict[str, Any] = {}
    if run.learner is not None:
        learner, own = run.learner.state()
        tensors |= {f"learner/{name}": tensor for name, tensor in own.items()}
    at = run.at
    assert at.piece is not None
    facts = {
        "record": run.as_it_stands().model_dump(mode="json"),
        "at": {**asdict(at), "piece": at.piece.model_dump(mode="json")},
        "tally": run.tally.facts(),
        "best": {name: {"score": best.score, "epoch": best.epoch, "piece": best.piece} for name, best in run.best.items()},
        "moved": sorted(run.moved),
        "guide": None if run.guide is None else {task: asdict(watched) for task, watched in run.guide.tasks.items()},
        "snapshots": [(number, path.name) for number, path in run.snapshots],
        "standing": None if run.standing is None else run.standing.epoch,
        "before": run.before,
        "taught_s": run.taught_s,
        "skipped_flops": run.skipped_flops,
        "learner": learner,
    }
    return facts, tensors


def _give_state(run: "Run", facts: dict[str, Any], tensors: Tensors) -> None:
    run.network.load_state_dict(_below(tensors, "network"))
    run.record = TrialRecord.model_validate(facts["record"])
    run.stages, run.epochs, run.ledger = list(run.record.stages), list(run.record.epochs), list(run.record.ledger)
    run.clock.laps.update(run.record.laps)
    run.tally = Tally.of(facts["tally"], run.runtime.device)
    run.best = {name: Best(**best, weights=_below(tensors, f"best/{name}")) for name, best in facts["best"].items()}
    run.moved, run.before = set(facts["moved"]), facts["before"]
    run.ground.look()
    run.taught_s, run.skipped_flops = facts["taught_s"], facts["skipped_flops"]
    run.standing = next((record for record in run.epochs if record.epoch == facts["standing"]), None)
    for name in ("stage", "epoch", "step"):
        setattr(run.at, name, facts["at"][name])
    run.at.piece, run.at.timed = Stage.model_validate(facts["at"]["piece"]), tuple(facts["at"]["timed"])
    stages = run.scenario.stages
    rules = stages[run.at.stage].guidance
    if rules is not None and facts["guide"] is not None:
        followed = run.at.stage + 1 < len(stages)
        run.guide = Guide(rules, followed, {task: Watched(**watched) for task, watched in facts["guide"].items()})
    if run.checkpoint is not None:
        folder = run.checkpoint.file.parent
        run.snapshots = [(number, folder / Path(name).name) for number, name in facts["snapshots"]]
    run.give_teacher({task: flat.to(run.runtime.device) for task, flat in _below(tensors, "taught").items()})
    run.shared.memory.at_least(run.record.peak_memory_mb)


def _below(tensors: Tensors, prefix: str) -> Tensors:
    return {name.removeprefix(f"{prefix}/"): tensor for name, tensor in tensors.items() if name.startswith(f"{prefix}/")}
