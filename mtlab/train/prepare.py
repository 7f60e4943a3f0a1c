"""What trials share: data, encoding and the pretrained encoder, made once a suite."""

import copy
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import torch

from mtlab.data import also_test, batches, corpus_encoding, sources
from mtlab.data.batches import Batch
from mtlab.data.encoding import Encoded, Examples
from mtlab.data.sources import Corpus
from mtlab.model import backbone, lora
from mtlab.model.backbone import Backbone, Location
from mtlab.model.flops import Counter
from mtlab.model.freezing import digests
from mtlab.model.network import Network
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import NOT_IN_KEY, START, Experiment
from mtlab.plan.scenario import Point, Trial, content_key
from mtlab.record.records import FORMAT
from mtlab.tasks.kind import Shape
from mtlab.train.runtime import Runtime
from mtlab.train.shared import CACHE, Shared
from mtlab.train.stage_plan import StagePlan, plan_stages
from mtlab.train.weights.source_checkpoint import Checkpoint


@dataclass(frozen=True)
class Prepared:
    """One point of the sweep, ready to run.

    Attributes:
        experiment: the experiment at this point.
        corpus: its data.
        encoded: split to encoded sentences.
        pad_id: the token id that inputs are padded with.
        location: the encoder, as it was found.
        pristine: the pretrained encoder; trials train copies of it.
        pristine_digests: SHA-256 of each of its units.
        counter: FLOPs of a step.
        setup_s: seconds that reading data, tokenising and loading weights took: they count in full
            for every trial.
        source: the source data, ready to train the checkpoints that trials start from; None where
            trials start from the pretrained encoder.
        checkpoints: seed to that checkpoint, as soon as it is trained.
        variants: whether the encoder has adapters, to this point with or without them; made on
            first use.
        also: name of a test set out of distribution to this point with its sentences as the test
            split, and without other splits.
    """

    experiment: Experiment
    corpus: Corpus
    encoded: dict[str, Encoded]
    pad_id: int
    location: Location
    pristine: Backbone
    pristine_digests: Mapping[str, str]
    counter: Counter
    setup_s: float
    source: "Prepared | None" = None
    checkpoints: dict[int, Checkpoint] = field(default_factory=dict)
    variants: dict[bool, "Prepared"] = field(default_factory=dict)
    also: Mapping[str, "Prepared"] = field(default_factory=dict)

    @cached_property
    def encoder_digest(self) -> str:
        """SHA-256 over the encoder's weights."""
        return content_key(dict(self.pristine_digests))

    @property
    def shapes(self) -> dict[str, Shape]:
        """Task to the shape of its head."""
        return self.corpus.shapes

    def of(self, scenario: str) -> "Prepared":
        """What trials of a scenario run on: this object, or a copy of it with adapters in the
        encoder where a stage trains them.
        """
        adapted = lora.wanted(self.experiment.scenario(scenario).stages)
        if adapted is self.counter.adapted:
            return self
        if adapted not in self.variants:
            adapters = self.experiment.lora if adapted else None
            counter = Counter(self.location.config, self.shapes, self.experiment.head, adapters)
            self.variants[adapted] = replace(self, counter=counter)
        return self.variants[adapted]

    def stage_plans(self, scenario: str) -> tuple[StagePlan, ...]:
        """The stages of a scenario, each resolved against the network that its trials train.

        Raises:
            UserError: a selector does not fit the network.
        """
        stages = self.experiment.scenario(scenario).stages
        cached = self.experiment.cache.mode != "off"
        return plan_stages(stages, self.of(scenario).counter.network, cached)

    def adapt(self, network: Network, seed: int) -> None:
        """Give a network the adapters that its scenario trains, if it trains any."""
        if self.counter.adapted:
            lora.inject(network, self.experiment.lora, seed)
            network.to(next(network.heads.parameters()).device)

    def ready(self, split: str, device: torch.device) -> tuple[Batch, ...]:
        """A split in batches for passes without gradient, sorted by length, on the device: made
        once.
        """
        if split not in self._ready:
            encoded = self.encoded[split]
            ids = batches.by_length(encoded, batches.EVALUATION_TOKENS)
            self._ready[split] = tuple(
                batches.collate(encoded.examples, sentence_ids, self.pad_id).to(device)
                for sentence_ids in ids
            )
        return self._ready[split]

    @cached_property
    def _ready(self) -> dict[str, tuple[Batch, ...]]:
        return {}

    def fresh_network(self, seed: int, device: torch.device) -> Network:
        """A copy of the pretrained encoder under newly drawn heads: where every trial of this seed
        begins, or its checkpoint did.
        """
        backbone = Backbone(
            copy.deepcopy(self.pristine.model), self.pristine.blocks, self.pristine.after
        )
        network = Network(backbone, self.shapes, self.experiment.head)
        network.draw_heads(seed)
        return network.to(device)

    def key(self, trial: Trial, runtime: Runtime) -> str:
        """SHA-256 over everything that affects the trial's result.

        Settings, stages, data as encoded, the encoder's weights and configuration, device,
        precision, kernel, threads, the number of processes where there are several, and the
        versions of the packages that compute.
        """
        recipe = self.experiment.model_dump(mode="json", exclude=NOT_IN_KEY)
        stages = [
            stage.model_dump(mode="json")
            for stage in self.experiment.scenario(trial.scenario).stages
        ]
        facts = runtime.describe()
        computing = [
            facts[name] for name in ("precision", "threads", "torch", "transformers", "mtlab")
        ]
        encoder = (
            self.encoder_digest,
            self.location.config.to_json_string(),
            self.pristine.model.config._attn_implementation,
        )
        kinds = [
            (name, task.model_dump(include={"kind", "spans"}))
            for name, task in self.experiment.tasks.items()
        ]
        data = (self.corpus.fingerprint, kinds, self.encoding_digest, self.experiment.cache.mode)
        start: list[Any] = [] if self.source is None else [self.start_key(trial.seed, runtime)]
        if lora.wanted(self.experiment.scenario(trial.scenario).stages):
            start += [self.experiment.lora.model_dump(), facts["peft"]]
        if "processes" in facts:  # gradients are then added up in another order
            start.append({"processes": facts["processes"]})
        if self.also:
            sets = sorted(self.also.items())
            start.append(
                {
                    name: (test_set.corpus.fingerprint, test_set.encoding_digest)
                    for name, test_set in sets
                }
            )
        return content_key(
            FORMAT,
            trial.scenario,
            trial.seed,
            trial.point,
            recipe,
            stages,
            runtime.device.type,
            computing,
            encoder,
            data,
            *start,
        )

    def start_key(self, seed: int, runtime: Runtime) -> str | None:
        """The key of the trial that trains the checkpoint which trials of this seed start from;
        None where there is none.
        """
        return None if self.source is None else self.source.key(Trial(START, seed), runtime)

    @cached_property
    def encoding_digest(self) -> str:
        """SHA-256 over all encoded sentences: another tokenizer gives another one."""
        digest = hashlib.sha256()
        for split in sorted(self.encoded):
            examples = self.encoded[split].examples
            ids, words = examples.input_ids.data, examples.words.data
            for (begin, end), (first, last) in zip(
                pairwise(examples.starts.tolist()),
                pairwise(examples.word_starts.tolist()),
                strict=True,
            ):
                digest.update(ids[begin:end])
                digest.update(words[first:last])
        return digest.hexdigest()

    def examples(self, split: str, of_source: bool = False) -> Examples:
        """The encoded sentences of a split, of the source data where asked for."""
        prepared = self.source if of_source and self.source is not None else self
        return prepared.encoded[split].examples


