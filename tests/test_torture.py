"""A short torture: the long one is ``make torture``."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("points", [pytest.param(6, id="short"), pytest.param(200, id="whole", marks=pytest.mark.slow)])
def test_a_suite_that_is_killed_ends_in_the_same_results(points: int) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.torture", "--points", str(points), "--jobs", "2"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"{points} of {points} runs end in the same results" in ran.stdout
