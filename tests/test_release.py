"""What a release needs: one version everywhere, a wheel with all that is read at run time, and a
workflow that tries each Python that mtlab says it takes."""

import re
import tomllib
from fnmatch import fnmatch
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
CHANGES = (ROOT / "CHANGELOG.md").read_text()
WORKFLOW: dict[str, Any] = YAML(typ="safe").load(ROOT / ".github" / "workflows" / "ci.yml")
STEPS = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]


def test_the_version_is_one_everywhere() -> None:
    cited = YAML(typ="safe").load(ROOT / "CITATION.cff")
    newest = re.findall(r"^## (\S+)$", CHANGES, re.MULTILINE)[0]
    assert {PROJECT["project"]["version"], cited["version"], newest} == {newest}
    assert PROJECT["project"]["license"] == cited["license"]


def test_what_is_read_at_run_time_is_in_the_wheel() -> None:
    """Every file beside the code, but for the guide."""
    packages = PROJECT["tool"]["setuptools"]["package-data"]
    patterns = [
        f"{package.replace('.', '/')}/{pattern}"
        for package, of_package in packages.items()
        for pattern in of_package
    ]
    files = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "mtlab").rglob("*")
        if file.is_file() and file.suffix not in (".py", ".pyc")
    }
    packed = {file for file in files if any(fnmatch(file, pattern) for pattern in patterns)}
    assert files - packed == {"mtlab/README.md"}
    assert [
        pattern for pattern in patterns if not any(fnmatch(file, pattern) for file in files)
    ] == []


def test_every_folder_with_code_is_a_package() -> None:
    """Else the wheel would lack it."""
    folders = {file.parent for file in (ROOT / "mtlab").rglob("*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_the_workflow_tries_each_python_that_the_package_names() -> None:
    named = [
        line.rpartition(" ")[2]
        for line in PROJECT["project"]["classifiers"]
        if re.fullmatch(r"Programming Language :: Python :: 3\.\d+", line)
    ]
    assert WORKFLOW["jobs"]["smoke"]["strategy"]["matrix"]["python-version"] == named
    allowed = SpecifierSet(PROJECT["project"]["requires-python"])
    assert all(version in allowed for version in named)
    oldest = int(named[0].partition(".")[2])
    assert f"3.{oldest - 1}" not in allowed


def test_actions_are_pinned_and_what_the_workflow_runs_exists() -> None:
    used = [step["uses"] for step in STEPS if "uses" in step]
    assert [name for name in used if not re.fullmatch(r"actions/[a-z-]+@v\d+", name)] == []
    scripts = {
        script for step in STEPS for script in re.findall(r"(?<!\S)\.ci/\w+", step.get("run", ""))
    }
    assert scripts == {".ci/run", ".ci/smoke"}
    assert [script for script in scripts if not (ROOT / script).stat().st_mode & 0o111] == []


def test_the_list_of_changes_says_each_thing_once() -> None:
    entries = [entry.split() for entry in re.findall(r"^- (.*(?:\n  .*)*)", CHANGES, re.MULTILINE)]
    assert len(entries) > 20
    first = sorted(" ".join(words[:5]).lower() for words in entries)
    assert [one for one, next_one in pairwise(first) if one == next_one] == []
    assert [" ".join(words) for words in entries if len(words) > 70] == []


@pytest.mark.parametrize("page", ["SECURITY.md", "CHANGELOG.md"])
def test_a_page_gives_no_address_that_nobody_reads(page: str) -> None:
    assert re.findall(r"\S+@\S+\.\w+|github\.com/\S*", (ROOT / page).read_text()) == []
