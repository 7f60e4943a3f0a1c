"""The command line. A command imports only what it needs, so that ``--help`` answers at once."""

import argparse
import io
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mtlab import launch
from mtlab.parser import FIGURES, OF_DATA, build, parse_overrides
from mtlab.plan.errors import Busy, UserError, did_you_mean, printable, shown
from mtlab.plan.words import counted

if TYPE_CHECKING:
    from mtlab.plan.given import Given


def main(arguments: list[str] | None = None) -> int:
    """Run a command.

    Returns:
        The exit status: 0 for success, 1 if a trial failed, ``doctor`` found a fault or a process
        of the run was lost, 2 for a mistake of the user, 75 if the command may work later, and 130
        or 143 if a signal stopped it (SIGINT or SIGTERM).
    """
    words = sys.argv[1:] if arguments is None else arguments
    words = [*words[1:2], "--help"] if words[:1] == ["help"] else words
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(
            errors="backslashreplace"
        )  # characters that the terminal cannot show are escaped
    status = _answer(words)
    if status and launch.number() > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # do not wait for other processes of the run
    return status


def _answer(words: list[str]) -> int:
    try:
        return _run(words)
    except UserError as error:
        if launch.leads():  # only the first process prints the error
            print(f"mtlab: {error}", file=sys.stderr)
        return 75 if isinstance(error, Busy) else 2
    except launch.Lost as error:
        print(f"mtlab: process {launch.rank()} ends: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("mtlab: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of the output closed it, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(words: list[str]) -> int:
    parser = build()
    if not words:
        parser.print_help(sys.stderr)
        return 2
    command = parser.commands.get(words[0])
    if command is None and not words[0].startswith("-"):
        raise UserError(
            f"there is no command {shown(words[0])}",
            did_you_mean(words[0], parser.commands),
            code="unknown-command",
        )
    if (
        command is not None
        and command.first
        and words[1:2] != ["--help"]
        and "".join(words[1:2]).startswith("--")
    ):
        raise UserError(
            f"{words[1]} stands before the {command.first.lower()}",
            f"write `mtlab {words[0]} {command.first}`, then settings",
            code="conflict",
        )
    options = parser.parse_args(words)
    if {"-h", "--help"} & set(getattr(options, "overrides", ())):
        parser.parse_args([options.command, "--help"])
    return COMMANDS[options.command](options)


def _compare(options: argparse.Namespace) -> int:
    from mtlab.plan.experiment import load
    from mtlab.plan.given import Given

    experiment = load(options.file, parse_overrides(options.overrides))
    return _run_trials(Given(experiment, (options.file, *options.overrides)))


def _recommend(options: argparse.Namespace) -> int:
    from mtlab import api

    sources, settings = _given(options)
    return _run_trials(api.recommended(sources, parse_overrides(settings)))


def _run_trials(request: "Given") -> int:
    """Run an experiment, and print its verdicts."""
    from mtlab import comparing

    try:
        comparison = comparing.run(request, program=True)
    except comparing.Interrupted as stop:
        return stop.status
    if not launch.leads():
        return 0
    for line in comparison.lines:
        print(line)
    return 1 if comparison.failures else 0


def _plan(options: argparse.Namespace) -> int:
    from mtlab.plan.experiment import load

    experiment = load(options.file, parse_overrides(options.overrides))
    from mtlab import planning

    planning.plan(experiment, print)
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from mtlab.doctor import examine

    return examine.tell(options.file, parse_overrides(options.overrides))


def _completion(options: argparse.Namespace) -> int:
    from mtlab import completion

    print(completion.script(build(list(completion.settings())), options.shell))
    return 0


def _check(options: argparse.Namespace) -> int:
    sources, overrides = _sources(options)
    from mtlab.check.findings import report

    survey = report(sources, overrides)
    command = printable(shlex.join(["mtlab", "init", *_words(options)]))
    print(f"No mistakes. `{command}` writes this file to start from:\n\n{survey.file}", end="")
    return 0


def _init(options: argparse.Namespace) -> int:
    sources, overrides = _sources(options)
    from mtlab.check import starter
    from mtlab.check.findings import report

    path = starter.file_for(sources, overrides.pop("output", [None])[-1])
    starter.write(path, report(sources, overrides).file)
    file = printable(shlex.quote(str(path)))
    print(
        f"No mistakes. Written: {printable(str(path))}\n\nNext\n  mtlab plan {file}\n  mtlab compare {file}"
    )
    return 0


def _sources(options: argparse.Namespace) -> tuple[list[str], dict[str, list[str]]]:
    """The sources of a command, and the settings after them."""
    sources, settings = _given(options)
    count = len(sources)
    if count > 2:
        raise UserError(
            f"{count} sources",
            "give one for all tasks, or two, one for each of two tasks",
            code="too-many-sources",
        )
    overrides = parse_overrides(settings)
    for key in overrides:
        if key.split(".")[0] not in OF_DATA and (options.command, key) != ("init", "output"):
            raise UserError(
                "does not change what is found",
                "set it in the file, or when it runs",
                where=f"--{key}",
                code="no-effect",
            )
    return sources, overrides


def _given(options: argparse.Namespace) -> tuple[list[str], list[str]]:
    """The arguments before the settings, and the arguments that are settings."""
    words = _words(options)
    count = next((index for index, word in enumerate(words) if word.startswith("--")), len(words))
    return words[:count], words[count:]


def _words(options: argparse.Namespace) -> list[str]:
    return [options.first, *options.overrides]


def _report(options: argparse.Namespace) -> int:
    from mtlab.plan.experiment import load

    overrides = parse_overrides(options.overrides)
    chosen = " ".join(overrides.pop("figures", FIGURES[:1]))
    if chosen not in FIGURES:
        raise UserError(
            f"there are no figures {chosen!r}",
            f"give one of {', '.join(FIGURES)}",
            where="--figures",
            code="unknown-value",
        )
    experiment = load(options.file, overrides, with_data=False)
    from mtlab import comparison
    from mtlab.report import publish

    origin = publish.origin(experiment.output)
    if origin != experiment.output:
        print(
            f"nothing was run in {experiment.output}: this report is of the published records in {origin}"
        )
    results = comparison.read(experiment.output)
    print(f"report: {results.write_report('main' if chosen == 'main' else 'all')} and report.html")
    for line in results.lines:
        print(line)
    return 0


def _publish(options: argparse.Namespace) -> int:
    from mtlab.plan.experiment import load
    from mtlab.report import publish

    experiment = load(options.file, parse_overrides(options.overrides), with_data=False)
    done = publish.publish(experiment.output)
    if done.failed:
        print(f"{done.failed} of {counted(done.trials, 'trial')} failed, and the report says which")
    print(f"published: {done.report}, from the records in {done.origin}")
    return 0


def _sync(options: argparse.Namespace) -> int:
    from mtlab.plan.experiment import load

    experiment = load(options.file, parse_overrides(options.overrides), with_data=False)
    from mtlab import comparing
    from mtlab.record.journal import Journal
    from mtlab.record.mlflow import tracking

    journal = Journal(experiment.output)
    journal.read()
    with journal.held(_command(options, "sync")):
        brought, all_runs = tracking.sync(
            experiment.name, journal, lambda: comparing.finish(experiment)
        )
    print(
        f"MLflow has {counted(all_runs, 'run')} of trials, which is all; {brought} of them {'was' if brought == 1 else 'were'} brought now"
    )
    return 0


def _export(options: argparse.Namespace) -> int:
    from mtlab.plan.experiment import load

    overrides = parse_overrides(options.overrides)
    own = {key: " ".join(overrides.pop(key, ())) or None for key in ("scenario", "point", "to")}
    experiment = load(options.file, overrides, with_data=False)
    from mtlab.export import directory

    written = directory.write(
        experiment, Path(own["to"]) if own["to"] else None, own["scenario"], own["point"]
    )
    print(
        f"model: {written.folder}; `mtlab predict {shlex.quote(str(written.folder))} FILE` reads sentences with it"
    )
    print(written.checked)
    return 0


def _predict(options: argparse.Namespace) -> int:
    from mtlab.export import predict

    predict.run(options.model, options.file or predict.STDIN, options.device)
    return 0


def _claims(options: argparse.Namespace) -> int:
    from mtlab.report import gallery
    from mtlab.report.claims import verdicts
    from mtlab.report.pages import guides

    directory = options.directory
    pages = [verdicts.write_page(directory), gallery.write_page(directory)]
    for page in (*pages, *guides.write_pages(directory)):
        print(f"written from the reports: {page}")
    return 0


def _command(options: argparse.Namespace, command: str = "compare") -> str:
    launcher = launch.command() if command == "compare" else []
    return shlex.join([*launcher, "mtlab", command, options.file, *options.overrides])


def _ui(options: argparse.Namespace) -> int:
    from mtlab import ui

    return ui.serve(options.port, options.file)


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "compare": _compare,
    "recommend": _recommend,
    "plan": _plan,
    "doctor": _doctor,
    "report": _report,
    "publish": _publish,
    "sync": _sync,
    "export": _export,
    "predict": _predict,
    "check": _check,
    "init": _init,
    "claims": _claims,
    "ui": _ui,
    "completion": _completion,
}


if __name__ == "__main__":
    sys.exit(main())
