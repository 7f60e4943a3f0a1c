"""One trial: the stages of a scenario, selection on validation, and the test split scored once."""

import hashlib
import math
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict

import torch
from torch import Tensor

from mtlab.data import batches
from mtlab.model import freezing
from mtlab.model.freezing import CertificateError, Partition
from mtlab.model.network import stream_seed
from mtlab.plan.scenario import Stage, Trial, content_key
from mtlab.record.journal import Journal, write_atomically
from mtlab.record.measure import Clock, PeakMemory
from mtlab.record.metrics import Prediction, score
from mtlab.record.records import OK, EpochRecord, Metrics, Selection, StageRecord, TrialRecord, Units
from mtlab.train import course, step
from mtlab.train.course import Step
from mtlab.train.prepare import Prepared
from mtlab.train.runtime import Runtime
from mtlab.train.step import Learner, StepOutput

WARM_STEPS = 3
"""Steps at a stage's start that are left out of the time of a plain step: allocators and caches fill in them."""

Advance = Callable[[int], None]
"""Called with the FLOPs of what was just done, for whoever shows progress."""


class Diverged(Exception):
    """A training loss was not finite."""


def run_trial(prepared: Prepared, trial: Trial, runtime: Runtime, journal: Journal, advance: Advance) -> TrialRecord:
    """Run a trial and write its record. A trial that fails leaves a record too, with its reason as status."""
    run = _Run(prepared, trial, runtime, journal, advance)
    devices = [runtime.device] if runtime.device.type == "cuda" else []
    status = OK
    try:
        with torch.random.fork_rng(devices):  # dropout draws from torch's global stream; the caller's is left as it was
            run.train_and_test()
    except Diverged as error:
        status = f"diverged: {error}"
    except CertificateError as error:
        status = f"certificate broken: {error}"
    except torch.OutOfMemoryError:
        status = "out of memory"
    except Exception as error:
        file = journal.directory / "failures" / f"{trial.label}-{run.record.key[:12]}.txt"
        write_atomically(file, traceback.format_exc())
        status = f"crashed: {type(error).__name__}: {str(error).partition(chr(10))[0][:200]} (failures/{file.name})"
    return run.finish(status)


