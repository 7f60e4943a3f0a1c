"""Plant bugs that would make results wrong, one at a time, and see that a check notices each:
``python -m tests.mutants``.

Each bug is a piece of the product's source that is replaced by another, together with the tests
that must then fail: by an assertion, or because the product itself refuses what it sees. A crash
does not count, nor does a test that cannot be imported: they would say that the bug was planted
badly. The same tests must pass without any bug.

Nothing is changed here: the package and the tests are copied into temporary folders. A bug is tried
in a process of its own, forked from one that has imported torch and the like, which saves seconds a
bug; what is mtlab's and the tests' it imports from the copy."""

import argparse
import contextlib
import importlib
import io
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

LIMIT_S = 180.0
"""Seconds that the tests of one bug may take."""

ALL_LIMIT_S = 900.0
"""Seconds that all the tests may take without any bug."""

CHECKS = ("AssertionError", "Failed", "UserError", "CertificateError", "Diverged")
"""What a check raises: an assertion, ``pytest.fail`` and the like, and what the product raises
where it refuses what it sees."""

IMPORTED = (
    "torch",
    "transformers.models.bert.modeling_bert",
    "peft",
    "sklearn.metrics",
    "seqeval.scheme",
    "scipy.optimize",
    "matplotlib.figure",
    "pandas",
    "safetensors.torch",
    "datasets",
    "pydantic",
    "ruamel.yaml",
    "pytest",
)
"""What is imported before processes are forked."""

TRIAL = "tests/train/test_trial.py"
PREFIX = "tests/train/test_prefix.py"
STAGED = "tests/train/test_staged.py"
RESUME = "tests/train/test_resume.py::test_a_trial_goes_on_from_any_step_bit_for_bit"
RESUME_PATIENCE = "tests/train/test_resume.py"
PATIENCE = "tests/train/test_patience.py"
FREEZING = "tests/model/test_freezing.py"
SUB_UNITS = "tests/model/test_sub_units.py"
WAYS = "tests/train/test_ways.py"
CHOICES = "tests/train/test_block_choice.py"
ALSO_TEST = "tests/train/test_also_test.py"
CHANGED = "tests/data/test_also_test.py"
BATCHES = "tests/data/test_batches.py"
STATISTICS = "tests/report/test_statistics.py"
COMPARISONS = "tests/report/test_comparisons.py"
SCALE = "tests/report/test_scale.py"
DECISIONS = "tests/report/test_decisions.py"
REASONS = "tests/report/test_reasons.py"
FAILURES = "tests/report/test_training_failures.py"
WINNER = "tests/report/test_winner.py"
DROPS = "tests/report/test_drops.py"
SHIFTS = "tests/report/test_shifts.py"
EMBEDDED = "tests/model/test_embedded.py"
SERVING = "tests/export/test_serving.py"

CERTIFIED = f"{TRIAL}::test_frozen_parts_stand_and_every_certificate_holds"
SELECTED = f"{TRIAL}::test_weights_are_selected_on_validation_and_tested_on_test"
FIRST_OF_EQUALS = f"{TRIAL}::test_of_epochs_that_score_the_same_the_first_is_selected_and_tested"
TOGETHER = f"{PREFIX}::test_seeds_trained_together_are_what_they_are_alone"


