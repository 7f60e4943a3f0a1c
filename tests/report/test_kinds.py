"""What a scenario trains is read from its stages, whatever it is called."""

import pytest

from mtlab.record.records import Units
from mtlab.report.comparison import kinds
from mtlab.report.comparison.groups import groups

from . import factory


@pytest.mark.parametrize(
    ("scenario", "kind"),
    [
        ("fully_frozen", kinds.NOTHING),
        ("backbone_frozen", kinds.HEADS),
        ("classifier_head_frozen", kinds.head_frozen("classifier")),
        ("ner_head_frozen", kinds.head_frozen("ner")),
        ("gradual_unfreeze", kinds.GRADUAL),
        ("full_finetune", kinds.FULL),
        ("top_1", kinds.top_blocks(1)),
        ("top_6", kinds.top_blocks(6)),
        ("classifier_alone", kinds.single_task("classifier")),
        ("ner_alone", kinds.single_task("ner")),
        ("ner_head_alone", kinds.one_head("ner")),
    ],
)
def test_a_kind_follows_from_what_trains(scenario, kind):
    assert kinds.kind(factory.trial(scenario, 0).stages) == kind


def changed(scenario: str, **units: Units):
    stage = factory.trial(scenario, 0).stages[-1]
    return [stage.model_copy(update={"parameters": {**stage.parameters, **units}})]


def test_what_is_none_of_them_is_called_none_of_them():
    yes, no, part = (
        Units(trainable=5, frozen=0),
        Units(trainable=0, frozen=5),
        Units(trainable=2, frozen=3),
    )
    assert kinds.kind(changed("top_2", **{"layers[5]": no})) == kinds.OTHER  # a block in the middle
    assert kinds.kind(changed("top_2", embeddings=yes)) == kinds.OTHER
    assert kinds.kind(changed("top_2", **{"layers[0]": part})) == kinds.OTHER
    assert kinds.kind(changed("top_2", **{"head.ner": no})) == kinds.OTHER
    assert kinds.kind(changed("top_2", after=yes)) == kinds.top_blocks(
        2
    )  # what runs after the blocks may go with them
    assert kinds.kind(changed("classifier_alone", embeddings=no)) == kinds.OTHER
    stages = factory.trial("gradual_unfreeze", 0).stages
    assert kinds.kind(stages[::-1]) == kinds.OTHER  # freezing, not unfreezing
    assert kinds.kind(stages[:2]) == kinds.OTHER  # never all of it
    assert kinds.kind(stages[2:]) == kinds.FULL  # what has no epochs before it does not count


def test_a_kind_is_found_among_scenarios_with_a_result():
    trials = [
        factory.trial("backbone_frozen", 0, status="crashed"),
        factory.trial("full_finetune", 0),
    ]
    group = groups(factory.suite(trials, seeds=1), trials)[0]
    assert kinds.find(group, kinds.FULL) == "full_finetune"
    assert kinds.find(group, kinds.HEADS) is None
