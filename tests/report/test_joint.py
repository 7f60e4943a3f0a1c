"""Reports of sweeps, of settings and of several depths: what stands across points, in words and
figures."""

import re
from pathlib import Path

import pytest

from mtlab.cli import main
from mtlab.plan.errors import UserError
from mtlab.record.journal import Journal
from mtlab.report import document
from mtlab.report.claims import verdicts
from mtlab.report.comparison.groups import groups
from mtlab.report.figures import curves
from mtlab.report.sections import joint

from . import factory


def report(directory: Path, trials, seeds: int = 3, **changes) -> str:
    scenarios = {trial.scenario: [] for trial in trials}
    suite = factory.suite(trials, seeds, scenarios=scenarios, **changes)
    return document.write(factory.journal(directory, suite, trials)).read_text(encoding="utf-8")


def part(text: str, heading: str) -> str:
    return text.split(f"\n## {heading}\n")[1].split("\n## ", maxsplit=1)[0]


@pytest.fixture(scope="module")
def sizes(tmp_path_factory) -> tuple[Path, str]:
    """Heads lead at 100 sentences and are behind at 1,000; a third point has 1,000 sentences'
    epochs twice over."""
    points = [(100, 6, 0.1), (1000, 6, -0.1), (100, 12, 0.1)]
    trials, data = [], {}
    for number, (size, epochs, lead) in enumerate(points, start=1):
        point = {"setting": number, "data.train_size": size}
        facts = {
            "sizes": {"train": size, "validation": 300, "test": 600},
            "tasks": {"classifier": {"names": ["a", "b"], "summary": "2 labels"}},
            "sources": ["builtin (news)"],
        }
        data[f"setting = {number}, data.train_size = {size}"] = facts
        for seed in range(3):
            for name, score in (("backbone_frozen", 0.6 + lead), ("full_finetune", 0.6)):
                trials.append(
                    factory.trial(
                        name, seed, point=point, scores=(score, score), length=epochs, spread=0.001
                    )
                )
    varied = {
        "data.train_size": [size for size, *_ in points],
        "scenarios.full_finetune.0.epochs": [epochs for _, epochs, _ in points],
    }
    directory = tmp_path_factory.mktemp("sizes")
    return directory, report(directory, trials, settings=varied, data=data)


def test_sizes_stand_before_any_one_of_them(sizes):
    _, text = sizes
    by_size = part(text, "By size of the training data")
    assert "100 sentences" in by_size and "1,000 sentences" in by_size
    assert text.index("## By size") < text.index("### At setting")
    results = text.partition("<summary>Results at the other points</summary>")[2]
    others = re.findall(r"^### At (setting = \d)", results.partition("</details>")[0], re.MULTILINE)
    assert others == ["setting = 1", "setting = 3"], "the second has the most sentences"


def test_the_size_at_which_full_fine_tuning_becomes_better_has_its_differences(sizes):
    directory, _ = sizes
    suite, trials = Journal(directory).read()
    by_size = joint.sizes(groups(suite, trials))
    found = re.search(r"From about ([\d,]+) sentences on (.*), `full_finetune` scores", by_size)
    assert 250 <= int(found[1].replace(",", "")) <= 400  # half way on a logarithmic axis: 316
    assert re.search(r"at 100 \(better\), \S+ .*at 1,000 \(worse\)", by_size)


@pytest.mark.parametrize(
    ("differences", "said"),
    [
        ((-0.1, -0.2), "`full_finetune` scores higher at every size"),
        ((-0.1, 0.1), "`backbone_frozen` scores higher at the largest size"),
    ],
)
def test_without_a_crossing_the_higher_mean_is_named(differences, said):
    trials, data = [], {}
    for size, difference in zip((100, 1000), differences, strict=True):
        point = {"data.train_size": size}
        data[f"data.train_size = {size}"] = {"sizes": {"train": size}}
        trials += [
            factory.trial(name, seed, point=point, scores=(score, score), spread=0.001)
            for name, score in (("backbone_frozen", 0.6 + difference), ("full_finetune", 0.6))
            for seed in range(3)
        ]
    scenarios = {trial.scenario: [] for trial in trials}
    sweep = {"data.train_size": [100, 1000]}
    suite = factory.suite(trials, 3, scenarios=scenarios, sweep=sweep, data=data)
    assert f"On average, {said}." in joint.sizes(groups(suite, trials))


