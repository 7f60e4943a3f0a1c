"""One trial: the stages of a scenario, selection on validation, and the test split scored once."""

import hashlib
import math
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mtlab.data import batches
from mtlab.data.batches import Batch
from mtlab.model import freezing
from mtlab.model.freezing import CertificateError, Partition
from mtlab.model.network import stream_seed
from mtlab.model.replay import Tail
from mtlab.plan.errors import UserError
from mtlab.plan.scenario import Stage, Trial, content_key
from mtlab.record.journal import Journal, write_atomically
from mtlab.record.measure import Clock
from mtlab.record.metrics import Prediction, contributions, score, selection_score
from mtlab.record.records import OK, Decision, EpochRecord, Metrics, Selection, StageRecord, TrialRecord, Units
from mtlab.train import course, guidance, mitigation, retained, step
from mtlab.train.checkpoint import Checkpoint, load, save
from mtlab.train.course import Step
from mtlab.train.guidance import Guide
from mtlab.train.heads import Readings, only_heads
from mtlab.train.memory import Memory
from mtlab.train.mitigation import Teacher
from mtlab.train.plain import WARM_STEPS, Plain
from mtlab.train.prefix import Begun, Pass, Prefixes, States
from mtlab.train.prepare import Prepared
from mtlab.train.runtime import Runtime
from mtlab.train.step import Forward, Learner, StepOutput
from mtlab.train.vocabulary import occurring

Advance = Callable[[int], None]
"""Called with the FLOPs of what was just done, for whoever shows progress."""


CERTIFIED_SENTENCES = 16
"""About as many sentences' states are computed anew after a stage, to see that those at hand are right."""


class Diverged(Exception):
    """A training loss was not finite."""


@dataclass(frozen=True)
class HeadsEpoch:
    """What a trial asks for: an epoch in which only heads train, on states that are at hand. Others may ask for the same."""

    stage: int
    partition: Partition
    plan: Stage
    total: int
    """Steps of the whole stage."""
    steps: Sequence[Step]


Flow = Generator[HeadsEpoch, tuple[list[StepOutput], float], None]
"""A trial as it runs: it asks for epochs of heads, and is given the outputs of their steps and the seconds they took."""


@dataclass(frozen=True)
class Shared:
    """What trials that run together share.

    Attributes:
        prepared: what they run on.
        runtime: device, precision and threads.
        journal: where records go.
        prefixes: states of frozen prefixes; None computes everything each time.
        advance: is told what was done.
        memory: watches the peak, which is theirs together.
        plain: times of plain work.
    """

    prepared: Prepared
    runtime: Runtime
    journal: Journal
    prefixes: Prefixes | None
    advance: Advance
    memory: Memory
    plain: Plain


@dataclass(frozen=True)
class Best:
    """The best weights of a stage so far.

    Attributes:
        score: on validation.
        epoch: of the trial.
        stage: the piece of it that the epoch belongs to.
        weights: what had trained in the stage up to there, by name.
    """

    score: float
    epoch: int
    stage: int
    weights: Mapping[str, Tensor]


