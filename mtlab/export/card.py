"""The card of an exported model: its description, its measured scores, its limits, and how to load
it.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from mtlab.export.agreement import Agreement
from mtlab.export.model import Choice
from mtlab.export.reader import FORMS
from mtlab.plan.scenario import point_label
from mtlab.record.pieces import joined
from mtlab.record.records import StageRecord
from mtlab.report import markdown
from mtlab.report.comparison.groups import Task
from mtlab.report.markdown import fixed, listing, name, text
from mtlab.report.sections.body import results
from mtlab.report.wording import HOW, averaged, drawn, falling
from mtlab.tasks.registry import rebuilt

LOAD = """\
import json, torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer

facts, heads = json.load(open("{folder}/heads.json")), load_file("{folder}/heads.safetensors")
tokenizer = AutoTokenizer.from_pretrained("{folder}")
encoder = AutoModel.from_pretrained("{folder}", **facts["encoder"]).eval()
head = lambda task, states: torch.nn.functional.linear(states, heads[task + ".weight"], heads[task + ".bias"])
# {given}
with torch.no_grad(){autocast}:
{read}
print(said)
"""
"""Code that loads the folder with plain transformers and reads one sentence. If a task has gold for
words, the prediction for a word is the one at its first sub-word."""

GIVEN = {
    "text": '`text` is one sentence as it is written, such as "Play some jazz!"',
    "words": '`words` are those of one sentence, such as ["play", "some", "jazz"]',
}
"""Form to a comment on the input of the code."""

READ = {
    "text": 'inputs = tokenizer([text], truncation=True, return_tensors="pt")',
    "words": 'inputs = tokenizer([words], is_split_into_words=True, truncation=True, return_tensors="pt")',
}
"""Form to the code that makes its sub-words. A tokenizer may make different sub-words from the text
and from the words."""

LICENCES = (
    "The licence of the encoder holds for these weights too, and so may that of the data: CC BY asks you to name the "
    "authors, CC BY-SA also to share alike. mtlab does not know the licence of your data; the built-in corpus was written "
    "for mtlab and is under Apache-2.0."
)
"""Advice for users who share the model."""

STATES = "states = encoder(inputs.input_ids, inputs.attention_mask).last_hidden_state[0]"


def write(choice: Choice, facts: dict[str, Any], checked: Agreement) -> str:
    """The card, as markdown.

    Args:
        choice: the exported trial.
        facts: the content of ``heads.json``.
        checked: how the folder's predictions for the test split agree with the recorded ones.
    """
    suite, trial, tasks = choice.suite, choice.trial, choice.group.every
    point = point_label(trial.point.items())
    title = f"{text(suite.experiment['name'])}: {text(trial.scenario)}"
    why = f" Among the scenarios compared it is {choice.why}." if choice.why else ""
    parts = [
        f"---\nlibrary_name: transformers\ntags: [{', '.join(_tags(tasks))}]\n---",
        f"# {title}",
        f"One encoder with {'heads' if len(tasks) > 1 else 'a head'} for {listing([_called(task) for task in tasks])}, trained as "
        f"{name(trial.scenario)}{f' at {text(point)}' if point else ''}, seed {trial.seed}.{why} Of the scenario's seeds it is the one "
        "whose weights scored highest on validation.",
        "## Load it",
        markdown.fenced(load(facts, "."), "python"),
        _served(tasks, facts),
        "## What it was measured at",
        _measured(choice),
        f"This folder, {text(checked.line)}.",
        "The scenario beside the others, all seeds, on the same test split:",
        results(choice.group),
        "## How it was trained",
        _trained(choice),
        "## Limits",
        _limits(choice, facts),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def load(facts: dict[str, Any], folder: str) -> str:
    """Code that loads the model with plain transformers, reads ``text``, ``words`` or both, as in
    the test, and prints a prediction for each task.
    """
    autocast = ', torch.autocast("cpu", torch.bfloat16)' if facts["precision"] == "bf16" else ""
    pooled = "states.float().mean(dim=0)" if facts["pooling"] == "mean" else "states[0].float()"
    forms = {
        form: alike
        for form in FORMS
        if (alike := [task for task, about in facts["tasks"].items() if about["input"] == form])
    }
    lines = []
    for form, alike in forms.items():
        lines += [READ[form], STATES]
        for task in alike:
            kind = rebuilt(task, facts["tasks"][task]).kind
            logits = f'head("{task}", {"states" if kind.of_words else pooled})'
            expression = kind.code.format(logits=logits, facts=f'facts["tasks"]["{task}"]')
            first = len(lines) == 2
            lines.append(
                f'said = {{"{task}": {expression}}}' if first else f'said["{task}"] = {expression}'
            )
    return LOAD.format(
        folder=folder,
        given="; ".join(GIVEN[form] for form in forms),
        autocast=autocast,
        read="\n".join(f"    {line}" for line in lines),
    ).rstrip("\n")


def _called(task: Task) -> str:
    """A task's title; if it has none, its name and the title of its kind."""
    bare = task.title == task.name
    return f"{name(task.name)} ({text(task.kind.title)})" if bare else text(task.title)