@dataclass(frozen=True)
class Mutant:
    """A bug.

    Attributes:
        name: what is wrong then.
        file: below ``mtlab``.
        old: a piece of its text that occurs once.
        new: what takes its place.
        tests: node ids, of which at least one must fail.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def planted(self, text: str) -> str:
        """The file's text with the bug.

        Raises:
            ValueError: the bug no longer applies.
        """
        if text.count(self.old) != 1:
            raise ValueError(
                f"what it replaces occurs {text.count(self.old)} times in mtlab/{self.file}"
            )
        return text.replace(self.old, self.new)


FREEZING_BUGS = (
    Mutant(
        "a frozen part is thawed",
        "model/freezing.py",
        "parameter.requires_grad_(trains)",
        "parameter.requires_grad_(True)",
        (CERTIFIED, f"{FREEZING}::test_what_was_trained_before_has_no_gradients_when_it_is_frozen"),
    ),
    Mutant(
        "a frozen part is in the optimizer",
        "train/loop/step.py",
        "    if vocabulary is not None:\n        for group in groups:\n",
        '    groups[0]["params"] += [p for unit in partition.frozen for p in known[unit].parameters.values()]\n'
        "    if vocabulary is not None:\n        for group in groups:\n",
        (f"{TRIAL}::test_the_optimizer_holds_trained_parameters_alone",),
    ),
    Mutant(
        "a frozen part is decayed, on gradients that were left standing",
        "train/loop/step.py",
        "    if vocabulary is not None:\n        for group in groups:\n",
        "    for weight in [p for unit in partition.frozen for p in known[unit].parameters.values()]:\n"
        '        groups[0]["params"].append(weight)\n'
        "        weight.grad = torch.zeros_like(weight)\n"
        "    if vocabulary is not None:\n        for group in groups:\n",
        (CERTIFIED,),
    ),
    Mutant(
        "dropout is on in a frozen block",
        "model/freezing.py",
        "for module in unit.modules if name in partition.touched else ():",
        "for module in unit.modules:",
        (CERTIFIED, f"{FREEZING}::test_frozen_prefix_draws_no_dropout"),
    ),
    Mutant(
        "dropout is off in what trains, after a validation",
        "train/stage.py",
        "            freezing.set_modes(state.network, self.partition)\n",
        "",
        (CERTIFIED,),
    ),
    Mutant(
        "states are taken from before training though the embeddings below train",
        "model/freezing.py",
        'if {"embeddings", lora.UNIT} & taken:',
        "if lora.UNIT in taken:",
        (f"{FREEZING}::test_the_frozen_prefix_ends_below_what_trains",),
    ),
    Mutant(
        "a trial trains the pretrained weights that the next one begins with",
        "train/prepare.py",
        "copy.deepcopy(self.pristine.model)",
        "self.pristine.model",
        (f"{TRIAL}::test_the_pretrained_encoder_is_never_trained_itself",),
    ),
    Mutant(
        "words that training does not have are not decayed",
        "train/loop/step.py",
        "self.vocabulary.decay *= self._decay_of(self.vocabulary.weight)",
        "self.vocabulary.decay *= 1.0",
        ("tests/train/test_vocabulary.py::test_every_weight_ends_where_it_would[bert]",),
    ),
)

WAYS_BUGS = (
    Mutant(
        "a frozen part of a block trains with the rest of it",
        "model/freezing.py",
        "trains = name in partition.trained_units",
        "trains = sub_units.owner(name) in partition.touched",
        (f"{SUB_UNITS}::test_parts_of_blocks_are_what_their_names_say_and_cover_the_blocks[bert]",),
    ),
    Mutant(
        "a frozen part of a block is not certified",
        "model/freezing.py",
        "if before[name] != after[name]:",
        "if before[sub_units.owner(name)] != after[name] == before[name]:",
        (f"{WAYS}::test_a_frozen_part_that_moves_in_a_step_fails_the_trial",),
    ),
    Mutant(
        "a decay is applied twice",
        "model/freezing.py",
        "rate * decay ** sub_units.below_top(name, depth)",
        "rate * decay ** (2 * sub_units.below_top(name, depth))",
        (f"{SUB_UNITS}::test_rates_fall_from_the_top_block_down_to_the_embeddings[bert]",),
    ),
    Mutant(
        "the embeddings have the rate of the lowest block",
        "model/sub_units.py",
        "        return depth\n",
        "        return depth - 1\n",
        (f"{SUB_UNITS}::test_rates_fall_from_the_top_block_down_to_the_embeddings[bert]",),
    ),
    Mutant(
        "a bias that is frozen counts as trained",
        "train/stage.py",
        "trainable = unit.count if name in trained else 0",
        "trainable = unit.count if sub_units.owner(name) in partition.touched else 0",
        (f"{WAYS}::test_a_record_says_part_by_part_what_trained",),
    ),
    Mutant(
        "norms count as attention",
        "model/sub_units.py",
        'kind = "norms" if norm else "attention" if inside',
        'kind = "attention" if inside else "norms" if norm',
        (f"{SUB_UNITS}::test_parts_of_blocks_are_what_their_names_say_and_cover_the_blocks[bert]",),
    ),
    Mutant(
        "every seed draws the same new block",
        "model/reinit.py",
        'stream_seed(f"reinit.layers[{index}]", seed)',
        'stream_seed(f"reinit.layers[{index}]", 0)',
        ("tests/model/test_reinit.py::test_draws_depend_on_seed_and_block_alone",),
    ),
    Mutant(
        "seeds with new blocks of their own train on the states of one",
        "train/stage_plan.py",
        " and not self.stage.reinit",
        "",
        (f"{WAYS}::test_seeds_draw_blocks_of_their_own_and_so_do_not_train_together",),
    ),
    Mutant(
        "a block is drawn anew when its stage has begun and is resumed",
        "train/stage.py",
        "        if self.saved is None:\n            self._draw_anew(state)\n",
        "        self._draw_anew(state)\n        if self.saved is None:\n",
        (
            "tests/train/test_resume.py::test_so_does_one_that_trains_parts_of_blocks_and_draws_a_block_anew",
        ),
    ),
)

CHOICE_BUGS = (
    Mutant(
        "blocks are chosen by sentences of the test split",
        "train/loop/block_choice.py",
        'examples = prepared.encoded["train"].examples',
        'examples = prepared.encoded["test"].examples',
        (f"{CHOICES}::test_fisher_scores_are_those_of_training_sentences_and_choose_the_highest",),
    ),
    Mutant(
        "the blocks with the lowest scores are chosen",
        "train/pieces.py",
        "key=lambda block: -scores[block]",
        "key=lambda block: scores[block]",
        (f"{CHOICES}::test_fisher_scores_are_those_of_training_sentences_and_choose_the_highest",),
    ),
    Mutant(
        "all blocks train in each turn",
        "model/freezing.py",
        "if sub_units.owner(name) not in stage.withheld",
        "if name",
        (f"{CHOICES}::test_a_rotation_trains_some_blocks_at_a_time_and_all_else_throughout",),
    ),
    Mutant(
        "each turn has the blocks of the first",
        "train/pieces.py",
        "stage.rotate, candidates, number, state.trial.seed",
        "stage.rotate, candidates, 0, state.trial.seed",
        (f"{CHOICES}::test_a_rotation_trains_some_blocks_at_a_time_and_all_else_throughout",),
    ),
    Mutant(
        "blocks that trained after the best epoch stay as they are",
        "train/stage.py",
        "        partition = freezing.resolve(self.whole, network)\n",
        "        whole = self.partition\n",
        (f"{CHOICES}::test_the_best_epoch_of_an_earlier_turn_brings_all_blocks_back",),
    ),
    Mutant(
        "an average has the shares the other way round",
        "train/outcome.py",
        "weight.lerp_(selected[name], share)",
        "weight.lerp_(selected[name], 1 - share)",
        (
            f"{CHOICES}::test_an_average_is_a_share_of_what_trained_and_the_rest_of_where_the_stage_began",
        ),
    ),
    Mutant(
        "an average is taken with the weights of the epoch that was selected",
        "train/outcome.py",
        "    network.load_state_dict(choice.start, strict=False)\n    began",
        "    began",
        (
            f"{CHOICES}::test_an_average_is_a_share_of_what_trained_and_the_rest_of_where_the_stage_began",
        ),
    ),
    Mutant(
        "the validation scores of an averaged trial are those before",
        "train/outcome.py",
        "    if stage.average is not None:\n        selected, _ = ",
        "    if stage.average is not None:\n        _ = ",
        (
            f"{CHOICES}::test_an_average_is_a_share_of_what_trained_and_the_rest_of_where_the_stage_began",
        ),
    ),
    Mutant(
        "a stage begins its patience anew with each turn",
        "train/stage.py",
        "whole = self.whole if self.whole.chooses else self.piece",
        "whole = self.piece",
        (f"{CHOICES}::test_patience_rates_and_the_cooldown_go_on_from_piece_to_piece",),
    ),
    Mutant(
        "gradients of the look before stay in the sum",
        "train/loop/block_choice.py",
        "            total.zero_()\n",
        "            total.mul_(1)\n",
        (f"{CHOICES}::test_sums_of_gradients_begin_anew_after_each_look",),
    ),
    Mutant(
        "a trial that goes on forgets its sums of gradients",
        "train/trainers.py",
        "            self.sums.sums[name].copy_(total)\n",
        "            pass\n",
        ("tests/train/test_resume.py::test_so_does_one_in_which_not_all_blocks_train[freezing]",),
    ),
    Mutant(
        "a trial that goes on has all blocks in the piece that it continues",
        "train/group.py",
        "for key, to in changes}",
        'for key, to in changes if key != "withheld"}',
        ("tests/train/test_resume.py::test_so_does_one_in_which_not_all_blocks_train[turning]",),
    ),
)

SELECTION_BUGS = (
    Mutant(
        "weights are selected by test labels",
        "train/outcome.py",
        'metrics, _ = evaluate(state, "validation")',
        'metrics, _ = evaluate(state, "test")',
        (SELECTED, f"{TRIAL}::test_selection_is_on_disk_before_the_test_split_is_read"),
    ),
    Mutant(
        "weights are selected on what they were trained on",
        "train/outcome.py",
        'metrics, _ = evaluate(state, "validation")',
        'metrics, _ = evaluate(state, "train")',
        (SELECTED,),
    ),
    Mutant(
        "the test split is scored before the selection is written down",
        "train/outcome.py",
        "    select(state, state.scenario.stages[-1])\n",
        ('    evaluate(state, "test")\n    select(state, state.scenario.stages[-1])\n'),
        (f"{TRIAL}::test_selection_is_on_disk_before_the_test_split_is_read",),
    ),
    Mutant(
        "of epochs that score the same the last is selected",
        "train/selection.py",
        "score > best[name].score",
        "score >= best[name].score",
        (FIRST_OF_EQUALS,),
    ),
    Mutant(
        "the last epoch's weights are tested for the best one's",
        "train/outcome.py",
        'if stage.select == "best" and best is not None:',
        'if stage.select == "best" and best is not None and stage != state.scenario.stages[-1]:',
        (FIRST_OF_EQUALS,),
    ),
    Mutant(
        "settings are chosen by test scores",
        "report/comparison/across.py",
        "        trial.selection.score\n        for trial in trials\n        if trial.selection and trial.selection.score is not None\n",
        "        trial.test.primary('classifier')\n        for trial in trials\n        if trial.test\n",
        ("tests/report/test_across.py::test_the_choice_does_not_look_at_the_test_split",),
    ),
)

ALSO_TEST_BUGS = (
    Mutant(
        "weights are selected on a set out of distribution",
        "train/outcome.py",
        'metrics, _ = evaluate(state, "validation")',
        "metrics, _ = (\n"
        '        evaluate(state, "validation")\n'
        "        if not state.setup.prepared.also\n"
        "        else _evaluate_also(state, [*state.setup.prepared.also][-1])\n"
        "    )",
        (f"{ALSO_TEST}::test_sets_are_read_once_when_the_test_split_is_scored",),
    ),
    Mutant(
        "sets out of distribution are scored before the selection is written down",
        "train/outcome.py",
        "    select(state, state.scenario.stages[-1])\n",
        "    also_test(state)\n    select(state, state.scenario.stages[-1])\n",
        (f"{ALSO_TEST}::test_sets_are_read_once_when_the_test_split_is_scored",),
    ),
    Mutant(
        "where each task has its own weights, sets are scored with those of the last task",
        "train/outcome.py",
        "        metrics, predictions = _with_selected(state, read)\n",
        "        metrics, predictions = read()\n",
        (f"{ALSO_TEST}::test_where_each_task_has_its_own_weights_sets_are_scored_with_those",),
    ),
    Mutant(
        "sets are no part of a trial's key",
        "train/prepare.py",
        "        if self.also:\n",
        "        if False:\n",
        (f"{ALSO_TEST}::test_a_key_has_the_content_of_sets_and_nothing_where_there_are_none",),
    ),
    Mutant(
        "typos are drawn anew each time they are made",
        "data/changed.py",
        "rng = np.random.default_rng([data_seed, of_set, place])",
        "rng = np.random.default_rng()",
        (f"{CHANGED}::test_typos_depend_on_data_seed_name_and_place_alone",),
    ),
    Mutant(
        "all sentences of a set have the same typos",
        "data/changed.py",
        "rng = np.random.default_rng([data_seed, of_set, place])",
        "rng = np.random.default_rng([data_seed, of_set])",
        (f"{CHANGED}::test_typos_depend_on_data_seed_name_and_place_alone",),
    ),
    Mutant(
        "a shortened sentence keeps the tags of its last words",
        "data/changed.py",
        "task: known[: len(words)] if",
        "task: known[-len(words) :] if",
        (f"{CHANGED}::test_words_stay_words_and_keep_their_tags",),
    ),
    Mutant(
        "labels of another source keep their names",
        "data/also_test.py",
        "task: kinds[task].renamed(of_task, asked.rename)",
        "task: of_task",
        (f"{CHANGED}::test_another_source_has_its_test_split_in_the_experiments_codes",),
    ),
    Mutant(
        "types of several words are renamed in their first word alone",
        "tasks/tagging.py",
        'inside = (f"I-{value}" for _ in tags[begin + 1 : end])',
        "inside = tags[begin + 1 : end]",
        (f"{CHANGED}::test_labels_are_renamed_at_once_and_not_one_after_another",),
    ),
)

RANDOMNESS_BUGS = (
    Mutant(
        "heads are drawn alike for every seed",
        "model/network.py",
        'generator=generator(f"head.{task}", seed)',
        'generator=generator(f"head.{task}", 0)',
        (f"{TRIAL}::test_data_seed_changes_the_order_and_not_the_weights_and_the_reverse",),
    ),
    Mutant(
        "the order of the batches has no seed",
        "data/batches.py",
        "np.random.default_rng([data_seed, number, source])",
        "np.random.default_rng()",
        (f"{BATCHES}::test_order_follows_from_data_seed_and_epoch_alone",),
    ),
    Mutant(
        "every epoch has the same order",
        "data/batches.py",
        "np.random.default_rng([data_seed, number, source])",
        "np.random.default_rng([data_seed, source])",
        (f"{BATCHES}::test_sentences_meet_others_in_other_epochs",),
    ),
    Mutant(
        "scenarios see other batches",
        "train/loop/schedule.py",
        "experiment.data_seed, number)",
        "experiment.data_seed + len(stage.train), number)",
        (f"{TRIAL}::test_every_scenario_and_stage_goes_through_the_data_alike",),
    ),
    Mutant(
        "a stage sees the epochs of the one before it again",
        "train/stage.py",
        "self._steps(self.done, self.piece.epochs)",
        "self._steps(0, self.piece.epochs)",
        (f"{TRIAL}::test_every_scenario_and_stage_goes_through_the_data_alike",),
    ),
    Mutant(
        "the last, short batch is left out",
        "data/batches.py",
        "-(-len(order) // size) * size",
        "len(order) // size * size",
        (f"{BATCHES}::test_batches_are_whole_and_every_sentence_is_seen",),
    ),
    Mutant(
        "seeds share their dropout masks",
        "train/trainers.py",
        'stream_seed("dropout", self.state.trial.seed, number, *self.stream)',
        'stream_seed("dropout", number)',
        (f"{TRIAL}::test_every_step_of_every_seed_draws_dropout_of_its_own",),
    ),
    Mutant(
        "an epoch draws the dropout masks of the one before it again",
        "train/trainers.py",
        "enumerate(steps, start=first)",
        "enumerate(steps)",
        (f"{TRIAL}::test_every_step_of_every_seed_draws_dropout_of_its_own",),
    ),
    Mutant(
        "seeds that train together share their dropout masks",
        "train/cache/heads.py",
        "for seed in self.seeds\n",
        "for seed in [self.seeds[0]] * len(self.seeds)\n",
        (TOGETHER,),
    ),
    Mutant(
        "heads of several seeds are clipped by one norm",
        "train/cache/heads.py",
        "for grad in grads]).norm(dim=0)",
        "for grad in grads]).norm()",
        (TOGETHER,),
    ),
)

STAGE_BUGS = (
    Mutant(
        "moments are carried over the boundary of two stages",
        "train/stage.py",
        "                group.trainer = OneNetwork(first, self.piece, self.partition, total)\n",
        (
            "                group.trainer = OneNetwork(first, self.piece, self.partition, total)\n"
            "                made = group.trainer.learner.optimizer\n"
            "                earlier = getattr(first.network, 'earlier', None)\n"
            "                first.network.earlier = made\n"
            "                if earlier is not None:\n"
            "                    held = {one for part in group.trainer.learner.optimizer.param_groups for one in part['params']}\n"
            "                    known = {one: state for one, state in earlier.state.items() if one in held}\n"
            "                    group.trainer.learner.optimizer.state.update(known)\n"
        ),
        (f"{TRIAL}::test_a_stage_begins_with_no_moments_and_its_own_course_of_rates",),
    ),
    Mutant(
        "a stage goes on with the schedule of the one before it",
        "train/stage.py",
        "                group.trainer = OneNetwork(first, self.piece, self.partition, total)\n",
        (
            "                group.trainer = OneNetwork(first, self.piece, self.partition, total)\n"
            "                group.trainer.learner.scheduler.last_epoch = first.tally.steps\n"
        ),
        (f"{TRIAL}::test_a_stage_begins_with_no_moments_and_its_own_course_of_rates",),
    ),
)

DATA_BUGS = (
    Mutant(
        "entities that truncation cut off are no gold",
        "train/loop/step.py",
        "    gold = {task: sentence.gold[task] for task in tasks if task in sentence.gold}\n",
        "    gold = {task: sentence.gold[task] for task in tasks if task in sentence.gold}\n"
        "    if 'ner' in gold:\n"
        "        gold['ner'] = tuple(tag if position >= 0 else 'O' for tag, position in zip(gold['ner'], words, strict=True))\n",
        (f"{TRIAL}::test_entities_that_were_cut_off_still_count_as_gold",),
    ),
    Mutant(
        "padding has targets",
        "data/batches.py",
        "np.full(shape, IGNORE)",
        "np.zeros(shape, dtype=np.int64)",
        (f"{BATCHES}::test_tags_stand_on_first_sub_words_and_nowhere_else",),
    ),
    Mutant(
        "a word is scored by its last sub-word",
        "data/encoding.py",
        "            len(word_ids) - 1, -1, -1\n",
        "            len(word_ids)\n",
        ("tests/data/test_encoding.py::test_a_word_stands_on_its_first_sub_word",),
    ),
    Mutant(
        "padding is a part of the mean that the classifier reads",
        "model/network.py",
        "return (states.float() * mask).sum(dim=1) / mask.sum(dim=1)",
        "return states.float().mean(dim=1)",
        (f"{TRIAL}::test_losses_of_a_batch_do_not_depend_on_padding",),
    ),
    Mutant(
        "sentences that stand in train and in test are not counted",
        "data/splits.py",
        "twice = [sentence for sentence in other if normal(sentence.surface) in places]",
        "twice = [sentence for sentence in other if sentence is train]",
        ("tests/data/test_bad_data.py::test_bad_splits",),
    ),
    Mutant(
        "what is cut off for validation stays in train",
        "data/splits.py",
        "for kept in (~chosen, chosen)\n",
        "for kept in (~chosen | chosen, chosen)\n",
        ("tests/data/test_splits.py::test_cut_is_stratified_seeded_and_said",),
    ),
    Mutant(
        "a smaller training set does not lie within a larger one",
        "data/splits.py",
        "first(sentences, size, rng, reading)",
        "first(sentences, size, np.random.default_rng(size), reading)",
        ("tests/data/test_splits.py::test_subsets_are_nested_and_the_same_for_a_seed",),
    ),
    Mutant(
        "the sentences that keep their labels are not stratified",
        "data/spoil.py",
        "kept = first(train, count, rng, reading)",
        "kept = rng.permutation(len(train)) < count",
        ("tests/data/test_spoil.py::test_the_labels_that_are_kept_are_in_proportion",),
    ),
    Mutant(
        "fewer sentences that keep their labels do not lie within more of them",
        "data/spoil.py",
        "kept = first(train, count, rng, reading)",
        "kept = first(train, count, np.random.default_rng(count), reading)",
        (
            "tests/data/test_spoil.py::test_a_share_of_sentences_keeps_its_labels_and_a_smaller_one_lies_within_it",
        ),
    ),
    Mutant(
        "some wrong labels are the right ones",
        "tasks/kind.py",
        "return [value for value in known if value not in present]",
        "return list(known)",
        (
            "tests/data/test_spoil.py::test_a_share_of_labels_is_wrong_and_every_one_of_them_is_another",
        ),
    ),
    Mutant(
        "labels are made wrong in the test split",
        "data/sources.py",
        'part.splits["train"], note = change(\n                    part.splits["train"],',
        'part.splits["test"], note = change(\n                    part.splits["test"],',
        (
            "tests/data/test_spoil.py::test_a_share_of_labels_is_wrong_and_every_one_of_them_is_another",
        ),
    ),
)

KIND = "tests/tasks/test_kinds.py::test_what_a_head_is_sure_of_is_read_as_it_was_written"

TASK_BUGS = (
    Mutant(
        "every task reads the first one's column",
        "data/sentences.py",
        "self.columns[self.reading.tasks[task].column]\n",
        "self.columns[next(iter(self.reading.tasks.values())).column]\n",
        ("tests/tasks/test_many.py::test_gold_is_that_of_each_tasks_own_column",),
    ),
    Mutant(
        "the targets of labels are shifted by one",
        "tasks/classification.py",
        "codes.numbers.get(gold, IGNORE)",
        "(codes.numbers.get(gold, IGNORE) + 1) % len(codes.names)",
        (f"{KIND}[classification]",),
    ),
    Mutant(
        "the first of several labels is no target",
        "tasks/multilabel.py",
        "int(name in gold)",
        "int(name in gold[1:])",
        (f"{KIND}[multilabel]",),
    ),
    Mutant(
        "a predicted number is not brought back to its unit",
        "tasks/regression.py",
        "float(raw) * codes.spread + codes.center",
        "float(raw) + codes.center",
        (f"{KIND}[regression]",),
    ),
    Mutant(
        "tags are read from the first sub-words of the sentence, special tokens and all",
        "tasks/tagging.py",
        "for position in words]",
        "for position in range(len(words))]",
        ("tests/tasks/test_many.py::test_a_tag_is_read_where_its_word_begins",),
    ),
    Mutant(
        "sentences without labels are learnt as sentences without any label",
        "model/losses.py",
        "torch.where(targets[..., 0] != IGNORE, losses.mean(dim=-1), 0.0)",
        "losses.mean(dim=-1)",
        ("tests/tasks/test_kinds.py::test_gradients_of_each_loss_are_those_of_finite_differences",),
    ),
    Mutant(
        "a correlation's interval is that of products",
        "tasks/linear.py",
        "r + x * y - r * (x**2 + y**2) / 2",
        "x * y",
        (
            "tests/tasks/test_kinds.py::test_what_sentences_add_varies_as_the_metric_does_over_other_sentences",
        ),
    ),
    Mutant(
        "the epoch is chosen by all tasks, whichever are named",
        "plan/scenario.py",
        "return self.select_on or self.losses",
        "return self.losses",
        ("tests/tasks/test_many.py::test_the_epoch_is_chosen_by_the_tasks_that_are_named",),
    ),
)

METRIC_BUGS = (
    Mutant(
        "the default and the strict way to score entities are swapped",
        "tasks/tagging.py",
        "for mode in (False, True))",
        "for mode in (True, False))",
        ("tests/record/test_metrics.py::test_precision_and_recall_by_hand",),
    ),
    Mutant(
        "precision and recall are swapped: gold for predicted",
        "tasks/tagging.py",
        '"precision": right / len(predicted) if predicted else 0.0,\n        "recall": right / len(gold),',
        '"recall": right / len(predicted) if predicted else 0.0,\n        "precision": right / len(gold),',
        ("tests/record/test_metrics.py::test_precision_and_recall_by_hand",),
    ),
    Mutant(
        "scores are computed with dropout on",
        "train/outcome.py",
        ("    state.network.eval()\n    forward = state.passes.forward(split)\n"),
        "    forward = state.passes.forward(split)\n",
        (f"{TRIAL}::test_nothing_is_scored_with_dropout_on",),
    ),
    Mutant(
        "a trial that diverged is reported as ok",
        "train/group.py",
        'outcome.finish(state, "diverged", str(error))',
        'outcome.finish(state, "ok")',
        (f"{TRIAL}::test_divergence_is_a_row_with_its_step",),
    ),
    Mutant(
        "a GPU is waited for in every step",
        "train/loop/step.py",
        "        self._clip(runtime)\n",
        "        self._clip(runtime)\n        float(total)\n",
        (
            "tests/train/test_meta.py::test_all_is_on_one_device_and_nothing_is_read[bert-full_step]",
        ),
    ),
    Mutant(
        "a mask stays on the CPU",
        "data/batches.py",
        "attention_mask=there(self.attention_mask),\n",
        "attention_mask=self.attention_mask,\n",
        (
            "tests/train/test_meta.py::test_all_is_on_one_device_and_nothing_is_read[bert-full_step]",
        ),
    ),
    Mutant(
        "weights that the last step broke are tested",
        "train/outcome.py",
        "if any(loss is not None and not math.isfinite(loss) for loss in losses.values()):",
        "if any(loss is not None and loss == math.inf for loss in ()):",
        (f"{TRIAL}::test_weights_that_the_last_step_broke_do_not_pass",),
    ),
    Mutant(
        "a trial is read back though its stages have changed",
        "train/prepare.py",
        "            recipe,\n            stages,\n",
        "            recipe,\n",
        (f"{TRIAL}::test_a_changed_setting_changes_the_key_and_a_new_scenario_beside_it_does_not",),
    ),
)

CACHE_BUGS = (
    Mutant(
        "states at hand may be those of other weights",
        "train/cache/prefix.py",
        ("            weights,\n            depth,\n"),
        "            depth,\n",
        (f"{PREFIX}::test_one_flipped_weight_is_another_key",),
    ),
    Mutant(
        "states at hand may be those of another precision",
        "train/cache/prefix.py",
        '                "precision",\n',
        "",
        (f"{PREFIX}::test_what_computes_states_otherwise_has_another_key",),
    ),
    Mutant(
        "states at hand may be those of sentences encoded otherwise",
        "train/cache/prefix.py",
        "            prepared.encoding_digest,\n",
        "",
        (f"{PREFIX}::test_one_flipped_weight_is_another_key",),
    ),
    Mutant(
        "states are taken for those of the weights that the trial began with",
        "train/cache/passes.py",
        (
            "            self.prepared, self.network, self.digests, self.depth, split, alone=self.trained\n"
            "        )\n"
            "        self.used |= {self.prefixes.spent(self.prepared, self.digests, self.depth, split)}\n"
        ),
        (
            "            self.prepared, self.network, self.prepared.pristine_digests, self.depth, split, alone=True\n"
            "        )\n"
            "        self.used |= {self.prefixes.spent(self.prepared, self.prepared.pristine_digests, self.depth, split)}\n"
        ),
        (f"{PREFIX}::test_states_of_one_trials_weights_are_not_kept_or_shared",),
    ),
)

RESUMED_STATES = Mutant(
    "after an interruption, states of trained blocks are taken for those of the weights that the stage began with",
    "train/state.py",
    ("        self.passes.hash_units()\n        self.passes.skipped_flops"),
    ('        self.passes.digests = facts["before"]\n        self.passes.skipped_flops'),
    (
        "tests/train/test_resume.py::test_states_that_a_resumed_trial_computes_are_those_of_its_own_weights",
    ),
)

COST_BUGS = (
    Mutant(
        "the time of a pass is divided among those that use it",
        "train/cache/passes.py",
        "sum(used.seconds for used in self.used)",
        "sum(used.seconds for used in self.used) / len(self.prepared.experiment.seeds)",
        (f"{PREFIX}::test_every_trial_counts_the_passes_that_it_used_once_and_in_full",),
    ),
    Mutant(
        "the time of training together is divided among the seeds",
        "train/stage.py",
        "state.clock.laps[name] += seconds",
        "state.clock.laps[name] += seconds / len(self.group.alive)",
        (f"{PREFIX}::test_seeds_that_train_together_count_their_time_in_full",),
    ),
    Mutant(
        "padding costs no FLOPs",
        "train/loop/schedule.py",
        "padded += cost.padded(len(lengths), max(lengths))",
        "padded += cost.exact(lengths)",
        (f"{TRIAL}::test_flops_of_a_trial_are_those_of_its_padded_batches",),
    ),
    Mutant(
        "a head is left out of the parameters",
        "train/stage.py",
        "    for name, unit in freezing.units(state.network, partition.divided).items():\n",
        "    for name, unit in freezing.units(state.network, partition.divided).items():\n"
        '        if name == "head.ner":\n            continue\n',
        (f"{TRIAL}::test_every_parameter_is_counted_as_trained_or_frozen",),
    ),
)

STATISTICS_BUGS = (
    Mutant(
        "intervals of differences are not adjusted for their family",
        "report/comparison/decisions.py",
        "alphas = [ends * alpha / family for alpha",
        "alphas = [ends * alpha for alpha",
        (f"{DECISIONS}::test_all_scenarios_tasks_and_points_share_one_family",),
    ),
    Mutant(
        "the family leaves out that there are several tasks",
        "report/comparison/decisions.py",
        "return len(rivals(group)) * len(group.every) * len(points(group))",
        "return len(rivals(group)) * len(points(group))",
        (f"{DECISIONS}::test_all_scenarios_tasks_and_points_share_one_family",),
    ),
    Mutant(
        "the family leaves out that there are several points",
        "report/comparison/decisions.py",
        "return len(rivals(group)) * len(group.every) * len(points(group))",
        "return len(rivals(group)) * len(group.every)",
        (f"{DECISIONS}::test_all_scenarios_tasks_and_points_share_one_family",),
    ),
    Mutant(
        "every look may make the error of all looks",
        "report/statistics/scale.py",
        "    return [after - before for before, after in itertools.pairwise([0.0, *spent])]\n",
        "    return [TOTAL for _ in spent]\n",
        (f"{SCALE}::test_what_each_look_spends",),
    ),
    Mutant(
        "a verdict is that of the last look, not of the first that decides",
        "report/comparison/decisions.py",
        'decided = contrast is not None and contrast.verdict != "unclear"',
        "decided = False",
        (f"{DECISIONS}::test_a_contrast_is_judged_at_the_first_look_that_decides_it",),
    ),
    Mutant(
        "seeds that agree by luck have no variance",
        "report/statistics/variances.py",
        "return replace(spread, seeds=max(spread.seeds, spread.noise))",
        "return spread",
        (f"{SCALE}::test_seeds_that_agree_by_luck_vary_as_much_as_their_sentences_say",),
    ),
    Mutant(
        "a noisy scenario is hidden by quiet ones",
        "report/statistics/variances.py",
        "seeds=max(own, shrunk)",
        "seeds=shrunk",
        (
            f"{SCALE}::test_what_is_noisier_than_the_family_keeps_its_own_variance",
            f"{DECISIONS}::test_a_noisy_contrast_is_not_hidden_by_quiet_ones",
        ),
    ),
    Mutant(
        "a few sentences that differ show a difference",
        "report/statistics/intervals.py",
        "    return _widened(estimated, table, alpha)\n",
        "    return estimated\n",
        (f"{COMPARISONS}::test_few_sentences_that_differ_reach_as_far_as_their_number_allows",),
    ),
    Mutant(
        "changed sentences are compared as if they were other ones",
        "report/statistics/drops.py",
        "    if same:\n",
        "    if False:\n",
        (f"{DROPS}::test_the_same_sentences_are_paired",),
    ),
    Mutant(
        "sentences vary around the mean of two sets, not of their own",
        "report/statistics/drops.py",
        "within = [part - part.mean(axis=1, keepdims=True) for part in weighted]",
        "within = weighted",
        (f"{DROPS}::test_the_variances_of_two_sources_are_summed",),
    ),
    Mutant(
        "a large set makes up for a small one",
        "report/statistics/drops.py",
        "return Moved(whole, spread, min(sizes))",
        "return Moved(whole, spread, max(sizes))",
        (f"{DROPS}::test_too_few_sentences_give_no_interval",),
    ),
    Mutant(
        "the family of other test sets leaves out the verdicts there",
        "report/comparison/shifts.py",
        "    return 2 * sum(\n",
        "    return sum(\n",
        (f"{SHIFTS}::test_drops_and_scores_of_all_scenarios_tasks_sets_and_points_are_one_family",),
    ),
    Mutant(
        "every change of the test sentences is a set of its own",
        "report/comparison/shifts.py",
        " + any(on.changed for on in sets)",
        " + sum(on.changed for on in sets)",
        (f"{SHIFTS}::test_changes_of_the_same_sentences_are_one_set",),
    ),
    Mutant(
        "a scenario that learnt nothing protects",
        "report/comparison/shifts.py",
        "if not all(decisions.beats_nothing(group, task, name) for name in names):",
        "if False:",
        (f"{SHIFTS}::test_what_learnt_nothing_has_nothing_to_lose",),
    ),
    Mutant(
        "drops are judged as if each were alone",
        "report/comparison/shifts.py",
        "interval = moved.interval(alpha / family,",
        "interval = moved.interval(alpha,",
        ("tests/report/test_shift_grid.py::test_every_interval_has_its_share_of_the_error",),
    ),
    Mutant(
        "two scenarios that learnt nothing are equivalent",
        "report/comparison/decisions.py",
        'if contrast.verdict == "equivalent" and contrast.useless:',
        "if False:",
        (f"{REASONS}::test_two_useless_scenarios_are_not_equivalent",),
    ),
    Mutant(
        "a run that collapsed counts as one that trained",
        "report/comparison/training_failures.py",
        "if learnt and score <= floor + task.margin",
        "if False",
        (f"{FAILURES}::test_a_run_that_collapsed_leaves_the_verdict_unclear_and_wins_nothing",),
    ),
    Mutant(
        "what has a good mean is at least as good",
        "report/statistics/scale.py",
        "return interval.low is not None and interval.low > -margin",
        "return interval.mean is not None and interval.mean > -margin",
        (f"{SCALE}::test_the_scale",),
    ),
    Mutant(
        "what is as good at one task is recommended",
        "report/comparison/winner.py",
        "return all(decisions.pair(group, task, scenario, other).as_good for task in group.tasks)",
        "return any(decisions.pair(group, task, scenario, other).as_good for task in group.tasks)",
        (
            f"{WINNER}::test_it_is_the_cheapest_that_is_shown_to_be_as_good_as_the_control_and_the_best",
        ),
    ),
    Mutant(
        "the best is chosen by test scores",
        "report/comparison/winner.py",
        'group.values(f"validation_{task.metric}")[scenario]',
        "group.values(task.metric)[scenario]",
        (f"{WINNER}::test_test_scores_do_not_choose_the_best",),
    ),
    Mutant(
        "intervals of costs are not adjusted for their family",
        "report/statistics/comparisons.py",
        "estimated = interval(np.log(ratios) if logarithmic else ratios, 1 - (1 - LEVEL) / contrasts)",
        "estimated = interval(np.log(ratios) if logarithmic else ratios)",
        (f"{COMPARISONS}::test_a_family_shares_out_its_level",),
    ),
    Mutant(
        "differences are not paired",
        "report/statistics/comparisons.py",
        "    differences = {\n",
        "    if len(sample) > 1 and len(other) > 1:\n"
        "        from mtlab.report.statistics.intervals import unpaired\n"
        "        return unpaired(sample, {seed: share * values for seed, values in other.items()}, 1 - (1 - LEVEL) / contrasts)\n"
        "    differences = {\n",
        (f"{COMPARISONS}::test_a_difference_is_paired_by_seed_and_sentence",),
    ),
    Mutant(
        "intervals leave out that other sentences would score otherwise",
        "report/statistics/variances.py",
        "max(by_sentence - noise, 0.0), sentences - 1, noise)",
        "0.0, sentences - 1, noise)",
        (f"{STATISTICS}::test_sentences_count_as_a_source_of_variance",),
    ),
    Mutant(
        "a trial that failed counts in comparisons",
        "report/comparison/groups.py",
        "return [trial for trial in self.trials if trial.ok]",
        "return list(self.trials)",
        ("tests/report/test_document.py::test_a_failed_trial_is_in_no_mean_and_no_comparison",),
    ),
    Mutant(
        "a trial that failed counts in means",
        "report/table.py",
        "if not trial.ok or (column in TIMES and trial.untimed):",
        "if column in TIMES and trial.untimed:",
        (
            "tests/report/test_table.py::test_a_failed_trial_is_a_row_with_its_reason_and_no_numbers",
        ),
    ),
    Mutant(
        "times of trials that shared their device are compared",
        "report/table.py",
        "if not trial.ok or (column in TIMES and trial.untimed):",
        "if not trial.ok:",
        ("tests/report/test_untimed.py::test_the_table_says_why_and_has_no_times",),
    ),
    Mutant(
        "who used the device first does not learn that another came",
        "train/measure/occupancy.py",
        "                    _mark(other).touch()\n",
        "",
        ("tests/train/test_occupancy.py::test_who_comes_and_who_was_there_both_learn_of_it",),
    ),
    Mutant(
        "processes compute the same states at once",
        "train/cache/prefix.py",
        "            if self.exchange and not processes.several\n",
        "            if False\n",
        ("tests/train/test_prefix.py::test_processes_that_ask_at_once_do_not_race",),
    ),
    Mutant(
        "a process of a cluster runs what it was not asked for",
        "train/engines/cluster_tasks.py",
        "    if differing := differences(\n        {**runtime",
        "    if differing := (lambda *_: '')(\n        {**runtime",
        ("tests/train/test_cluster.py::test_a_node_that_is_not_like_the_parent_refuses",),
    ),
    Mutant(
        "forgetting has the wrong sign",
        "report/comparison/forgetting.py",
        "comparisons.difference(after, before, ",
        "comparisons.difference(before, after, ",
        (
            "tests/report/test_forgetting.py::test_transfer_is_the_score_after_minus_the_score_before",
        ),
    ),
)

MITIGATION_BUGS = (
    Mutant(
        "a trial does not start from its checkpoint",
        "train/state.py",
        "                    source.load_into(self.network)\n",
        "                    pass\n",
        (f"{STAGED}::test_a_mitigated_trial_begins_at_its_checkpoint_and_is_certified",),
    ),
    Mutant(
        "the teacher says what it says with dropout on",
        "train/continual/mitigation.py",
        "    network.eval()\n",
        "    network.train()\n",
        (f"{STAGED}::test_a_teacher_wants_nothing_at_the_start_and_the_papers_divergence_later",),
    ),
    Mutant(
        "the teacher is asked again when it has moved",
        "train/continual/mitigations.py",
        "missing = [task for task in tasks if task not in self.teacher.logits]",
        "missing = list(tasks)",
        (f"{STAGED}::test_the_teacher_is_the_network_as_it_stood_when_the_task_left",),
    ),
    Mutant(
        "weights are pulled to where the stage began, not the trial",
        "train/continual/mitigations.py",
        "mitigation.anchor(self.network, self.began, stage.l2_sp)",
        (
            "mitigation.anchor(\n"
            "                    self.network,\n"
            "                    {n: p.detach().clone() for n, p in self.network.named_parameters() if n in self.began},\n"
            "                    stage.l2_sp\n"
            "                )"
        ),
        (f"{STAGED}::test_weights_are_pulled_to_where_the_trial_began",),
    ),
    Mutant(
        "what is rehearsed are sentences of the new data",
        "train/trainers.py",
        'prepared.examples("train", of_source=planned.rehearsal)',
        'prepared.examples("train")',
        (f"{STAGED}::test_what_is_rehearsed_are_sentences_of_the_source",),
    ),
    Mutant(
        "forgetting is measured on validation",
        "train/continual/forgetting.py",
        '    encoded, corpus = prepared.encoded["test"], prepared.corpus\n',
        (
            '    encoded, corpus = prepared.encoded["validation"], prepared.corpus\n'
            '    corpus = replace(corpus, splits={**corpus.splits, "test": corpus.splits["validation"]})\n'
            "    prepared = replace(prepared)\n"
            '    prepared._ready["test"] = prepared.ready("validation", runtime.device)\n'
        ),
        (f"{STAGED}::test_a_look_scores_as_the_evaluation_does",),
    ),
)

RESUME_BUGS = (
    Mutant(
        "a trial that goes on forgets where its rates stood",
        "train/loop/adamw.py",
        '    scheduler.load_state_dict(dict(facts["schedule"]))\n'
        "    for group, rate in zip(optimizer.param_groups, scheduler.get_last_lr(), strict=True):\n"
        '        group["lr"] = rate\n',
        "    return\n",
        (f"{RESUME}[heads-seeds0-2]",),
    ),
    Mutant(
        "a trial that goes on forgets its moments",
        "train/loop/adamw.py",
        (
            "    optimizer.load_state_dict(\n"
            '        {"state": moments, "param_groups": optimizer.state_dict()["param_groups"]}\n'
            "    )\n"
        ),
        "",
        (f"{RESUME}[heads-seeds0-2]",),
    ),
    Mutant(
        "a trial that goes on forgets the decay of words that training does not have",
        "train/loop/step.py",
        '            self.vocabulary.decay = facts["decay"]\n',
        "",
        (f"{RESUME}[guided-seeds2-2]",),
    ),
    Mutant(
        "a trial that goes on forgets its best weights so far",
        "train/state.py",
        '        self.choice = Choice(best, moved, facts["standing"], facts["first"], start)\n',
        '        self.choice = Choice({}, moved, facts["standing"], facts["first"], start)\n',
        (f"{RESUME}[guided-seeds2-2]",),
    ),
    Mutant(
        "a trial that goes on forgets how many steps its dropout masks are on",
        "train/loop/tally.py",
        "return cls(**sums, running=running)",
        "return cls(**sums)",
        (f"{RESUME}[heads-seeds0-2]",),
    ),
)

PATIENCE_BUGS = (
    Mutant(
        "a seed that has ended trains on with the others of its stack",
        "train/cache/heads.py",
        "        share = torch.tensor(factors, device=self.runtime.device).view(-1, 1, 1)\n",
        "        share = torch.ones(len(factors), 1, 1, device=self.runtime.device)\n",
        (f"{PATIENCE}::test_a_seed_that_has_ended_keeps_its_weights_bit_for_bit",),
    ),
    Mutant(
        "the rates stay as they are in a cooldown",
        "train/loop/course.py",
        "        return self._planned(step) * left\n",
        "        return self._planned(step) * (left > 0)\n",
        (f"{PATIENCE}::test_rates_rise_stay_and_fall_to_0_over_the_steps_of_the_cooldown",),
    ),
    Mutant(
        "patience ends while a task is at its baseline",
        "train/loop/patience.py",
        " and self.epochs >= third and learnt\n",
        " and self.epochs >= third\n",
        (f"{PATIENCE}::test_it_does_not_end_while_a_task_is_at_its_baseline",),
    ),
    Mutant(
        "patience ends at once",
        "train/loop/patience.py",
        " and self.epochs >= third and learnt\n",
        " and learnt\n",
        (f"{PATIENCE}::test_it_does_not_end_before_a_third_of_the_epochs",),
    ),
    Mutant(
        "a trial that goes on forgets its cooldown",
        "train/stage.py",
        "untrained=untrained)\n        self._cool(state)\n",
        "untrained=untrained)\n",
        (f"{RESUME_PATIENCE}::test_so_does_a_trial_in_its_cooldown_and_after_it",),
    ),
    Mutant(
        "a trial that goes on forgets what patience saw",
        "train/stage.py",
        "waiting(whole, first.validation, passed, untrained=untrained)",
        "waiting(whole, first.validation, (), untrained=untrained)",
        (f"{RESUME_PATIENCE}::test_so_do_seeds_that_patience_ends_apart",),
    ),
)

SERVING_BUGS = (
    Mutant(
        "a task that was trained on text is served words",
        "export/reader.py",
        '        split = form == "words"\n',
        "        split = True\n",
        (f"{SERVING}::test_a_folder_that_says_something_else_is_refused",),
    ),
    Mutant(
        "sentences are padded on the left where the tokenizer would do so",
        "export/reader.py",
        "            padding_value=self.tokenizer.pad_token_id,\n",
        '            padding_value=self.tokenizer.pad_token_id,\n            padding_side="left",\n',
        (f"{SERVING}::test_a_folder_that_says_something_else_is_refused",),
    ),
    Mutant(
        "a folder that says something else than was recorded is written",
        "export/agreement.py",
        "    _refuse(agreement)\n",
        "",
        (f"{SERVING}::test_a_folder_that_says_something_else_is_refused",),
    ),
)

CHOICE = "tests/report/test_choice.py"
DECISION_BUGS = (
    Mutant(
        "the pilot's test scores count",
        "report/comparison/groups.py",
        "            tuple(trial for trial in members if trial.seed not in pilot),\n            tasks,",
        "            tuple(members),\n            tasks,",
        (f"{CHOICE}::test_the_pilots_test_scores_are_in_no_comparison",),
    ),
    Mutant(
        "a candidate may be far behind on validation",
        "report/comparison/choice.py",
        "task_scores[task.name] < best[task.name] - task.margin",
        "task_scores[task.name] < best[task.name] - 9 * task.margin",
        (f"{CHOICE}::test_the_candidate_is_the_cheapest_within_the_margin_on_validation",),
    ),
    Mutant(
        "a candidate has twice the error",
        "report/comparison/decisions.py",
        "ends = 2 if group.pilot else 1",
        "ends = 4 if group.pilot else 1",
        (f"{CHOICE}::test_each_end_of_an_interval_has_the_whole_error",),
    ),
    Mutant(
        "one task at which a candidate is good is enough",
        "report/comparison/choice.py",
        "if contrasts and all(contrast.as_good",
        "if contrasts and any(contrast.as_good",
        (f"{CHOICE}::test_every_task_must_be_good",),
    ),
    Mutant(
        "a decision recommends what costs less though it is worse",
        "report/comparison/winner.py",
        "        if all(_as_good(group, scenario, other) for other in others):\n",
        "        if others:\n",
        ("tests/report/test_box.py::test_a_cheaper_scenario_that_is_worse_is_not",),
    ),
)

ENCODER_BUGS = (
    Mutant(
        "weights that the hub gave are not verified",
        "model/embedded.py",
        "    if digest != SHA256:\n",
        "    if digest != SHA256 and path.name != HUB.revision:\n",
        (f"{EMBEDDED}::test_other_weights_are_refused_with_the_folder_to_delete",),
    ),
    Mutant(
        "the embedded encoder is whatever the hub has now",
        "model/embedded.py",
        "hf_hub_download(HUB.name, file, revision=HUB.revision)",
        "hf_hub_download(HUB.name, file)",
        (f"{EMBEDDED}::test_it_is_downloaded_once_at_its_commit_and_verified",),
    ),
    Mutant(
        "a download without its weights counts as there",
        "model/embedded.py",
        "if all(isinstance(file, str) for file in files)",
        "if any(isinstance(file, str) for file in files)",
        (f"{EMBEDDED}::test_without_package_and_hub_one_line_says_both_ways_to_get_it",),
    ),
)

MUTANTS: tuple[Mutant, ...] = (
    *DECISION_BUGS,
    *FREEZING_BUGS,
    *WAYS_BUGS,
    *CHOICE_BUGS,
    *SELECTION_BUGS,
    *ALSO_TEST_BUGS,
    *RANDOMNESS_BUGS,
    *STAGE_BUGS,
    *DATA_BUGS,
    *TASK_BUGS,
    *METRIC_BUGS,
    *CACHE_BUGS,
    RESUMED_STATES,
    *COST_BUGS,
    *STATISTICS_BUGS,
    *MITIGATION_BUGS,
    *RESUME_BUGS,
    *PATIENCE_BUGS,
    *SERVING_BUGS,
    *ENCODER_BUGS,
)


@dataclass(frozen=True)
class Outcome:
    """How tests ended.

    Attributes:
        status: of pytest; None where they ran past their limit, or the process died.
        failures: of each test that failed: its node id, the type of what it raised, and the first
            line of what that says.
        told: the end of what pytest printed.
    """

    status: int | None
    failures: tuple[tuple[str, str, str], ...]
    told: str

    @property
    def checks(self) -> list[tuple[str, str, str]]:
        """The failures that are a check's."""
        return [one for one in self.failures if one[1] in CHECKS] if self.status == 1 else []

    def why_not(self) -> str:
        """Why it is no check's failure."""
        if self.status is None:
            return f"ran past the limit, or died; {(self.told.strip().splitlines() or ['nothing said'])[-1][:300]}"
        if self.status == 0:
            return "the tests pass"
        said = [
            f"{test.rpartition('/')[2]}: {kind}: {words}" for test, kind, words in self.failures
        ]
        return f"no check failed, status {self.status}: {(said or self.told.strip().splitlines() or ['nothing said'])[-1][:300]}"


