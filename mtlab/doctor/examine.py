"""Runs every check of the doctor in turn, and prints each finding at once."""

from collections.abc import Callable, Iterator

from mtlab.doctor import machine, places
from mtlab.doctor.finding import Finding, fault, note, ok
from mtlab.doctor.wanted import DEFAULT, Wanted
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import load
from mtlab.plan.words import counted, spanned

LOOKS: dict[str, Callable[[Wanted], Iterator[Finding]]] = {
    "Python": machine.python,
    "packages": machine.packages,
    "encoder": places.encoder,
    "data": places.data,
    "output": places.output,
    "terminal": machine.terminal,
    "memory": machine.memory,
    "device": machine.computing,
    "tracking": places.tracking,
    "hub": places.hub,
}
"""Topic to its check, in order: quick checks come first."""


def tell(file: str | None, overrides: dict[str, list[str]]) -> int:
    """Print a line for each requirement of a run; nothing is trained, and no file stays on disk.

    Args:
        file: an experiment; None for the built-in encoder and corpus.
        overrides: settings that replace those of the file.

    Returns:
        0 if a run would work, 1 if not.
    """
    faults = notes = 0
    for finding in findings(file, overrides):
        faults += finding.level == "fault"
        notes += finding.level == "note"
        print(finding, flush=True)
    if faults:
        print(f"a run would not go: {counted(faults, 'fault')}")
    else:
        print("a run would go" + (f", with {counted(notes, 'note')}" if notes else ""))
    return 1 if faults else 0


def findings(file: str | None, overrides: dict[str, list[str]]) -> Iterator[Finding]:
    """The findings of each check; a check that fails is a finding too."""
    wanted = Wanted(DEFAULT)
    try:
        if file is not None:
            wanted = Wanted(load(file, overrides))
            experiment, most = wanted.experiment, len(wanted.experiment.trials())
            fewest = most // len(experiment.seeds) * experiment.fewest_seeds
            yield ok(
                "experiment",
                f"{file}: {spanned(fewest, most, 'trial')}; `mtlab plan` says what is trained",
            )
    except UserError as error:
        yield fault("experiment", error)
        yield note(
            "experiment", "what follows is of the default settings", "mend the file, then ask again"
        )
    for topic, look in LOOKS.items():
        try:
            yield from look(wanted)
        except UserError as error:
            yield fault(topic, error)
        except Exception as error:  # its text may hold a secret
            yield note(
                topic,
                f"could not be looked at ({type(error).__name__})",
                "a run may go all the same",
            )
