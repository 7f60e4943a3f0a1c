"""What a trial stores so that it forgets less: its initial weights, and its earlier logits."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from mtlab.model.losses import losses_of
from mtlab.model.network import Network
from mtlab.plan.scenario import Stage
from mtlab.train.continual import mitigation
from mtlab.train.continual.mitigation import Teacher
from mtlab.train.loop import schedule
from mtlab.train.loop.step import Term
from mtlab.train.loop.tally import Tally
from mtlab.train.prepare import Prepared
from mtlab.train.runtime import Runtime


class Mitigations:
    """The terms that a trial's stages add to their steps.

    Args:
        network: as the trial begins with it.
        prepared: the data.
        runtime: device and precision.
        stages: of the scenario.
    """

    def __init__(
        self, network: Network, prepared: Prepared, runtime: Runtime, stages: Sequence[Stage]
    ) -> None:
        self.network, self.prepared, self.runtime = network, prepared, runtime
        anchored = any(stage.l2_sp for stage in stages)
        self.began = {
            name: parameter.detach().clone()
            for name, parameter in network.named_parameters()
            if anchored and name.startswith("encoder.")
        }
        self.teacher = Teacher(
            1.0,
            {},
            losses_of(prepared.corpus.tasks),
        )

    def teach(self, tasks: Iterable[str], tally: Tally) -> None:
        """Store the network's current logits of the training sentences, for those of the tasks that
        have no stored logits yet.
        """
        missing = [task for task in tasks if task not in self.teacher.logits]
        if not missing:
            return
        self._add(mitigation.said(self.prepared, self.network, missing, self.runtime))
        flops = schedule.evaluation_flops(self.prepared, "train")
        tally.flops, tally.flops_exact = tally.flops + flops, tally.flops_exact + flops

    def terms(self, stage: Stage) -> tuple[Term, ...]:
        """The terms that a stage adds to the loss, or the gradients, of its steps."""
        terms: list[Term] = []
        if stage.l2_sp:
            terms.append(mitigation.anchor(self.network, self.began, stage.l2_sp))
        if stage.distillation:
            logits = {task: self.teacher.logits[task] for task in stage.silent}
            terms.append(replace(self.teacher, strength=stage.distillation, logits=logits))
        return tuple(terms)

    def state_dict(self) -> dict[str, Tensor]:
        """The teacher's logits: those of each task, one sentence after another, flat."""
        return {
            task: torch.cat([sentence.flatten() for sentence in logits])
            for task, logits in self.teacher.logits.items()
        }

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore what :meth:`state_dict` returned for the same trial."""
        lengths = self.prepared.encoded["train"].examples.lengths.tolist()
        for task, values in tensors.items():
            outputs, of_words = self.prepared.shapes[task]
            sizes = [outputs * (length if of_words else 1) for length in lengths]
            shape = (-1, outputs) if of_words else (outputs,)
            flat = values.to(self.runtime.device)
            self._add({task: [row.view(shape) for row in flat.split(sizes)]})

    def _add(self, logits: Mapping[str, Sequence[Tensor]]) -> None:
        self.teacher = replace(self.teacher, logits={**self.teacher.logits, **logits})
