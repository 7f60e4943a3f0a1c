"""The `answer:` of an experiment file is checked when the file is read."""

from pathlib import Path

import pytest

from mtlab.plan.answers import Placeholder, pieces
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import load

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
COMPARE = EXPERIMENTS / "compare.yaml"


def written(folder: Path, answer: str) -> Path:
    file = folder / "mine.yaml"
    file.write_text(f'extends: {COMPARE}\nanswer: "{answer}"\n')
    return file


def test_text_and_placeholders_are_read_in_their_order() -> None:
    assert list(pieces("A {recommendation} b {verdict heads ner}")) == [
        "A ",
        Placeholder("recommendation", ()),
        " b ",
        Placeholder("verdict", ("heads", "ner")),
        "",
    ]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("{verdic backbone_frozen ner}", "{verdic} is not known; did you mean 'verdict'?"),
        ("{verdict backbone_frozen}", "is not complete; write {verdict SCENARIO TASK}"),
        ("{verdict backbone_froze ner}", "did you mean 'backbone_frozen'?"),
        ("{verdict backbone_frozen nre}", "did you mean 'ner'?"),
        ("{fewest 80 ner}", "known: 90, 95, 99"),
    ],
)
def test_a_mistake_is_one_line_with_file_and_line(tmp_path: Path, answer: str, said: str) -> None:
    file = written(tmp_path, answer)
    with pytest.raises(UserError) as error:
        load(file)
    assert said in str(error.value) and f"{file}:2" in str(error.value)
    assert "\n" not in str(error.value)


def test_scenarios_left_out_on_the_command_line_are_no_mistake() -> None:
    chosen = load(COMPARE, {"scenarios": ["gradual_unfreeze", "full_finetune"]})
    assert "backbone_frozen" in chosen.answer


def test_a_file_does_not_inherit_the_answer_to_another_question(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"extends: {COMPARE}\n")
    assert load(COMPARE).answer and load(file).answer == ""


def test_looks_on_the_command_line_replace_a_list_of_seeds() -> None:
    experiment = load(EXPERIMENTS / "five_epochs.yaml", {"seeds.looks": ["5", "8"]})
    assert experiment.looks == (5, 8) and experiment.seeds == tuple(range(8))
