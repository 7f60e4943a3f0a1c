"""The card of an exported model: what it is, what was measured of it, what it cannot do, and how to
load it.
"""

from typing import Any

from mtlab.export.agreement import Agreement
from mtlab.export.model import Choice
from mtlab.plan.scenario import point_label
from mtlab.record.quality import EntityMetrics
from mtlab.report import markdown
from mtlab.report.markdown import fixed, name, text
from mtlab.report.sections.body import results

HEAD = {"classifier": "classification", "ner": "entity"}

LOAD = """\
import json, torch
from safetensors.torch import load_file
from torch.nn.functional import linear
from transformers import AutoModel, AutoTokenizer

facts, heads = json.load(open("{folder}/heads.json")), load_file("{folder}/heads.safetensors")
tokenizer = AutoTokenizer.from_pretrained("{folder}")
encoder = AutoModel.from_pretrained("{folder}", **facts["encoder"]).eval()
{read}
print(facts["labels"][intent.argmax()], [(word, facts["tags"][tag]) for word, tag in zip(inputs.word_ids(), tags.argmax(-1))])
"""
"""How plain transformers loads the folder and reads one sentence; a word's tag is that of its first
sub-word."""

WORDS = """\
# `words` are those of one sentence, such as ["play", "some", "jazz"]
inputs = tokenizer([words], is_split_into_words=True, truncation=True, return_tensors="pt")
with torch.no_grad(){autocast}:
    states = encoder(inputs.input_ids, inputs.attention_mask).last_hidden_state
    intent = linear({pooled}, heads["classifier.weight"], heads["classifier.bias"])
    tags = linear(states[0], heads["ner.weight"], heads["ner.bias"])"""
"""How both tasks read words."""

TEXT_AND_WORDS = """\
# `text` is one sentence as it is written, such as "Play some jazz!", which is classified; `words`
# are its words, which are tagged
whole = tokenizer([text], truncation=True, return_tensors="pt")
inputs = tokenizer([words], is_split_into_words=True, truncation=True, return_tensors="pt")
with torch.no_grad(){autocast}:
    states = encoder(whole.input_ids, whole.attention_mask).last_hidden_state
    intent = linear({pooled}, heads["classifier.weight"], heads["classifier.bias"])
    states = encoder(inputs.input_ids, inputs.attention_mask).last_hidden_state
    tags = linear(states[0], heads["ner.weight"], heads["ner.bias"])"""
"""How a classifier reads text, and words are tagged: a tokenizer may make other sub-words of the
one than of the other."""


def write(choice: Choice, facts: dict[str, Any], checked: Agreement) -> str:
    """The card, as markdown.

    Args:
        choice: the exported trial.
        facts: the content of ``heads.json``.
        checked: the result of reading the test split with the folder.
    """
    suite, trial = choice.suite, choice.trial
    point = point_label(trial.point.items())
    title = f"{text(suite.experiment['name'])}: {text(trial.scenario)}"
    why = f" Among the scenarios compared it is {choice.why}." if choice.why else ""
    parts = [
        "---\nlibrary_name: transformers\ntags: [text-classification, token-classification, multi-task]\n---",
        f"# {title}",
        f"One encoder with a sentence classification head and an entity head, trained as {name(trial.scenario)}"
        f"{f' at {text(point)}' if point else ''}, seed {trial.seed}.{why} Of the scenario's seeds it is the one whose weights scored "
        "highest on validation.",
        "## Load it",
        markdown.fenced(load(facts, "."), "python"),
        _served(facts),
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
    """Code that loads the model with plain transformers, and reads ``words``, and ``text`` where it
    classifies that, as was measured.
    """
    autocast = ', torch.autocast("cpu", torch.bfloat16)' if facts["precision"] == "bf16" else ""
    pooled = (
        "states[0].float().mean(dim=0)" if facts["pooling"] == "mean" else "states[0, 0].float()"
    )
    read = TEXT_AND_WORDS if facts["inputs"]["classifier"] == "text" else WORDS
    return LOAD.format(folder=folder, read=read.format(autocast=autocast, pooled=pooled)).rstrip(
        "\n"
    )


def _served(facts: dict[str, Any]) -> str:
    """What to give the model to read."""
    trained = (
        "The classification head was trained on raw text, and the entity head on words: give each what it was trained on."
        if facts["inputs"]["classifier"] == "text"
        else "Both heads were trained on sentences that were cut into words."
    )
    return (
        f"{trained} Or, with mtlab: `mtlab predict .` reads sentences from a file or standard input, as `text` or as `tokens`, gives each "
        "head the one it was trained on, and writes intents and entities as JSON lines."
    )


def _measured(choice: Choice) -> str:
    """The numbers of the seed itself, on test."""
    test = choice.trial.test
    assert test is not None, "a trial that ended well was tested"
    rows = []
    if test.classifier is not None:
        rows += [
            ["accuracy", fixed(test.classifier.accuracy)],
            ["macro F1", fixed(test.classifier.macro_f1)],
        ]
    if test.ner is not None:
        rows += [
            [f"entity {what}", fixed(getattr(test.ner.default, what))]
            for what in ("precision", "recall")
        ]
        rows += [
            ["entity F1", fixed(test.ner.default.f1)],
            ["entity F1, strict IOB2", fixed(test.ner.strict.f1)],
        ]
        rows += [
            [f"F1 of {text(kind)} ({_support(scores)})", fixed(scores.f1)]
            for kind, scores in test.ner.by_type.items()
        ]
    sentences = choice.suite.data[point_label(choice.trial.point.items())]["sizes"]["test"]
    return f"This seed, {sentences:,} test sentences:\n\n" + markdown.table(
        ["measure", "value"], rows
    )


def _support(scores: EntityMetrics) -> str:
    return f"{scores.support:,} entities"


def _trained(choice: Choice) -> str:
    suite, trial = choice.suite, choice.trial
    label = point_label(trial.point.items())
    encoder, data = suite.encoder[label], suite.data[label]
    rows = [
        [
            str(number),
            text(stage.name),
            str(stage.epochs),
            text(_rates(stage.train)),
            markdown.whole(stage.params_trainable),
        ]
        for number, stage in enumerate(trial.stages, start=1)
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
        f"{table}\n\n{start}Encoder: {name(encoder['name'])}{revision}, of which SHA-256 over its weights is `{encoder['sha256']}`; its "
        f"own licence holds for these weights too. Data: {text(', '.join(map(str, data['sources'])))} ({sizes} sentences; fingerprint "
        f"`{data['fingerprint']}`). Precision {text(suite.environment['precision'])}; {text(suite.environment['device_name'])}; made by "
        f"mtlab {text(suite.environment['mtlab'])}."
    )


def _rates(train: Any) -> str:
    return ", ".join(f"{selector} {rate:g}" for selector, rate in train.items()) or "nothing trains"


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
        else [task for task in ("classifier", "ner") if f"head.{task}" not in trained]
    )
    random = "".join(
        f"- Its {HEAD[task]} head was not trained: it is as it was drawn at random, and what it says means nothing.\n"
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
        f"- It knows {len(facts['labels'])} labels ({text(', '.join(facts['labels']))}), and gives every sentence one of them. Scores are "
        "the softmax's, and were not calibrated.\n"
        f"- Inputs are cut at {facts['max_length']:,} sub-word tokens; words beyond have no entity.\n"
        f"{rounding}"
        "- What the encoder was pretrained on, with its errors and its biases, is in it."
    )
