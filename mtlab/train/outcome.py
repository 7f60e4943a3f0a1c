"""The results of a trial: validation after each epoch, the weights that each stage hands on, one
evaluation on the test split and on the test sets out of distribution, and the record.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial

import torch

from mtlab.model import freezing, sub_units
from mtlab.model.freezing import CertificateError
from mtlab.plan.errors import UserError
from mtlab.plan.scenario import Stage, content_key
from mtlab.record.metrics import Prediction, contributions, score
from mtlab.record.quality import Metrics, selection_score
from mtlab.record.records import AlsoTested, EpochRecord, Status
from mtlab.train import selection
from mtlab.train.continual import forgetting
from mtlab.train.loop import schedule, step
from mtlab.train.loop.forward import Forward
from mtlab.train.loop.step import FullForward
from mtlab.train.loop.tally import Diverged
from mtlab.train.prepare import Prepared
from mtlab.train.selection import Best
from mtlab.train.state import Snapshot, TrialState
from mtlab.train.weights.kept import keep
from mtlab.train.weights.source_checkpoint import Checkpoint, load, save


def evaluate(state: TrialState, split: str) -> tuple[Metrics, list[Prediction]]:
    """Score a split.

    Raises:
        Diverged: the loss is not finite: the last update may have broken the weights.
    """
    state.network.eval()
    forward = state.passes.forward(split)
    with state.clock.lap("eval"):
        scored = _evaluated(state, state.setup.prepared, split, forward, split)
    state.setup.advance(state.passes.count_evaluation(split))
    return scored


def _evaluate_also(state: TrialState, name: str) -> tuple[Metrics, list[Prediction]]:
    """Score a test set out of distribution, without cached states."""
    prepared = state.setup.prepared
    test_set = prepared.also[name]
    state.network.eval()
    scored = _evaluated(state, test_set, "test", FullForward(state.network), name)
    state.setup.advance(schedule.forward_flops(prepared, test_set.examples("test").lengths))
    return scored


def _evaluated(
    state: TrialState, prepared: Prepared, split: str, forward: Forward, title: str
) -> tuple[Metrics, list[Prediction]]:
    runtime, tasks = state.setup.runtime, prepared.corpus.tasks
    ready, sentences = prepared.ready(split, runtime.device), prepared.corpus.splits[split]
    predictions, losses = step.evaluate(
        forward, ready, prepared.encoded[split], sentences, tasks, runtime
    )
    metrics = score(tasks, predictions, losses)
    if any(loss is not None and not math.isfinite(loss) for loss in losses.values()):
        raise Diverged(f"the {title} loss is not finite after step {state.tally.steps}")
    return metrics, predictions


def validate(state: TrialState, stage: int, epoch: int, losses: dict[str, float]) -> None:
    """Score the validation split, and add the epoch to the record.

    Args:
        state: the trial.
        stage: index of the piece among all that the trial trains.
        epoch: of the trial, 0 before any training.
        losses: mean training losses of the epoch.
    """
    metrics, _ = evaluate(state, "validation")
    record = EpochRecord(
        stage=stage,
        epoch=epoch,
        step=state.tally.steps,
        elapsed_s=state.clock.laps["train"],
        ended_at=time.time(),
        train_loss=losses,
        validation=metrics,
    )
    state.note(epochs=(*state.record.epochs, record))
    state.choice.standing = epoch


def remember(state: TrialState, stage: Stage, piece: int) -> None:
    """Keep the weights of the epoch that just ended where they are the best of the stage so far."""
    epoch, choice = state.record.epochs[-1], state.choice
    for name, value in selection.better(stage, choice.best, epoch.validation).items():
        with state.clock.lap("eval"):  # keeping the best weights is part of selecting them
            weights = {
                key: parameter.detach().to("cpu", copy=True)
                for key, parameter in state.network.named_parameters()
                if key in choice.moved
            }
        choice.best[name] = Best(value, epoch.epoch, piece, weights)


def standing(state: TrialState) -> EpochRecord:
    """The epoch whose weights the network has."""
    epochs = state.record.epochs
    return next(epoch for epoch in epochs if epoch.epoch == state.choice.standing)


def hand_on(state: TrialState, stage: Stage) -> None:
    """Give the network the weights that a stage hands on."""
    best = state.choice.best.get("")
    if stage.select == "best" and best is not None:
        _load(state, best)
        state.choice.standing = best.epoch
    else:
        _certify(state, len(state.record.stages) - 1)


def snapshot(state: TrialState) -> None:
    """Save the weights that a stage of a staged trial hands on, to be evaluated after the
    selection. They lie on disk, so that they take no memory.
    """
    if state.source is not None:
        number = len(state.record.stages)
        path = state.source.file.with_name(f"{state.record.key[:16]}-{number}.safetensors")
        state.setup.runtime.processes.once(lambda: save(state.network, path))
        state.history.snapshots.append(Snapshot(number, path))


def conclude(state: TrialState) -> None:
    """Select weights, test them, and measure what the trial forgot."""
    select(state, state.scenario.stages[-1])
    test(state)
    also_test(state)
    _keep_weights(state)
    if state.passes.skipped_flops:
        uncached = state.setup.uncached
        state.history.uncached_s += uncached.pass_s(state.network, state.passes.skipped_flops)
    if state.source is not None:
        with state.setup.memory.uncounted():
            _measure_forgetting(state, state.source)


def select(state: TrialState, stage: Stage) -> None:
    """Select the weights to test, and write the selection to disk before the test split is read."""
    hand_on(state, stage)
    if stage.average is not None:
        _average(state, stage.average)
    best = state.choice.best
    settled = selection.settled(stage, best, standing(state))
    digests = [content_key(state.passes.digests)]
    if settled.by_task:
        digests = [content_key(_load(state, of_task)) for of_task in best.values()]
    validation = {epoch.epoch: epoch.validation for epoch in state.record.epochs}
    by_task = {task: validation[epoch] for task, epoch in settled.by_task.items()}
    selected = selection.merged(validation[settled.epoch], by_task)
    if stage.average is not None:
        selected, _ = evaluate(state, "validation")
        score = selection_score(selected, stage.judged)
        settled = settled.model_copy(update={"score": score})
    state.note(
        selection=settled,
        validation=selected,
        final_digest=digests[0] if len(digests) == 1 else content_key(digests),
        status="selected",
    )
    state.setup.journal.write_trial(state.record)


def test(state: TrialState) -> None:
    """Score the test split with the selected weights."""
    tasks = state.setup.prepared.corpus.tasks
    metrics, predictions = _with_selected(state, lambda: evaluate(state, "test"))
    state.note(test=metrics, contributions=contributions(tasks, predictions))
    _write(state, predictions)


def also_test(state: TrialState) -> None:
    """Score the test sets out of distribution with the selected weights, after the selection. The
    time counts in no lap: what a scenario costs does not depend on the number of test sets.
    """
    for name, test_set in state.setup.prepared.also.items():
        read = partial(_evaluate_also, state, name)
        with state.setup.memory.uncounted():
            metrics, predictions = _with_selected(state, read)
        added = contributions(test_set.corpus.tasks, predictions)
        scored = AlsoTested(metrics=metrics, contributions=added)
        state.note(also={**state.record.also, name: scored})
        _write(state, predictions, name)


def _with_selected(
    state: TrialState, read: Callable[[], tuple[Metrics, list[Prediction]]]
) -> tuple[Metrics, list[Prediction]]:
    """What ``read`` returns with the selected weights; where each task has its own weights, the
    results of each task come from those.
    """
    metrics, predictions = Metrics(), list[Prediction]()
    for task in state.choice.best or [""]:
        if task:
            _load(state, state.choice.best[task])
        of_task, predicted = read()
        if predictions:
            metrics = selection.merged(metrics, {task: of_task})
            pairs = zip(predictions, predicted, strict=True)
            predictions = [selection.with_task(*pair, task) for pair in pairs]
        else:
            metrics, predictions = of_task, predicted
    return metrics, predictions


def _write(state: TrialState, predictions: list[Prediction], also: str = "") -> None:
    rows = [asdict(prediction) for prediction in predictions]
    state.setup.journal.write_predictions(state.record, rows, also)


def finish(state: TrialState, status: Status, reason: str = "") -> None:
    """Add what was measured, and write the record."""
    setup, processes = state.setup, state.setup.runtime.processes
    measured = state.measured()
    laps, record = measured["laps"], state.record
    steps_s = sum((stage.step_s or 0.0) * stage.steps for stage in record.stages)
    peaks = [peak for peak in processes.gather(setup.memory.peak_mb()) if peak is not None]
    reasons = processes.gather(setup.occupancy.why())
    measured |= {
        "peak_memory_mb": max(peaks, default=None),
        "untimed": record.untimed or next(filter(None, reasons), ""),
    }
    state.note(
        **measured,
        status=status,
        reason=reason,
        ended_at=time.time(),
        wall_s=sum(laps.values()),
        wall_plain_s=laps["setup"] + laps["eval"] + steps_s + state.history.uncached_s,
    )
    setup.journal.write_trial(state.record)
    for snapshot in state.history.snapshots:
        snapshot.file.unlink(missing_ok=True)


def _load(state: TrialState, best: Best) -> dict[str, str]:
    """Give the network these weights; returns the digests of its units."""
    state.network.load_state_dict(best.weights, strict=False)
    return _certify(state, best.piece)


def _certify(state: TrialState, piece: int) -> dict[str, str]:
    """Check that the units which were frozen in a piece have the digests that they had at its end;
    returns the digests of all units.

    Args:
        state: the trial, whose network has the weights that are checked.
        piece: index of the piece that trained these weights.

    Raises:
        CertificateError: a frozen unit has changed.
    """
    piece_record, now = state.record.stages[piece], state.passes.hash_units()
    divided = set(map(sub_units.owner, piece_record.parts))
    all_digests = now | freezing.sub_digests(state.network, divided)
    for unit, counts in (piece_record.parameters | piece_record.parts).items():
        frozen = counts.frozen and not counts.trainable
        if frozen and all_digests[unit] != piece_record.digests_after[unit]:
            raise CertificateError(f"frozen unit {unit} changed after its last stage")
    return now


def _average(state: TrialState, share: float) -> None:
    """Give the network ``start + share * (selected - start)`` of what the stage may train
    (Wortsman et al. 2022).

    Raises:
        CertificateError: ``start`` is not what the stage began with, or something else changed.
    """
    network, choice, stages = state.network, state.choice, state.record.stages
    selected = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    network.load_state_dict(choice.start, strict=False)
    began = stages[choice.first].digests_before
    now = state.passes.hash_units()
    if any(began[unit] != digest for unit, digest in now.items()):
        raise CertificateError("the weights to average with are not what the stage began with")
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name in choice.start:
                weight.lerp_(selected[name], share)
    pieces = stages[choice.first :]
    for unit, digest in state.passes.hash_units().items():
        trained = any(piece.parameters[unit].trainable for piece in pieces)
        if not trained and digest != began[unit]:
            raise CertificateError(f"frozen unit {unit} changed when weights were averaged")


def _keep_weights(state: TrialState) -> None:
    """Write the selected weights where the experiment keeps them; where each task has its own,
    no single network can be kept.
    """
    setup, selected = state.setup, state.record.selection
    if not setup.prepared.experiment.keeps_weights or (selected and selected.by_task):
        return
    path = setup.journal.weights_path(state.record)
    pretrained = setup.prepared.pristine_digests
    try:
        with setup.memory.uncounted():  # a plain training loop would not write them
            setup.runtime.processes.once(lambda: keep(state.network, pretrained, path))
    except UserError as error:  # the results of the trial are valid all the same
        setup.keeper.say(f"the weights of {state.trial.label} are not kept: {error}")


def _measure_forgetting(state: TrialState, checkpoint: Checkpoint) -> None:
    """Measure what the trial forgot: the scores on source and target after each stage, and how far
    the network's outputs on the source moved from the checkpoint's. The time counts in no lap: a
    plain training loop would not do it.
    """
    prepared, runtime, network = state.setup.prepared, state.setup.runtime, state.network
    source = prepared.source
    assert source is not None
    after = forgetting.look(network, source, runtime, len(state.record.stages), "source")
    matrix = [checkpoint.source.score, checkpoint.target]
    for snapshot in state.history.snapshots:
        with runtime.processes.agreeing():
            load(network, snapshot.file)
        for domain, data in (("source", source), ("target", prepared)):
            look = forgetting.look(network, data, runtime, snapshot.stage, domain)
            matrix.append(look.score)
    drift = forgetting.drift(source.corpus.tasks, checkpoint.source, after)
    state.note(start=checkpoint.key, matrix=(*matrix, after.score), drift=drift)
