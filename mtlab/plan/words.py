"""Numbers and nouns as text for people."""


def counted(number: int, noun: str) -> str:
    """``1 trial``, ``2,000 trials``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def unset(value: object) -> bool:
    """Whether a field has no value, so that it is left out when it is written. So keys and records
    from before the field was added do not change.
    """
    return value in (None, "")


def spanned(fewest: int, most: int, noun: str) -> str:
    """``2 to 8 seeds``; ``5 seeds`` where both are the same."""
    return counted(most, noun) if fewest == most else f"{fewest:,} to {counted(most, noun)}"
