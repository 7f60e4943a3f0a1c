import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from html import unescape
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from matplotlib.image import imread

from mtlab.plan.errors import UserError
from mtlab.report import document
from mtlab.report.comparison.groups import groups
from mtlab.report.faults import TRACEBACK
from mtlab.report.figures import scores
from mtlab.report.figures.canvas import Plot
from mtlab.report.figures.scores import FIGURES
from mtlab.report.sections import body
from tests import figures

from . import factory

PUBLISHED = Path(__file__).parents[2] / "reports" / "published"


def written(directory: Path, trials, **changes) -> str:
    return document.write(
        factory.journal(directory, factory.suite(trials, **changes), trials)
    ).read_text(encoding="utf-8")


def text(trials, **changes) -> str:
    """The report's markdown with figures that were not drawn, which is most of the time."""
    suite = factory.suite(trials, **changes)
    found = groups(suite, trials)
    drawn = [
        {kind: Plot(kind, "what it shows", "A caption.") for kind in FIGURES} if group.tasks else {}
        for group in found
    ]
    return document.document(document.View(suite, found), drawn, {})


def contents(directory: Path) -> dict[str, bytes]:
    found = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    """The folder of a report with its figures."""
    directory = tmp_path_factory.mktemp("report")
    with figures.saved(figures.drawn):
        written(
            directory,
            [*factory.all_trials(2)[:-1], factory.trial("full_finetune", 1, status="crashed")],
            seeds=2,
        )
    return directory


