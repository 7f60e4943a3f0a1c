"""The words of the command line: commands, their options, and settings that replace those of a
file.
"""

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from mtlab.plan.errors import UserError

OVERRIDES = """
Any key of the file can be set after it; several values make a list:
  --data.source path/to/data   --seeds 0 1 2   --encoder roberta-base   --device cuda
  --scenarios.NAME.0.epochs 3    (numbers index lists)
  --scenarios NAME NAME          (run only these)
  --engine ray   --address auto  (run the trials on a Ray cluster)
"""


SHORT = {"address": "engine.address"}
"""Short options to the settings that they stand for."""


SOURCES = """
One source for all tasks, or two, one for each of two tasks; which is which is seen from the columns.
Where no task is named, they are a label a sentence and entities, or what of them the columns have.
What is guessed can be set, and the file then says so:
  --data.columns.label intent   --data.columns.ner_tags tags   --data.columns.text body
  --data.splits.train all.csv   --data.test_fraction 0.2       --encoder roberta-base   --max_length 128
  --data.TASK.columns.label intent   --data.TASK.subset english          (of two sources)
  --tasks.NAME.kind KIND   --tasks.NAME.column tones    (these tasks and no others)
"""


RECOMMEND = """
An experiment FILE, or one source of data or two. Each scenario that saves computing trains with one pilot seed. The cheapest that is as
good on validation is then confirmed on test, with fresh seeds.
  --looks 3              fresh seeds after which it may be accepted
  --budget 10m           takes as many fresh seeds as fit; nothing stops by the clock
  --margin 0.03          the largest loss, at every task
  --tasks NAME ...       the tasks that decide; without it, all
"""


EXPORT = """
Of the model itself:
  --scenario NAME        whose; without it, the recommended one
  --point "KEY = VALUE"  of a sweep, as the report writes it
  --to DIR               the folder to write; without it, models/<experiment>-<scenario>
"""


REPORT = """
Of the report itself:
  --figures all|main     every figure, or the one or two that tell the most; all without it
"""


OF_ITSELF = {"export": EXPORT, "report": REPORT}
"""Commands on experiments to the help for options that only they have."""

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


OF_DATA = ("tasks", "data", "data_seed", "encoder", "max_length")
"""Keys of an experiment that change what ``mtlab check`` finds in data."""


class Parser(argparse.ArgumentParser):
    """A parser that prints a mistake in one line."""

    commands: Mapping[str, "Parser"] = {}
    """The commands by name."""
    first = ""
    """The argument before settings: an experiment FILE, or a SOURCE of data."""

    def error(self, message: str) -> NoReturn:
        """Print a mistake in one line, and end with status 2."""
        message = re.sub(
            r", (\[SOURCE\] )?--KEY VALUE", "", message
        )  # these may be missing, but argparse lists them as required
        self.exit(2, f"{self.prog}: {message}; see `{self.prog} --help`\n")


