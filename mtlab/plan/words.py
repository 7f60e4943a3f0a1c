"""Words for people."""


def counted(number: int, noun: str) -> str:
    """``1 trial``, ``2,000 trials``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def unset(value: object) -> bool:
    """Whether a field holds nothing, so that what is written leaves it out: keys and records from
    before there was such a field stay as they are.
    """
    return value in (None, "")


def spanned(fewest: int, most: int, noun: str) -> str:
    """``2 to 8 seeds``; ``5 seeds`` where both are the same."""
    return counted(most, noun) if fewest == most else f"{fewest:,} to {counted(most, noun)}"
