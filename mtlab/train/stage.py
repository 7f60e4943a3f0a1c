"""How a stage runs: its epochs, validation, and the check that frozen weights did not change."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from mtlab.model import freezing, reinit, sub_units
from mtlab.model.freezing import CertificateError, Partition
from mtlab.plan.scenario import Stage
from mtlab.record.records import Decision, StageRecord, Units
from mtlab.train import outcome, pieces
from mtlab.train.group import Group
from mtlab.train.loop import guidance, schedule
from mtlab.train.loop.course import Course
from mtlab.train.loop.patience import waiting
from mtlab.train.loop.schedule import Step
from mtlab.train.measure.uncached import WARM_STEPS
from mtlab.train.resume.keeper import Tensors
from mtlab.train.stage_plan import cached_depth, only_heads
from mtlab.train.state import TrialState
from mtlab.train.trainers import OneNetwork, stacked


class StageRunner:
    """Trains a piece of a stage: all of it, unless guidance or a choice of blocks divides the
    stage.

    Args:
        group: the trials, which train in step.
        stage: the whole stage, from the scenario.
        saved: the state of the piece's trainer that an interrupted run left; None without one.
    """

    def __init__(
        self, group: Group, stage: Stage, saved: tuple[dict[str, Any], Tensors] | None
    ) -> None:
        assert group.at.piece is not None
        self.group, self.whole, self.piece, self.saved = group, stage, group.at.piece, saved
        first, self.setup = group.alive[0], group.setup
        self.index = len(first.record.stages)
        reached = (state.record.epochs[-1].epoch for state in group.alive if state.record.epochs)
        self.done = max(reached, default=0) - group.at.epoch
        """Epochs that the trials trained before the piece."""
        self.passed = stage.epochs - self.piece.epochs if stage.chooses else 0
        """Epochs of the stage before this piece. Rates and patience count from the stage's
        first."""
        self.plan = self._steps(self.done, self.piece.epochs)
        self.lengths = [
            *map(len, self._steps(self.done - self.passed, self.passed)),
            *map(len, self.plan),
        ]
        """Steps of each epoch of the stage."""
        self.total = sum(map(len, self.plan))
        self.partition = freezing.resolve(self.piece, first.network)
        self.scores = first.history.scores
        """The scores that chose the blocks of this piece. A later decision sets others in the
        history."""

    def _steps(self, first: int, epochs: int) -> list[list[Step]]:
        """The steps of ``epochs`` epochs, from epoch ``first`` of the trial on."""
        prepared, numbers = self.setup.prepared, range(first, first + epochs)
        return [schedule.epoch(prepared, self.piece, number) for number in numbers]

    def run(self) -> Stage | None:
        """Train the piece; returns the next one, where guidance changed what is left, or other
        blocks are to train.
        """
        group, at = self.group, self.group.at
        group.each(self._freeze)
        if not group.alive:
            return None
        group.each(self._begin)
        self._make_trainer()
        decisions: list[Decision] = []
        rest: Stage | None = None
        first_epoch = at.epoch
        while group.training and at.epoch < self.piece.epochs:
            if at.epoch > first_epoch or self.saved is None:
                decisions, rest = self._decisions(), self._other_blocks()
            if decisions or rest is not None:
                break
            self._epoch(self.plan[at.epoch], first=at.epoch == first_epoch)
        group.each(lambda state: self._certify(state, decisions))
        group.trainer = None
        left = self.piece.epochs - at.epoch
        return guidance.rest(self.piece, decisions, left) if decisions else rest

    def _freeze(self, state: TrialState) -> None:
        piece, partition = self.piece, self.partition
        if piece.distillation:
            teach(state, piece.silent)
        if self.saved is None:
            self._draw_anew(state)
            # these digests are from the end of the piece before: a change since then is found too
            if partition.divided and freezing.digests(state.network) != state.passes.digests:
                raise CertificateError("weights changed between two stages")
            divided = freezing.sub_digests(state.network, partition.divided)
            state.history.before = state.passes.digests | divided
        cached = self.setup.prefixes is not None
        with state.clock.lap("setup"):
            freezing.apply(state.network, partition)
            state.passes.begin_at(cached_depth(piece, partition, cached))
            self._remember_start(state)

    def _remember_start(self, state: TrialState) -> None:
        """Note the names of what may train in the stage; keep its weights for a later average."""
        choice, network = state.choice, state.network
        if choice.moved:
            return
        partition = freezing.resolve(self.whole, network)
        units = freezing.units(network, partition.divided)
        weights = {
            name: weight
            for unit in partition.trained_units
            for name, weight in units[unit].parameters.items()
        }
        choice.moved |= {*weights}
        if self.whole.average is not None:
            choice.start = {
                name: weight.detach().to("cpu", copy=True) for name, weight in weights.items()
            }

    def _draw_anew(self, state: TrialState) -> None:
        """Draw the weights of the piece's ``reinit`` anew; certify that nothing else changed."""
        if not self.piece.reinit:
            return
        network, drawn = state.network, reinit.resolve(self.piece, state.network)
        before = state.passes.digests | freezing.sub_digests(network, drawn.divided)
        with state.clock.lap("setup"):
            reinit.draw(network, drawn, state.trial.seed)
        now = state.passes.hash_units() | freezing.sub_digests(network, drawn.divided)
        reinit.check(network, drawn, before, now)

    def _begin(self, state: TrialState) -> None:
        """Validate before the first step of a trial, and set up the course of its rates, patience
        and guidance.
        """
        if not state.record.epochs:
            outcome.validate(state, self.index, 0, {})
        first, *epochs = state.record.epochs
        passed = [epoch for epoch in epochs if epoch.stage >= state.choice.first]
        untrained = state.source is None
        before = sum(self.lengths[: self.passed])
        state.course = Course(self.piece, before + self.total, before)
        whole = self.whole if self.whole.chooses else self.piece
        state.waiting = waiting(whole, first.validation, passed, untrained=untrained)
        self._cool(state)
        if self.piece is self.whole and self.saved is None:
            epoch = outcome.standing(state)
            followed = self.group.at.stage + 1 < len(state.scenario.stages)
            state.guide = guidance.guide(self.whole, followed, epoch.epoch, epoch.validation)

    def _cool(self, state: TrialState) -> None:
        """Start the cooldown of a trial's rates, if it is due."""
        if state.waiting is not None and state.waiting.constant is not None:
            begin, end = state.waiting.constant, state.waiting.constant + state.waiting.cooldown
            state.course.cool(sum(self.lengths[:begin]), sum(self.lengths[begin:end]))

    def _make_trainer(self) -> None:
        group, total = self.group, self.total
        if not self.plan or not group.alive:
            return
        first = group.alive[0]
        if first.passes.depth and only_heads(self.partition):
            group.trainer = stacked(group.alive, self.piece, self.partition, total)
        else:
            with first.clock.lap("setup"):
                group.trainer = OneNetwork(first, self.piece, self.partition, total)
        if self.saved is not None:
            group.trainer.load_state_dict(*self.saved)
        self.trained = tuple(group.alive)

    def _decisions(self) -> list[Decision]:
        """The decisions of guidance after this epoch; seeds that train in step have no guidance."""
        state, at = self.group.alive[0], self.group.at
        if state.guide is None or not at.epoch:
            return []
        epoch = state.record.epochs[-1]
        return state.guide.decide(self.index, self.done + at.epoch, epoch.validation)

    def _other_blocks(self) -> Stage | None:
        """The rest of the stage, if other blocks train from now on; None otherwise."""
        state, at = self.group.alive[0], self.group.at
        done, left = self.passed + at.epoch, self.piece.epochs - at.epoch
        if not at.epoch:
            return None
        if self.piece.rotate is not None:
            return pieces.turned(state, self.whole, done, left)
        trainer = self.group.trainer
        sums = trainer.sums if isinstance(trainer, OneNetwork) else None
        return None if sums is None else pieces.shrunk(state, self.piece, done, left, sums)

    def _epoch(self, steps: Sequence[Step], first: bool) -> None:
        """Train an epoch and validate.

        Args:
            steps: of the epoch.
            first: whether it is the piece's first epoch that this process trains.
        """
        group, at, training = self.group, self.group.at, self.group.training

        def ready(state: TrialState) -> None:
            freezing.set_modes(state.network, self.partition)
            state.passes.forward("train")  # here, so that a pass counts in each trial's cache lap
            state.passes.trained = True

        def validate(state: TrialState) -> None:
            freezing.check_modes(state.network, self.partition)
            losses = state.tally.end_epoch(self.setup.prepared, self.partition, steps)
            cached = bool(state.passes.depth)
            flops, _ = schedule.flops(self.setup.prepared, self.partition, steps, cached)
            self.setup.advance(flops)
            outcome.validate(state, self.index, self.done + at.epoch, losses)
            outcome.remember(state, self.whole, self.index)
            if state.waiting is not None:
                state.waiting.look(state.record.epochs[-1].validation)
                self._cool(state)

        group.each(ready, training)
        self._train(steps, at.step + WARM_STEPS if first else 0)
        at.epoch, at.step = at.epoch + 1, 0
        group.each(validate, training)

    def _train(self, steps: Sequence[Step], warm: int) -> None:
        """Train the rest of an epoch; the steps from ``warm`` on count for the time of a step.

        Steps are made in stretches, whose time counts in the ``train`` lap. Between two stretches,
        outside every lap, a resume state may be written.
        """
        group, at, keeper, trainer = (
            self.group,
            self.group.at,
            self.setup.keeper,
            self.group.trainer,
        )
        training = group.training
        if not training:
            return
        assert trainer is not None, "a stage with epochs trains something"
        clock, warm = training[0].clock, min(warm, len(steps) - 1)

        def enough() -> bool:
            at.step += 1
            return keeper.stepped() or at.step == warm

        with ExitStack() as trainer_in_place:
            trainer_in_place.enter_context(trainer.in_place())
            while at.step < len(steps):
                keeper.keep_if_due(group)
                first, before = at.step, clock.laps["train"]
                with self._lap("train"):
                    steps_before = training[0].tally.steps
                    outputs = trainer.train(steps[first:], steps_before, enough)
                for state, step_outputs in zip(self.trained, outputs, strict=True):
                    if state in training:
                        state.tally.running += step_outputs
                if first >= warm:
                    seconds = clock.laps["train"] - before
                    at.timed = (at.timed[0] + seconds, at.timed[1] + at.step - first)
            keeper.keep_if_due(group)
            with self._lap("train"):
                trainer_in_place.close()

    def _certify(self, state: TrialState, decisions: Sequence[Decision]) -> None:
        """Add the piece to the record, and certify that its training changed what trains in it, and
        nothing else.

        Raises:
            CertificateError: a frozen unit changed, or a trained one did not.
        """
        at, partition, prepared = self.group.at, self.partition, self.setup.prepared
        epochs = at.epoch if state.waiting is None else state.waiting.epochs - self.passed
        piece = self.piece.model_copy(update={"epochs": epochs})
        steps = sum(map(len, self.plan[:epochs]))
        before, after = state.history.before, state.passes.hash_units()
        after = after | freezing.sub_digests(state.network, partition.divided)
        seconds, timed = at.timed
        step_s = seconds / timed if timed else None
        if state.passes.depth and self.plan:
            uncached = self.setup.uncached
            step_s = uncached.step_s(self.index, state.network, partition, piece, self.plan[0])
        record = describe(state, piece, partition, steps, (before, after), step_s)
        if piece.chooses:
            record = record.model_copy(update={"scores": self.scores, "of": at.stage})
        state.note(stages=(*state.record.stages, record))
        updated = steps > bool(state.course.warmup)  # warm-up begins at rate 0
        silent = {f"head.{task}" for task in prepared.shapes if task not in piece.losses}
        reached = partition.trained_units - silent if updated else frozenset[str]()
        freezing.check(state.network, partition, before, after, reached)
        state.passes.certify()
        state.note(ledger=(*state.record.ledger, *decisions))

    @contextmanager
    def _lap(self, name: str) -> Iterator[None]:
        """Within, time counts in this lap of every trial that trains: they train together."""
        training = self.group.training
        clock = training[0].clock
        began = clock.read()
        try:
            yield
        finally:
            seconds = clock.read() - began
            for state in training:
                state.clock.laps[name] += seconds