class _Run:
    """The state of a running trial; ``record`` holds what is known of it so far."""

    def __init__(self, prepared: Prepared, trial: Trial, runtime: Runtime, journal: Journal, advance: Advance) -> None:
        self.prepared, self.trial, self.runtime, self.journal, self.advance = prepared, trial, runtime, journal, advance
        key = prepared.key(trial, runtime)
        self.record = TrialRecord(
            key=key, scenario=trial.scenario, seed=trial.seed, point=dict(trial.point), status="running", started_at=time.time()
        )
        self.memory = PeakMemory()
        if runtime.device.type == "cuda":
            torch.cuda.empty_cache()  # every trial finds the allocator as the first one did
            torch.cuda.reset_peak_memory_stats(runtime.device)
        self.clock = Clock(runtime.synchronize)
        self.clock.laps["setup"] = prepared.setup_s
        self.order = hashlib.sha256()
        self.stages: list[StageRecord] = []
        self.epochs: list[EpochRecord] = []
        self.losses: dict[str, list[float | None]] = {"total": [], "classifier": [], "ner": []}
        self.flops = self.flops_exact = self.tokens = 0
        self.best: tuple[float, int, dict[str, Tensor]] | None = None

    def train_and_test(self) -> None:
        """The whole trial."""
        with self.clock.lap("setup"):
            self.network = self.prepared.fresh_network(self.trial.seed, self.runtime.device)
        self.digests = freezing.digests(self.network)
        self._note(initial_digest=content_key(self.digests))
        stages = self.prepared.experiment.scenario(self.trial.scenario).stages
        for index, stage in enumerate(stages):
            self._stage(index, stage, remember=stage is stages[-1] and self.prepared.experiment.select == "best")
        self._select(stages[-1])
        self._test()

    def finish(self, status: str) -> TrialRecord:
        """Add what was measured, write the record and return it."""
        laps, cuda = self.clock.laps, self.runtime.device.type == "cuda"
        self._note(
            status=status,
            ended_at=time.time(),
            stages=tuple(self.stages),
            epochs=tuple(self.epochs),
            step_losses={name: tuple(values) for name, values in self.losses.items()},
            order_digest=self.order.hexdigest(),
            laps=dict(laps),
            wall_s=sum(laps.values()),
            wall_plain_s=laps["setup"] + sum((stage.step_s or 0.0) * stage.steps for stage in self.stages) + laps["eval"],
            peak_memory_mb=torch.cuda.max_memory_allocated(self.runtime.device) / 1e6 if cuda else self.memory.read_mb(),
            train_flops=self.flops,
            train_flops_padding=self.flops - self.flops_exact,
            train_tokens=self.tokens,
            tokens_per_s=self.tokens / laps["train"] if self.tokens else None,
        )
        self.journal.write_trial(self.record)
        return self.record

    def _note(self, **fields: object) -> None:
        self.record = self.record.model_copy(update=fields)

    def _stage(self, index: int, stage: Stage, remember: bool) -> None:
        done = self.epochs[-1].epoch if self.epochs else 0
        plan = [course.epoch(self.prepared, stage, done + number) for number in range(stage.epochs)]
        partition = freezing.resolve(stage, self.network)
        with self.clock.lap("setup"):
            freezing.apply(self.network, partition)
            learner = self._learner(partition, stage, sum(map(len, plan)))
        if not self.epochs:
            self._validate(index, 0, {})
        timed_s, timed_steps = 0.0, 0
        for number, steps in enumerate(plan, start=1):
            freezing.set_modes(self.network, partition)
            losses, warm_s, warm_steps = self._epoch(learner, partition, steps, WARM_STEPS if number == 1 else 0)
            timed_s, timed_steps = timed_s + warm_s, timed_steps + warm_steps
            self._validate(index, done + number, losses)
            if remember:
                self._remember(stage)
        before, after = self.digests, freezing.digests(self.network)  # what changed between stages would show, too
        self.digests = after
        step_s = timed_s / timed_steps if timed_steps else None
        self.stages.append(self._describe(stage, partition, sum(map(len, plan)), before, after, step_s))
        updated = sum(map(len, plan)) > bool(step.warmup_steps(stage, sum(map(len, plan))))  # warm-up begins at rate 0
        silent = {f"head.{task}" for task in self.prepared.classes if task not in stage.losses}
        freezing.check(self.network, partition, before, after, partition.trained_units - silent if updated else frozenset())

    def _learner(self, partition: Partition, stage: Stage, steps: int) -> Learner | None:
        experiment = self.prepared.experiment
        return step.learner(self.network, partition, stage, steps, experiment.optimizer, experiment.task_weights.model_dump())

    def _epoch(
        self, learner: Learner | None, partition: Partition, steps: Sequence[Step], warm: int
    ) -> tuple[dict[str, float], float, int]:
        """Train one epoch; returns its mean losses, and seconds and number of its steps after the first ``warm``."""
        assert learner is not None, "a stage with epochs trains something"
        outputs: list[StepOutput] = []
        work = [course.flops(self.prepared, partition, [one]) for one in steps]
        warm = min(warm, len(steps) - 1)
        warm_at = start = self.clock.read()
        for number, one in enumerate(steps):
            if number == warm:
                warm_at = self.clock.read()
            torch.manual_seed(stream_seed("dropout", self.trial.seed, len(self.losses["total"]) + number))
            batch = batches.collate(self.prepared.encoded["train"].examples, one.ids, self.prepared.pad_id)
            outputs.append(learner.step(self.network, batch.to(self.runtime.device), one.tasks, self.runtime))
            self.advance(work[number][0])
        end = self.clock.read()
        self.clock.laps["train"] += end - start
        freezing.check_modes(self.network, partition)
        self._account(steps, work)
        return self._read_losses(outputs, steps), end - warm_at, len(steps) - warm

    def _account(self, steps: Sequence[Step], work: Sequence[tuple[int, int]]) -> None:
        self.flops += sum(padded for padded, _ in work)
        self.flops_exact += sum(exact for _, exact in work)
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
        with self.clock.lap("eval"):
            sentences = prepared.corpus.splits[split]
            predictions, losses = step.evaluate(self.network, prepared.encoded[split], sentences, names, prepared.pad_id, self.runtime)
            metrics = score(predictions, losses)
        if any(loss is not None and not math.isfinite(loss) for loss in losses.values()):  # the last update may have broken the weights
            raise Diverged(f"the {split} loss is not finite after step {len(self.losses['total'])}")
        self.advance(course.evaluation_flops(prepared, split))
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
        self.journal.write_trial(self.record)

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
        self._note(test=metrics)
        self.journal.write_predictions(self.record, [asdict(prediction) for prediction in predictions])

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
