"""The command line. Only what a command needs is imported, so that ``--help`` answers at once."""

import argparse
import io
import os
import re
import shlex
import socket
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from mtlab import launch
from mtlab.plan.errors import Busy, UserError, did_you_mean, printable, shown
from mtlab.plan.words import counted

if TYPE_CHECKING:
    from mtlab.plan.experiment import Experiment
    from mtlab.record.tracking import Outcome

OVERRIDES = """
Any key of the file can be set after it; several values make a list:
  --data.source path/to/data   --seeds 0 1 2   --encoder roberta-base   --device cuda
  --scenarios.NAME.0.epochs 3    (numbers index lists)
  --scenarios NAME NAME          (run only these)
  --engine ray   --address auto  (run the trials on a Ray cluster)
"""

SHORT = {"address": "engine.address"}
"""Options that mean a setting of another name."""

SOURCES = """
One source with labels and tags, or two: one for classification and one for NER; which is which is seen from the columns.
What is guessed can be set, and the file then says so:
  --data.columns.label intent   --data.columns.ner_tags tags   --data.columns.text body
  --data.splits.train all.csv   --data.test_fraction 0.2       --encoder roberta-base   --max_length 128
  --data.classifier.columns.label intent   --data.ner.subset english    (of two sources)
"""


EXPORT = """
Of the model itself:
  --scenario NAME        whose; without it, the one that the report says to take home
  --point "KEY = VALUE"  of a sweep, as the report writes it
  --to DIR               the folder to write; without it, models/<experiment>-<scenario>
"""

REPORT = """
Of the report itself:
  --figures all|main     every figure, or the one or two that tell the most; all without it
"""

FIGURES = ("all", "main")

PREDICT = """
FILE may be
  .jsonl .json .csv .tsv .parquet .conll   as in training: `tokens` or `text` in every row; mistakes are the same too
  .txt, or any other name, or -       UTF-8, a sentence a line (brackets mean nothing here); or, where the first line is a JSON
                                      object, an object with `tokens` or `text` on every line. - is standard input
Blank lines are left out. A task that was trained on raw text reads `text`, or where there is none the tokens, joined by blanks. One
that was trained on words reads `tokens`, or where there are none the words that mtlab finds in the text. Places of entities
count in the `text` that is written: the text, or the tokens, joined by blanks, where there are any.
"""

MORE = """
`mtlab help COMMAND` says more of a command. Exit status: 0 done; 1 a trial failed, or the doctor found a fault; 2 a mistake in what
was given; 75 in use or out of reach, and may work later; 130, 143 stopped.
"""

COMPLETION = """
Switch it on for this shell, or in ~/.bashrc or ~/.zshrc for all:
  eval "$(mtlab completion bash)"
"""

OF_DATA = ("data", "data_seed", "encoder", "max_length")
"""Keys of an experiment that change what is found in data."""


class _Parser(argparse.ArgumentParser):
    """Tells a mistake in one line."""

    commands: Mapping[str, "_Parser"] = {}
    """What there is to run."""
    first = ""
    """What the command takes before settings: an experiment FILE, or a SOURCE of data."""

    def error(self, message: str) -> NoReturn:
        message = re.sub(
            r", (\[SOURCE\] )?--KEY VALUE", "", message
        )  # a rest of arguments may be empty, which argparse does not know
        self.exit(2, f"{self.prog}: {message}; see `{self.prog} --help`\n")


