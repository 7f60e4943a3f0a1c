"""The plan: what an experiment would train, freeze and cost, worked out without weights and without
training.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from mtlab.data import also_test, corpus_encoding, sources
from mtlab.data.encoding import Encoded, Example, Examples
from mtlab.data.sources import Corpus
from mtlab.data.stored import Sentence
from mtlab.model import backbone
from mtlab.model.backbone import Location
from mtlab.model.flops import Counter
from mtlab.model.freezing import units
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import START, Experiment
from mtlab.plan.scenario import point_label
from mtlab.plan.words import counted, spanned
from mtlab.train.loop import schedule
from mtlab.train.measure import facts
from mtlab.train.measure.stage_lines import Planned, stage_lines
from mtlab.train.prepare import Prepared, check_scenarios, length_limit

TERA = 1e12


@dataclass(frozen=True)
class Row:
    """A scenario of a plan.

    Attributes:
        point: of the sweep, in words; empty where nothing is swept.
        scenario: its name.
        epochs: of all its stages, the most that there may be.
        steps: of all its stages, the most that there may be.
        params_trainable: in its last stage.
        params_frozen: in its last stage.
        frozen_prefix: blocks below the lowest that trains, in its last stage.
        train_flops_plain: of all seeds, where every step computes everything.
        train_flops_floor: of all seeds, where states that cannot change are computed once, and
            nothing is padded.
    """

    point: str
    scenario: str
    epochs: int
    steps: int
    params_trainable: int
    params_frozen: int
    frozen_prefix: int
    train_flops_plain: int
    train_flops_floor: int


def lines(
    experiment: Experiment,
    shows: Callable[[str], Iterable[str]] = lambda _: (),
    keep: Callable[[Row], object] = lambda _: None,
) -> Iterator[str]:
    """The plan of an experiment, line by line.

    Args:
        experiment: nothing of it is trained.
        shows: gives lines on what the data with a fingerprint can show.
        keep: is called with each scenario when it is planned.

    Raises:
        UserError: something is wrong with the experiment, its data or its encoder.
    """
    names, seeds, points = experiment.scenarios, experiment.seeds, experiment.points
    factors = [
        counted(len(names), "scenario"),
        spanned(experiment.fewest_seeds, len(seeds), "seed"),
        *([f"{len(points)} points"] if len(points) > 1 else []),
    ]
    fewest, most = (
        len(names) * len(points) * number for number in (experiment.fewest_seeds, len(seeds))
    )
    yield f"{experiment.name}: {' × '.join(factors)} = {spanned(fewest, most, 'trial')}; nothing is trained here"
    for point in points:
        if point:
            yield f"\n{point_label(point)}"
        with experiment.pointing():
            yield from _point_lines(experiment.at(point), shows, point_label(point), keep)


def sketch(experiment: Experiment, corpus: Corpus | None = None) -> tuple[Prepared, list[str]]:
    """A point of an experiment, prepared as far as this is possible without weights, and notes on
    what was assumed.

    Args:
        experiment: at one point: nothing is swept in it.
        corpus: its data, where they are read already.
    """
    location = backbone.find(experiment.encoder)
    corpus = corpus or sources.load(experiment.data, experiment.tasks, experiment.data_seed)
    source_phase = experiment.source_phase()
    if source_phase is None:
        return _sketch(experiment, corpus, location)
    corpus, earlier = sources.together(
        [
            corpus,
            sources.load(
                source_phase.data, source_phase.tasks, source_phase.data_seed, "start.data"
            ),
        ]
    )
    source, _ = _sketch(source_phase, earlier, location, where="start.stages")
    return _sketch(experiment, corpus, location, source)


def _sketch(
    experiment: Experiment,
    corpus: Corpus,
    location: Location,
    source: Prepared | None = None,
    where: str = "scenarios.{name}",
) -> tuple[Prepared, list[str]]:
    notes = []
    counter = Counter(
        location.config,
        corpus.shapes,
        experiment.head,
    )
    skeleton = counter.network.backbone
    try:
        tokenizer = backbone.tokenizer(location)
    except UserError as error:
        if "no tokenizer" not in error.problem:
            raise
        tokenizer = None
        notes.append("no tokenizer there: FLOPs take a word for one token")
    limit = length_limit(experiment, skeleton, tokenizer)

    def encoded(of: Corpus) -> dict[str, Encoded]:
        if tokenizer is not None:
            return corpus_encoding.encode(of, tokenizer, limit)
        return {split: _word_lengths(of, split, limit) for split in of.splits}

    prepared = Prepared(
        experiment, corpus, encoded(corpus), 0, location, skeleton, {}, counter, 0.0, source
    )
    sets = also_test.load(experiment, corpus).items()
    also = {name: replace(prepared, corpus=of, encoded=encoded(of)) for name, of in sets}
    prepared = replace(prepared, also=also)
    check_scenarios(prepared, where)
    return prepared, notes


def floor(prepared: Prepared, planned: list[Planned], seeds: int | None = None) -> int:
    """FLOPs that cannot be avoided when these stages are trained with so many seeds (all where none
    are given), padding left out.

    Blocks below the first trained one are computed once, in one pass for all epochs, seeds and
    scenarios (in one pass for each seed, where each seed has a checkpoint of its own, or draws new
    weights there). The blocks above are computed at every step.
    """
    above, deepest = 0, 0
    for plan in planned:
        deepest = max(deepest, plan.partition.prefix_depth if plan.steps else 0)
        above += plan.flops(prepared, cached=True)[1]
    lengths = prepared.encoded["train"].examples.lengths
    seeds = seeds or len(prepared.experiment.seeds)
    below = prepared.counter.prefix(deepest).exact(lengths) if deepest else 0
    apart = prepared.source is not None or any(
        plan.stage.reinit and not plan.untouched for plan in planned
    )
    return above * seeds + below * (seeds if apart else 1)


def plain(prepared: Prepared, planned: list[Planned], seeds: int | None = None) -> int:
    """FLOPs of a plain loop over these stages with so many seeds (all where none are given),
    padding included.
    """
    once = sum(plan.flops(prepared)[0] for plan in planned)
    return once * (seeds or len(prepared.experiment.seeds))


def _point_lines(
    experiment: Experiment,
    shows: Callable[[str], Iterable[str]],
    label: str,
    keep: Callable[[Row], object],
) -> Iterator[str]:
    prepared, notes = sketch(experiment)
    config, corpus = prepared.location.config, prepared.corpus
    sizes = ", ".join(f"{split} {len(rows):,}" for split, rows in corpus.splits.items())
    classes = ", ".join(f"{name} {task.summary}" for name, task in corpus.tasks.items())
    total = sum(unit.count for unit in units(prepared.counter.network).values())
    blocks, hidden = len(prepared.pristine.blocks), prepared.pristine.hidden_size
    yield f"encoder {experiment.encoder.name}: {config.model_type}, {blocks} blocks, hidden {hidden}"
    yield f"data: {sizes} sentences; {classes}"
    yield f"parameters in all: {total:,}, the encoder's pooler left out"
    for name, test_set in facts.describe_sets(prepared).items():
        title = name if test_set["title"] == name else f"{name} ({test_set['title']})"
        yield f"also tested, at the end: {title}, {counted(test_set['sentences'], 'sentence')}"
    of_sets = facts.notes_of_sets(prepared)
    yield from (f"note: {note}" for note in (*corpus.notes, *of_sets, *notes))
    planned = {name: _planned(prepared.of(name), name) for name in experiment.scenarios}
    if prepared.source is not None:
        yield f"\n{START}: the checkpoint of each seed, trained on {prepared.source.experiment.data.title}"
        yield from stage_lines(prepared.source, _planned(prepared.source, START))
    for name, stages in planned.items():
        yield f"\n{name}"
        yield from stage_lines(prepared.of(name), stages)
    yield from _cost_lines(prepared, planned, label, keep)
    yield ""
    yield from shows(corpus.fingerprint)


def _row(
    prepared: Prepared, label: str, name: str, stages: list[Planned], costs: tuple[int, int]
) -> Row:
    """A scenario at a point, with its plain and floor FLOPs."""
    last, network = stages[-1].partition, prepared.counter.network
    counts = {unit: facts.count for unit, facts in units(network, last.divided).items()}
    return Row(
        label,
        name,
        sum(plan.stage.epochs for plan in stages),
        sum(len(plan.steps) for plan in stages),
        sum(counts[unit] for group in last.trainable for unit in group.units),
        sum(counts[unit] for unit in last.frozen),
        last.prefix_depth,
        *costs,
    )


def _cost_lines(
    prepared: Prepared,
    planned: Mapping[str, list[Planned]],
    label: str,
    keep: Callable[[Row], object],
) -> Iterator[str]:
    experiment = prepared.experiment
    seeds, fewest = len(experiment.seeds), experiment.fewest_seeds
    several = fewest < seeds
    yield f"\nTraining FLOPs of {f'up to {seeds}' if several else 'all'} seeds, in 10^12"
    yield "  plain: every step computes everything, padding too, as this engine does; floor: what cannot change once, no padding"
    first = f"first look, {fewest} seeds"
    width = max(map(len, [*planned, *([first] if several else [])]))
    early = {name: experiment.scenario(name).ends_early for name in planned}
    for name, stages in planned.items():
        costs = plain(prepared.of(name), stages), floor(prepared.of(name), stages)
        keep(_row(prepared.of(name), label, name, stages, costs))
        yield _cost_line(name.ljust(width), *costs, most=several or early[name])
    ends_early = any(early.values())
    yield _cost_line(
        "together".ljust(width), *_together(prepared, planned, seeds), most=several or ends_early
    )
    if several:
        yield _cost_line(first.ljust(width), *_together(prepared, planned, fewest), most=ends_early)


def _together(
    prepared: Prepared, planned: Mapping[str, list[Planned]], seeds: int
) -> tuple[int, int]:
    """Plain and floor FLOPs of all scenarios with this number of seeds."""
    variants = [prepared, *(plan for plan in prepared.variants.values() if plan.counter.adapted)]
    together = [
        [
            plan
            for name, stages in planned.items()
            if prepared.of(name) is variant
            for plan in stages
        ]
        for variant in variants
    ]
    pairs = list(zip(variants, together, strict=True))
    plain_flops, floor_flops = (
        sum(count(variant, variant_plans, seeds) for variant, variant_plans in pairs)
        for count in (plain, floor)
    )
    return plain_flops, floor_flops


def _planned(prepared: Prepared, name: str) -> list[Planned]:
    return [
        Planned(
            **{field.name: getattr(plan, field.name) for field in fields(plan)},
            epochs=list(schedule.epochs(prepared, plan)),
        )
        for plan in prepared.stage_plans(name)
    ]


def _cost_line(name: str, plain_flops: int, floor_flops: int, most: bool) -> str:
    ratio = f"{plain_flops / floor_flops:6.1f} times" if floor_flops else ""
    bound = "up to " if most else ""
    return f"  {name}  plain {bound}{plain_flops / TERA:10.3f}   floor {bound}{floor_flops / TERA:10.3f}   {ratio}".rstrip()


def _word_lengths(corpus: Corpus, split: str, limit: int) -> Encoded:
    no_words = np.zeros(0, dtype=np.int64)

    def example(sentence: Sentence) -> Example:
        words = sentence.tokens or tuple((sentence.text or "").split())
        ids = np.zeros(
            min(len(words) + 2, limit), dtype=np.int64
        )  # two for the tokens that begin and end a sentence
        return Example(sentence.source, ids, no_words, {}, {})

    return Encoded(Examples.of(map(example, corpus.splits[split])))
