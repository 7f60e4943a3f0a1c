"""The experiment file to start from: the findings of a check, and usual scenarios."""

import io
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from mtlab.data.reading.readers import EXTENSIONS
from mtlab.plan.errors import UserError, shown
from mtlab.plan.whole import NAME
from mtlab.plan.words import counted
from mtlab.tasks.registry import USUAL

SCENARIOS = Path(__file__).parent / "scenarios.yaml"
OTHERS = 4
"""Scenarios besides those that freeze one head."""
SMALL = 2000
"""With fewer training sentences than this, the encoder learns at the higher rate."""
RATES = {
    True: {"rate": "1.0e-4", "lower": "6.0e-5", "head": "3.0e-3", "alone": "2.0e-3"},
    False: {"rate": "5.0e-5", "lower": "3.0e-5", "head": "1.0e-3", "alone": "1.0e-3"},
}
"""Whether there are few training sentences (:data:`SMALL`) to learning rates, from
experiments/compare.yaml (few) and experiments/snips.yaml: those of full fine-tuning, of heads
alone, and (``lower``) of the lower part of the encoder in gradual unfreezing."""
EPOCHS = {400: 80, SMALL: 40, 10_000: 16}
"""Number of training sentences to the most epochs of a scenario that trains the encoder on fewer
sentences; with more sentences, :data:`FEWEST_EPOCHS`. A few hundred sentences give few steps per
epoch, so many epochs are needed."""
FEWEST_EPOCHS = 8
LIKE = {True: ("a thousand", " of the built-in corpus best"), False: ("four thousand", " of SNIPS")}

TOP = """\
# Which parts should I freeze? {count} scenarios with the same seeds and the same batches. Every key can
# be changed, here or on the command line; the rates are those that served {like}
# sentences{where}. `mtlab plan` tells what it costs.
"""
FIRST_LOOK = "# A first look, in less time: mtlab compare FILE --data.train_size 1000 --seeds 0\n"


def settings(
    sources: Sequence[str], tasks: Mapping[str, Any] | None = None, encoder: str = "minilm"
) -> dict[str, Any]:
    """The settings for these sources before they are read: all tasks read one source, or each task
    reads its own.

    Args:
        sources: paths, hub ids or ``builtin``.
        tasks: the tasks in the file; None if it names none.
        encoder: its name.

    Raises:
        UserError: there are several sources, but not one for each task.
    """
    names = list(USUAL if tasks is None else tasks)
    if len(sources) not in (1, len(names)):
        raise UserError(
            f"{len(sources)} sources for {counted(len(names), 'task')}",
            "give one source for all tasks",
            code="too-many-sources",
        )
    data = (
        {"source": sources[0]}
        if len(sources) == 1
        else {task: {"source": source} for task, source in zip(names, sources, strict=True)}
    )
    named = {} if tasks is None else {"tasks": tasks}
    return {"encoder": encoder, **named, "data": data}


def scenarios(sentences: int, tasks: Iterable[str] = tuple(USUAL)) -> str:
    """Seeds and scenarios as YAML.

    Args:
        sentences: the number of training sentences.
        tasks: the names of the tasks; the head of each task is frozen in one scenario.
    """
    rates, names = RATES[sentences < SMALL], list(tasks)
    epochs = next((count for below, count in EPOCHS.items() if sentences < below), FEWEST_EPOCHS)
    lengths = {
        "epochs": str(epochs),
        "rest": str(epochs - 4),
        "long": str(60 if sentences >= 400 else 120),
    }
    frozen = ""
    for task in names:
        train = [f"encoder: {rates['rate']}"]
        train += [f"head.{other}: {rates['head']}" for other in names if other != task]
        stage = f"{{epochs: {epochs}, patience: 5, train: {{{', '.join(train)}}}}}"
        frozen += f"  {task}_head_frozen:\n    - {stage}\n"
    template = Template(SCENARIOS.read_text(encoding="utf-8"))
    return template.substitute(rates, **lengths, heads_frozen=frozen.rstrip("\n"))


