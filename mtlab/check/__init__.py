"""What a run would find in one's own data, and the experiment file to start from. Nothing is trained."""

from collections.abc import Mapping, Sequence

from mtlab.check import findings
from mtlab.check.survey import Survey, survey
from mtlab.plan.errors import UserError


def found(given: Sequence[str], overrides: Mapping[str, list[str]]) -> Survey:
    """Look at one source or two, and print what is found.

    Raises:
        UserError: there are mistakes; they are printed.
    """
    made = survey(given, overrides)
    for line in findings.lines(made):
        print(line)
    if made.mistakes:
        count = len(made.mistakes)
        raise UserError("1 mistake, told above" if count == 1 else f"{count:,} mistakes, told above", "correct them, then run this again")
    return made
