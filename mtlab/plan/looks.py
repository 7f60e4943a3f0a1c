"""Seeds that are added look by look, until every scenario is decided."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator

from mtlab.plan.errors import code_of, mistake, plainly
from mtlab.plan.values import Count, Strict

FEWEST, MOST = 2, 10_000
"""The fewest and most seeds of a look: fewer allow no comparison, and more are likely a typing
error."""

PILOT = 1
"""The number of seeds of a pilot."""

ANY_LOSS = 1.0
"""A task with this margin, or a larger one, does not count."""

SAVES = 0.05
"""A scenario that saves at most this share of the control's computing is not tried in a pilot: even
if it were as good, the gain would be small."""

Look = Annotated[Count, Field(ge=FEWEST, le=MOST)]


class Looks(Strict):
    """Seeds as a file may write them in place of a list: how many there are when trials are looked
    at, and when no more are added.
    """

    looks: tuple[Look, ...]
    """How many seeds there are at each look, increasing; the seeds are 0, 1, 2 and so on."""
    stop: Literal["decided", "recommended", "never"] = "decided"
    """``decided``: a scenario runs with more seeds until its comparison with the control is decided.
    ``recommended``: what may be recommended runs with one pilot seed, then one candidate and the
    control run with fresh seeds. ``never``: all scenarios run with the seeds of the last look."""

    @field_validator("looks")
    @classmethod
    def _increasing(cls, looks: tuple[int, ...]) -> tuple[int, ...]:
        if not looks:
            raise mistake("there is no look; give at least one, as in `[2, 3, 5, 8]`", code="empty")
        for index, look in enumerate(looks[1:], start=1):
            if look <= looks[index - 1]:
                raise mistake(
                    f"{look} is not above {looks[index - 1]}; a look has more seeds than the one before it",
                    index,
                    code="out-of-range",
                )
        return looks


def tell_seeds(values: Any) -> Any:
    """The settings of an experiment, with ``seeds`` as a list, and the looks as a setting of their
    own.

    With ``stop: recommended``, the first seed is the pilot seed, and the first look is after it.

    Raises:
        PydanticCustomError: ``seeds`` is a mapping, but not a valid :class:`Looks`.
    """
    if not isinstance(values, dict) or not isinstance(values.get("seeds"), dict):
        return values
    try:
        rule = Looks.model_validate(values["seeds"])
    except ValidationError as error:
        first = error.errors()[0]
        path = (*first["loc"], *first.get("ctx", {}).get("path", ()))
        raise mistake(plainly(first), "seeds", *path, code=code_of(first)) from None
    if rule.stop == "recommended":
        looks = (PILOT, *(PILOT + look for look in rule.looks))
        return {**values, "seeds": tuple(range(looks[-1])), "looks": looks, "pilot": PILOT}
    looks = rule.looks if rule.stop == "decided" else ()
    return {**values, "seeds": tuple(range(rule.looks[-1])), "looks": looks}
