import pytest
import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode

from mtlab.model import freezing
from mtlab.model.backbone import inspect
from mtlab.model.flops import Counter
from mtlab.model.network import Network
from mtlab.plan.experiment import Head
from mtlab.plan.scenario import Stage
from tests import tiny

TASKS = ("classifier", "ner")
SHAPES = tiny.shapes(3, 5)
TRAIN = [
    {"heads": 1.0},
    {"layers[-1/3:]": 1.0, "heads": 1.0},
    {"encoder": 1.0, "head.ner": 1.0},
    {"all": 1.0},
]


@pytest.mark.parametrize("family", tiny.CONFIGS)
@pytest.mark.parametrize("train", TRAIN)
def test_polynomial_equals_the_counter_on_the_real_model(family: str, train: dict) -> None:
    config = tiny.CONFIGS[family]()
    network = Network(
        inspect(transformers.AutoModel.from_config(config, attn_implementation="eager")),
        SHAPES,
        Head(),
    )
    partition = freezing.resolve(Stage(epochs=1, train=train), network)
    freezing.apply(network, partition)
    ids = torch.randint(4, 100, (5, 17))
    with FlopCounterMode(display=False) as counter:
        sum(
            logits.sum() for logits in network(ids, torch.ones_like(ids), TASKS).values()
        ).backward()
    assert (
        Counter(config, SHAPES, Head()).step(partition, TASKS).padded(5, 17)
        == counter.get_total_flops()
    )


def test_cost_of_bert_base_equals_the_published_formula() -> None:
    """Two FLOPs a multiply-add: 24 h² T + 4 h T² a block and sentence, forward; backward costs
    twice that."""
    hidden, blocks, sentences, tokens = 768, 12, 32, 64
    forward = blocks * (24 * hidden**2 * sentences * tokens + 4 * hidden * sentences * tokens**2)
    counter = Counter(transformers.BertConfig(), SHAPES, Head())
    assert counter.prefix(blocks).padded(sentences, tokens) == forward
    everything = freezing.resolve(Stage(epochs=1, train={"all": 1.0}), counter.network)
    heads = (
        2
        * hidden
        * (sentences * SHAPES["classifier"].outputs + sentences * tokens * SHAPES["ner"].outputs)
    )
    assert counter.step(everything, TASKS).padded(sentences, tokens) == 3 * (forward + heads)


def test_padding_is_what_exact_leaves_out() -> None:
    counter = Counter(tiny.CONFIGS["bert"](), SHAPES, Head())
    cost = counter.step(
        freezing.resolve(Stage(epochs=1, train={"all": 1.0}), counter.network), TASKS
    )
    assert cost.exact([9, 9, 9]) == cost.padded(3, 9)
    assert cost.exact([3, 9]) == cost.padded(1, 3) + cost.padded(1, 9) < cost.padded(2, 9)


def test_prefix_of_every_depth_adds_one_block() -> None:
    counter = Counter(tiny.CONFIGS["distilbert"](), SHAPES, Head())
    costs = [counter.prefix(depth).padded(2, 10) for depth in range(4)]
    assert costs[0] == 0
    assert costs[3] - costs[2] == costs[2] - costs[1] == costs[1] > 0
