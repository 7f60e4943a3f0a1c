"""A run's answer as it is committed: light, whole, and the source of every later report."""

import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from mtlab.cli import main
from mtlab.plan.errors import UserError
from mtlab.record import archive
from mtlab.record.journal import Journal
from mtlab.report import gallery, publish
from mtlab.report.claims import verdicts
from mtlab.report.comparison.groups import groups
from mtlab.report.figures import scores
from mtlab.report.sections.telling import most_telling

from . import factory, test_forgetting
from .test_document import contents

FILES = {"report.md", "trials.csv", "suite.json", archive.NAME}


@pytest.fixture
def few_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        scores,
        "FIGURES",
        {kind: scores.FIGURES[kind] for kind in ("decision", "time_by_lap")},
    )


def with_steps(trials: list) -> list:
    return [
        trial.model_copy(update={"step_losses": {"total": (0.5, None), "ner": (0.25, None)}})
        for trial in trials
    ]


def run(folder: Path, trials: list, **changes) -> Path:
    """The output of a run, with what a run leaves behind beside its records."""
    output = factory.journal(
        folder / "reports" / "mine", factory.suite(trials, 2, **changes), trials
    )
    for name in (
        "predictions/x.jsonl",
        "weights/x.safetensors",
        "checkpoints/x.safetensors",
        "running.json",
    ):
        (output / name).parent.mkdir(exist_ok=True)
        (output / name).write_text("large")
    return output


def test_an_answer_is_its_report_its_records_and_the_figure_that_tells_most(
    tmp_path: Path, few_figures: None, drawn_figures: None
) -> None:
    trials = with_steps(factory.all_trials(2))
    done = publish.publish(run(tmp_path, trials))
    folder = tmp_path / "reports" / "published" / "mine"
    assert done == publish.Published(folder / "report.md", tmp_path / "reports" / "mine", 12, 0)
    written = contents(folder)
    assert set(written) == {*FILES, "plots/decision.png"}
    with Image.open(folder / "plots" / "decision.png") as picture:
        assert (picture.mode, picture.width) == ("P", 1500) and len(picture.getcolors()) <= 64
    links = re.findall(r"\]\(([^)]+)\)", written["report.md"].decode())
    assert sorted(links) == ["plots/decision.png", "trials.csv"]
    assert (
        b"\nmtlab report experiments/freezing.yaml --seeds 0 1 2 --figures all\n"
        in written["report.md"]
    )
    assert Journal(folder).read()[1] == [
        trial.model_copy(update={"step_losses": {}}) for trial in trials
    ]
    publish.publish(tmp_path / "reports" / "mine")
    assert contents(folder) == written


def test_the_archive_alone_gives_the_same_answer_and_the_whole_report_of_the_run(
    tmp_path: Path, few_figures: None, capsys: pytest.CaptureFixture[str], experiment_file: Path
) -> None:
    output = run(tmp_path, with_steps(factory.all_trials(2)))
    command = ["report", str(experiment_file), "--output", str(output)]
    publish.publish(output)
    assert main(command) == 0
    whole = {
        name: content
        for name, content in contents(output).items()
        if "report." in name or "plots" in name
    }
    answer = contents(publish.place(output))
    assert "of the published records" not in capsys.readouterr().out

    shutil.rmtree(output)
    done = publish.publish(output)
    assert done.origin == publish.place(output) and contents(publish.place(output)) == answer
    assert main([*command, "--figures", "all"]) == 0
    told, made = capsys.readouterr().out, contents(output)
    assert (
        f"nothing was run in {output}: this report is of the published records in {publish.place(output)}\n"
        in told
    )
    assert {name: made[name] for name in whole} == whole and set(made) - set(whole) == {
        "trials.csv"
    }
    assert contents(publish.place(output)) == answer
    assert main([*command, "--figures", "main"]) == 0
    assert {file.name for file in (output / "plots").iterdir()} == {
        "decision.png",
        "decision.svg",
    }
    assert main([*command, "--figures", "few"]) == 2
    assert "there are no figures 'few'; give one of all, main" in capsys.readouterr().err


def test_figures_of_an_earlier_answer_go_and_other_files_stay(
    tmp_path: Path, few_figures: None
) -> None:
    output = run(tmp_path, factory.all_trials(2))
    (publish.place(output) / "plots").mkdir(parents=True)
    for name in ("plots/settings.png", "plots/settings.svg", "plots/notes.txt"):
        (publish.place(output) / name).write_text("old")
    publish.publish(output)
    assert {path.name for path in (publish.place(output) / "plots").iterdir()} == {
        "decision.png",
        "notes.txt",
    }