def test_quality_against_data_is_drawn_once(sizes):
    directory, text = sizes
    assert text.count("plots/quality_vs_data.png") == 1
    assert (directory / "plots" / "quality_vs_data.svg").stat().st_size > 0


@pytest.fixture(scope="module")
def tuned(tmp_path_factory) -> tuple[Path, str]:
    """Three settings: heads gain up to the last, full fine-tuning is best at the second."""
    scores = {"backbone_frozen": [0.4, 0.5, 0.7], "full_finetune": [0.6, 0.9, 0.8]}
    lengths = {"backbone_frozen": [2, 6, 20], "full_finetune": [1, 3, 6]}
    trials = [
        factory.trial(
            name,
            seed,
            point={"setting": at + 1},
            scores=(score, score),
            length=lengths[name][at],
            spread=0.001,
        )
        for name, found in scores.items()
        for at, score in enumerate(found)
        for seed in range(3)
    ]
    varied = {f"scenarios.{name}.0.epochs": found for name, found in lengths.items()}
    directory = tmp_path_factory.mktemp("tuned")
    return directory, report(directory, trials, settings=varied)


def test_each_scenario_is_told_at_its_best_setting(tuned):
    _, text = tuned
    assert "the best of 3 settings, chosen on validation" in text
    assert "# At setting" not in text
    rows = {
        row[1]: row[2]
        for row in re.finditer(r"^\| `(\w+)`(?: \(control\))? \| (0\.\d+) ± ", text, re.MULTILINE)
    }
    assert float(rows["backbone_frozen"]) == pytest.approx(0.7, abs=0.01)
    assert float(rows["full_finetune"]) == pytest.approx(0.9, abs=0.01)


def test_every_setting_and_what_it_sets_is_told(tuned):
    settings = part(tuned[1], "Settings")
    assert [
        line.count("**") for line in settings.splitlines() if line.startswith("| setting = ")
    ] == [0, 2, 2]
    assert "| scenarios.full\\_finetune.0.epochs | 1 | 3 | 6 |" in settings.replace(
        "full_finetune", "full\\_finetune"
    )


@pytest.fixture(scope="module")
def frontier(tmp_path_factory) -> tuple[Path, str]:
    names = ["backbone_frozen", *(f"top_{depth}" for depth in range(1, 7)), "full_finetune"]
    trials = [factory.trial(name, seed) for name in names for seed in range(3)]
    directory = tmp_path_factory.mktemp("frontier")
    return directory, report(directory, trials)


def test_the_fewest_blocks_for_each_share_are_told(frontier):
    directory, text = frontier
    assert len(re.findall(r"\d\d% with \d blocks? \[", text.split("**Answer.**")[0])) >= 4
    assert part(text, "Blocks that train").count("\n| ") >= 8
    assert (directory / "plots" / "quality_vs_blocks.png").exists()


def test_figures_across_points_are_drawn(sizes, tuned, frontier, tmp_path, drawn_figures):
    wanted = {"quality_vs_data", "settings", "quality_vs_blocks"}
    for directory, _ in (sizes, tuned, frontier):
        suite, trials = Journal(directory).read()
        view = document.View(suite, groups(suite, trials))
        curves.write_all(view.groups, view.base, tmp_path, wanted)
    assert {path.stem for path in tmp_path.glob("*.svg")} == wanted


def test_a_plain_comparison_has_none_of_these_parts(tmp_path):
    text = report(tmp_path, factory.all_trials(2), seeds=2)
    assert not re.search(r"^##+ (By size|Blocks that train|Settings|At )", text, re.MULTILINE)


def test_claims_of_several_reports_stand_on_one_page(tmp_path, sizes, frontier, capsys):
    for name, (directory, _) in (("sizes", sizes), ("frontier", frontier)):
        (tmp_path / name).symlink_to(directory)
    assert main(["claims", str(tmp_path)]) == 0
    page = (tmp_path / "claims.md").read_text()
    assert "claims.md" in capsys.readouterr().out
    (ideal,) = [
        fold
        for fold in page.split("<summary>")
        if fold.startswith("Freezing the backbone is ideal")
    ]
    (enough,) = [
        fold for fold in page.split("<summary>") if fold.startswith("The top one to three")
    ]
    assert "[sizes](sizes/report.md)" in ideal and "[frontier](frontier/report.md)" in ideal
    assert "[sizes]" not in enough.split("</details>")[0]


def test_a_folder_without_reports_is_said_to_have_none(tmp_path):
    with pytest.raises(UserError, match="there is no report"):
        verdicts.write_page(tmp_path)