class _Version(argparse.Action):
    """Tells the version, which is looked up only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"mtlab {version('mtlab')}")
        parser.exit()


Run = Callable[[argparse.Namespace], int]
Commands: TypeAlias = "argparse._SubParsersAction[_Parser]"


def main(arguments: list[str] | None = None) -> int:
    """Run a command.

    Returns:
        The exit status: 0, 1 where a trial failed or ``doctor`` found a fault, 2 for a mistake in
        what was given, 75 where it may work later, and 130 or 143 when interrupted or asked to end.
    """
    words = sys.argv[1:] if arguments is None else arguments
    words = [*words[1:2], "--help"] if words[:1] == ["help"] else words
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(
            errors="backslashreplace"
        )  # letters that a terminal does not have are spelt out
    status = _answer(words)
    if status and launch.number() > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # what several processes have under way together is not waited for
    return status


def _answer(words: list[str]) -> int:
    try:
        return _run(words)
    except UserError as error:
        if launch.leads():  # several processes are told the same
            print(f"mtlab: {error}", file=sys.stderr)
        return 75 if isinstance(error, Busy) else 2
    except launch.Lost as error:
        print(f"mtlab: process {launch.rank()} ends: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("mtlab: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(words: list[str]) -> int:
    parser = _parser()
    if not words:
        parser.print_help(sys.stderr)
        return 2
    command = parser.commands.get(words[0])
    if command is None and not words[0].startswith("-"):
        raise UserError(
            f"there is no command {shown(words[0])}", did_you_mean(words[0], parser.commands)
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
        )
    options = parser.parse_args(words)
    if {"-h", "--help"} & set(getattr(options, "overrides", ())):
        parser.parse_args([options.command, "--help"])
    status: int = options.run(options)
    return status


def parse_overrides(words: list[str]) -> dict[str, list[str]]:
    """``--key.sub value …`` as key to values; ``--key=value`` works too.

    Raises:
        UserError: a value without a key, or a key without a value.
    """
    overrides: dict[str, list[str]] = {}
    key = ""
    for word in words:
        if word.startswith("--"):
            key, equals, value = word[2:].partition("=")
            key = SHORT.get(key, key)
            overrides[key] = [value] if equals else []
        elif not key:
            raise UserError(f"{word!r} belongs to no key", "write settings as --key value")
        else:
            overrides[key].append(word)
    for key, values in overrides.items():
        if not values:
            raise UserError("no value", "write settings as --key value", where=f"--{key}")
    return overrides


def _parser(settings: Iterable[tuple[str, Sequence[str]]] = ()) -> _Parser:
    """The command line; ``settings`` are keys with their words, for completion, which must know
    them one by one.
    """
    parser = _Parser(
        prog="mtlab",
        description="Compare freezing scenarios in a multi-task transformer.",
        epilog=MORE,
        allow_abbrev=False,
    )
    parser.add_argument(
        "-V", "--version", action=_Version, nargs=0, help="show the version and exit"
    )
    commands = parser.add_subparsers(
        title="commands", dest="command", required=True, metavar="COMMAND", parser_class=_Parser
    )
    keys = list(settings)
    for name, run, text in (
        (
            "compare",
            _compare,
            "run every scenario of an experiment, log to MLflow, write the report",
        ),
        ("plan", _plan, "say what would be trained, frozen and computed; nothing is trained"),
        ("doctor", _doctor, "say whether a run would go on this machine; nothing is trained"),
        ("report", _report, "rebuild the report from the records; nothing is trained"),
        (
            "publish",
            _publish,
            "copy the answer of a run to where it is committed, light; nothing is trained",
        ),
        (
            "sync",
            _sync,
            "bring MLflow what it missed of an experiment that ran; nothing is trained",
        ),
    ):
        _on_experiment(
            commands,
            name,
            run,
            text,
            [*keys, ("figures", FIGURES)] if keys and name == "report" else keys,
        )
    commands.choices["report"].epilog = REPORT + OVERRIDES
    own = [(key, ()) for key in ("scenario", "point", "to")] if keys else []
    export = _on_experiment(
        commands,
        "export",
        _export,
        "write a scenario's model as a folder for transformers, with a card",
        own + keys,
    )
    export.epilog = EXPORT + OVERRIDES
    predict = _command_of(
        commands,
        "predict",
        _predict,
        "read sentences with an exported model, write JSON lines",
        PREDICT,
    )
    _path(
        predict,
        "directory",
        "model",
        metavar="DIR",
        type=Path,
        help="a folder that `mtlab export` wrote",
    )
    about = "a sentence a line, or a file such as those of a source; without it, or as -, standard input"
    _path(predict, "file", "file", metavar="FILE", type=Path, nargs="?", help=about)
    predict.add_argument("--device", default="cpu", help="cpu (the default), cuda or cuda:0")
    _on_sources(
        commands,
        "check",
        _check,
        "say what a run would find in one's own data, and print an experiment file for it",
        keys,
    )
    _on_sources(
        commands, "init", _init, "do the same, and write that file (--output FILE says where)", keys
    )
    claims = _command_of(
        commands,
        "claims",
        _claims,
        "gather what reports say, in claims.md and README.md of their folder",
    )
    _path(
        claims,
        "directory",
        "directory",
        metavar="DIR",
        type=Path,
        help="the folder that holds the reports, such as reports",
    )
    ui = _command_of(commands, "ui", _ui, "open MLflow's web interface on this machine")
    _path(
        ui,
        "file",
        "file",
        metavar="FILE",
        nargs="?",
        help="an experiment, whose suite's page is wanted",
    )
    ui.add_argument("--port", type=int, default=5000, help="where it listens; 5000 without it")
    completion = _command_of(
        commands,
        "completion",
        _completion,
        "print what makes a shell complete commands, files and keys",
        COMPLETION,
    )
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="whose script to print")
    parser.commands = commands.choices
    return parser


def _on_experiment(
    commands: Commands,
    name: str,
    run: Run,
    text: str,
    settings: Iterable[tuple[str, Sequence[str]]],
) -> _Parser:
    """A command that takes an experiment file and settings."""
    command = _command_of(commands, name, run, text, OVERRIDES)
    command.first = "FILE"
    optional: dict[str, str] = {}
    about = "an experiment file, such as experiments/snips.yaml"
    if name == "doctor":
        optional, about = (
            {"nargs": "?"},
            "an experiment file; without it, what mtlab does by itself is looked at",
        )
    command.usage = (
        f"mtlab {name} {'[FILE' if optional else 'FILE'} [--KEY VALUE ...]{']' if optional else ''}"
    )
    _path(command, "file", "file", metavar="FILE", help=about, **optional)
    _path(
        command,
        "file",
        "overrides",
        nargs=argparse.REMAINDER,
        metavar="--KEY VALUE",
        help="settings over those of the file",
    )
    _complete(command, settings)
    return command


def _complete(command: _Parser, settings: Iterable[tuple[str, Sequence[str]]]) -> None:
    """Name settings one by one, for completion."""
    for key, words in settings:
        if words:
            command.add_argument(f"--{key}", choices=words)
        else:
            _path(command, "file", f"--{key}")


def _command_of(commands: Commands, name: str, run: Run, text: str, epilog: str = "") -> _Parser:
    command = commands.add_parser(
        name,
        help=text,
        description=text,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=run)
    return command


def _path(command: _Parser, kind: str, name: str, **options: Any) -> None:
    """An argument that a shell completes to a ``file`` or a ``directory``."""
    command.add_argument(name, **options).complete = kind  # type: ignore[attr-defined]


def _on_sources(
    commands: Commands,
    name: str,
    run: Run,
    text: str,
    settings: Iterable[tuple[str, Sequence[str]]],
) -> None:
    """A command that takes one source or two, and settings."""
    command = _command_of(commands, name, run, text, SOURCES)
    command.first = "SOURCE"
    about = "a folder with train, validation and test files, a file, a hub id, or builtin"
    _path(command, "file", "first", metavar="SOURCE", help=about)
    _path(
        command,
        "file",
        "overrides",
        nargs=argparse.REMAINDER,
        metavar="[SOURCE] --KEY VALUE",
        help="a second source, and settings",
    )
    _complete(
        command,
        [
            (key, words)
            for key, words in settings
            if key.split(".")[0] in (*OF_DATA, *(["output"] if name == "init" else []))
        ],
    )


def _compare(options: argparse.Namespace) -> int:
    from mtlab.plan.experiment import load

    experiment = load(options.file, parse_overrides(options.overrides))
    if not launch.leads():
        return _follow(experiment, _command(options))
    from mtlab.record.journal import Journal
    from mtlab.record.tracking import Tracking
    from mtlab.train.engines import local
    from mtlab.train.measure.progress import progress
    from mtlab.train.resume import signals
    from mtlab.train.suite import Suite
    from mtlab.watched import end_with_parent

    display = progress()
    tracking = Tracking(experiment.name, display.say)
    status = "KILLED"
    try:
        end_with_parent()
        with signals.handled(), local.opened(experiment) as engine:
            suite = Suite(experiment, _command(options), display, engine)
            with suite.journal.held(suite.command):
                record, trials = suite.run(tracking.start, tracking.log)
                failed = [trial for trial in trials if not trial.ok]
                record = tracking.settle(record)
                Journal(experiment.output).write_suite(record)  # by this process, for itself
                outcome = _finish(experiment)
                display.say(f"report: {outcome.directory / 'report.md'} and report.html")
                status = "FAILED" if failed else "FINISHED"
                tracking.finish(record, outcome, status)
            suite.runtime.processes.close()
    except (signals.Stopped, KeyboardInterrupt) as stop:
        display.close()
        print(
            f"mtlab: interrupted; `{_command(options)}` goes on from here, and `{_command(options, 'report')}` writes up what ended",
            file=sys.stderr,
        )
        return stop.status if isinstance(stop, signals.Stopped) else 130
    finally:
        tracking.close(status)
        display.close()
    place = f"MLflow: {record.tracking['uri']}, experiment {record.tracking['experiment']}"
    if "missing" in record.tracking or tracking.missing:
        count = int(record.tracking.get("missing", 0))
        missing = (
            f"{counted(count, 'run')} {'is' if count == 1 else 'are'}"
            if count
            else "parts of the suite's run are"
        )
        display.say(f"{place}: {missing} missing there; `{_command(options, 'sync')}` brings them")
    else:
        display.say(f"{place} (`mtlab ui` shows it)")
    return 1 if failed else 0


def _follow(experiment: "Experiment", command: str) -> int:
    """What the others of several processes do: run the same suite, whose outcome the first one
    writes, logs and tells.
    """
    from mtlab.train.engines import local
    from mtlab.train.measure.progress import Silent
    from mtlab.train.resume import signals
    from mtlab.train.suite import Suite

    with signals.handled(obeys=False), local.opened(experiment) as engine:
        suite = Suite(experiment, command, Silent(), engine)
        with suite.journal.held(command):
            suite.run(lambda record: record, lambda record, trial: None)
        suite.runtime.processes.close()
    return 0


def _finish(experiment: "Experiment") -> "Outcome":
    """Write the report; returns it with the model that is taken home."""
    from mtlab.export import directory
    from mtlab.export.model import choose
    from mtlab.record.journal import Journal
    from mtlab.record.tracking import Outcome
    from mtlab.report import document
    from mtlab.report.sections.story import story

    folder = document.write(experiment.output).parent
    try:
        trial = choose(Journal(experiment.output), None, None).trial
    except UserError:  # none is called best, or its weights were not kept: the report says so
        return Outcome(folder, story(folder), None)
    return Outcome(
        folder, story(folder), (trial, lambda to: directory.write(experiment, to, None, None))
    )


def _plan(options: argparse.Namespace) -> int:
    from mtlab.plan.experiment import load

    experiment = load(options.file, parse_overrides(options.overrides))
    from mtlab.train.measure import dry_run

    for line in dry_run.lines(experiment):
        print(line)
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from mtlab.doctor import examine

    return examine.tell(options.file, parse_overrides(options.overrides))


def _completion(options: argparse.Namespace) -> int:
    from mtlab import completion

    print(completion.script(_parser(completion.settings()), options.shell))
    return 0


def _check(options: argparse.Namespace) -> int:
    given, overrides = _sources(options)
    from mtlab.check.findings import report

    survey = report(given, overrides)
    command = printable(shlex.join(["mtlab", "init", *_words(options)]))
    print(f"No mistakes. `{command}` writes this file to start from:\n\n{survey.file}", end="")
    return 0


def _init(options: argparse.Namespace) -> int:
    given, overrides = _sources(options)
    from mtlab.check import starter
    from mtlab.check.findings import report

    path = starter.file_for(given, overrides.pop("output", [None])[-1])
    starter.write(path, report(given, overrides).file)
    file = printable(shlex.quote(str(path)))
    print(
        f"No mistakes. Written: {printable(str(path))}\n\nNext\n  mtlab plan {file}\n  mtlab compare {file}"
    )
    return 0


def _sources(options: argparse.Namespace) -> tuple[list[str], dict[str, list[str]]]:
    """The sources of a command, and the settings after them."""
    words = _words(options)
    count = next((index for index, word in enumerate(words) if word.startswith("--")), len(words))
    if count > 2:
        raise UserError(
            f"{count} sources",
            "give one with labels and tags, or two: one for classification and one for NER",
        )
    overrides = parse_overrides(words[count:])
    for key in overrides:
        if key.split(".")[0] not in OF_DATA and (options.command, key) != ("init", "output"):
            raise UserError(
                "does not change what is found",
                "set it in the file, or when it runs",
                where=f"--{key}",
            )
    return words[:count], overrides


def _words(options: argparse.Namespace) -> list[str]:
    return [options.first, *options.overrides]


def _report(options: argparse.Namespace) -> int:
    from mtlab.plan.experiment import load
    from mtlab.report import document

    overrides = parse_overrides(options.overrides)
    chosen = " ".join(overrides.pop("figures", FIGURES[:1]))
    if chosen not in FIGURES:
        raise UserError(
            f"there are no figures {chosen!r}",
            f"give one of {', '.join(FIGURES)}",
            where="--figures",
        )
    experiment = load(options.file, overrides, with_data=False)
    from mtlab.report import publish

    origin = publish.origin(experiment.output)
    if origin != experiment.output:
        print(
            f"nothing was run in {experiment.output}: this report is of the published records in {origin}"
        )
    print(
        f"report: {document.write(origin, experiment.output, 'main' if chosen == 'main' else 'all')} and report.html"
    )
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
    from mtlab.record import tracking
    from mtlab.record.journal import Journal

    journal = Journal(experiment.output)
    journal.read()
    with journal.held(_command(options, "sync")):
        brought, all_runs = tracking.sync(experiment.name, journal, lambda: _finish(experiment))
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

    print(
        f"claims: {verdicts.write_page(options.directory)}; what each report says in short: {gallery.write_page(options.directory)}"
    )
    return 0


def _ui(options: argparse.Namespace) -> int:
    from mtlab.record.address import absolute, tracking_uri, without_credentials

    uri = tracking_uri()
    if uri.startswith(("http://", "https://")):
        print(f"MLFLOW_TRACKING_URI names a server: its interface is at {without_credentials(uri)}")
        return 0
    program = Path(sys.executable).with_name("mlflow")
    if not program.exists():
        raise UserError(f"there is no {program}", "run `make install`")
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", options.port)) == 0:
            raise UserError(
                f"port {options.port} is in use",
                "choose another, such as --port 5001",
                where="--port",
            )
    os.environ["MLFLOW_BACKEND_STORE_URI"] = absolute(
        uri
    )  # as an argument everybody on this machine could read its password
    os.environ.setdefault("MLFLOW_ARTIFACTS_DESTINATION", str(Path("mlartifacts").absolute()))
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")  # of no use here
    print(f"http://127.0.0.1:{options.port}/{_suites_page(options.file)}", flush=True)
    os.chdir(sys.prefix)  # the server would import Python files of the folder that it is started in
    os.execv(
        program,
        ["mlflow", "ui", "--host", "127.0.0.1", "--port", str(options.port), "--workers", "1"],
    )


def _suites_page(file: str | None) -> str:
    """Where MLflow's interface shows the last suite of an experiment; its front page where there is
    none.
    """
    from mtlab.plan.experiment import load
    from mtlab.record.journal import Journal

    journal = Journal(load(file, with_data=False).output) if file is not None else None
    suite = journal.last_suite() if journal is not None and journal.ran_here else None
    run = suite.tracking.get("run") if suite is not None else None
    return f"#/runs/{run}" if run else "#/experiments?workflowType=machine_learning"


def _command(options: argparse.Namespace, command: str = "compare") -> str:
    launcher = launch.command() if command == "compare" else []
    return shlex.join([*launcher, "mtlab", command, options.file, *options.overrides])


if __name__ == "__main__":
    sys.exit(main())