@pytest.mark.parametrize("unfinished", ["the end", "a trial", "a record", "everything"])
def test_a_run_that_is_not_finished_is_refused(
    unfinished: str, tmp_path: Path, few_figures: None
) -> None:
    trials = factory.all_trials(2)
    if unfinished == "a trial":
        trials[3] = trials[3].model_copy(update={"status": "selected"})
    output = run(tmp_path, trials, **({"elapsed_s": None} if unfinished == "the end" else {}))
    if unfinished == "a record":
        next((output / "records").iterdir()).unlink()
    if unfinished == "everything":
        shutil.rmtree(output)
    ended = 12 if unfinished == "the end" else 11
    refused = (
        f"the run is not finished, {ended} of 12 trials ended; let `mtlab compare` finish it first"
    )
    with pytest.raises(
        UserError, match="nothing was run here yet" if unfinished == "everything" else refused
    ):
        publish.publish(output)
    assert not publish.place(output).exists()


def test_a_run_under_way_is_not_published(tmp_path: Path) -> None:
    output = run(tmp_path, factory.all_trials(2))
    with (
        Journal(output).held("mtlab compare"),
        pytest.raises(UserError, match="is in use by process"),
    ):
        publish.publish(output)


def test_failed_trials_are_published_and_told(
    tmp_path: Path, few_figures: None, capsys: pytest.CaptureFixture[str], experiment_file: Path
) -> None:
    trials = factory.all_trials(2)
    trials[3] = factory.trial(trials[3].scenario, trials[3].seed, status="out of memory")
    output = run(tmp_path, trials)
    assert main(["publish", str(experiment_file), "--output", str(output)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said == [
        "1 of 12 trials failed, and the report says which",
        f"published: {publish.place(output)}/report.md, from the records in {output}",
    ]
    assert "out of memory" in (publish.place(output) / "report.md").read_text()


def test_records_of_what_trials_started_from_are_kept(tmp_path: Path, few_figures: None) -> None:
    record, trials = test_forgetting.ran()
    first = factory.trial("full_finetune", 7).model_copy(update={"scenario": "start"})
    trials = [trial.model_copy(update={"start": first.key}) for trial in trials]
    output = factory.journal(tmp_path / "mine", record, [*trials, first])
    publish.publish(output)
    kept = archive.unpacked(publish.place(output) / archive.NAME)
    assert [trial.key for trial in kept] == [*(trial.key for trial in trials), first.key]
    assert {path.stem for path in (publish.place(output) / "plots").iterdir()} == {
        "decision",
        "kept_and_learnt",
    }


def test_the_figures_are_of_what_the_experiment_asks() -> None:
    trials = [
        trial for size in (100, 300) for trial in factory.all_trials(2, {"data.train_size": size})
    ]
    data = {f"data.train_size = {size}": {"sizes": {"train": size}} for size in (100, 300)}
    found = groups(
        factory.suite(trials, 2, sweep={"data.train_size": [100, 300]}, data=data), trials
    )
    assert most_telling(found, found[1], "-2") == ["decision-2", "quality_vs_data"]
    plain = groups(factory.suite(factory.all_trials(2), 2, control=None), factory.all_trials(2))
    assert most_telling(plain, plain[0], "") == ["decision", "learning_curves"]
    failed = [factory.trial("full_finetune", 0, status="out of memory")]
    nothing = groups(factory.suite(failed, 1), failed)
    assert most_telling(nothing, nothing[0], "") == []


def test_pages_of_several_reports_are_of_published_ones_where_there_are_some(
    tmp_path: Path, few_figures: None
) -> None:
    output = run(tmp_path, factory.all_trials(2))
    reports = output.parent
    assert "[mine](mine/report.md)" in verdicts.write_page(reports).read_text()
    publish.publish(output)
    factory.journal(
        reports / "other", factory.suite(factory.all_trials(2), 2), factory.all_trials(2)
    )
    assert "[mine](published/mine/report.md)" in verdicts.write_page(reports).read_text()
    page = gallery.write_page(reports).read_text()
    assert (
        "## [mine](published/mine/report.md)" in page
        and "(published/mine/plots/decision.png)" in page
    )
    assert "[other]" not in page
