"""Claims about freezing, each with the comparison that tests it. A claim that the records do not
test gets no verdict.

Claims about keeping a skill need a model that had it: training that starts from new heads ("cold")
cannot test them, and training that starts from a source checkpoint ("staged") cannot test claims
about starting anew. So a claim has a test for each of these protocols, or for one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mtlab.report.claims import blocks_and_tasks, datasets, robustness, staged, training
from mtlab.report.claims.evidence import Evidence, Finding

Test = Callable[[Evidence], Iterator[Finding]]


@dataclass(frozen=True)
class Claim:
    """A claim of the essays, or of the paper that ``source`` names.

    Attributes:
        name: a short one, for tables.
        words: what is claimed.
        source: where it comes from.
        test: yields findings of experiments that start cold; None where those cannot test it.
        needs: what a run must have for the claim to be tested.
        staged: yields findings of staged experiments.
    """

    name: str
    words: str
    source: str
    test: Test | None
    needs: str
    staged: Test | None = None


def findings(claim: Claim, evidence: Evidence) -> list[Finding]:
    """The findings of the records about a claim; empty where they do not test it."""
    test = claim.staged if evidence.staged else claim.test
    return list(test(evidence)) if test else []


STAGED = "training that starts from a model which already knows the task"

CLAIMS = (
    Claim(
        "nothing trained", "With everything frozen nothing is learned; the output rests on the weights given.", "both essays",
        training.nothing_learned, "a scenario that trains nothing", staged.nothing_changed,
    ),
    Claim(
        "few parameters", "A frozen backbone leaves thousands of parameters to train, of a hundred million.", "both essays",
        training.few_parameters, "a scenario that trains the heads alone",
    ),
    Claim(
        "faster", "A frozen backbone trains faster, update for update.", "both essays",
        training.faster, "heads alone and full fine-tuning",
    ),
    Claim(
        "converges fast", "A frozen backbone converges fast.", "essay A",
        training.converges, "heads alone and full fine-tuning, both trained to their plateau",
    ),
    Claim(
        "regularises", "A frozen backbone regularises: less overfitting on limited data.", "both essays",
        training.regularises, "heads alone and full fine-tuning on fewer than 10,000 sentences",
    ),
    Claim(
        "caps quality", "A frozen backbone may cap quality where representations must adapt.", "essay B",
        training.caps, "heads alone and full fine-tuning, both trained to their plateau",
    ),
    Claim(
        "below 10,000", "Freezing the backbone is ideal below 10,000 samples, fine-tuning beyond.", "essay B",
        datasets.small_data, "heads alone and full fine-tuning on fewer than 10,000 sentences",
    ),
    Claim(
        "frozen head keeps", "A frozen head keeps its task's performance while other parts adapt.", "essay A",
        None, STAGED, staged.keeps,
    ),
    Claim(
        "frozen head forgets", "With the backbone moving, the frozen head's task may degrade.", "essay B",
        None, STAGED, staged.forgets,
    ),
    Claim(
        "frozen both keeps", "With head and backbone frozen, the task is preserved exactly.", "essay B",
        None, STAGED, staged.preserved,
    ),
    Claim(
        "imbalance", "Freezing the head of the task with much data helps where the other's are scarce or noisy.", "essay A",
        datasets.imbalance, "one task with few or wrong labels",
    ),
    Claim(
        "regularisation", "Regularisation mitigates forgetting (a pull on the weights, distillation, or rehearsal).", "essay B",
        None, f"{STAGED}, a shown loss, and a mitigation", staged.mitigates,
    ),
    Claim(
        "few blocks", "The top one to three blocks are enough.", "essay A",
        blocks_and_tasks.few_blocks, "heads alone, top blocks and full fine-tuning",
    ),
    Claim(
        "a quarter of the blocks", "A quarter of the blocks reaches 90% of full fine-tuning.",
        "Lee, Tang and Lin 2019, not tried there on entities",
        blocks_and_tasks.quarter, "heads alone, top blocks and full fine-tuning",
    ),
    Claim(
        "smaller rate below", "A smaller learning rate for the encoder than for the heads helps.", "both essays",
        training.rates, "full fine-tuning at several pairs of rates, equal ones among them",
    ),
    Claim(
        "best of both: quality", "Gradual unfreezing is at least as good as full fine-tuning.", "essay A",
        training.gradual_quality, "gradual unfreezing and full fine-tuning",
    ),
    Claim(
        "best of both: cost", "Gradual unfreezing costs less than full fine-tuning.", "essay A",
        training.gradual_cost, "gradual unfreezing and full fine-tuning",
    ),
    Claim(
        "gradual forgets less", "Gradual unfreezing prevents forgetting.", "essay A",
        None, STAGED, staged.gradual,
    ),
    Claim(
        "watched", "Watching each task's validation, and freezing again or slowing what degrades, helps.", "essay A",
        blocks_and_tasks.watched, "the same training with guidance and without",
    ),
    Claim(
        "joint", "Joint fine-tuning improves both tasks.", "essay B",
        blocks_and_tasks.joint, "full fine-tuning on both tasks and on each alone",
    ),
    Claim("domain", "The domain of the pretrained model matters.", "essay A", datasets.domain, "several encoders"),
    Claim(
        "clean data", "Full fine-tuning pays while validation keeps improving on large, clean data.", "essay A",
        datasets.clean, "heads alone and full fine-tuning, on several sizes of data with and without wrong labels",
    ),
    Claim(
        "heads worst for entities", "Of what trains at all, heads alone is the worst for entity recognition.", "the literature",
        blocks_and_tasks.worst_for_entities, "heads alone and scenarios that train encoder blocks",
    ),
    Claim(
        "entities fall faster", "As blocks freeze, entity recognition loses more than sentence classification.", "the literature",
        blocks_and_tasks.falls_faster, "heads alone and full fine-tuning, with both tasks",
    ),
    Claim(
        "protects elsewhere", "Freezing the encoder, to the end or at first, protects out of distribution.", "Kumar et al. 2022",
        robustness.protects, "heads alone or first, full fine-tuning as the control, and three test sets out of distribution",
    ),
)  # fmt: skip
"""In the order in which reports list them."""