def prepare(
    experiment: Experiment, runtime: Runtime, points: Iterable[Point] = ()
) -> dict[Point, Prepared]:
    """Load and encode what the experiment needs, and check every scenario against it, before
    anything is trained.

    Args:
        experiment: what is run.
        runtime: what it runs on.
        points: of the sweep; all of them where none are given.

    Raises:
        UserError: something is wrong with the data, the encoder or a scenario.
    """
    shared = Shared()
    with experiment.pointing():
        return {
            point: _prepare(experiment.at(point), runtime, shared)
            for point in tuple(points) or experiment.points
        }


def check_scenarios(prepared: Prepared, where: str = "scenarios.{name}") -> None:
    """Check every scenario: each of its stages is planned once.

    Args:
        prepared: what the scenarios' trials run on.
        where: the place of a scenario's stages in the experiment file, for error messages.

    Raises:
        UserError: a selector does not fit the network, or no loss reaches what a stage trains.
    """
    for name in prepared.experiment.scenarios:
        place = where.format(name=name)
        try:
            plans = prepared.stage_plans(name)
        except UserError as error:
            where_of_error = f"{place}.{error.where}"
            raise UserError(
                error.problem, error.remedy, where=where_of_error, code=error.code
            ) from None
        for index, plan in enumerate(plans):
            _check_losses(plan, f"{place}.{index}")


def _check_losses(plan: StagePlan, place: str) -> None:
    stage, trained = plan.stage, plan.partition.trained_units
    if stage.rehearsal and not trained - {f"head.{task}" for task in stage.losses}:
        problem = "rehearsal reaches nothing that trains here"
        raise UserError(problem, "take it out", where=f"{place}.rehearsal", code="no-effect")
    # rehearsal and distillation reach the heads of tasks that `losses` leaves out
    kept = stage.rehearsal or stage.distillation
    silent = {f"head.{task}" for task in stage.silent}
    if stage.epochs and not kept and trained <= silent:
        problem = "no loss reaches what trains here"
        remedy = "name the head's own task among `losses`"
        raise UserError(problem, remedy, where=f"{place}.losses", code="no-labels")