def text(
    settings: Mapping[str, Any],
    comments: Mapping[tuple[str, ...], str],
    question: str,
    sizes: Sequence[int],
    tasks: Sequence[str],
) -> str:
    """The content of the experiment file.

    Args:
        settings: encoder, data and, if the file names them, tasks.
        comments: path of a setting to its comment.
        question: the question of the experiment.
        sizes: the number of training sentences of each source.
        tasks: the names of the tasks.
    """
    sentences = max(sizes, default=0)
    tree = _commented({"question": question, **settings})
    for (*path, last), comment in comments.items():
        node = tree
        for part in path:
            node = node[part]
        node.yaml_add_eol_comment(comment, last)
    written = _dumped(tree)
    if not all(
        line.isprintable() for line in written.split("\n")
    ):  # characters that control a terminal are escaped
        written = _dumped(tree, unicode=False)
    like, where = LIKE[sentences < SMALL]
    count = {5: "Five", 6: "Six", 7: "Seven"}.get(OTHERS + len(tasks), str(OTHERS + len(tasks)))
    top = TOP.format(count=count, like=like, where=where)
    first_look = FIRST_LOOK if min(sizes, default=0) > 1000 else ""
    return f"{top}{first_look}\n{written}{scenarios(sentences, tasks)}"


def usual_path(sources: Sequence[str]) -> Path:
    """Where the file for these sources goes if the user names no other place."""
    folder = Path("experiments")
    return (folder if folder.is_dir() else Path()) / f"{_name(sources)}.yaml"


def file_for(sources: Sequence[str], output: str | None) -> Path:
    """The path of the new file for these sources.

    Args:
        sources: paths, hub ids or ``builtin``.
        output: the path that the user gave, if any.

    Raises:
        UserError: the file exists, its folder does not exist, or its name cannot be the name of an
            experiment.
    """
    path = usual_path(sources) if output is None else Path(output)
    if not NAME.fullmatch(path.stem):
        problem = f"{shown(path.stem)} cannot be the name of an experiment"
        raise UserError(
            problem,
            "use letters, digits, `_`, `-` and `.`, at most 64",
            where="--output",
            code="bad-name",
        )
    if not path.parent.is_dir():
        raise UserError(
            "no such directory",
            "choose another file with --output FILE",
            where=str(path.parent),
            code="file-missing",
        )
    if os.path.lexists(path):
        raise UserError(
            "is there already, and stays as it is",
            "choose another file with --output FILE",
            where=str(path),
            code="exists",
        )
    return path


def write(path: Path, content: str) -> None:
    """Write a new file.

    Raises:
        UserError: the file exists or cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(content)
    except OSError as error:
        remedy = "choose another file with --output FILE"
        raise UserError(
            f"cannot be written ({error.strerror or type(error).__name__})",
            remedy,
            where=str(path),
            code="unwritable",
        ) from None


def short(source: str) -> str:
    """A source's short name: the last part of its path or id, without an extension."""
    path = Path(source)
    name = path.stem if path.suffix.lower() in EXTENSIONS else path.name
    return name if name not in ("", ".", "..", "~") else path.expanduser().resolve().name


def _name(sources: Sequence[str]) -> str:
    words = [re.sub(r"[^A-Za-z0-9_.-]+", "_", short(source)).strip("_.-") for source in sources]
    return "_".join(filter(None, words))[:64].strip("_.-") or "experiment"


def _dumped(tree: CommentedMap, unicode: bool = True) -> str:
    yaml, file = YAML(), io.StringIO()
    yaml.width, yaml.allow_unicode = 120, unicode
    yaml.dump(tree, file)
    return file.getvalue()


def _commented(value: Any) -> Any:
    """Mappings that can carry comments."""
    return (
        CommentedMap({key: _commented(item) for key, item in value.items()})
        if isinstance(value, dict)
        else value
    )
