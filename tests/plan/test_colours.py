"""The colours of scenarios: those of an experiment's file, and of the file beside it."""

from pathlib import Path

import pytest

from mtlab.plan.colours import FILE, contrast
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Experiment, load

EXPERIMENT = """\
data: {source: here}
scenarios:
  full: [{epochs: 1, train: {all: 1.0e-4}}]
  heads: [{epochs: 1, train: {heads: 1.0e-4}}]
"""
SHARED = """\
full: "#0072b2 o"
heads: "#D55E00 s"
other: "#00875a ^"
"""


def read(
    directory: Path, text: str = EXPERIMENT, shared: str = SHARED, **overrides: list[str]
) -> Experiment:
    (directory / FILE).write_text(shared)
    (directory / "exp.yaml").write_text(text)
    return load(directory / "exp.yaml", overrides)


def test_scenarios_have_the_colours_of_the_file_beside(tmp_path: Path) -> None:
    assert read(tmp_path).colours == {"full": "#0072b2 o", "heads": "#D55E00 s"}
    assert read(tmp_path, scenarios=["heads"]).colours == {"heads": "#D55E00 s"}


def test_an_experiment_has_colours_of_its_own_where_it_gives_them(tmp_path: Path) -> None:
    own = EXPERIMENT + 'colours: {full: "#a3123f h"}\n'
    assert read(tmp_path, own).colours == {"full": "#a3123f h", "heads": "#D55E00 s"}


def test_without_the_file_there_are_none(tmp_path: Path) -> None:
    (tmp_path / "exp.yaml").write_text(EXPERIMENT)
    experiment = load(tmp_path / "exp.yaml")
    assert experiment.colours == {} and "colours" not in experiment.model_dump()


@pytest.mark.parametrize(
    ("look", "problem"),
    [
        ("blue o", "'blue o' is not a colour and a marker; write them as in '#0072b2 o'"),
        ("#0072b2", "'#0072b2' is not a colour and a marker"),
        ("#0072b2 D", "'#0072b2 D' is not a colour and a marker"),
        ("#56b4e9 o", "the colour #56b4e9 has a contrast of 2.3:1 on white; take a darker one"),
    ],
)
def test_what_cannot_be_drawn_is_one_line_with_its_place(
    look: str, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        read(tmp_path, shared=SHARED.replace("#D55E00 s", look))
    assert f"{FILE}:2 colours.heads: {problem}" in str(caught.value)
    assert caught.value.code == "bad-colour"
    with pytest.raises(UserError) as caught:
        read(tmp_path, f'{EXPERIMENT}colours: {{heads: "{look}"}}\n')
    assert f"exp.yaml:5 colours.heads: {problem}" in str(caught.value)


def test_colours_that_are_no_mapping_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"colours: .* mapping"):
        read(tmp_path, f"{EXPERIMENT}colours: [red]\n")


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777") == pytest.approx(4.48, abs=0.01)
    assert contrast("#dbe7f3", "#dbe7f3") == 1