class Noting:
    """Notes which tests fail of what, as a plugin of pytest."""

    def __init__(self) -> None:
        self.failures: list[tuple[str, str, str]] = []

    def pytest_runtest_makereport(self, item: Any, call: Any) -> None:
        """Called by pytest after each phase of a test."""
        error = call.excinfo
        if error is not None and error.typename != "Skipped":
            said = str(error.value).strip()
            kind = (
                "crashed trial" if "crashed: " in said else error.typename
            )  # which fails assertions about how it ended
            self.failures.append((item.nodeid, kind, said.partition("\n")[0][:120]))

    def pytest_collectreport(self, report: Any) -> None:
        """Called by pytest after it read a file of tests."""
        if report.failed:
            self.failures.append(
                (report.nodeid, "collection", str(report.longrepr).strip().splitlines()[-1][:200])
            )


@dataclass
class Job:
    """A process that runs tests in a copy.

    Attributes:
        mutant: the bug that was planted there; None for none.
        copy: the folder.
        text: of the file that has the bug, without it.
        pid: of the process.
        until: when it is killed.
    """

    mutant: Mutant | None
    copy: Path
    text: str
    pid: int
    until: float

    @property
    def outcome(self) -> Path:
        """Where the process writes how the tests ended."""
        return self.copy / "outcome.json"

    @property
    def planted(self) -> Path:
        """The file that has the bug."""
        return (
            self.copy / "mtlab" / (self.mutant.file if self.mutant is not None else "__init__.py")
        )

    def write(
        self, status: int | None, failures: Sequence[tuple[str, str, str]], told: str
    ) -> None:
        """Tell how the tests ended."""
        half = self.outcome.with_suffix(".half")
        half.write_text(
            json.dumps({"status": status, "failures": failures, "told": told[-4000:]}),
            encoding="utf-8",
        )
        half.replace(self.outcome)

    def end(self) -> None:
        """End the process and what it started."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
            os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def copied(folder: Path) -> Path:
    """A copy of what the tests need, in a new folder."""
    nothing_compiled = shutil.ignore_patterns("__pycache__")
    for name in ("mtlab", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=nothing_compiled)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def begin(mutant: Mutant | None, tests: Sequence[str], copy: Path, limit_s: float) -> Job:
    """Plant a bug in a copy, and start its tests there.

    Raises:
        ValueError: the bug no longer applies.
    """
    job = Job(mutant, copy, "", 0, time.monotonic() + limit_s)
    job.text = job.planted.read_text(encoding="utf-8")
    if mutant is not None:
        job.planted.write_text(mutant.planted(job.text), encoding="utf-8")
    job.outcome.unlink(missing_ok=True)
    sys.stdout.flush()
    job.pid = os.fork()
    if job.pid == 0:
        try:
            _in_child(tests, job, stop_at_first=mutant is not None)
        except BaseException:
            job.write(None, (), traceback.format_exc())
        finally:
            os._exit(0)
    return job


def _in_child(tests: Sequence[str], job: Job, *, stop_at_first: bool) -> None:
    os.setsid()  # so that what the tests start can be ended with them
    os.chdir(job.copy)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("mtlab", "tests")]:
        del sys.modules[name]
    sys.path.insert(0, str(job.copy))
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = (
        "1"  # some are imported by now, which pytest warns of
    )
    sys.dont_write_bytecode = (
        True  # a file that changes twice a second would be taken for the one that was compiled
    )
    import pytest

    told, noting = io.StringIO(), Noting()
    options = [
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(job.copy),
        f"--basetemp={job.copy / 'scratch'}",
    ]
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        status = int(
            pytest.main([*options, *(["-x"] if stop_at_first else []), *tests], plugins=[noting])
        )
    import mtlab

    if not str(mtlab.__file__).startswith(str(job.copy)):
        raise RuntimeError(f"the tests ran on {mtlab.__file__}")
    job.write(status, noting.failures, told.getvalue())


def ended(job: Job) -> Outcome | None:
    """How the tests of a job ended, the copy being as it was again; None while they run."""
    done, _ = os.waitpid(job.pid, os.WNOHANG)
    if not done and time.monotonic() < job.until:
        return None
    if not done:
        job.end()
    job.planted.write_text(job.text, encoding="utf-8")
    shutil.rmtree(job.copy / "scratch", ignore_errors=True)
    if not done or not job.outcome.exists():
        return Outcome(None, (), "")
    read = json.loads(job.outcome.read_text(encoding="utf-8"))
    return Outcome(
        read["status"],
        tuple((test, kind, said) for test, kind, said in read["failures"]),
        read["told"],
    )


def try_all(mutants: Sequence[Mutant], jobs: int, say: Callable[[str], None] = print) -> bool:
    """Try bugs, a line each; returns whether every one is caught and the tests pass without them.

    Args:
        mutants: the bugs.
        jobs: processes at a time.
        say: takes the lines.
    """
    os.environ["OMP_NUM_THREADS"] = "1"  # as the tests have it; torch reads it when it is imported
    for name in IMPORTED:
        importlib.import_module(name)
    waiting: deque[Mutant | None] = deque([None, *mutants])
    running: list[Job] = []
    caught, sound = 0, False
    with tempfile.TemporaryDirectory(prefix="mtlab-mutants-") as folder:
        copies = [
            copied(Path(folder).resolve() / str(number))
            for number in range(max(1, min(jobs, len(mutants) + 1)))
        ]
        try:
            while waiting or running:
                while waiting and copies:
                    mutant = waiting.popleft()
                    tests = (
                        mutant.tests
                        if mutant is not None
                        else tuple(dict.fromkeys(test for one in mutants for test in one.tests))
                    )
                    try:
                        running.append(
                            begin(
                                mutant,
                                tests,
                                copies[-1],
                                LIMIT_S if mutant is not None else ALL_LIMIT_S,
                            )
                        )
                        copies.pop()
                    except ValueError as error:
                        say(f"no longer applies: {mutant.name if mutant else ''}: {error}")
                for job in list(running):
                    outcome = ended(job)
                    if outcome is None:
                        continue
                    running.remove(job)
                    copies.append(job.copy)
                    if job.mutant is not None:
                        caught += _told(job.mutant, outcome, say)
                    else:
                        sound = outcome.status == 0
                        _told_unplanted(outcome, say)
                time.sleep(0.02)
        finally:
            for job in running:
                job.end()
    say(f"{caught} of {len(mutants)} planted bugs are caught")
    return sound and caught == len(mutants)


def _told(mutant: Mutant, outcome: Outcome, say: Callable[[str], None]) -> bool:
    for test, kind, words in outcome.checks:
        say(f"caught: {mutant.name}: by {test}: {kind}: {words}")
        return True
    say(f"SURVIVED: {mutant.name}: {outcome.why_not()}")
    return False


def _told_unplanted(outcome: Outcome, say: Callable[[str], None]) -> None:
    last = (outcome.told.strip().splitlines() or ["nothing said"])[-1]
    say(
        f"without any bug the tests pass: {last}"
        if outcome.status == 0
        else f"WITHOUT ANY BUG THE TESTS DO NOT PASS: {last}"
    )
    for test, kind, words in outcome.failures:
        say(f"  {test}: {kind}: {words}")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status is 0 where every bug is caught."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="bugs whose names contain one of these"
    )
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time (2)")
    options = parser.parse_args(arguments)
    chosen = [
        one for one in MUTANTS if not options.only or any(part in one.name for part in options.only)
    ]
    if not chosen:
        parser.error("no bug has such a name")
    return 0 if try_all(chosen, options.jobs, lambda line: print(line, flush=True)) else 1


if __name__ == "__main__":
    sys.exit(main())