def _prepare(experiment: Experiment, runtime: Runtime, shared: Shared) -> Prepared:
    """Prepare a point. Where its trials start from a checkpoint, the source data and the point's
    own data both get the classes of both.
    """
    location, _ = shared.get(
        lambda: backbone.find(experiment.encoder), "location", experiment.encoder.model_dump()
    )
    corpus, data_s = shared.corpus(experiment, "data")
    source_phase = experiment.source_phase()
    if source_phase is None:
        return _ready(experiment, corpus, data_s, location, runtime, shared)
    earlier, earlier_s = shared.corpus(source_phase, "start.data")
    corpus, earlier = sources.together([corpus, earlier])
    source = _ready(
        source_phase, earlier, earlier_s, location, runtime, shared, where="start.stages"
    )
    return _ready(experiment, corpus, data_s, location, runtime, shared, source)


def _ready(
    experiment: Experiment,
    corpus: Corpus,
    data_s: float,
    location: Location,
    runtime: Runtime,
    shared: Shared,
    source: Prepared | None = None,
    where: str = "scenarios.{name}",
) -> Prepared:
    encoder = experiment.encoder.model_dump()
    tokenizer, tokenizer_s = shared.get(lambda: backbone.tokenizer(location), "tokenizer", encoder)
    pristine, weights_s = shared.get(
        lambda: backbone.load(location, runtime.attention), "weights", encoder
    )
    limit = length_limit(experiment, pristine, tokenizer)
    directory = experiment.output / CACHE
    encoded, encoding_s = shared.get(
        lambda: corpus_encoding.encode(corpus, tokenizer, limit, directory),
        "encoded",
        encoder,
        corpus.fingerprint,
        limit,
    )
    shapes, head = corpus.shapes, experiment.head
    counter, _ = shared.get(
        lambda: Counter(location.config, shapes, head),
        "counter",
        encoder,
        shapes,
        head.model_dump(),
    )
    pristine_digests, _ = shared.get(
        lambda: digests(Network(pristine, {}, head)), "digests", encoder
    )
    if tokenizer.pad_token_id is None:
        raise UserError(
            f"the tokenizer of {location.name} has no padding token",
            "add `pad_token` to its tokenizer_config.json",
            where="encoder",
            code="encoder-unfit",
        )
    size = getattr(location.config, "vocab_size", None)
    corpus_encoding.check_vocabulary(encoded, tokenizer.pad_token_id, size, location.name)
    setup_s = data_s + tokenizer_s + weights_s + encoding_s
    prepared = Prepared(
        experiment,
        corpus,
        encoded,
        tokenizer.pad_token_id,
        location,
        pristine,
        pristine_digests,
        counter,
        setup_s,
        source,
    )
    check_scenarios(prepared, where)
    return _with_sets(prepared, tokenizer, limit, shared)


def _with_sets(prepared: Prepared, tokenizer: Any, limit: int, shared: Shared) -> Prepared:
    """A copy with the experiment's test sets out of distribution, read and encoded."""
    experiment, corpus, location = prepared.experiment, prepared.corpus, prepared.location
    if not experiment.also_test:
        return prepared
    directory = experiment.output / CACHE

    def read() -> list[tuple[str, Corpus, dict[str, Encoded]]]:
        sets = also_test.load(experiment, corpus, directory)
        return [
            (name, of_set, corpus_encoding.encode(of_set, tokenizer, limit, directory))
            for name, of_set in sets.items()
        ]

    entries = {name: of_set.model_dump() for name, of_set in experiment.also_test.items()}
    encoder, data = experiment.encoder.model_dump(), experiment.data.max_duplicates
    sets, _ = shared.get(  # a plain loop would not read them: the seconds count for no trial
        read, "also_test", entries, encoder, corpus.fingerprint, limit, experiment.data_seed, data
    )
    size = getattr(location.config, "vocab_size", None)
    for _, _, encoded in sets:
        corpus_encoding.check_vocabulary(encoded, prepared.pad_id, size, location.name)
    also = {
        name: replace(prepared, corpus=of_set, encoded=encoded) for name, of_set, encoded in sets
    }
    return replace(prepared, also=also, variants={})  # the existing variants lack the test sets


def length_limit(experiment: Experiment, pristine: Backbone, tokenizer: Any) -> int:
    """Longest input in tokens: the experiment's ``max_length``, or what the encoder takes.

    Raises:
        UserError: the experiment asks for more than the encoder takes.
    """
    limit = backbone.max_length(pristine, tokenizer)
    if experiment.max_length is not None and experiment.max_length > limit:
        raise UserError(
            f"{experiment.max_length} is above the encoder's {limit} tokens",
            f"give at most {limit}",
            where="max_length",
            code="out-of-range",
        )
    return experiment.max_length or limit