def _tags(tasks: Sequence[Task]) -> list[str]:
    """The hub's tags for a model of these tasks."""
    of_words = {task.kind.of_words for task in tasks}
    tags = {"text-classification": False in of_words, "token-classification": True in of_words}
    return [*(tag for tag, has in tags.items() if has), *["multi-task"][: len(tasks) - 1]]


def _served(tasks: Sequence[Task], facts: dict[str, Any]) -> str:
    """A paragraph on the input that the model expects."""
    form = {"text": "raw text", "words": "sentences that were cut into words"}
    by_form: dict[str, list[str]] = {}
    for task in tasks:
        by_form.setdefault(facts["tasks"][task.name]["input"], []).append(_called(task))
    if len(by_form) == 1:
        whose = "Its head was" if len(tasks) == 1 else "Its heads were all"
        trained = f"{whose} trained on {form[next(iter(by_form))]}."
    else:
        phrases = [f"for {listing(names)} on {form[read]}" for read, names in by_form.items()]
        trained = f"Heads were trained {listing(phrases)}: give each what it was trained on."
    return (
        f"{trained} Or, with mtlab: `mtlab predict .` reads sentences from a file or standard input, as `text` or as `tokens`, gives each "
        "head what it was trained on, and writes the answers of all tasks as JSON lines."
    )


def _measured(choice: Choice) -> str:
    """The test scores of the seed itself."""
    test = choice.trial.test
    assert test is not None, "a trial that ended well was tested"
    tested = [
        (task, test.by_task[task.name]) for task in choice.group.every if task.name in test.by_task
    ]
    times = Counter(title for task, _ in tested for title in task.kind.metrics.values())
    rows = []
    for task, scored in tested:
        titles = {
            metric: title if times[title] == 1 else f"{title} ({text(task.title)})"
            for metric, title in task.kind.metrics.items()
        }
        rows += [[titles[metric], fixed(value)] for metric, value in scored.scores.items()]
        first = next(iter(titles))
        for part, scores in scored.by_name.items():
            title = f"{titles[first]} of {text(part)} ({scores['support']:,} in test)"
            rows.append([title, fixed(scores.get(first))])
    sentences = choice.suite.data[point_label(choice.trial.point.items())]["sizes"]["test"]
    return f"This seed, {sentences:,} test sentences:\n\n" + markdown.table(
        ["measure", "value"], rows
    )