class Run:
    """A running trial; ``record`` holds what is known of it so far."""

    def __init__(self, shared: Shared, trial: Trial) -> None:
        self.shared, self.trial = shared, trial
        self.prepared, self.runtime, self.prefixes = shared.prepared, shared.runtime, shared.prefixes
        self.checkpoint: Checkpoint | None = None if self.prepared.source is None else self.prepared.checkpoints[trial.seed]
        key = self.prepared.key(trial, self.runtime)
        self.record = TrialRecord(
            key=key, scenario=trial.scenario, seed=trial.seed, point=dict(trial.point), status="running", started_at=time.time()
        )
        self.clock = Clock(self.runtime.synchronize)
        self.clock.laps["setup"] = self.prepared.setup_s
        self.order = hashlib.sha256()
        self.stages: list[StageRecord] = []
        self.epochs: list[EpochRecord] = []
        self.passes: frozenset[Pass] = frozenset()
        self.losses: dict[str, list[float | None]] = {"total": [], "classifier": [], "ner": []}
        self.flops = self.flops_exact = self.tokens = 0
        self.best: dict[str, Best] = {}
        self.moved: set[str] = set()
        self.guide: Guide | None = None
        self.ledger: list[Decision] = []
        self.snapshots: list[tuple[int, Path]] = []
        self.standing: EpochRecord | None = None
        self.taught, self.taught_s = Teacher(1.0, {}), 0.0
        self.skipped_flops = 0
        self.saved_s = 0.0
        self.depth = 0
        self.flow = self.train_and_test()

    def go(self, given: tuple[list[StepOutput], float] | None) -> HeadsEpoch | None:
        """Run on to where the trial asks for an epoch of heads; None when it has ended, well or not."""
        try:
            return self.flow.send(given)  # type: ignore[arg-type]  # the first time a generator takes nothing but None
        except StopIteration:
            self.finish(OK)
        except Exception as error:
            self.fail(error)
        return None

    def fail(self, error: Exception) -> None:
        """End the trial with the reason why it did not end well."""
        if isinstance(error, Diverged):
            self.finish(f"diverged: {error}")
        elif isinstance(error, UserError):
            self.finish(str(error))
        elif isinstance(error, CertificateError):
            self.finish(f"certificate broken: {error}")
        elif isinstance(error, torch.OutOfMemoryError):
            self.finish("out of memory")
        else:
            file = self.shared.journal.directory / "failures" / f"{self.trial.label}-{self.record.key[:12]}.txt"
            write_atomically(file, "".join(traceback.format_exception(error)))
            reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
            self.finish(f"crashed: {reason} (failures/{file.name})")

    def train_and_test(self) -> Flow:
        """The whole trial."""
        with self.clock.lap("setup"):
            self.network = self.prepared.fresh_network(self.trial.seed, self.runtime.device)
            if self.checkpoint is not None:
                self.checkpoint.load_into(self.network)
        self.digests = freezing.digests(self.network)
        if self.checkpoint is not None and self.digests != self.checkpoint.digests:
            raise CertificateError(f"{self.checkpoint.file} is not the checkpoint that was trained")
        self._note(initial_digest=content_key(self.digests))
        if self.prepared.adapted:
            with self.clock.lap("setup"):
                self.prepared.adapt(self.network, self.trial.seed)
            self.digests = freezing.digests(self.network)
        stages = self.prepared.experiment.scenario(self.trial.scenario).stages
        anchored = any(stage.l2_sp for stage in stages)
        self.began = {name: p.detach().clone() for name, p in self.network.named_parameters() if anchored and name.startswith("encoder.")}
        self._teach(task for task in stages[0].silent if any(stage.distillation for stage in stages))
        for stage in stages:
            last = stage is stages[-1]
            self.best, self.moved = {}, set()
            piece: Stage | None = stage
            while piece is not None:  # guidance may change what is left of a stage
                piece = yield from self._stage(len(self.stages), stage, piece, followed=not last)
            if not last:
                self._choose(stage)
            if self.checkpoint is not None and not last:  # to be looked at when all is selected; on disk, where it is in nobody's memory
                path = self.checkpoint.file.with_name(f"{self.record.key[:16]}-{len(self.stages)}.safetensors")
                save(self.network, path)
                self.snapshots.append((len(self.stages), path))
        self._select(stages[-1])
        self._test()
        if self.skipped_flops:
            self.saved_s = self.shared.plain.pass_s(self.network, self.skipped_flops)
        if self.checkpoint is not None:
            with self.shared.memory.uncounted():
                self._look_back(self.checkpoint)

    def finish(self, status: str) -> None:
        """Add what was measured, and write the record."""
        for _, path in self.snapshots:
            path.unlink(missing_ok=True)
        laps = self.clock.laps
        steps_s = sum((stage.step_s or 0.0) * stage.steps for stage in self.stages)
        self._note(
            status=status,
            ended_at=time.time(),
            stages=tuple(self.stages),
            epochs=tuple(self.epochs),
            step_losses={name: tuple(values) for name, values in self.losses.items()},
            ledger=tuple(self.ledger),
            order_digest=self.order.hexdigest(),
            laps=dict(laps),
            wall_s=sum(laps.values()),
            wall_plain_s=laps["setup"] + self.taught_s + steps_s + laps["eval"] + self.saved_s,
            peak_memory_mb=self.shared.memory.peak_mb(),
            train_flops=self.flops,
            train_flops_padding=self.flops - self.flops_exact,
            train_tokens=self.tokens,
            tokens_per_s=self.tokens / laps["train"] if self.tokens else None,
        )
        self.shared.journal.write_trial(self.record)

    def _note(self, **fields: object) -> None:
        self.record = self.record.model_copy(update=fields)

    def _stage(self, index: int, whole: Stage, stage: Stage, followed: bool) -> Generator[HeadsEpoch, Any, Stage | None]:
        """Train a piece of a stage, which without guidance is all of it; returns the next piece.

        Args:
            index: of the piece in the record.
            whole: the stage as the scenario has it.
            stage: the piece.
            followed: whether the scenario has another stage after this one.
        """
        done = self.epochs[-1].epoch if self.epochs else 0
        plan = [course.epoch(self.prepared, stage, done + number) for number in range(stage.epochs)]
        total = sum(map(len, plan))
        partition = freezing.resolve(stage, self.network)
        self._teach(task for task in stage.silent if stage.distillation)
        with self.clock.lap("setup"):
            freezing.apply(self.network, partition)
            self._begin_at(partition.prefix_depth if self.prefixes is not None and not stage.mitigated else 0)
            self.moved |= {name for name, p in self.network.named_parameters() if p.requires_grad}
            together = bool(self.depth and plan) and only_heads(partition)
            learner = None if together else self._learner(partition, stage, total)
        if not self.epochs:
            self._validate(index, 0, {})
        if stage is whole and self.standing is not None:
            self.guide = guidance.guide(stage, followed, self.standing.epoch, self.standing.validation)
        timed_s, timed_steps, steps_made, number, decisions = 0.0, 0, 0, 0, []
        for number, steps in enumerate(plan, start=1):
            freezing.set_modes(self.network, partition)
            if together:
                self._states("train")  # here, so that a pass that computes them is in the cache lap of each trial that uses it
                outputs, train_s = yield HeadsEpoch(index, partition, stage, total, steps)
                self.clock.laps["train"] += train_s
                warm_s, warm_steps = 0.0, 0
            else:
                outputs, warm_s, warm_steps = self._epoch(learner, steps, WARM_STEPS if number == 1 else 0)
                timed_s, timed_steps = timed_s + warm_s, timed_steps + warm_steps
            freezing.check_modes(self.network, partition)
            self._account(partition, steps)
            losses = self._read_losses(outputs, steps)
            self._validate(index, done + number, losses)
            self._remember(whole, index)
            steps_made += len(steps)
            if self.guide is not None and number < stage.epochs:
                decisions = self.guide.decide(index, done + number, self.epochs[-1].validation)
                if decisions:
                    break
        before, after = self.digests, freezing.digests(self.network)  # what changed between stages would show, too
        self.digests = after
        step_s = timed_s / timed_steps if timed_steps else None
        if self.depth and plan:
            step_s = self.shared.plain.step_s(index, self.network, partition, stage, plan[0])
        self.stages.append(self._describe(stage.model_copy(update={"epochs": number}), partition, steps_made, before, after, step_s))
        updated = steps_made > bool(step.warmup_steps(stage, total))  # warm-up begins at rate 0
        silent = {f"head.{task}" for task in self.prepared.classes if task not in stage.losses}
        freezing.check(self.network, partition, before, after, partition.trained_units - silent if updated else frozenset())
        if self.depth:
            self._certify_states()
        self.ledger += decisions
        return guidance.rest(stage, decisions, stage.epochs - number) if decisions else None

    @torch.no_grad()
    def _certify_states(self) -> None:
        """States at hand must be what the network computes: some sentences are computed both ways.

        Raises:
            CertificateError: they are not.
        """
        self.network.eval()
        examples = self.prepared.encoded["validation"].examples
        some = range(0, len(examples), max(1, len(examples) // CERTIFIED_SENTENCES))
        batch = batches.collate(examples, some, self.prepared.pad_id).to(self.runtime.device)
        begun = self._forward("validation")
        assert isinstance(begun, Begun)
        with self.runtime.autocast():
            whole = self.network.encoder(input_ids=batch.input_ids, attention_mask=batch.attention_mask).last_hidden_state
            other = begun.hidden(batch)
        kept, near = batch.attention_mask.bool(), 0.1 if self.runtime.precision == "bf16" else 1e-3
        if not torch.allclose(whole[kept].float(), other[kept].float(), rtol=near, atol=near):
            raise CertificateError("the cached states are not what the frozen blocks compute")

    def _learner(self, partition: Partition, stage: Stage, steps: int) -> Learner | None:
        prepared, experiment = self.prepared, self.prepared.experiment
        words, anchor, teacher = None, None, None
        if not stage.l2_sp and not stage.rehearsal:  # rows of words that do not occur are pulled too, and the source has other words
            words = occurring(self.network, prepared.encoded["train"].examples, prepared.pad_id, partition.trained_units)
        if stage.l2_sp:
            anchor = mitigation.anchor(self.network, self.began, stage.l2_sp)
        if stage.distillation:
            teacher = replace(self.taught, strength=stage.distillation, logits={task: self.taught.logits[task] for task in stage.silent})
        weights = experiment.task_weights.model_dump()
        return step.learner(self.network, partition, stage, steps, experiment.optimizer, weights, words, anchor, teacher)

    def _teach(self, tasks: Iterable[str]) -> None:
        """Keep what the network says of the training sentences now, of tasks of which nothing is kept yet."""
        missing = [task for task in tasks if task not in self.taught.logits]
        if not missing:
            return
        began = self.clock.laps["train"]
        with self.clock.lap("train"):
            found = mitigation.teacher(self.prepared, self.network, missing, self.runtime)
        self.taught = replace(self.taught, logits={**self.taught.logits, **found.logits})
        self.taught_s += self.clock.laps["train"] - began
        self.flops += (spent := course.evaluation_flops(self.prepared, "train"))
        self.flops_exact += spent

    def _begin_at(self, depth: int) -> None:
        """From now on, forward passes begin at ``depth``: on states that are at hand, or that are computed when first asked for."""
        self.depth = depth
        blocks = len(self.prepared.pristine.blocks)
        self.tail = Tail(self.network.backbone, depth) if 0 < depth < blocks else None

    def _states(self, split: str) -> States:
        """The states of a split that passes begin with; what it took to compute them counts in full, once a trial."""
        assert self.prefixes is not None
        states = self.prefixes.get(self.prepared, self.network, self.digests, self.depth, split)
        self.passes |= {self.prefixes.spent(self.prepared, self.digests, self.depth, split)}
        self.clock.laps["cache"] = sum(one.seconds for one in self.passes)
        return states

    def _forward(self, split: str) -> Forward:
        """How the logits of a batch of ``split`` come about in this stage."""
        if not self.depth:
            return step.Whole(self.network)
        return Begun(self.network, self._states(split), self.tail)

    def readings(self) -> Readings:
        """What heads read of the training split, for this trial and all that train with it."""
        return Readings(self.prepared, self.network, self._states("train"), self.runtime)

    def _epoch(self, learner: Learner | None, steps: Sequence[Step], warm: int) -> tuple[list[StepOutput], float, int]:
        """Train one epoch; returns its outputs, and seconds and number of its steps after the first ``warm``."""
        assert learner is not None, "a stage with epochs trains something"
        forward = self._forward("train")
        outputs: list[StepOutput] = []
        warm = min(warm, len(steps) - 1)
        warm_at = start = self.clock.read()
        with learner.vocabulary.in_place() if learner.vocabulary is not None else nullcontext():
            for number, one in enumerate(steps):
                if number == warm:
                    warm_at = self.clock.read()
                torch.manual_seed(stream_seed("dropout", self.trial.seed, len(self.losses["total"]) + number))
                outputs.append(learner.step(forward, self._batch(one), one.tasks, self.runtime))
        end = self.clock.read()
        self.clock.laps["train"] += end - start
        return outputs, end - warm_at, len(steps) - warm

    def _batch(self, one: Step) -> Batch:
        examples = self.prepared.examples("train", of_source=one.rehearsal)
        return batches.collate(examples, one.ids, self.prepared.pad_id).to(self.runtime.device)

    def _account(self, partition: Partition, steps: Sequence[Step]) -> None:
        padded, exact = course.flops(self.prepared, partition, steps)
        self.flops, self.flops_exact = self.flops + padded, self.flops_exact + exact
        self.shared.advance(course.flops(self.prepared, partition, steps, cached=bool(self.depth))[0])
        for one in steps:
            self.order.update(repr(one.ids).encode() + b"r" * one.rehearsal)
            self.tokens += sum(course.lengths_of(self.prepared, one))

    def _read_losses(self, outputs: Sequence[StepOutput], steps: Sequence[Step]) -> dict[str, float]:
        """Read an epoch's losses from the device, once, and return their means.

        Raises:
            Diverged: naming the first step whose loss is not finite.
        """
        first, means = len(self.losses["total"]), {}
        for name, values in self.losses.items():
            read = [output.loss if name == "total" else output.by_task.get(name) for output in outputs]
            given = [value for value in read if value is not None]
            numbers = iter(torch.stack(given).tolist() if given else [])
            values.extend(None if value is None else _finite(next(numbers)) for value in read)
            finite = [value for value in values[first:] if value is not None]
            if finite:
                means[name] = sum(finite) / len(finite)
        for number, value in enumerate(self.losses["total"][first:]):
            if value is None:
                raise Diverged(f"the loss is not finite at step {first + number + 1}, sentences {list(steps[number].ids)}")
        return means

    def _validate(self, stage: int, epoch: int, losses: dict[str, float]) -> None:
        metrics, _ = self._evaluate("validation")
        record = EpochRecord(
            stage=stage,
            epoch=epoch,
            step=len(self.losses["total"]),
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
        forward = self._forward(split)
        with self.clock.lap("eval"):
            predictions, losses = step.evaluate(forward, ready, prepared.encoded[split], prepared.corpus.splits[split], names, self.runtime)
            metrics = score(predictions, losses)
        self.skipped_flops += course.evaluation_flops(prepared, split) - course.evaluation_flops(prepared, split, self.depth)
        if any(loss is not None and not math.isfinite(loss) for loss in losses.values()):  # the last update may have broken the weights
            raise Diverged(f"the {split} loss is not finite after step {len(self.losses['total'])}")
        self.shared.advance(course.evaluation_flops(prepared, split, self.depth))
        return metrics, predictions

    def _remember(self, stage: Stage, piece: int) -> None:
        """Keep the weights of the epoch that just ended if it is the best of the stage so far, ties to the earlier."""
        by_task: dict[str, tuple[str, ...]] = {task: (task,) for task in stage.losses}
        rules: dict[str, dict[str, tuple[str, ...]]] = {"best": {"": stage.losses}, "each": by_task}
        wanted = rules.get(str(stage.select), {})
        for name, tasks in wanted.items():
            value = selection_score(self.epochs[-1].validation, tasks)
            if name not in self.best or value > self.best[name].score:
                with self.clock.lap("eval"):  # keeping the best weights is part of selecting them
                    moved = {name: p.detach().to("cpu", copy=True) for name, p in self.network.named_parameters() if name in self.moved}
                self.best[name] = Best(value, self.epochs[-1].epoch, piece, moved)

    def _choose(self, stage: Stage) -> None:
        """Give the network the weights that a stage hands on."""
        if stage.select == "best" and self.best:
            self._load(self.best[""])
            self.standing = next(record for record in self.epochs if record.epoch == self.best[""].epoch)
        else:
            self._certify_selected(len(self.stages) - 1)

    def _load(self, best: Best) -> None:
        self.network.load_state_dict(best.weights, strict=False)
        self._certify_selected(best.stage)

    def _select(self, stage: Stage) -> None:
        """Settle which weights are tested, and write it down before the test split is read."""
        self._choose(stage)
        standing = self.standing or self.epochs[-1]
        rule, epoch, value = "last epoch", standing.epoch, selection_score(standing.validation, stage.losses)
        by_task, digests = {}, [content_key(self.digests)]
        if stage.select == "best" and self.best:
            rule, epoch, value = "best of the last stage on validation", self.best[""].epoch, self.best[""].score
        elif self.best:
            rule, by_task = "each task's best of the last stage on validation", {task: best.epoch for task, best in self.best.items()}
            epoch, value = max(by_task.values()), sum(best.score for best in self.best.values()) / len(self.best)
            digests = [content_key(self._digests_of(best)) for best in self.best.values()]
        at = {record.epoch: record.validation for record in self.epochs}
        self._note(
            selection=Selection(rule=rule, epoch=epoch, score=value, by_task=by_task),
            validation=_merged(at[epoch], {task: at[one] for task, one in by_task.items()}),
            final_digest=digests[0] if len(digests) == 1 else content_key(digests),
            status="selected",
        )
        self.shared.journal.write_trial(self.record)

    def _digests_of(self, best: Best) -> dict[str, str]:
        self._load(best)
        return self.digests

    def _certify_selected(self, piece: int) -> None:
        """What was frozen when the selected weights were trained must stand in them as it stood then.

        Raises:
            CertificateError: it does not.
        """
        then, self.digests = self.stages[piece], freezing.digests(self.network)
        for unit, counts in then.parameters.items():
            if counts.frozen and self.digests[unit] != then.digests_after[unit]:
                raise CertificateError(f"frozen unit {unit} changed after its last stage")

    def _test(self) -> None:
        metrics = Metrics()
        predictions: list[Prediction] = []
        for task in self.best or [""]:
            if task:  # it has a model of its own
                self._load(self.best[task])
            found, read = self._evaluate("test")
            metrics = _merged(metrics, {task: found}) if task and predictions else found
            predictions = [_with_task(one, other, task) for one, other in zip(predictions or read, read, strict=True)]
        self._note(test=metrics, contributions=contributions(predictions))
        self.shared.journal.write_predictions(self.record, [asdict(prediction) for prediction in predictions])

    def _look_back(self, checkpoint: Checkpoint) -> None:
        """What became of what the checkpoint knew: after each stage, and in the selected weights. In no lap: a loop would not do it."""
        source = self.prepared.source
        assert source is not None
        after = retained.look(self.network, source, self.runtime, len(self.stages), "source")
        matrix = [checkpoint.source.score, checkpoint.target]
        for number, path in self.snapshots:
            load(self.network, path)
            for one, domain in ((source, "source"), (self.prepared, "target")):
                matrix.append(retained.look(self.network, one, self.runtime, number, domain).score)
        drift = retained.drift(checkpoint.source, after)
        self._note(start=checkpoint.key, matrix=(*matrix, after.score), drift=drift)

    def _describe(
        self, stage: Stage, partition: Partition, steps: int, before: dict[str, str], after: dict[str, str], step_s: float | None
    ) -> StageRecord:
        trained = partition.trained_units
        counts = {
            name: Units(trainable=unit.count if name in trained else 0, frozen=0 if name in trained else unit.count)
            for name, unit in freezing.units(self.network).items()
        }
        trainable, frozen = (sum(getattr(unit, kind) for unit in counts.values()) for kind in ("trainable", "frozen"))
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


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _merged(metrics: Metrics, by_task: Mapping[str, Metrics]) -> Metrics:
    """Metrics in which each of these tasks has its own."""
    return metrics.model_copy(update={task: getattr(own, task) for task, own in by_task.items()})


def _with_task(one: Prediction, other: Prediction, task: str) -> Prediction:
    """A prediction with that of another model for one of the tasks, or for both where none is named."""
    if task == "classifier":
        return replace(one, predicted_label=other.predicted_label)
    return replace(one, predicted_tags=other.predicted_tags) if task else other
