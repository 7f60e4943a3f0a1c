"""One trial: the stages of a scenario, selection on validation, and the test split scored once."""

import math
import time
import traceback
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mtlab.data import batches
from mtlab.data.batches import Batch
from mtlab.launch import Lost
from mtlab.model import freezing
from mtlab.model.freezing import CertificateError, Partition
from mtlab.model.network import stream_seed
from mtlab.plan.errors import UserError, printable
from mtlab.plan.scenario import Stage, Trial, content_key
from mtlab.record.journal import write_atomically
from mtlab.record.measure import Clock
from mtlab.record.metrics import Prediction, contributions, score
from mtlab.record.records import OK, Decision, EpochRecord, Metrics, StageRecord, TrialRecord, Units
from mtlab.record.records import Selection as SelectionRecord
from mtlab.train import guidance, selection
from mtlab.train.cache.heads import only_heads
from mtlab.train.cache.states_source import Ground
from mtlab.train.continual import forgetting, mitigation
from mtlab.train.continual.mitigation import Teacher
from mtlab.train.guidance import Guide, Watched
from mtlab.train.kept import keep
from mtlab.train.loop import adamw, schedule, step
from mtlab.train.loop.schedule import Step
from mtlab.train.loop.step import Learner
from mtlab.train.loop.tally import Diverged, Tally
from mtlab.train.loop.vocabulary import occurring
from mtlab.train.measure.memory import Memory
from mtlab.train.measure.uncached import WARM_STEPS
from mtlab.train.resume.keeper import Tensors, below
from mtlab.train.selection import Best
from mtlab.train.shared import HeadsEpoch, Position, Shared
from mtlab.train.source_checkpoint import Checkpoint, load, save

Flow = Generator[HeadsEpoch, None, None]
"""A trial as it runs: it asks for epochs of heads, and goes on when they were trained."""