@pytest.mark.process
def test_a_fresh_process_writes_the_same_bytes_and_loads_no_torch(drawn):
    before = contents(drawn)
    code = (
        "import sys, pathlib; from mtlab.report import document; document.write(pathlib.Path(sys.argv[1])); "
        "print(sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(drawn)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert contents(drawn) == before
    assert "'pandas'" in done.stdout
    assert not re.search("'(torch|transformers|mlflow)'", done.stdout)


def test_rebuilding_in_the_same_process_gives_the_same_bytes(drawn, tmp_path, drawn_figures):
    document.write(drawn, tmp_path, "main")
    again, before = contents(tmp_path), contents(drawn)
    figures_again = {name for name in again if name.startswith("plots/")}
    assert len(figures_again) == 4  # the decision and the question, each in two formats
    assert {name: again[name] for name in figures_again | {"trials.csv"}} == {
        name: before[name] for name in figures_again | {"trials.csv"}
    }


def test_every_figure_is_there_in_both_formats(drawn):
    files = contents(drawn)
    kinds = {"decision", "learning_curves", "time_by_lap", "parts_ner"}
    assert {name for name in files if name.startswith("plots/")} == {
        f"plots/{kind}.{end}" for kind in kinds for end in ("svg", "png")
    }
    for path in drawn.glob("plots/*.png"):
        height, width, _ = imread(path).shape
        assert width == 1500 and height > 200  # 10 inches at 150 dpi
    for path in drawn.glob("plots/*.svg"):
        assert (
            ElementTree.parse(path).getroot().tag.endswith("svg")
            and b"<dc:date>" not in path.read_bytes()
        )


def test_links_lead_to_files_and_figures_have_words(drawn):
    files = contents(drawn)
    report = files["report.md"].decode()
    links = re.findall(r"\]\(([^)]+)\)", report)
    assert len(links) == 5 and set(links) < set(files)
    assert all(re.findall(r"!\[([^\]]*)\]", report))


def test_first_screen_is_question_answer_figure_table(trials):
    report = text(trials)
    places = [
        report.index(mark)
        for mark in (
            "# freezing",
            "**Question:**",
            "**Do this:**",
            "*It cannot tell you: ",
            "decision.png",
            "| scenario |",
            "\n## ",
        )
    ]
    assert places == sorted(places)


def test_failed_trials_are_rows_left_out_of_means_and_block_a_recommendation(trials):
    report = text(trials)
    assert "| `ner_head_frozen` | 1 | – | diverged: the loss is inf at step 12 |" in report
    assert "2 of 3 seeds" in report
    scores = [
        trial.test.primary("classifier")
        for trial in trials
        if trial.scenario == "ner_head_frozen" and trial.ok
    ]
    assert len(scores) == 2
    line = next(
        line for line in report.splitlines() if line.startswith("| `ner_head_frozen` | 0.9")
    )
    assert float(line.split("|")[2].split()[0]) == pytest.approx(sum(scores) / 2, abs=0.0006)
    assert "**Do this:** No recommendation: a trial has no result." in report
    assert "**Nothing is recommended:** 1 of 18 trials has no result" in report
    assert "\n## The recommended model\n\nNone: a trial has no result" in report


def test_a_failed_trial_is_in_no_mean_and_no_comparison(trials):
    """Even where it left scores, as one does whose certificate broke at the end."""
    left = factory.trial("ner_head_frozen", 1).model_copy(
        update={"status": "certificate broken", **factory.tested(1.0, 1.0)}
    )
    found = groups(
        factory.suite(trials), [left if trial.key == left.key else trial for trial in trials]
    )[0]
    assert len(found.tasks) == 2
    for task in found.tasks:
        assert found.samples(task)["ner_head_frozen"].keys() == {0, 2}
        assert found.values(task.metric)["ner_head_frozen"].keys() == {0, 2}


def test_a_missing_record_blocks_a_recommendation_and_is_listed():
    trials = factory.all_trials(2)[:-1]
    report = text(trials, seeds=2)
    assert "1 of 12 trials has no result" in report and "left no record" in report


def test_a_report_of_failures_alone_can_be_written():
    report = text(
        [factory.trial(name, 0, status="out of memory") for name in factory.SCENARIOS], seeds=1
    )
    assert report.count("out of memory") == 6 and "![" not in report


def test_what_intervals_cover_and_what_not_is_said(trials):
    assert "cover what other seeds and other test sentences of the same kind would change" in text(
        trials
    )
    assert "do not cover other data" in text(trials)


def test_exact_parameters_entities_in_both_modes_and_costs_are_there(trials):
    report = text(trials)
    assert "| `gradual_unfreeze` | top | 2 | 3,579,657 | 19,020,288 | 22,599,945 | 4 |" in report
    assert (
        "| scenario | entity F1 | entity precision | entity recall | entity F1, strict IOB2 |"
        in report
        and "seqeval's default mode, which is conlleval's" in report
        and "<summary>Entity F1 by entity type</summary>" in report
        and "14 (few)" in report
    )
    assert "14.3%" in report and "The whole suite took 39.1 minutes" in report
    assert "mtlab compare experiments/freezing.yaml --seeds 0 1 2" in report
    assert (
        "trains `layers[4]` to `layers[5]`, `head.classifier`, `head.ner`, freezes `embeddings`, `layers[0]` to `layers[3]`"
        in report
    )


def test_frozen_at_random_is_said_of_heads_alone_that_others_are_trained_around(trials):
    lines = [line for line in text(trials).splitlines() if "*frozen at random*" in line]
    assert [line.split("`")[1] for line in lines] == ["classifier_head_frozen", "ner_head_frozen"]


def test_certificates_are_counted_and_broken_ones_named(trials):
    assert "Frozen units unchanged, bit for bit: **17 of 17** stages." in text(trials)
    victim = next(
        trial for trial in trials if trial.scenario == "backbone_frozen" and trial.seed == 2
    )
    stage = victim.stages[0]
    moved = stage.model_copy(update={"digests_after": stage.digests_after | {"layers[3]": "other"}})
    broken = victim.model_copy(update={"stages": (moved,), "initial_digest": "other"})
    report = text([broken if trial is victim else trial for trial in trials])
    assert "**16 of 17** stages. **Not in:** `backbone_frozen` seed 2, backbone_frozen." in report
    assert "Same starting weights in all scenarios: **2 of 3** seeds. **Not in:** seed 2." in report


def test_points_of_a_sweep_are_grouped():
    points = [{"data.train_size": 100}, {"data.train_size": "full"}]
    trials = [trial for point in points for trial in factory.all_trials(2, point)]
    report = text(trials, seeds=2, sweep={"data.train_size": [100, "full"]})
    assert report.count("### At data.train_size = 100") > 1 and report.count("**Do this:**") == 1
    assert "The figure and the table are at data.train_size = " in report


def test_points_of_a_sweep_have_figures_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(scores, "FIGURES", {"decision": FIGURES["decision"]})
    trials = [factory.trial("backbone_frozen", 0, point={"batch_size": size}) for size in (8, 16)]
    report = written(
        tmp_path,
        trials,
        seeds=1,
        control=None,
        sweep={"batch_size": [8, 16]},
        scenarios={"backbone_frozen": []},
    )
    assert (tmp_path / "plots/decision-1.png").exists()
    assert (tmp_path / "plots/decision-2.svg").exists()
    assert "(plots/decision-1.png)" in report and "(plots/decision-2.png)" in report


HOSTILE = (
    "x|y `z` <script>alert(1)</script>\n\n# h\n![i](http://evil.example/i.png) [l](http://evil.example) <b>&amp; **b** $m$ ``` "
    "www.evil.example"
)


def test_hostile_names_stay_inert():
    trials = []
    for trial in factory.all_trials(2):
        stages = tuple(stage.model_copy(update={"name": HOSTILE}) for stage in trial.stages)
        hostile = factory.with_types(trial, {HOSTILE: factory.entities(0.5, 3)})
        trials.append(hostile.model_copy(update={"stages": stages}))
    trials[0] = trials[0].model_copy(update={"status": "crashed", "reason": HOSTILE})
    facts = {HOSTILE: {HOSTILE: [HOSTILE, 1, None], "notes": [HOSTILE]}}
    report = text(
        trials, seeds=2, name=HOSTILE, question=HOSTILE, command=HOSTILE, data=facts, environment={HOSTILE: HOSTILE},
        encoder={"": {"name": HOSTILE}}, tracking={"uri": HOSTILE},
    )  # fmt: skip
    html = (
        MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(report)
    )
    assert (
        "<script" not in html
        and "<b>" not in html
        and 'evil.example/i.png"' not in html
        and 'href="http' not in html
    )
    assert html.count("<img") == 3 and html.count("<h1>") == 1  # the three figures, the title
    shown = unescape(re.sub("<[^>]*>", "", html))
    whole = " ".join(HOSTILE.split())
    assert shown.count(whole) > 20
    assert (
        shown.count("x|y") == shown.count(whole) + 1
    )  # but for the command, whose lines stay lines, no cell cuts it


def test_a_directory_without_a_run_is_said(tmp_path):
    with pytest.raises(UserError, match="nothing was run here yet"):
        document.write(tmp_path)


def test_a_bug_in_a_report_says_so_and_keeps_its_traceback(tmp_path, monkeypatch):
    def fail(group):
        raise KeyError("steps")

    monkeypatch.setattr(body, "cost", fail)
    monkeypatch.setattr(scores, "FIGURES", {})
    with pytest.raises(UserError, match=r"for a bug in mtlab \(KeyError: 'steps'\); report it"):
        written(tmp_path, factory.all_trials())
    assert "in fail\n" in (tmp_path / TRACEBACK).read_text(encoding="utf-8")


LOOKED_UP = re.compile(r"<details>.*</details>", re.DOTALL)


@pytest.mark.parametrize("name", ["compare", "data_size_snips", "staged_long", "learning_rates"])
def test_what_is_read_of_a_published_report_is_short(name):
    """What is folded is looked up, not read."""
    read = LOOKED_UP.sub("", (PUBLISHED / name / "report.md").read_text(encoding="utf-8"))
    assert len(read.split()) <= 1200


def test_no_verdict_word_of_earlier_scales_is_in_a_published_report():
    old = re.compile(r"\btied?\b|\bundecided\b|not told (from|apart)|\bleads?\b|\bbehind\b")
    for path in sorted(PUBLISHED.glob("*/report.md")):
        found = old.search(path.read_text(encoding="utf-8"))
        assert found is None, (path, found)


def test_what_was_expected_stands_beside_what_came_out() -> None:
    trials = factory.all_trials(3)
    names = list(dict.fromkeys(trial.scenario for trial in trials))
    control = factory.suite(trials).experiment["control"]
    rival = next(name for name in names if name != control)
    said = text(trials, expected={rival: "on a | par", control: "the rest"})
    table = said.partition("## Expected and measured")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    assert [row.split(" | ")[0] for row in rows] == [
        f"| `{name}`" for name in names if name in (rival, control)
    ]
    of_rival = next(row for row in rows if rival in row)
    assert "on a \\| par" in of_rival and re.search(
        r"better|worse|equivalent|unclear|as good", of_rival
    )
    assert "## Expected and measured" not in text(trials)
