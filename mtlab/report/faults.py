"""What goes wrong while records are turned into words and figures, explain_errors in one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mtlab.plan.errors import UserError


@contextmanager
def explain_errors(directory: Path) -> Iterator[None]:
    """Within, the records of ``directory`` are turned into something.

    Raises:
        UserError: that went wrong, in whatever way.
    """
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        raise UserError(
            f"cannot be written ({error.strerror})",
            "make room, or choose another place",
            where=str(directory),
        ) from error
    except (
        Exception
    ) as error:  # records that were changed by hand may contradict each other anywhere
        problem = f"no report can be made of these records ({type(error).__name__}: {error})"
        raise UserError(
            problem,
            "undo what was changed by hand, or run the experiment again",
            where=str(directory),
        ) from error
