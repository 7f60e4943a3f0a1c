"""Experiment files: what they mean once they are read, laid over each other, overridden, swept and
counted out."""

from pathlib import Path
from typing import Any

import pytest

from mtlab.plan import colours
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Experiment, load
from mtlab.plan.scenario import Stage, Trial, content_key

FILE = """\
question: Which parts?
encoder: minilm
data: {source: here}
seeds: [0, 1, 2]
control: full
optimizer: {schedule: linear, warmup: 0.1}
scenarios:
  nothing: [{epochs: 0}]
  heads: [{epochs: 2, train: {heads: 1.0e-3}}]
  full:
    - {epochs: 1, train: {heads: 1e-3}}
    - {name: all, epochs: 2, train: {encoder: 5.0e-5, head.ner: 1.0e-3}, losses: [ner], schedule: constant, warmup: 0}
"""

Overrides = dict[str, list[str]]


def read(
    directory: Path, text: str = FILE, overrides: Overrides | None = None, name: str = "exp.yaml"
) -> Experiment:
    (directory / name).write_text(text, encoding="utf-8")
    return load(directory / name, overrides)


def test_a_file_becomes_one_typed_value(tmp_path: Path) -> None:
    experiment = read(tmp_path)
    assert (experiment.name, str(experiment.output)) == ("exp", "reports/exp")
    assert (experiment.encoder.name, experiment.encoder.revision) == ("minilm", None)
    assert (experiment.data.source, experiment.data.train_size) == ("here", "full")
    assert experiment.seeds == (0, 1, 2)
    assert list(experiment.scenarios) == ["nothing", "heads", "full"]
    assert experiment.scenarios["heads"][0].train == {"heads": 1e-3}
    assert (experiment.head.dropout, experiment.batch_size, experiment.optimizer.weight_decay) == (
        0.1,
        32,
        0.01,
    )


def test_the_order_of_selectors_is_kept(tmp_path: Path) -> None:
    assert list(read(tmp_path).scenarios["full"][1].train) == ["encoder", "head.ner"]


def test_stages_get_names_and_the_experiments_schedule(tmp_path: Path) -> None:
    experiment = read(tmp_path)
    first, second = experiment.scenario("full").stages
    assert (first.name, first.schedule, first.warmup) == ("stage 1", "linear", 0.1)
    assert (second.name, second.schedule, second.warmup) == ("all", "constant", 0)
    assert experiment.scenario("heads").stages[0].name == "heads"


@pytest.mark.parametrize(
    ("of_all", "own", "warmup", "warmup_steps"),
    [
        ("warmup: 0.1", "", 0.1, None),
        ("warmup: 0.1", "warmup_steps: 7", 0, 7),
        ("warmup_steps: 9", "", 0, 9),
        ("warmup_steps: 9", "warmup_steps: 0", 0, 0),
        ("warmup_steps: 9", "warmup: 0.2", 0.2, None),
        ("warmup_steps: 9", "warmup: 0", 0, None),
    ],
)
def test_a_stage_has_its_own_warmup_or_the_experiments(
    tmp_path: Path, of_all: str, own: str, warmup: float, warmup_steps: int | None
) -> None:
    text = FILE.replace("schedule: linear, warmup: 0.1", of_all)
    text = text.replace("train: {heads: 1.0e-3}", f"train: {{heads: 1.0e-3}}, {own}")
    (stage,) = read(tmp_path, text).scenario("heads").stages
    assert (stage.warmup, stage.warmup_steps) == (warmup, warmup_steps)
    assert Stage.model_validate(stage.model_dump(mode="json")) == stage.model_copy(
        update={"tasks": Stage.model_fields["tasks"].default}
    ), "a checkpoint holds it"


@pytest.mark.parametrize(
    ("written", "cooldown"),
    [
        ("epochs: 6, patience: 2", 1),
        ("epochs: 1, patience: 2", 0),
        ("epochs: 6, patience: 2, cooldown: 0", 0),
        ("epochs: 6, patience: 2, cooldown: 5", 5),
        ("epochs: 6", None),
    ],
)
def test_patience_is_followed_by_a_cooldown(
    tmp_path: Path, written: str, cooldown: int | None
) -> None:
    text = FILE.replace("schedule: linear, warmup: 0.1", "")
    text = text.replace("epochs: 2, train: {heads", f"{written}, train: {{heads")
    assert read(tmp_path, text).scenario("heads").stages[0].cooldown == cooldown