class _Version(argparse.Action):
    """Prints the version, which is looked up only when this option is used."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"mtlab {version('mtlab')}")
        parser.exit()


Commands: TypeAlias = "argparse._SubParsersAction[Parser]"
Settings = Sequence[tuple[str, Sequence[str]]]
"""Keys with their possible words, for shell completion."""

ON_EXPERIMENTS = {
    "compare": "run every scenario of an experiment, log to MLflow, write the report",
    "plan": "say what would be trained, frozen and computed; nothing is trained",
    "doctor": "say whether a run would work on this machine; nothing is trained",
    "report": "rebuild the report from the records; nothing is trained",
    "publish": "copy the answer of a run to where it is committed, light; nothing is trained",
    "sync": "bring MLflow what it missed of an experiment that ran; nothing is trained",
    "export": "write a scenario's model as a folder for transformers, with a card",
}
"""Commands that take an experiment file, and their help."""


def build(settings: Settings = ()) -> Parser:
    """The parser of the command line."""
    parser = Parser(
        prog="mtlab",
        description="Compare freezing scenarios in a multi-task transformer.",
        epilog=MORE,
        allow_abbrev=False,
    )
    parser.add_argument(
        "-V", "--version", action=_Version, nargs=0, help="show the version and exit"
    )
    commands = parser.add_subparsers(
        title="commands", dest="command", required=True, metavar="COMMAND", parser_class=Parser
    )
    for name, text in ON_EXPERIMENTS.items():
        _on_experiment(commands, name, text, settings)
    _predict(commands)
    text = "train a few seeds, and say what to freeze: the cheapest that is shown to be good enough"
    _on_sources(commands, "recommend", text, settings, RECOMMEND)
    text = "say what a run would find in one's own data, and print an experiment file for it"
    _on_sources(commands, "check", text, settings)
    text = "do the same, and write that file (--output FILE says where)"
    _on_sources(commands, "init", text, settings)
    _others(commands)
    parser.commands = commands.choices
    return parser


def _predict(commands: Commands) -> None:
    text = "read sentences with an exported model, write JSON lines"
    predict = _command_of(commands, "predict", text, PREDICT)
    about = "a folder that `mtlab export` wrote"
    _path(predict, "directory", "model", metavar="DIR", type=Path, help=about)
    about = "a sentence a line, or a file such as those of a source; without it, or as -, standard input"
    _path(predict, "file", "file", metavar="FILE", type=Path, nargs="?", help=about)
    predict.add_argument("--device", default="cpu", help="cpu (the default), cuda or cuda:0")


def _others(commands: Commands) -> None:
    text = "gather what reports say: claims, answers, advice, and the generated parts of the README"
    claims = _command_of(commands, "claims", text)
    about = "the folder that holds the reports, such as reports"
    _path(claims, "directory", "directory", metavar="DIR", type=Path, help=about)
    ui = _command_of(commands, "ui", "open MLflow's web interface on this machine")
    about = "an experiment, whose suite's page is wanted"
    _path(ui, "file", "file", metavar="FILE", nargs="?", help=about)
    ui.add_argument("--port", type=int, default=5000, help="where it listens; 5000 without it")
    text = "print what makes a shell complete commands, files and keys"
    completion = _command_of(commands, "completion", text, COMPLETION)
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="whose script to print")


def _on_experiment(commands: Commands, name: str, text: str, settings: Settings) -> None:
    """A command that takes an experiment file and settings."""
    command = _command_of(commands, name, text, OF_ITSELF.get(name, "") + OVERRIDES)
    command.first = "FILE"
    command.usage = f"mtlab {name} FILE [--KEY VALUE ...]"
    optional: dict[str, str] = {}
    about = "an experiment file, such as experiments/snips.yaml"
    if name == "doctor":
        command.usage = f"mtlab {name} [FILE [--KEY VALUE ...]]"
        optional = {"nargs": "?"}
        about = "an experiment file; without it, what mtlab does by itself is looked at"
    _path(command, "file", "file", metavar="FILE", help=about, **optional)
    _settings(command, "--KEY VALUE", "settings over those of the file")
    if settings:
        own: dict[str, Settings] = {
            "export": [(key, ()) for key in ("scenario", "point", "to")],
            "report": [("figures", FIGURES)],
        }
        _complete(command, [*own.get(name, ()), *settings])


def _settings(command: Parser, metavar: str, about: str) -> None:
    _path(command, "file", "overrides", nargs=argparse.REMAINDER, metavar=metavar, help=about)


def _complete(command: Parser, settings: Settings) -> None:
    """Add each setting as an option, for shell completion."""
    for key, words in settings:
        if words:
            command.add_argument(f"--{key}", choices=words)
        else:
            _path(command, "file", f"--{key}")


def _command_of(commands: Commands, name: str, text: str, epilog: str = "") -> Parser:
    command = commands.add_parser(
        name,
        help=text,
        description=text,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return command


def _path(command: Parser, kind: str, name: str, **options: Any) -> None:
    """An argument that a shell completes to a ``file`` or a ``directory``."""
    command.add_argument(name, **options).complete = kind  # type: ignore[attr-defined]


def _on_sources(
    commands: Commands,
    name: str,
    text: str,
    settings: Settings,
    own: str = "",
) -> None:
    """A command that takes one source or two, and settings."""
    command = _command_of(commands, name, text, own + SOURCES)
    command.first = "SOURCE"
    about = "a folder with train, validation and test files, a file, a hub id, or builtin"
    _path(command, "file", "first", metavar="SOURCE", help=about)
    _settings(command, "[SOURCE] --KEY VALUE", "a second source, and settings")
    _complete(
        command,
        [
            (key, words)
            for key, words in settings
            if key.split(".")[0] in (*OF_DATA, *(["output"] if name == "init" else []))
        ],
    )


def parse_overrides(words: list[str]) -> dict[str, list[str]]:
    """Settings from the command line (``--key.sub value …`` or ``--key=value``) as key to values.

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
            raise UserError(
                f"{word!r} belongs to no key", "write settings as --key value", code="unknown-key"
            )
        else:
            overrides[key].append(word)
    for key, values in overrides.items():
        if not values:
            raise UserError(
                "no value", "write settings as --key value", where=f"--{key}", code="no-value"
            )
    return overrides