def _trained(choice: Choice) -> str:
    suite, trial = choice.suite, choice.trial
    label = point_label(trial.point.items())
    encoder, data = suite.encoder[label], suite.data[label]
    rows = [
        [
            str(number),
            text(stage.name),
            str(stage.epochs),
            text(_rates(stage.train, stage.decay)) + _how(stage),
            markdown.whole(stage.params_trainable),
        ]
        for number, stage in enumerate(joined(trial.stages), start=1)
    ]
    table = markdown.table(
        ["stage", "name", "epochs", "learning rates of what trained", "parameters trained"],
        rows,
        words=2,
    )
    start = ""
    if trial.start:
        first = data.get("start", {})
        stages = "; ".join(
            f"{stage.get('epochs')} epochs, {_rates(stage.get('train', {}))}"
            for stage in suite.experiment["start"]["stages"]
        )
        sizes = ", ".join(f"{split} {size:,}" for split, size in first.get("sizes", {}).items())
        start = (
            f"Before that it was trained on {text(', '.join(map(str, first.get('sources', []))))} ({sizes} sentences; fingerprint "
            f"`{first.get('fingerprint')}`): {text(stages)}.\n\n"
        )
    revision = f" at revision {text(encoder['revision'])}" if encoder.get("revision") else ""
    sizes = ", ".join(f"{split} {size:,}" for split, size in data["sizes"].items())
    return (
        f"{table}\n\n{start}Encoder: {name(encoder['name'])}{revision}, of which SHA-256 over its weights is `{encoder['sha256']}`. "
        f"Data: {text(', '.join(map(str, data['sources'])))} ({sizes} sentences; fingerprint "
        f"`{data['fingerprint']}`). Precision {text(suite.environment['precision'])}; {text(suite.environment['device_name'])}; made by "
        f"mtlab {text(suite.environment['mtlab'])}.\n\n{LICENCES}"
    )


def _rates(train: Any, decay: Any = None) -> str:
    """Learning rates in words, from an experiment file, or from a record, which has the decay
    separately.
    """
    rates = {
        selector: rate
        if isinstance(rate, dict)
        else {"rate": rate, "decay": (decay or {}).get(selector)}
        for selector, rate in train.items()
    }
    phrases = [
        f"{selector} {rate['rate']:g}{falling(rate.get('decay'))}"
        for selector, rate in rates.items()
    ]
    return ", ".join(phrases) or "nothing trains"


def _how(stage: StageRecord) -> str:
    """Further facts about the training of a stage, in words."""
    clause = f", {HOW[stage.chooses]}" if stage.chooses else ""
    return drawn(stage.reinit) + clause + averaged(stage.average)


def _limits(choice: Choice, facts: dict[str, Any]) -> str:
    rounding = (
        "- It was measured in bf16, where rounding depends on what shares a batch: read one by one, a few close calls may fall otherwise.\n"
        if facts["precision"] == "bf16"
        else ""
    )
    trained = {
        unit
        for stage in choice.trial.stages
        for unit, count in stage.parameters.items()
        if count.trainable and stage.steps
    }
    idle = (
        []
        if choice.trial.start
        else [task for task in choice.group.every if f"head.{task.name}" not in trained]
    )
    random = "".join(
        f"- Its head for {_called(task)} was not trained: it is as it was drawn at random, and what it says means nothing.\n"
        for task in idle
    )
    chosen = (
        "The scenario was chosen by scores on this test split, so that its own score there is a little too good. "
        if choice.why
        else ""
    )
    return (
        f"- {chosen}The numbers are of this test split alone: of other text nothing was measured.\n"
        f"{random}"
        f"{''.join(_knows(task, facts) for task in choice.group.every)}"
        "- Scores are probabilities as the heads give them, and were not calibrated.\n"
        f"- Inputs are cut at {facts['max_length']:,} sub-word tokens; words beyond are not read.\n"
        f"{rounding}"
        "- What the encoder was pretrained on, with its errors and its biases, is in it."
    )


def _knows(task: Task, facts: dict[str, Any]) -> str:
    """A line on the values that a head can predict."""
    coded_task = rebuilt(task.name, facts["tasks"][task.name])
    names = text(", ".join(coded_task.codes.names))
    clause = (
        f"it knows {coded_task.summary} ({names})"
        if names
        else f"those in training have {coded_task.summary}"
    )
    return f"- For {_called(task)} it gives {task.kind.wants}; {clause}.\n"