def test_patience_minds_the_experiments_course_of_rates(tmp_path: Path) -> None:
    patient = {"scenarios.heads.0.patience": ["2"], "optimizer.schedule": ["constant"]}
    with pytest.raises(UserError, match=r"heads.0.patience: .*; write warmup_steps"):
        read(tmp_path, FILE, patient)
    with pytest.raises(UserError, match="patience needs constant rates"):
        read(tmp_path, FILE, {**patient, "optimizer.schedule": ["linear"]})
    own = {**patient, "scenarios.heads.0.warmup_steps": ["3"]}
    assert read(tmp_path, FILE, own).scenario("heads").stages[0].warmup_steps == 3


def test_settings_that_are_not_written_are_in_no_key_or_record(tmp_path: Path) -> None:
    """They came later: trials and published records from before know none of them."""
    experiment = read(tmp_path)
    (stage,) = experiment.scenario("heads").stages
    new = {"patience", "cooldown", "warmup_steps"}
    assert not new & stage.model_dump().keys() and new <= Stage.model_fields.keys()
    assert not new & experiment.model_dump(mode="json")["optimizer"].keys()


def test_null_anchors_and_aliases_are_plain_yaml(tmp_path: Path) -> None:
    text = """\
data: {source: here}
max_length: null
control: ~
seeds: [&first 0, 1]
data_seed: *first
scenarios:
  a: &stages
    - {epochs: &n 2, train: &rates {heads: &rate 1.0e-3}}
  b: *stages
  c: [{epochs: *n, train: {<<: *rates, encoder: *rate}}]
  d: [{epochs: &n 0}]
  e: [{epochs: *n}]
"""
    experiment = read(tmp_path, text)
    assert (experiment.max_length, experiment.control, experiment.data_seed) == (None, None, 0)
    assert experiment.scenarios["a"] == experiment.scenarios["b"]
    assert experiment.scenarios["c"][0].train == {"heads": 1e-3, "encoder": 1e-3}
    assert experiment.scenarios["e"][0].epochs == 0  # an anchor that is set again counts from there


def test_byte_order_mark_crlf_and_emoji(tmp_path: Path) -> None:
    (tmp_path / "exp.yaml").write_bytes(
        b"\xef\xbb\xbf" + FILE.replace("Which parts?", "Wohin? 🧊").replace("\n", "\r\n").encode()
    )
    assert load(tmp_path / "exp.yaml").question == "Wohin? 🧊"


# extends


def test_several_files_are_laid_over_each_other_in_their_order(tmp_path: Path) -> None:
    base = "data: {source: builtin}\nbatch_size: 8\nscenarios:\n  full: [{epochs: 1, train: {all: 1}}]\n"
    (tmp_path / "base.yaml").write_text(base)
    for number, name in enumerate(("one", "two"), start=1):
        more = f"extends: base.yaml\nquestion: {name}?\nbatch_size: {number}\nscenarios:\n"
        stages = f"  full: null\n  {name}: [{{epochs: {number}, train: {{all: 1}}}}]\n"
        (tmp_path / f"{name}.yaml").write_text(more + stages)
    both = tmp_path / "both.yaml"
    both.write_text("extends: [base.yaml, one.yaml, two.yaml]\nquestion: which?\n")
    experiment = load(both)
    assert list(experiment.scenarios) == ["full", "one", "two"]
    assert (experiment.batch_size, experiment.question, experiment.name) == (2, "which?", "both")
    said = "expected: {one: up, two: down}\n"
    varied = "settings: {scenarios.one.0.epochs: [1, 2], scenarios.two.0.epochs: [3, 4]}\n"
    both.write_text(f"extends: [one.yaml, two.yaml]\n{said}{varied}")
    assert load(both).expected == {"one": "up", "two": "down"}
    alone = tmp_path / "alone.yaml"
    alone.write_text("extends: both.yaml\nscenarios:\n  one: null\n")
    for left in (load(alone), load(both, {"scenarios": ["two"]})):
        assert list(left.scenarios) == ["two"] and left.expected == {"two": "down"}
        assert list(left.settings) == ["scenarios.two.0.epochs"]
    sets = "also_test: {low: {of: test, change: lowercase}, typos: {of: test, change: typos, rate: 0.1}}\n"
    both.write_text(f"extends: two.yaml\n{sets}")
    alone.write_text("extends: both.yaml\nalso_test: {low: null}\n")
    assert list(load(alone).also_test) == ["typos"]