class Run:
    """A running trial; ``record`` holds what is known of it so far."""

    def __init__(self, shared: Shared, trial: Trial) -> None:
        self.shared, self.trial = shared, trial
        self.prepared, self.runtime = shared.prepared, shared.runtime
        self.scenario = self.prepared.experiment.scenario(trial.scenario)
        self.checkpoint: Checkpoint | None = (
            None if self.prepared.source is None else self.prepared.checkpoints[trial.seed]
        )
        key = self.prepared.key(trial, self.runtime)
        self.record = TrialRecord(
            key=key,
            scenario=trial.scenario,
            seed=trial.seed,
            point=dict(trial.point),
            status="running",
            started_at=time.time(),
        )
        self.clock = Clock(self.runtime.synchronize)
        self.clock.laps["setup"] = self.prepared.setup_s
        self.tally = Tally()
        self.stages: list[StageRecord] = []
        self.epochs: list[EpochRecord] = []
        self.best: dict[str, Best] = {}
        self.moved: set[str] = set()
        self.before: dict[str, str] = {}
        self.guide: Guide | None = None
        self.ledger: list[Decision] = []
        self.snapshots: list[tuple[int, Path]] = []
        self.standing: EpochRecord | None = None
        self.taught, self.taught_s = Teacher(1.0, {}), 0.0
        self.skipped_flops = 0
        self.saved_s = 0.0
        self.at = Position(0, None)
        self.learner: Learner | None = None
        self.flow = self.train_and_test()

    def go(self) -> HeadsEpoch | None:
        """Run on to where the trial asks for an epoch of heads; None when it has ended, well or
        not.
        """
        try:
            return next(self.flow)
        except StopIteration:
            self.finish(OK)
        except Exception as error:
            self.fail(error)
        return None

    def fail(self, error: Exception) -> None:
        """End the trial with the reason why it did not end well.

        Raises:
            Lost: of several processes only this one may have failed, so that it cannot go on with
                the others.
        """
        if isinstance(error, Diverged):
            self.finish(f"diverged: {error}")
        elif isinstance(error, UserError):
            self.finish(str(error))
        elif isinstance(error, CertificateError):
            self.finish(f"certificate broken: {error}")
        else:  # those above are the same in all processes: losses and digests are, and what one is told all are
            known = isinstance(error, torch.OutOfMemoryError)
            file = (
                self.shared.journal.directory
                / "failures"
                / f"{self.trial.label}-{self.record.key[:12]}.txt"
            )
            reason = printable(f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}")
            status = "out of memory" if known else f"crashed: {reason} (failures/{file.name})"
            first = not self.runtime.processes.several or self.shared.keeper.left(status)
            if first and not known:
                write_atomically(file, "".join(traceback.format_exception(error)))
            if self.runtime.processes.several:
                raise Lost(f"{self.trial.label}: {status if first else reason}") from error
            self.finish(status)

    def train_and_test(self) -> Flow:
        """The whole trial, or what is left of it."""
        with self.clock.lap("setup"):
            network = self.prepared.fresh_network(self.trial.seed, self.runtime.device)
            if self.checkpoint is not None:
                with self.runtime.processes.agreeing():
                    self.checkpoint.load_into(network)
        self.network = network
        self.ground = Ground(network, self.prepared, self.runtime, self.shared.prefixes, self.clock)
        initial = self.ground.look()
        if self.checkpoint is not None and initial != self.checkpoint.digests:
            raise CertificateError(f"{self.checkpoint.file} is not the checkpoint that was trained")
        self._note(initial_digest=content_key(initial))
        if self.prepared.adapted:
            with self.clock.lap("setup"):
                self.prepared.adapt(network, self.trial.seed)
            self.ground.look()
        stages = self.scenario.stages
        anchored = any(stage.l2_sp for stage in stages)
        self.began = {
            name: p.detach().clone()
            for name, p in network.named_parameters()
            if anchored and name.startswith("encoder.")
        }
        going_on = self.shared.keeper.restore(self)
        if not going_on:
            self._teach(
                task for task in stages[0].silent if any(stage.distillation for stage in stages)
            )
        for number, stage in list(enumerate(stages))[self.at.stage :]:
            if not going_on:
                self.best, self.moved, self.at = {}, set(), Position(number, stage)
            while self.at.piece is not None:  # guidance may change what is left of a stage
                rest = yield from self._piece(stage, self.at.piece, going_on)
                self.at, going_on = Position(number, rest), False
            if stage is not stages[-1]:
                self._choose(stage)
                self._keep_for_later()
        settled = self._select(stages[-1])
        self._test()
        if (
            self.prepared.experiment.keeps_weights and not settled.by_task
        ):  # where each task has its own, there is no one network
            try:
                with self.shared.memory.uncounted():  # a loop would not keep them
                    path = self.shared.journal.weights_path(self.record)
                    self.runtime.processes.once(lambda: keep(self.network, self.prepared, path))
            except UserError as error:  # what was measured stands
                self.shared.keeper.say(f"the weights of {self.trial.label} are not kept: {error}")
        if self.skipped_flops:
            self.saved_s = self.shared.plain.pass_s(network, self.skipped_flops)
        if self.checkpoint is not None:
            with self.shared.memory.uncounted():
                self._look_back(self.checkpoint)

    def finish(self, status: str) -> None:
        """Add what was measured, and write the record."""
        laps = self.clock.laps
        steps_s = sum((stage.step_s or 0.0) * stage.steps for stage in self.stages)
        wall_plain_s = laps["setup"] + self.taught_s + steps_s + laps["eval"] + self.saved_s
        times = {
            "ended_at": time.time(),
            "wall_s": sum(laps.values()),
            "wall_plain_s": wall_plain_s,
        }
        peaks = [
            peak
            for peak in self.runtime.processes.gather(self.shared.memory.peak_mb())
            if peak is not None
        ]
        shared = next(filter(None, self.runtime.processes.gather(self.shared.occupancy.why())), "")
        facts = {
            "peak_memory_mb": max(peaks, default=None),
            "untimed": self.record.untimed or shared,
        }
        self.record = self.as_it_stands(status=status, **times, **facts)
        self.shared.journal.write_trial(self.record)
        for _, path in self.snapshots:
            path.unlink(missing_ok=True)

    def as_it_stands(self, **fields: object) -> TrialRecord:
        """The record with what is known now, and ``fields``."""
        tally, laps = self.tally, dict(self.clock.laps)
        known = {
            "stages": tuple(self.stages),
            "epochs": tuple(self.epochs),
            "step_losses": {name: tuple(values) for name, values in tally.losses.items()},
            "ledger": tuple(self.ledger),
            "order_digest": tally.order,
            "laps": laps,
            "machine": self.shared.machine.readings(),
            "untimed": self.record.untimed or self.shared.occupancy.why(),
            "peak_memory_mb": self.shared.memory.peak_mb(),
            "train_flops": tally.flops,
            "train_flops_padding": tally.flops - tally.flops_exact,
            "train_tokens": tally.tokens,
            "tokens_per_s": tally.tokens / laps["train"] if tally.tokens else None,
        }
        return self.record.model_copy(update={**known, **fields})

    def state(self) -> tuple[dict[str, Any], Tensors]:
        """What another process needs to go on from here, but for what the position decides."""
        tensors: Tensors = {
            f"network/{name}": tensor for name, tensor in self.network.state_dict().items()
        }
        tensors |= {
            f"best/{name}/{weight}": tensor
            for name, best in self.best.items()
            for weight, tensor in best.weights.items()
        }
        tensors |= {
            f"taught/{task}": torch.cat([one.flatten() for one in logits])
            for task, logits in self.taught.logits.items()
        }
        learner: dict[str, Any] = {}
        if self.learner is not None:
            learner, own = self.learner.state()
            tensors |= {f"learner/{name}": tensor for name, tensor in own.items()}
        at = self.at
        assert at.piece is not None
        facts = {
            "record": self.as_it_stands().model_dump(mode="json"),
            "at": {**asdict(at), "piece": at.piece.model_dump(mode="json")},
            "tally": self.tally.facts(),
            "best": {
                name: {"score": best.score, "epoch": best.epoch, "piece": best.piece}
                for name, best in self.best.items()
            },
            "moved": sorted(self.moved),
            "guide": None
            if self.guide is None
            else {task: asdict(watched) for task, watched in self.guide.tasks.items()},
            "snapshots": [(number, path.name) for number, path in self.snapshots],
            "standing": None if self.standing is None else self.standing.epoch,
            "before": self.before,
            "taught_s": self.taught_s,
            "skipped_flops": self.skipped_flops,
            "learner": learner,
        }
        return facts, tensors

    def go_on(self, facts: dict[str, Any], tensors: Tensors) -> None:
        """Take up what :meth:`state` told of the same trial; the learner of its stage is not made
        yet.
        """
        self.network.load_state_dict(below(tensors, "network"))
        self.record = TrialRecord.model_validate(facts["record"])
        self.stages, self.epochs, self.ledger = (
            list(self.record.stages),
            list(self.record.epochs),
            list(self.record.ledger),
        )
        self.clock.laps.update(self.record.laps)
        self.tally = Tally.of(facts["tally"], self.runtime.device)
        self.best = {
            name: Best(**best, weights=below(tensors, f"best/{name}"))
            for name, best in facts["best"].items()
        }
        self.moved, self.before = set(facts["moved"]), facts["before"]
        self.ground.look()
        self.taught_s, self.skipped_flops = facts["taught_s"], facts["skipped_flops"]
        self.standing = next(
            (record for record in self.epochs if record.epoch == facts["standing"]), None
        )
        for name in ("stage", "epoch", "step"):
            setattr(self.at, name, facts["at"][name])
        self.at.piece, self.at.timed = (
            Stage.model_validate(facts["at"]["piece"]),
            tuple(facts["at"]["timed"]),
        )
        stages = self.scenario.stages
        rules = stages[self.at.stage].guidance
        if rules is not None and facts["guide"] is not None:
            followed = self.at.stage + 1 < len(stages)
            self.guide = Guide(
                rules,
                followed,
                {task: Watched(**watched) for task, watched in facts["guide"].items()},
            )
        if self.checkpoint is not None:
            folder = self.checkpoint.file.parent
            self.snapshots = [
                (number, folder / Path(name).name) for number, name in facts["snapshots"]
            ]
        self.give_teacher(
            {task: flat.to(self.runtime.device) for task, flat in below(tensors, "taught").items()}
        )
        self.shared.memory.at_least(self.record.peak_memory_mb)

    @property
    def memory(self) -> Memory:
        """Watches the peak, which is that of all trials that run together."""
        return self.shared.memory

    def _note(self, **fields: object) -> None:
        self.record = self.record.model_copy(update=fields)

    def _piece(
        self, whole: Stage, stage: Stage, going_on: bool
    ) -> Generator[HeadsEpoch, None, Stage | None]:
        """Train a piece of a stage, which without guidance is all of it; returns the next piece.

        Args:
            whole: the stage as the scenario has it.
            stage: the piece.
            going_on: whether a part of the piece was trained before the trial was interrupted.
        """
        index, at = len(self.stages), self.at
        if not going_on:
            self.before = (
                self.ground.digests
            )  # those of the end of the piece before: what changed in between would show, too
        done = (self.epochs[-1].epoch if self.epochs else 0) - at.epoch
        plan = [
            schedule.epoch(self.prepared, stage, done + number) for number in range(stage.epochs)
        ]
        total = sum(map(len, plan))
        partition = freezing.resolve(stage, self.network)
        self._teach(task for task in stage.silent if stage.distillation)
        with self.clock.lap("setup"):
            freezing.apply(self.network, partition)
            self.ground.begin_at(0 if stage.mitigated else partition.prefix_depth)
            self.moved |= {name for name, p in self.network.named_parameters() if p.requires_grad}
            together = bool(self.ground.depth and plan) and only_heads(partition)
            self.learner = None if together else self._learner(partition, stage, total)
        self.shared.keeper.restore_learner(self)
        if not self.epochs:
            self._validate(index, 0, {})
        if stage is whole and self.standing is not None and not going_on:
            followed = stage is not self.scenario.stages[-1]
            self.guide = guidance.guide(
                stage, followed, self.standing.epoch, self.standing.validation
            )
        cold, decisions = True, list[Decision]()
        while at.epoch < stage.epochs:
            if self.guide is not None and at.epoch and not going_on:
                decisions = self.guide.decide(index, done + at.epoch, self.epochs[-1].validation)
                if decisions:
                    break
            going_on, steps = False, plan[at.epoch]
            freezing.set_modes(self.network, partition)
            if together:
                self.ground.states(
                    "train"
                )  # here, so that each trial that uses the pass has it in its cache lap
                self.ground.trained = True
                yield HeadsEpoch(index, partition, stage, total, steps)
            else:
                self._train(steps, at.step + WARM_STEPS if cold else 0)
                cold = False
            freezing.check_modes(self.network, partition)
            losses = self.tally.end_epoch(self.prepared, partition, steps)
            self.shared.advance(
                schedule.flops(self.prepared, partition, steps, cached=bool(self.ground.depth))[0]
            )
            at.epoch, at.step = at.epoch + 1, 0
            self._validate(index, done + at.epoch, losses)
            self._remember(whole, index)
        self._certify(stage.model_copy(update={"epochs": at.epoch}), partition, plan)
        self.ledger += decisions
        return guidance.rest(stage, decisions, stage.epochs - at.epoch) if decisions else None

    def _certify(self, stage: Stage, partition: Partition, plan: Sequence[Sequence[Step]]) -> None:
        """Write down what a piece trained, when it ended, and that nothing else changed.

        Args:
            stage: the piece, with the epochs that it came to have.
            partition: what trained.
            plan: the steps of all its epochs.

        Raises:
            CertificateError: something else changed, or what trained did not.
        """
        index, made, total = (
            len(self.stages),
            sum(map(len, plan[: stage.epochs])),
            sum(map(len, plan)),
        )
        before, after = self.before, self.ground.look()
        seconds, timed = self.at.timed
        step_s = seconds / timed if timed else None
        if self.ground.depth and plan:
            step_s = self.shared.plain.step_s(index, self.network, partition, stage, plan[0])
        self.stages.append(self._describe(stage, partition, made, before, after, step_s))
        updated = made > bool(adamw.warmup_steps(stage, total))  # warm-up begins at rate 0
        silent = {f"head.{task}" for task in self.prepared.classes if task not in stage.losses}
        freezing.check(
            self.network,
            partition,
            before,
            after,
            partition.trained_units - silent if updated else frozenset(),
        )
        self.ground.certify()

    def _learner(self, partition: Partition, stage: Stage, steps: int) -> Learner | None:
        prepared, experiment = self.prepared, self.prepared.experiment
        words, anchor, teacher = None, None, None
        if (
            not stage.l2_sp and not stage.rehearsal
        ):  # rows of words that do not occur are pulled too, and the source has other words
            words = occurring(
                self.network,
                prepared.encoded["train"].examples,
                prepared.pad_id,
                partition.trained_units,
            )
        if stage.l2_sp:
            anchor = mitigation.anchor(self.network, self.began, stage.l2_sp)
        if stage.distillation:
            teacher = replace(
                self.taught,
                strength=stage.distillation,
                logits={task: self.taught.logits[task] for task in stage.silent},
            )
        weights = experiment.task_weights.model_dump()
        processes = self.runtime.processes
        return step.learner(
            self.network,
            partition,
            stage,
            steps,
            experiment.optimizer,
            weights,
            words,
            anchor,
            teacher,
            processes,
        )

    def _teach(self, tasks: Iterable[str]) -> None:
        """Keep what the network says of the training sentences now, of tasks of which nothing is
        kept yet.
        """
        missing = [task for task in tasks if task not in self.taught.logits]
        if not missing:
            return
        began = self.clock.laps["train"]
        with self.clock.lap("train"):
            found = mitigation.teacher(self.prepared, self.network, missing, self.runtime)
        self.taught = replace(self.taught, logits={**self.taught.logits, **found.logits})
        self.taught_s += self.clock.laps["train"] - began
        self.tally.flops += (spent := schedule.evaluation_flops(self.prepared, "train"))
        self.tally.flops_exact += spent

    def _train(self, steps: Sequence[Step], warm: int) -> None:
        """Train what is left of an epoch; the seconds of its steps from ``warm`` on count as those
        of plain steps.

        It is trained at a stretch, in the lap; between stretches, in none, a checkpoint may be
        written.
        """
        at, learner, keeper = self.at, self.learner, self.shared.keeper
        assert learner is not None, "a stage with epochs trains something"
        forward, warm = self.ground.forward("train"), min(warm, len(steps) - 1)
        own = (
            (self.runtime.processes.rank,) if self.runtime.processes.several else ()
        )  # each process has masks of its own
        self.ground.trained = True
        with ExitStack() as standing_in:
            standing_in.enter_context(learner.in_place())
            while at.step < len(steps):
                keeper.keep_if_due([self])
                first, before = at.step, self.clock.laps["train"]
                with self.clock.lap("train"):
                    for one in steps[first:]:
                        torch.manual_seed(
                            stream_seed("dropout", self.trial.seed, self.tally.steps, *own)
                        )
                        self.tally.running.append(
                            learner.step(forward, self._batch(one), one.tasks, self.runtime)
                        )
                        at.step += 1
                        if keeper.stepped() or at.step == warm:
                            break
                if first >= warm:
                    at.timed = (
                        at.timed[0] + self.clock.laps["train"] - before,
                        at.timed[1] + at.step - first,
                    )
            keeper.keep_if_due([self])
            with self.clock.lap("train"):
                standing_in.close()

    def give_teacher(self, flat: Mapping[str, Tensor]) -> None:
        """Take up what a teacher said of the training sentences: each task's logits, one after
        another, flat.
        """
        examples, classes = self.prepared.encoded["train"].examples, self.prepared.classes
        for task, values in flat.items():
            sizes = [
                classes[task] * (1 if task == "classifier" else len(example))
                for example in examples
            ]
            shape = (classes[task],) if task == "classifier" else (-1, classes[task])
            self.taught = replace(
                self.taught,
                logits={
                    **self.taught.logits,
                    task: [one.view(shape) for one in values.split(sizes)],
                },
            )

    def _batch(self, one: Step) -> Batch:
        examples = self.prepared.examples("train", of_source=one.rehearsal)
        return batches.collate(examples, one.ids, self.prepared.pad_id).to(self.runtime.device)

    def _validate(self, stage: int, epoch: int, losses: dict[str, float]) -> None:
        metrics, _ = self._evaluate("validation")
        record = EpochRecord(
            stage=stage,
            epoch=epoch,
            step=self.tally.steps,
            elapsed_s=self.clock.laps["train"],
            ended_at=time.time(),
            train_loss=losses,
            validation=metrics,
        )
        self.epochs.append(record)
        self.standing = record

    def _evaluate(self, split: str) -> tuple[Metrics, list[Prediction]]:
        prepared = self.prepared
        names = {"classifier": prepared.corpus.labels, "ner": prepared.corpus.tags}
        ready = prepared.ready(split, self.runtime.device)
        self.network.eval()
        forward = self.ground.forward(split)
        with self.clock.lap("eval"):
            predictions, losses = step.evaluate(
                forward,
                ready,
                prepared.encoded[split],
                prepared.corpus.splits[split],
                names,
                self.runtime,
            )
            metrics = score(predictions, losses)
        self.skipped_flops += schedule.evaluation_flops(
            prepared, split
        ) - schedule.evaluation_flops(prepared, split, self.ground.depth)
        if any(
            loss is not None and not math.isfinite(loss) for loss in losses.values()
        ):  # the last update may have broken the weights
            raise Diverged(f"the {split} loss is not finite after step {self.tally.steps}")
        self.shared.advance(schedule.evaluation_flops(prepared, split, self.ground.depth))
        return metrics, predictions

    def _remember(self, stage: Stage, piece: int) -> None:
        """Keep the weights of the epoch that just ended where they are the best of the stage so
        far.
        """
        for name, value in selection.better(stage, self.best, self.epochs[-1].validation).items():
            with self.clock.lap("eval"):  # keeping the best weights is part of selecting them
                moved = {
                    name: p.detach().to("cpu", copy=True)
                    for name, p in self.network.named_parameters()
                    if name in self.moved
                }
            self.best[name] = Best(value, self.epochs[-1].epoch, piece, moved)

    def _choose(self, stage: Stage) -> None:
        """Give the network the weights that a stage hands on."""
        if stage.select == "best" and self.best:
            self._load(self.best[""])
            self.standing = next(
                record for record in self.epochs if record.epoch == self.best[""].epoch
            )
        else:
            self._certify_selected(len(self.stages) - 1)

    def _keep_for_later(self) -> None:
        """Keep what a stage of a staged trial handed on, to be looked at when all is selected: on
        disk, where it is in nobody's memory.
        """
        if self.checkpoint is not None:
            path = self.checkpoint.file.with_name(
                f"{self.record.key[:16]}-{len(self.stages)}.safetensors"
            )
            self.runtime.processes.once(lambda: save(self.network, path))
            self.snapshots.append((len(self.stages), path))

    def _load(self, best: Best) -> dict[str, str]:
        """Give the network these weights; returns the digests of its units."""
        self.network.load_state_dict(best.weights, strict=False)
        return self._certify_selected(best.piece)

    def _select(self, stage: Stage) -> SelectionRecord:
        """Settle which weights are tested, and write it down before the test split is read."""
        self._choose(stage)
        settled = selection.settled(stage, self.best, self.standing or self.epochs[-1])
        digests = [content_key(self.ground.digests)]
        if settled.by_task:
            digests = [content_key(self._load(best)) for best in self.best.values()]
        at = {record.epoch: record.validation for record in self.epochs}
        self._note(
            selection=settled,
            validation=selection.merged(
                at[settled.epoch], {task: at[one] for task, one in settled.by_task.items()}
            ),
            final_digest=digests[0] if len(digests) == 1 else content_key(digests),
            status="selected",
        )
        self.shared.journal.write_trial(self.record)
        return settled

    def _certify_selected(self, piece: int) -> dict[str, str]:
        """What was frozen when the selected weights were trained must stand in them as it stood
        then; returns the digests of all units.

        Raises:
            CertificateError: it does not.
        """
        then, now = self.stages[piece], self.ground.look()
        for unit, counts in then.parameters.items():
            if counts.frozen and now[unit] != then.digests_after[unit]:
                raise CertificateError(f"frozen unit {unit} changed after its last stage")
        return now

    def _test(self) -> None:
        """Score the test split with the selected weights; where each task has its own, with those
        of each.
        """
        metrics, predictions = Metrics(), list[Prediction]()
        for task in self.best or [""]:
            if task:
                self._load(self.best[task])
            found, read = self._evaluate("test")
            metrics = selection.merged(metrics, {task: found}) if predictions else found
            predictions = (
                [selection.with_task(*pair, task) for pair in zip(predictions, read, strict=True)]
                if predictions
                else read
            )
        self._note(test=metrics, contributions=contributions(predictions))
        self.shared.journal.write_predictions(
            self.record, [asdict(prediction) for prediction in predictions]
        )

    def _look_back(self, checkpoint: Checkpoint) -> None:
        """What became of what the checkpoint knew: after each stage, and in the selected weights.
        In no lap: a loop would not do it.
        """
        source = self.prepared.source
        assert source is not None
        after = forgetting.look(self.network, source, self.runtime, len(self.stages), "source")
        matrix = [checkpoint.source.score, checkpoint.target]
        for number, path in self.snapshots:
            with self.runtime.processes.agreeing():
                load(self.network, path)
            for one, domain in ((source, "source"), (self.prepared, "target")):
                matrix.append(
                    forgetting.look(self.network, one, self.runtime, number, domain).score
                )
        drift = forgetting.drift(checkpoint.source, after)
        self._note(start=checkpoint.key, matrix=(*matrix, after.score), drift=drift)

    def _describe(
        self,
        stage: Stage,
        partition: Partition,
        steps: int,
        before: dict[str, str],
        after: dict[str, str],
        step_s: float | None,
    ) -> StageRecord:
        trained = partition.trained_units
        counts = {
            name: Units(
                trainable=unit.count if name in trained else 0,
                frozen=0 if name in trained else unit.count,
            )
            for name, unit in freezing.units(self.network).items()
        }
        trainable, frozen = (
            sum(getattr(unit, kind) for unit in counts.values()) for kind in ("trainable", "frozen")
        )
        return StageRecord(
            name=stage.name,
            epochs=stage.epochs,
            steps=steps,
            train=stage.train,
            losses=stage.losses,
            rehearsal=stage.rehearsal,
            l2_sp=stage.l2_sp,
            distillation=stage.distillation,
            weights=dict(stage.weights),
            prefix_depth=partition.prefix_depth,
            parameters=counts,
            params_total=trainable + frozen,
            params_trainable=trainable,
            params_frozen=frozen,
            digests_before=before,
            digests_after=after,
            step_s=step_s,
        )
