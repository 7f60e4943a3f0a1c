"""Seeds that are added look by look, as a file and the command line write them."""

from pathlib import Path

import pytest

from mtlab.plan.errors import UserError
from mtlab.plan.experiment import NOT_IN_KEY, Experiment, load
from mtlab.plan.words import spanned

FILE = """\
data: {source: here}
seeds: {looks: [2, 3, 5]}
control: full
scenarios:
  heads: [{epochs: 1, train: {heads: 1.0e-3}}]
  full: [{epochs: 1, train: {all: 1.0e-4}}]
"""


def read(
    directory: Path, text: str = FILE, overrides: dict[str, list[str]] | None = None
) -> Experiment:
    (directory / "exp.yaml").write_text(text)
    return load(directory / "exp.yaml", overrides)


def test_looks_are_seeds_from_0_to_the_last_look(tmp_path: Path) -> None:
    experiment = read(tmp_path)
    assert (experiment.seeds, experiment.looks) == ((0, 1, 2, 3, 4), (2, 3, 5))
    assert experiment.fewest_seeds == 2
    assert len(experiment.trials()) == 10


def test_without_stopping_it_is_the_list_of_all_seeds(tmp_path: Path) -> None:
    plain = read(tmp_path, FILE.replace("{looks: [2, 3, 5]}", "[0, 1, 2, 3, 4]"))
    never = read(tmp_path, FILE.replace("5]", "5], stop: never"))
    assert never.model_dump() == plain.model_dump()
    assert read(tmp_path, overrides={"seeds.stop": ["never"]}).model_dump() == plain.model_dump()
    assert (plain.looks, plain.fewest_seeds) == ((), 5)
    assert "looks" not in plain.model_dump(), "nothing in what older versions wrote changes"


def test_no_control_is_asked_for_without_stopping(tmp_path: Path) -> None:
    text = FILE.replace("control: full\n", "")
    assert read(tmp_path, text.replace("5]", "5], stop: never")).control is None
    with pytest.raises(UserError, match="there is none; name one in `control`"):
        read(tmp_path, overrides={"scenarios": ["heads"]})


def test_what_is_sent_to_other_processes_has_the_looks(tmp_path: Path) -> None:
    experiment = read(tmp_path)
    sent = experiment.model_dump(mode="json")
    received = Experiment.model_validate(sent)
    assert received.looks == experiment.looks and received.model_dump(mode="json") == sent
    assert experiment.at(()).looks == experiment.looks
    assert "looks" in NOT_IN_KEY, "a trial is the same whatever decided that it runs"


@pytest.mark.parametrize(
    ("overrides", "seeds", "looks"),
    [
        ({"seeds": ["0", "1"]}, (0, 1), ()),
        ({"seeds": ["7"]}, (7,), ()),
        ({"seeds.looks": ["2", "4"]}, (0, 1, 2, 3), (2, 4)),
        ({"seeds.looks": ["3"]}, (0, 1, 2), (3,)),
        ({"seeds": ["{looks: [2, 4]}"]}, (0, 1, 2, 3), (2, 4)),
        ({"seeds": ["{stop: never}"]}, (0, 1, 2, 3, 4), ()),
    ],
)
def test_the_command_line_gives_seeds_or_looks(
    tmp_path: Path, overrides: dict[str, list[str]], seeds: tuple[int, ...], looks: tuple[int, ...]
) -> None:
    experiment = read(tmp_path, overrides=overrides)
    assert (experiment.seeds, experiment.looks) == (seeds, looks)


def test_a_file_that_extends_another_replaces_its_looks_or_changes_a_part(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(FILE)
    found = [
        read(tmp_path, f"extends: base.yaml\nseeds: {seeds}\n")
        for seeds in ("[4]", "{looks: [2, 9]}", "{stop: never}")
    ]
    assert [one.looks for one in found] == [(), (2, 9), ()]
    assert [len(one.seeds) for one in found] == [1, 9, 5]


def test_source_checkpoints_have_no_looks(tmp_path: Path) -> None:
    text = FILE + "start: {data: {source: there}, stages: [{epochs: 1, train: {all: 1.0e-4}}]}\n"
    source = read(tmp_path, text).source_phase()
    assert source is not None and source.looks == ()


def test_a_span_of_one_number_is_that_number() -> None:
    assert [spanned(fewest, 8, "seed") for fewest in (2, 8)] == ["2 to 8 seeds", "8 seeds"]