def test_extends_merges_mappings_and_replaces_lists(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(FILE)
    text = "extends: base.yaml\nseeds: [7]\nhead: {dropout: 0}\nscenarios:\n  heads: [{epochs: 9, train: {heads: 1}}]\n"
    experiment = read(tmp_path, text)
    assert (experiment.seeds, experiment.head.dropout, experiment.control) == ((7,), 0, "full")
    assert list(experiment.scenarios) == ["nothing", "heads", "full"]
    assert [stage.epochs for stage in experiment.scenarios["heads"]] == [9]


def test_extends_reaches_over_several_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "base.yaml").write_text(FILE)
    (tmp_path / "sub" / "middle.yaml").write_text("extends: ../base.yaml\nbatch_size: 16\n")
    experiment = read(tmp_path, "extends: sub/middle.yaml\nselect: last\n")
    assert (experiment.batch_size, experiment.select, experiment.question) == (
        16,
        "last",
        "Which parts?",
    )


def test_a_file_does_not_take_the_name_or_the_output_of_the_one_it_extends(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(FILE + "name: base\noutput: reports/base\n")
    experiment = read(tmp_path, "extends: base.yaml\n")
    assert (experiment.name, str(experiment.output)) == ("exp", "reports/exp")


def test_the_short_form_of_the_encoder_can_be_laid_over(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(FILE)
    encoder = read(tmp_path, "extends: base.yaml\nencoder: {revision: abc}\n").encoder
    assert (encoder.name, encoder.revision) == ("minilm", "abc")


# overrides


@pytest.mark.parametrize(
    ("overrides", "path", "value"),
    [
        ({"data.source": ["a b"]}, "data.source", "a b"),
        ({"data.train_size": ["100"]}, "data.train_size", 100),
        ({"seeds": ["3"]}, "seeds", (3,)),
        ({"seeds": ["3", "4"]}, "seeds", (3, 4)),
        ({"seeds": ["[3, 4]"]}, "seeds", (3, 4)),
        ({"seeds.1": ["9"]}, "seeds", (0, 9, 2)),
        ({"optimizer.weight_decay": ["1e-5"]}, "optimizer.weight_decay", 1e-5),
        ({"encoder": ["roberta-base"]}, "encoder.name", "roberta-base"),
        ({"encoder.revision": ["abc"]}, "encoder.revision", "abc"),
        ({"encoder.revision": ["abc"]}, "encoder.name", "minilm"),
        ({"control": ["null"]}, "control", None),
        ({"question": ["Why: because # so"]}, "question", "Why: because # so"),
        ({"question": ["*.jsonl"]}, "question", "*.jsonl"),
        ({"question": ["2024-01-01"]}, "question", "2024-01-01"),
        ({"question": ['"1e5"']}, "question", "1e5"),
        ({"data.columns.text": ["NA"]}, "data.columns", {"text": "NA"}),
        ({"scenarios.heads.0.epochs": ["7"]}, "scenarios.heads.0.epochs", 7),
        ({"scenarios.full.1.losses": ["classifier"]}, "scenarios.full.1.losses", ("classifier",)),
        (
            {"scenarios.full.1.train.head.ner": ["2e-3"]},
            "scenarios.full.1.train",
            {"encoder": 5e-5, "head.ner": 2e-3},
        ),
        (
            {"scenarios.full.1.train.layers[-1/3:]": ["1e-4"]},
            "scenarios.full.1.train.layers[-1/3:]",
            1e-4,
        ),
        ({"scenarios.new": ["[{epochs: 0}]"]}, "scenarios.new.0.epochs", 0),
        ({"sweep.data.train_size": ["100", "full"]}, "sweep", {"data.train_size": (100, "full")}),
        ({"sweep.batch_size": ["8"]}, "sweep", {"batch_size": (8,)}),
    ],
)
def test_any_key_can_be_overridden(
    tmp_path: Path, overrides: Overrides, path: str, value: Any
) -> None:
    found: Any = read(tmp_path, FILE, overrides)
    for part in path.split("."):
        known = (
            found.get(part)
            if isinstance(found, dict)
            else found[int(part)]
            if isinstance(found, tuple)
            else getattr(found, part)
        )
        found = known
    assert found == value


def test_several_overrides_apply_together(tmp_path: Path) -> None:
    experiment = read(
        tmp_path,
        FILE,
        {"seeds": ["5"], "scenarios": ["heads", "full"], "scenarios.heads.0.epochs": ["3"]},
    )
    assert experiment.seeds == (5,)
    assert list(experiment.scenarios) == ["heads", "full"]
    assert experiment.scenarios["heads"][0].epochs == 3


def test_scenarios_are_chosen_in_the_order_given_and_the_control_stays_if_chosen(
    tmp_path: Path,
) -> None:
    chosen = read(tmp_path, FILE, {"scenarios": ["full", "nothing"]})
    assert (list(chosen.scenarios), chosen.control) == (["full", "nothing"], "full")
    assert read(tmp_path, FILE, {"scenarios": ["nothing"]}).control is None


def test_data_may_come_from_the_command_line_alone(tmp_path: Path) -> None:
    for text in (
        FILE.replace("data: {source: here}\n", ""),
        FILE.replace("data: {source: here}", "data:"),
    ):
        assert read(tmp_path, text, {"data.source": ["there"]}).data.source == "there"
    two = read(
        tmp_path,
        FILE.replace("data: {source: here}\n", ""),
        {"data.classifier.source": ["a"], "data.ner.source": ["b"]},
    )
    assert two.data.classifier and two.data.ner
    assert (two.data.classifier.source, two.data.ner.source) == ("a", "b")


# sweeps and trials

SWEEP = (
    FILE
    + "sweep:\n  data.train_size: [100, full]\n  scenarios.heads.0.train.heads: [1.0e-2, 1.0e-3]\n"
)


def test_points_are_all_combinations_of_the_swept_values(tmp_path: Path) -> None:
    keys = ("data.train_size", "scenarios.heads.0.train.heads")
    values = [(100, 1e-2), (100, 1e-3), ("full", 1e-2), ("full", 1e-3)]
    assert read(tmp_path, SWEEP).points == tuple(
        tuple(zip(keys, pair, strict=True)) for pair in values
    )
    assert read(tmp_path).points == ((),)


def test_at_a_point_the_swept_keys_have_its_values_and_nothing_is_swept(tmp_path: Path) -> None:
    experiment = read(tmp_path, SWEEP)
    point = (("data.train_size", 100), ("scenarios.heads.0.train.heads", 1e-2))
    at = experiment.at(point)
    assert (at.data.train_size, at.data.source, at.scenarios["heads"][0].train, at.sweep) == (
        100,
        "here",
        {"heads": 1e-2},
        {},
    )
    assert (
        not at.keeps_weights and not experiment.keeps_weights
    )  # at any point of a sweep, unless asked for
    same = ("data", "scenarios", "sweep", "keep_weights")
    assert at.model_copy(update={name: getattr(experiment, name) for name in same}) == experiment
    assert (experiment.data.train_size, experiment.scenarios["heads"][0].train) == (
        "full",
        {"heads": 1e-3},
    )  # untouched


SETTINGS = """settings:
  data.train_size: [100, full, full]
  scenarios.heads.0.train.heads: [1.0e-2, 1.0e-3, 5.0e-4]
  scenarios.heads.0.epochs: [7, 8, 9]
"""


def test_settings_go_together_and_are_told_by_number(tmp_path: Path) -> None:
    experiment = read(tmp_path, FILE + SETTINGS)
    sizes = [100, "full", "full"]
    assert experiment.points == tuple(
        (("setting", at), ("data.train_size", size)) for at, size in enumerate(sizes, start=1)
    )
    last = experiment.at(experiment.points[2])
    stage = last.scenarios["heads"][0]
    assert (last.data.train_size, stage.train, stage.epochs) == ("full", {"heads": 5e-4}, 9)
    assert (last.settings, last.points) == ({}, ((),))


def test_settings_of_scenarios_alone_are_only_a_number(tmp_path: Path) -> None:
    assert read(tmp_path, FILE + "settings: {scenarios.heads.0.epochs: [1, 2]}\n").points == (
        (("setting", 1),),
        (("setting", 2),),
    )


def test_a_sweep_meets_every_setting(tmp_path: Path) -> None:
    experiment = read(
        tmp_path,
        FILE + "sweep: {batch_size: [8, 16]}\nsettings: {scenarios.heads.0.epochs: [1, 2]}\n",
    )
    assert len(experiment.points) == 4
    made = [experiment.at(point) for point in experiment.points]
    assert [(one.batch_size, one.scenarios["heads"][0].epochs) for one in made] == [
        (8, 1),
        (8, 2),
        (16, 1),
        (16, 2),
    ]


def test_at_the_only_point_of_no_sweep_nothing_changes(tmp_path: Path) -> None:
    experiment = read(tmp_path)
    assert experiment.at(()) == experiment


def test_encoders_can_be_swept_in_either_form(tmp_path: Path) -> None:
    experiment = read(
        tmp_path, FILE + "sweep: {encoder: [minilm, {name: roberta-base, revision: abc}]}\n"
    )
    assert [experiment.at(point).encoder.name for point in experiment.points] == [
        "minilm",
        "roberta-base",
    ]


def test_trials_are_scenarios_times_seeds_times_points(tmp_path: Path) -> None:
    experiment = read(tmp_path, SWEEP)
    trials = experiment.trials()
    assert len(trials) == len(set(trials)) == 3 * 3 * 4
    assert set(trials) == {
        Trial(name, seed, point)
        for name in experiment.scenarios
        for seed in (0, 1, 2)
        for point in experiment.points
    }


def test_each_scenario_stands_in_each_position_equally_often(tmp_path: Path) -> None:
    trials = read(tmp_path).trials()
    rounds = [trials[start : start + 3] for start in range(0, 9, 3)]
    assert [{trial.seed for trial in turn} for turn in rounds] == [{0}, {1}, {2}]
    for position in range(3):
        assert {turn[position].scenario for turn in rounds} == {"nothing", "heads", "full"}


def test_a_label_is_a_plain_name_whatever_was_swept() -> None:
    label = Trial(
        "heads", 3, (("data.source", "../x/y z"), ("encoder", {"name": "<b>"}), ("train_size", 100))
    ).label
    assert label == "heads-seed3-.._x_y_z-_name_b_-100"
    assert "/" not in label
    assert len(Trial("heads", 0, (("question", "x" * 300),)).label) < 60


def test_content_keys_depend_on_content_alone() -> None:
    assert content_key({"a": 1, "b": [2]}) == content_key({"b": [2], "a": 1})
    assert (
        len(
            {
                content_key(1),
                content_key("1"),
                content_key(1, 2),
                content_key([1, 2]),
                content_key(),
            }
        )
        == 5
    )


def test_an_experiment_cannot_be_changed(tmp_path: Path) -> None:
    experiment = read(tmp_path)
    with pytest.raises(ValueError, match="frozen"):
        experiment.batch_size = 8  # type: ignore[misc]


DATA: tuple[Overrides, ...] = (
    {},
    {"data.source": ["x"]},
    {"data.classifier.source": ["x"], "data.ner.source": ["y"]},
    {"data.source": ["x"], "start.data.source": ["x"]},
    {name: ["x"] for name in ("data.source", "also_test.science.source", "also_test.music.source")},
)


def load_with_any_data(file: Path) -> Experiment:
    """Some shipped files leave their data to the command line."""
    for overrides in DATA:
        try:
            return load(file, overrides)
        except UserError as error:
            problem = error
    raise problem


def test_shipped_experiments_load_and_their_control_is_one_of_theirs() -> None:
    files = sorted((Path(__file__).parents[2] / "experiments").rglob("*.yaml"))
    assert files
    for file in files:
        if file.name == colours.FILE:
            continue
        experiment = load_with_any_data(file)
        assert experiment.control in experiment.scenarios, file


def test_what_is_varied_of_scenarios_that_are_not_run_is_left_out(tmp_path: Path) -> None:
    varied = (
        FILE + "settings:\n  scenarios.heads.0.epochs: [1, 2]\n  scenarios.full.0.epochs: [3, 4]\n"
    )
    assert list(read(tmp_path, varied, {"scenarios": ["full"]}).settings) == [
        "scenarios.full.0.epochs"
    ]
    with pytest.raises(UserError, match="there is no 'fulll' to set"):
        read(
            tmp_path, varied.replace("scenarios.full.", "scenarios.fulll."), {"scenarios": ["full"]}
        )


def test_null_takes_an_inherited_scenario_out(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(
        "data: {source: x}\nscenarios:\n  one: [{epochs: 0}]\n  two: [{epochs: 0}]\n"
    )
    (tmp_path / "child.yaml").write_text(
        "extends: base.yaml\nscenarios:\n  one: null\n  three: [{epochs: 0}]\n"
    )
    assert list(load(tmp_path / "child.yaml").scenarios) == ["two", "three"]


def test_a_sweep_over_one_of_two_sources_does_not_stop_what_needs_no_data(tmp_path: Path) -> None:
    file = FILE.replace(
        "data: {source: here}", "data: {classifier: {source: here}, ner: {source: there}}"
    )
    assert file != FILE
    (tmp_path / "two.yaml").write_text(file + "sweep: {data.classifier.subset: [a, b]}\n")
    assert (
        len(load(tmp_path / "two.yaml", with_data=False).points)
        == len(load(tmp_path / "two.yaml").points)
        == 2
    )
