"""`mtlab recommend` through the command line: a pilot, candidates on fresh seeds, and the answer."""

from pathlib import Path

import pytest

from mtlab.cli import main
from mtlab.plan.experiment import load
from mtlab.record.journal import Journal
from mtlab.report.comparison.groups import groups
from mtlab.report.comparison.winner import winner
from mtlab.train import budget
from mtlab.train.prepare import prepare
from mtlab.train.runtime import resolve
from mtlab.train.worker import Work
from tests import tiny

EXPERIMENT = """\
encoder: {encoder}
data: {{source: {data}, max_duplicates: 1.0}}
batch_size: 8
precision: fp32
device: cpu
control: full
scenarios:
  nothing: [{{epochs: 0}}]
  heads: [{{epochs: 2, train: {{heads: 1.0e-2}}}}]
  same: [{{epochs: 2, train: {{encoder: 1.0e-3, head.ner: 1.0e-2}}}}]
  full: [{{epochs: 2, train: {{encoder: 1.0e-3, heads: 1.0e-2}}}}]
"""
pytestmark = pytest.mark.usefixtures("tracking", "no_figures")


@pytest.fixture
def file(tmp_path: Path, encoder: Path) -> Path:
    tiny.write_data(tmp_path / "data", train=24, validation=16, test=16)
    (tmp_path / "mine.yaml").write_text(EXPERIMENT.format(encoder=encoder, data=tmp_path / "data"))
    return tmp_path / "mine.yaml"


def ran(folder: Path) -> set[str]:
    return {trial.label for trial in Journal(folder).read()[1]}


def test_the_cheapest_good_one_is_recommended_and_the_others_stop(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """With a margin that allows any loss, whatever costs less is good enough."""
    words = ["recommend", str(file), "--margin", "1.5", "--looks", "2", "3"]
    assert main(words) == 0
    out = capsys.readouterr()
    said = out.out + out.err
    suite, trials = Journal(tmp_path / "reports" / "mine").read()
    fresh = {trial.label for trial in trials if trial.seed}
    assert {trial.label for trial in trials if not trial.seed} == {
        "nothing-seed0",
        "heads-seed0",
        "full-seed0",
    }, "one that saves nothing is not tried"
    assert "up to 9 trials" in said, "three of the pilot, and two with three fresh seeds each"
    assert "not tried, for the saving is at most 5%: same" in said
    assert fresh <= {f"{name}-seed{seed}" for name in ("nothing", "full") for seed in (1, 2, 3)}
    (group,) = groups(suite, trials)
    found = winner(group)
    assert found is not None and found.trial.seed > 0
    assert "pilot: best on validation is " in said and "Do this: " in said
    report = (tmp_path / "reports" / "mine" / "report.md").read_text()
    assert "\n## Pilot\n" in report and "test scores are in no comparison" in report
    assert suite.command.startswith("mtlab compare ") and "stop: recommended" in suite.command
    assert main(words) == 0, "again: everything is read back"
    assert ran(tmp_path / "reports" / "mine") == {trial.label for trial in trials}


def test_what_decides_on_the_way_is_tried_though_it_may_save_nothing(
    file: Path, tmp_path: Path
) -> None:
    stage = "  freezing: [{epochs: 3, train: {encoder: 1.0e-3, heads: 1.0e-2}, freeze_when: {}}]\n"
    file.write_text(file.read_text() + stage)
    experiment = load(file, {"seeds.looks": ["2"], "seeds.stop": ["recommended"]})
    runtime = resolve(experiment)
    points, journal = prepare(experiment, runtime), Journal(tmp_path / "out")
    work = Work(experiment, points, runtime, journal, print, print, print)
    assert {name for _, name in budget.not_tried(work)} == {"same"}


def test_without_a_candidate_only_the_pilot_runs(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """A tiny margin on validation leaves nothing that costs less."""
    better = file.read_text().replace(
        "epochs: 2, train: {heads: 1.0e-2}", "epochs: 1, train: {heads: 1.0e-9}"
    )
    file.write_text(better)
    assert main(["recommend", str(file), "--margin", "0.0001"]) == 0
    assert ran(tmp_path / "reports" / "mine") == {
        f"{name}-seed0" for name in ("nothing", "heads", "full")
    }
    said = capsys.readouterr().out
    assert "Do this: " in said and "no cheaper scenario is within the margin" in said
    report = (tmp_path / "reports" / "mine" / "report.md").read_text()
    assert "dropped: loses more than the margin" in report


def test_compare_reads_the_trials_back(file: Path, tmp_path: Path) -> None:
    assert main(["recommend", str(file), "--margin", "1.5", "--looks", "2"]) == 0
    before = {
        trial.label: trial.started_at for trial in Journal(tmp_path / "reports" / "mine").read()[1]
    }
    assert main(["compare", str(file), "--seeds", "0", "1"]) == 0
    _, after = Journal(tmp_path / "reports" / "mine").read()
    assert len(after) == 8
    assert all(before[one.label] == one.started_at for one in after if one.label in before)


@pytest.mark.parametrize(
    ("budget", "looks"),
    [pytest.param("1h", [1, 9], marks=pytest.mark.nightly), ("0.001s", [1, 3])],
)
def test_a_budget_chooses_the_looks_beforehand(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture, budget: str, looks: list[int]
) -> None:
    assert main(["recommend", str(file), "--margin", "1.5", "--budget", budget]) == 0
    suite, _ = Journal(tmp_path / "reports" / "mine").read()
    assert suite.experiment["looks"] == looks
    said = capsys.readouterr().out
    assert "plan: a pilot seed, about " in said
    assert ("fewer seeds show nothing" in said) == (budget == "0.001s")


def test_one_task_may_decide_alone(file: Path, tmp_path: Path) -> None:
    assert main(["recommend", str(file), "--tasks", "ner", "--margin", "0.03", "--looks", "2"]) == 0
    suite, _ = Journal(tmp_path / "reports" / "mine").read()
    assert suite.experiment["margins"] == {"classifier": 1.0, "ner": 0.03}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--tasks", "nerr"], "there is no task 'nerr'"),
        (["--seeds", "0", "1"], "`--looks 3` sets how many fresh ones"),
        (["--looks", "3", "--budget", "1h"], "a budget chooses the number of fresh seeds"),
        (["--looks", "1"], "--seeds.looks.0"),
        (["--budget", "soon"], "'soon' is not a time; write `90s`, `10m` or `1.5h`"),
    ],
)
def test_a_mistake_is_one_line(
    file: Path, words: list[str], said: str, capsys: pytest.CaptureFixture
) -> None:
    assert main(["recommend", str(file), *words]) == 2
    line = capsys.readouterr().err.strip()
    assert said in line and "\n" not in line


def test_ones_own_data_need_no_file(
    tmp_path: Path, encoder: Path, capsys: pytest.CaptureFixture
) -> None:
    tiny.write_data(tmp_path / "texts", train=24, validation=16, test=16)
    words = [
        "recommend",
        "texts",
        "--encoder",
        str(encoder),
        "--data.max_duplicates",
        "1.0",
        "--looks",
        "2",
    ]
    assert main([*words, "--margin", "1.5", "--scenarios", "backbone_frozen", "full_finetune"]) == 0
    assert (tmp_path / "texts.yaml").exists()
    assert "No mistakes. Written: texts.yaml" in capsys.readouterr().out