def teach(state: TrialState, tasks: Iterable[str]) -> None:
    """Store the network's current logits of the training sentences, for distillation."""
    before = state.clock.laps["train"]
    with state.clock.lap("train"):
        state.mitigations.teach(tasks, state.tally)
    state.history.uncached_s += state.clock.laps["train"] - before


def describe(
    state: TrialState,
    piece: Stage,
    partition: Partition,
    steps: int,
    digests: tuple[dict[str, str], dict[str, str]],
    step_s: float | None,
) -> StageRecord:
    """The record of a piece that was trained.

    Args:
        state: the trial.
        piece: with the number of epochs that were trained.
        partition: what trained.
        steps: number of steps that were made.
        digests: SHA-256 of each unit, and of the sub-units of divided ones, before and after.
        step_s: seconds of a step without a cache.
    """
    trained = partition.trained_units
    parts: dict[str, Units] = {}
    counts: dict[str, Units] = {}
    for name, unit in freezing.units(state.network, partition.divided).items():
        trainable = unit.count if name in trained else 0
        part = Units(trainable=trainable, frozen=unit.count - trainable)
        owner = sub_units.owner(name)
        if owner in partition.divided:
            parts[name] = part
        so_far = counts.get(owner, Units(trainable=0, frozen=0))
        counts[owner] = Units(
            trainable=so_far.trainable + part.trainable, frozen=so_far.frozen + part.frozen
        )
    trainable = sum(unit.trainable for unit in counts.values())
    frozen = sum(unit.frozen for unit in counts.values())
    return StageRecord(
        name=piece.name,
        epochs=piece.epochs,
        steps=steps,
        train=piece.train,
        decay=piece.decay,
        reinit=piece.reinit,
        chooses=piece.chooses,
        average=piece.average,
        losses=piece.losses,
        rehearsal=piece.rehearsal,
        l2_sp=piece.l2_sp,
        distillation=piece.distillation,
        weights=dict(piece.weights),
        prefix_depth=partition.prefix_depth,
        parameters=counts,
        parts=parts,
        params_total=trainable + frozen,
        params_trainable=trainable,
        params_frozen=frozen,
        digests_before=digests[0],
        digests_after=digests[1],
        step_s=step_s,
        ended="" if state.waiting is None else state.waiting.ended,
        constant_epochs=None if state.waiting is None else state.waiting.constant,
    )
