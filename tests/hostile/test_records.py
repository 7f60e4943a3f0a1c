"""Records, caches and links that somebody else left in an output folder: told in one line, set
aside, or read as what they are."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mtlab.cli import main
from mtlab.train.cache import spill
from tests.conftest import EXPERIMENT as TINY
from tests.hostile import attacks
from tests.hostile.conftest import Run
from tests.report import factory

EXPERIMENT = "scenarios: {full_finetune: [{epochs: 1, train: {all: 1.0e-4}}]}\n"


@pytest.fixture
def report(tmp_path: Path) -> tuple[Path, Path]:
    """An experiment file, and the folder with the records of two trials."""
    (tmp_path / "exp.yaml").write_text(EXPERIMENT)
    trials = [factory.trial(name, 0) for name in ("backbone_frozen", "full_finetune")]
    folder = factory.journal(tmp_path / "out", factory.suite(trials, seeds=1), trials)
    return tmp_path / "exp.yaml", folder


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    fields = json.loads(path.read_text())
    change(fields)
    path.write_text(json.dumps(fields))


DAMAGED: dict[str, bytes] = {
    "empty": b"",
    "no text": b"\xff\xfe\x00",
    "null": b"null",
    "a list": b"[]",
    "a number": b"1e999",
    "half": b'{"format": 1,',
    "another format": b'{"format": 2}',
    "nothing in it": b'{"format": 1}',
    "more in it": b'{"format": 1, "__class__": "os.system"}',
}


@pytest.mark.parametrize("which", ["suite.json", "records"])
@pytest.mark.parametrize("content", [*DAMAGED.values(), None], ids=[*DAMAGED, "a pickle"])
def test_damaged_records_are_one_line(
    content: bytes | None,
    which: str,
    report: tuple[Path, Path],
    marker: Path,
    run: Run,
    no_figures: None,
) -> None:
    file, folder = report
    path = folder / which if which == "suite.json" else next((folder / which).iterdir())
    path.write_bytes(attacks.pickled(marker) if content is None else content)
    status, line = run("report", file, "--output", folder)
    assert status == 2 and line.startswith(str(path))


SUITES: dict[str, Callable[[dict[str, Any]], object]] = {
    "scenarios that are a number": lambda suite: suite["experiment"].update(scenarios=5),
    "seeds that are text": lambda suite: suite["experiment"].update(seeds={"a": 1}, scenarios=None),
    "a sweep that is a list": lambda suite: suite["experiment"].update(sweep=["x"]),
    "settings of two lengths": lambda suite: suite["experiment"].update(
        settings={"batch_size": [1, 2], "max_length": [8]}
    ),
    "sizes that are a number": lambda suite: suite["data"][""].update(sizes=3),
    "a start past all time": lambda suite: suite.update(started_at=1e300),
    "no start at all": lambda suite: suite.update(started_at=None),
    "trials that are a number": lambda suite: suite.update(trials=7),
}


@pytest.mark.parametrize("change", SUITES.values(), ids=SUITES)
def test_a_suite_that_makes_no_sense_is_one_line(
    change: Callable[[dict[str, Any]], object],
    report: tuple[Path, Path],
    run: Run,
    no_figures: None,
) -> None:
    file, folder = report
    changed(folder / "suite.json", change)
    status, line = run("report", file, "--output", folder)
    assert status == 2 and line.startswith(str(folder))
    assert run("claims", folder.parent)[0] in (0, 2)


RECORDS: dict[str, Callable[[dict[str, Any]], object]] = {
    "no stage": lambda record: record.update(stages=[]),
    "no epoch": lambda record: record.update(epochs=[]),
    "fewer sentences": lambda record: record["contributions"].update(
        by_task={
            "classifier": {"right": "1 0 1"},
            "ner": {"right": "1", "predicted": "1", "gold": "1"},
        }
    ),
    "a decision of no kind": lambda record: record.update(
        ledger=[
            {
                "stage": 0,
                "epoch": 9,
                "task": "<b>",
                "action": "rm -rf",
                "value": None,
                "best": None,
                "best_epoch": None,
                "waited": 1,
            }
        ]
    ),
}


@pytest.mark.parametrize("change", RECORDS.values(), ids=RECORDS)
def test_records_that_contradict_each_other_are_one_line_or_a_report(
    change: Callable[[dict[str, Any]], object],
    report: tuple[Path, Path],
    run: Run,
    no_figures: None,
) -> None:
    file, folder = report
    for path in (folder / "records").iterdir():
        changed(path, change)
    assert run("report", file, "--output", folder)[0] in (0, 2)


def test_paths_in_records_lead_nowhere(
    report: tuple[Path, Path], run: Run, no_figures: None
) -> None:
    file, folder = report
    (folder.parent / "x.json").write_text("{}")
    suite = json.loads((folder / "suite.json").read_text())
    elsewhere = {"name": "../../x", "output": "/etc", "control": "../x", "encoder": "/dev/zero"}
    suite["experiment"].update(elsewhere, scenarios={"../../x": []})
    suite.update(
        trials=["../../x", "/etc/passwd", *suite["trials"]],
        starts=["../x"],
        tracking={"uri": "file:///etc/x"},
    )
    (folder / "suite.json").write_text(json.dumps(suite))
    for path in (folder / "records").iterdir():
        changed(
            path,
            lambda record: record.update(
                scenario="../../x", point={"data.source": "../../../etc/x"}
            ),
        )
        path.with_name("..-" + path.name).write_bytes(path.read_bytes())
    before = attacks.contents(folder.parent)
    assert run("report", file, "--output", folder)[0] == 0
    after = attacks.contents(folder.parent)
    written = {name for name in after if after[name] != before.get(name)}
    assert written == {"out/report.md", "out/report.html", "out/trials.csv"}


def test_arrays_and_pickles_beside_the_records_are_not_read(
    report: tuple[Path, Path], marker: Path, run: Run, no_figures: None
) -> None:
    file, folder = report
    for name in (
        "suite.pkl",
        "records/x.pkl",
        "predictions/x.pkl",
        "cache/x.pt",
        "plots/x.py",
        "sitecustomize.py",
    ):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(
            attacks.code(marker).encode() if path.suffix == ".py" else attacks.pickled(marker)
        )
    attacks.object_arrays(folder / "records" / "x.npz", marker)
    assert run("report", file, "--output", folder)[0] == 0


def test_links_in_an_output_folder_are_replaced_and_not_followed(
    report: tuple[Path, Path], run: Run, no_figures: None
) -> None:
    file, folder = report
    precious = folder.parent / "precious"
    precious.mkdir()
    for name in ("report.md", "report.html", "trials.csv", "claims.md", "figure.png"):
        (precious / name).write_text("mine")
    (folder / "plots").mkdir()
    for name in ("report.md", "report.html", "trials.csv"):
        (folder / name).symlink_to(precious / name)
    (folder / "plots" / "parameters.png").symlink_to(precious / "figure.png")
    (folder.parent / "claims.md").symlink_to(precious / "claims.md")
    before = attacks.contents(precious)
    assert run("report", file, "--output", folder)[0] == 0
    assert run("claims", folder.parent)[0] == 0
    assert attacks.contents(precious) == before
    assert (
        not (folder / "report.md").is_symlink()
        and not (folder / "report.html").is_symlink()
        and not (folder.parent / "claims.md").is_symlink()
    )


def test_figures_are_not_deleted_where_a_link_leads(report: tuple[Path, Path], run: Run) -> None:
    file, folder = report
    pictures = folder.parent / "pictures"
    pictures.mkdir()
    (pictures / "holiday.png").write_bytes(b"mine")
    (folder / "plots").symlink_to(pictures)
    assert run("report", file, "--output", folder) == (
        2,
        f"{folder}/plots: a link, and files would be deleted where it leads; remove it",
    )
    assert [path.name for path in pictures.iterdir()] == ["holiday.png"]


def test_an_output_folder_that_is_a_link_is_written_where_it_leads_and_nowhere_else(
    report: tuple[Path, Path], run: Run, no_figures: None
) -> None:
    file, folder = report
    folder.rename(folder.parent / "elsewhere")
    folder.symlink_to(folder.parent / "elsewhere")
    before = attacks.contents(folder.parent)
    assert run("report", file, "--output", folder)[0] == 0
    after = attacks.contents(folder.parent)
    written = {name for name in after if after[name] != before.get(name)}
    assert written == {"elsewhere/report.md", "elsewhere/report.html", "elsewhere/trials.csv"}


STATES = torch.arange(12.0).view(3, 4)
LABELS: dict[str, Any] = {
    "no shape": {"dtype": "float32"},
    "a shape that is text": {"shape": "ab", "dtype": "float32"},
    "a shape past all": {"shape": [2**62, 2**62], "dtype": "float32"},
    "a negative shape": {"shape": [-3, -4], "dtype": "float32"},
    "a function for a dtype": {"shape": [3, 4], "dtype": "load"},
    "a module for a dtype": {"shape": [3, 4], "dtype": "hub"},
    "a path for a dtype": {"shape": [3, 4], "dtype": "../../x"},
    "a private dtype": {"shape": [3, 4], "dtype": "__import__"},
    "a number for a dtype": {"shape": [3, 4], "dtype": 7},
    "a list": [],
}


@pytest.mark.parametrize("said", LABELS.values(), ids=LABELS)
def test_cached_states_with_another_label_are_set_aside(said: Any, tmp_path: Path) -> None:
    mapped = spill.make(tmp_path, "states", (3, 4), torch.float32)
    mapped.flat.copy_(STATES)
    spill.seal(tmp_path, "states", mapped, spill.Pass("p", 1.0))
    told: list[str] = []
    assert torch.equal(spill.find(tmp_path, "states", told.append).flat, STATES) and not told
    sealed = json.loads((tmp_path / "states.json").read_text())
    (tmp_path / "states.json").write_text(
        json.dumps({"sha256": sealed["sha256"], **said} if isinstance(said, dict) else said)
    )
    assert spill.find(tmp_path, "states", told.append) is None
    assert len(told) == 1 and "it is computed again" in told[0]


def test_pickles_in_the_cache_and_for_checkpoints_are_set_aside(
    tmp_path: Path,
    encoder: Path,
    data: Path,
    tracking: str,
    marker: Path,
    capsys: pytest.CaptureFixture[str],
    no_figures: None,
) -> None:
    head = (
        TINY.partition("scenarios:")[0]
        .format(encoder=encoder, data=data)
        .replace("control: full\n", "")
        .replace("[0, 1]", "[0]")
    )
    start = f"start: {{data: {{source: {data}, max_duplicates: 1.0}}, stages: [{{epochs: 1, train: {{heads: 1.0e-2}}}}]}}\n"
    (tmp_path / "exp.yaml").write_text(
        head
        + start
        + "scenarios: {heads: [{epochs: 1, losses: [ner], train: {head.ner: 1.0e-2}}]}\n"
    )
    command = [
        "compare",
        str(tmp_path / "exp.yaml"),
        "--output",
        "out",
        "--cache.memory_limit_mb",
        "0",
    ]
    assert main(command) == 0
    for path in [*Path("out", "cache").glob("*.bin"), *Path("out", "checkpoints").iterdir()]:
        size = path.stat().st_size
        path.write_bytes(attacks.pickled(marker).ljust(size, b"\0")[:size])
    shutil.rmtree(Path("out", "predictions"))
    capsys.readouterr()
    assert main([*command, "--scenarios.heads.0.name", "again"]) == 0
    said = capsys.readouterr().out
    assert "cannot be read; the checkpoint is trained again" in said
    assert "is not what was written (its bytes are others); it is computed again" in said
