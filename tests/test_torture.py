"""A short torture: the long one is ``make torture``."""

import re
import sys

import pytest

from tests.programs import run

pytestmark = pytest.mark.process


WHOLE: list[str] = []


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(["--boundaries", "3", "--moments", "3"], id="short"),
        pytest.param(WHOLE, id="whole", marks=pytest.mark.nightly),
    ],
)
def test_a_suite_that_is_killed_ends_in_the_same_results(options: list[str]) -> None:
    status, out, err = run(
        [sys.executable, "-m", "tests.torture", "--jobs", "2", *options],
        seconds=900 if options else 4 * 3600,
    )
    assert status == 0, out + err
    right = re.search(r"(\d+) of (\d+) runs end in the same results", out)
    assert right is not None and right[1] == right[2]
    assert int(right[2]) == 6 if options else int(right[2]) > 200
