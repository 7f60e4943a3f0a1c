"""One trial: the stages of a scenario, selection on validation, and the test split scored once."""

import hashlib
import math
import time
import traceback
from collections.abc import Callable, Generator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass

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
from mtlab.record.metrics import Prediction, contributions, score
from mtlab.record.records import OK, EpochRecord, Metrics, Selection, StageRecord, TrialRecord, Units
from mtlab.train import course, step
from mtlab.train.course import Step
from mtlab.train.heads import Readings, only_heads
from mtlab.train.memory import Memory
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


class Run:
    """A running trial; ``record`` holds what is known of it so far."""

    def __init__(self, shared: Shared, trial: Trial) -> None:
        self.shared, self.trial = shared, trial
        self.prepared, self.runtime, self.prefixes = shared.prepared, shared.runtime, shared.prefixes
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
        self.best: tuple[float, int, dict[str, Tensor]] | None = None
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
        self.digests = freezing.digests(self.network)
        self._note(initial_digest=content_key(self.digests))
        stages = self.prepared.experiment.scenario(self.trial.scenario).stages
        for index, stage in enumerate(stages):
            yield from self._stage(index, stage, remember=stage is stages[-1] and self.prepared.experiment.select == "best")
        self._select(stages[-1])
        self._test()
        if self.skipped_flops:
            self.saved_s = self.shared.plain.pass_s(self.network, self.skipped_flops)

    def finish(self, status: str) -> None:
        """Add what was measured, and write the record."""
        laps = self.clock.laps
        self._note(
            status=status,
            ended_at=time.time(),
            stages=tuple(self.stages),
            epochs=tuple(self.epochs),
            step_losses={name: tuple(values) for name, values in self.losses.items()},
            order_digest=self.order.hexdigest(),
            laps=dict(laps),
            wall_s=sum(laps.values()),
            wall_plain_s=laps["setup"] + sum((stage.step_s or 0.0) * stage.steps for stage in self.stages) + laps["eval"] + self.saved_s,
            peak_memory_mb=self.shared.memory.peak_mb(),
            train_flops=self.flops,
            train_flops_padding=self.flops - self.flops_exact,
            train_tokens=self.tokens,
            tokens_per_s=self.tokens / laps["train"] if self.tokens else None,
        )
        self.shared.journal.write_trial(self.record)

    def _note(self, **fields: object) -> None:
        self.record = self.record.model_copy(update=fields)

    def _stage(self, index: int, stage: Stage, remember: bool) -> Flow:
        done = self.epochs[-1].epoch if self.epochs else 0
        plan = [course.epoch(self.prepared, stage, done + number) for number in range(stage.epochs)]
        total = sum(map(len, plan))
        partition = freezing.resolve(stage, self.network)
        with self.clock.lap("setup"):
            freezing.apply(self.network, partition)
            self._begin_at(partition.prefix_depth if self.prefixes is not None else 0)
            together = bool(self.depth and plan) and only_heads(partition)
            learner = None if together else self._learner(partition, stage, total)
        if not self.epochs:
            self._validate(index, 0, {})
        timed_s, timed_steps = 0.0, 0
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
            if remember:
                self._remember(stage)
        before, after = self.digests, freezing.digests(self.network)  # what changed between stages would show, too
        self.digests = after
        step_s = timed_s / timed_steps if timed_steps else None
        if self.depth and plan:
            step_s = self.shared.plain.step_s(index, self.network, partition, stage, plan[0])
        self.stages.append(self._describe(stage, partition, total, before, after, step_s))
        updated = total > bool(step.warmup_steps(stage, total))  # warm-up begins at rate 0
        silent = {f"head.{task}" for task in self.prepared.classes if task not in stage.losses}
        freezing.check(self.network, partition, before, after, partition.trained_units - silent if updated else frozenset())
        if self.depth:
            self._certify_states()

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
        words = occurring(self.network, prepared.encoded["train"].examples, prepared.pad_id, partition.trained_units)
        return step.learner(self.network, partition, stage, steps, experiment.optimizer, experiment.task_weights.model_dump(), words)

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
        return batches.collate(self.prepared.encoded["train"].examples, one.ids, self.prepared.pad_id).to(self.runtime.device)

    def _account(self, partition: Partition, steps: Sequence[Step]) -> None:
        padded, exact = course.flops(self.prepared, partition, steps)
        self.flops, self.flops_exact = self.flops + padded, self.flops_exact + exact
        self.shared.advance(course.flops(self.prepared, partition, steps, cached=bool(self.depth))[0])
        examples = self.prepared.encoded["train"].examples
        for one in steps:
            self.order.update(repr(one.ids).encode())
            self.tokens += sum(len(examples[index]) for index in one.ids)

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

    def _remember(self, stage: Stage) -> None:
        """Keep the weights of the epoch that just ended if it is the best of the last stage so far, ties to the earlier."""
        value = _validation_score(self.epochs[-1].validation, stage)
        if self.best is None or value > self.best[0]:
            with self.clock.lap("eval"):  # keeping the best weights is part of selecting them
                trained = {name: p.detach().to("cpu", copy=True) for name, p in self.network.named_parameters() if p.requires_grad}
            self.best = (value, self.epochs[-1].epoch, trained)

    def _select(self, stage: Stage) -> None:
        """Settle which weights are tested, and write it down before the test split is read."""
        rule, epoch, value = "last epoch", self.epochs[-1].epoch, _validation_score(self.epochs[-1].validation, stage)
        if self.best is not None:
            rule, (value, epoch, weights) = "best of the last stage on validation", self.best
            self.network.load_state_dict(weights, strict=False)
        self._certify_selected()
        validation = next(record.validation for record in self.epochs if record.epoch == epoch)
        self._note(
            selection=Selection(rule=rule, epoch=epoch, score=value),
            validation=validation,
            final_digest=content_key(self.digests),
            status="selected",
        )
        self.shared.journal.write_trial(self.record)

    def _certify_selected(self) -> None:
        """What the last stage froze must stand in the selected weights as that stage left it.

        Raises:
            CertificateError: it does not.
        """
        last, self.digests = self.stages[-1], freezing.digests(self.network)
        for unit, counts in last.parameters.items():
            if counts.frozen and self.digests[unit] != last.digests_after[unit]:
                raise CertificateError(f"frozen unit {unit} changed after its last stage")

    def _test(self) -> None:
        metrics, predictions = self._evaluate("test")
        self._note(test=metrics, contributions=contributions(predictions))
        self.shared.journal.write_predictions(self.record, [asdict(prediction) for prediction in predictions])

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


def _validation_score(metrics: Metrics, stage: Stage) -> float:
    """Mean of accuracy and entity F1 over the tasks that the stage trains; an undefined metric counts as 0."""
    by_task = {
        "classifier": metrics.classifier.accuracy if metrics.classifier else None,
        "ner": metrics.ner.default.f1 if metrics.ner else None,
    }
    return sum(by_task[task] or 0.0 for task in stage.losses) / len(stage.losses)
