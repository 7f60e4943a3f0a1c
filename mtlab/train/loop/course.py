"""The course of the rates in a stage: a factor on each of them, step by step."""

import math

from mtlab.plan.scenario import Stage


class Course:
    """The factors of a stage, or of a piece of one.

    Args:
        stage: its schedule and warm-up are used, with defaults filled in.
        steps: of the stage; with patience, the most that there may be.
        before: steps of the stage that were made before, with another optimizer.
    """

    def __init__(self, stage: Stage, steps: int, before: int = 0) -> None:
        self.schedule, self.steps, self.before = stage.schedule, steps, before
        self.warmup = stage.warmup_steps
        """Steps in which the rates rise; the first of them has rate 0."""
        if self.warmup is None:
            self.warmup = int((stage.warmup or 0.0) * steps)
        self.cooldown: tuple[int, int] | None = None
        """The first step of the cooldown and its number of steps, as soon as these are known."""

    def cool(self, first: int, steps: int) -> None:
        """Let the rates fall linearly from step ``first`` of the stage on, to reach 0 after so many
        steps.

        The first of these steps still has the rates of the step before: a scheduler that has
        already set its rates need not set them again.
        """
        self.cooldown = first, steps

    def factor(self, step: int) -> float:
        """The factor on the rates in a step of the optimizer (from 0 on); 0 after a cooldown."""
        step += self.before
        if self.cooldown is None:
            return self._planned(step)
        first, steps = self.cooldown
        left = 1.0 if step < first else max(0.0, (first + steps - step) / max(1, steps))
        return self._planned(step) * left

    def _planned(self, step: int) -> float:
        """Warm-up and schedule, in the arithmetic of transformers' schedules."""
        assert self.warmup is not None
        if step < self.warmup:
            return step / max(1, self.warmup)
        falling = max(1, self.steps - self.warmup)
        if self.schedule == "linear":
            return max(0.0, (self.steps - step) / falling)
        if self.schedule == "cosine":
            progress = (step - self.warmup) / falling
            return max(0.0, 0.5 * (1.0 + math.cos(math.pi * progress)))
        return 1.0
