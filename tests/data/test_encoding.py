"""Sub-words and words: which sub-word a tag stands on, and which words have none."""

from pathlib import Path

import numpy as np
import pytest
import transformers
from tokenizers import ByteLevelBPETokenizer
from transformers import PreTrainedTokenizerBase

from mtlab.data.encoding import Encoded, Example, encode
from mtlab.data.sentences import Sentence
from mtlab.model import backbone
from mtlab.plan.experiment import Encoder
from mtlab.tasks.kind import IGNORE
from tests import tiny

LABELS = ("no", "yes")
TAGS = ("O", "B-LOC", "I-LOC")


@pytest.fixture(scope="module")
def wordpiece() -> PreTrainedTokenizerBase:
    """The embedded encoder's tokenizer."""
    return backbone.tokenizer(backbone.find(Encoder()))


@pytest.fixture(scope="module")
def byte_level(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerBase:
    return write_byte_level(tmp_path_factory.mktemp("roberta"), generic=False)


@pytest.fixture(scope="module")
def generic_byte_level(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerBase:
    """The same one saved under the generic class, as ModernBERT's is."""
    return write_byte_level(tmp_path_factory.mktemp("generic"), generic=True)


def write_byte_level(path: Path, generic: bool) -> PreTrainedTokenizerBase:
    """A tokenizer of RoBERTa's kind, found on disk as the hub lays it out: saved for running
    text."""
    trained = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trained.train_from_iterator(
        [" rain in oslo, raining again"] * 5,
        vocab_size=310,
        min_frequency=2,
        special_tokens=special,
    )
    trained.save_model(str(path))
    vocab, merges = str(path / "vocab.json"), str(path / "merges.txt")
    own = transformers.RobertaTokenizer(vocab=vocab, merges=merges, model_max_length=64)
    plain = transformers.PreTrainedTokenizerFast(
        tokenizer_object=own.backend_tokenizer, **own.special_tokens_map, model_max_length=64
    )
    (plain if generic else own).save_pretrained(path)
    transformers.RobertaConfig(
        vocab_size=310, hidden_size=8, num_hidden_layers=1, num_attention_heads=1
    ).save_pretrained(path)
    return backbone.tokenizer(backbone.find(Encoder(name=str(path))))


def sentence(
    tokens: list[str] | None,
    tags: list[str] | None = None,
    label: str | None = None,
    text: str | None = None,
) -> Sentence:
    return Sentence(
        "made:1",
        0,
        None if tokens is None else tuple(tokens),
        text,
        {
            **({} if label is None else {"classifier": label}),
            **({} if tags is None else {"ner": tuple(tags)}),
        },
    )


def tagged(*tokens: str) -> Sentence:
    return sentence(list(tokens), ["O"] * len(tokens))


def encoded(
    tokenizer: PreTrainedTokenizerBase, *sentences: Sentence, max_length: int = 64
) -> Encoded:
    return encode(sentences, tokenizer, tiny.learnt(classifier=LABELS, ner=TAGS), max_length)


def pieces(tokenizer: PreTrainedTokenizerBase, example: Example) -> list[str]:
    """The first sub-word of every word, ``""`` for a lost one."""
    names = tokenizer.convert_ids_to_tokens(example.input_ids.tolist())
    return [names[position] if position >= 0 else "" for position in example.words]


def test_a_word_stands_on_its_first_sub_word(wordpiece: PreTrainedTokenizerBase) -> None:
    (example,) = encoded(
        wordpiece, tagged("Unbelievableness", "can't", "stop", "U.S.", "nearby")
    ).examples
    names = wordpiece.convert_ids_to_tokens(example.input_ids.tolist())
    assert names == [
        "[CLS]",
        "unbelievable",
        "##ness",
        "can",
        "'",
        "t",
        "stop",
        "u",
        ".",
        "s",
        ".",
        "nearby",
        "[SEP]",
    ]
    assert example.words.tolist() == [1, 3, 6, 7, 11]


def test_no_sentence_is_padded_to_another(wordpiece: PreTrainedTokenizerBase) -> None:
    made = encoded(
        wordpiece, tagged("rain"), tagged(*["rain"] * 9), sentence(None, text="rain again")
    )
    assert [len(example) for example in made.examples] == [3, 11, 4]


@pytest.mark.parametrize("max_length", [3, 4, 8, 15])
def test_words_lost_to_truncation_count(
    wordpiece: PreTrainedTokenizerBase, max_length: int
) -> None:
    words = ["rain", "unbelievableness", "in"] * 4  # four sub-words each time
    made = encoded(wordpiece, tagged(*words), tagged("rain"), max_length=max_length)
    example = made.examples[0]
    assert len(example) == max_length
    assert len(example.words) == len(example.of_words["ner"]) == 12
    firsts = [at + 1 for at in range(16) if at % 4 != 2][:12]
    assert example.words.tolist() == [first if first < max_length - 1 else -1 for first in firsts]
    assert made.lost_words == (example.words < 0).sum()


def test_a_word_cut_in_two_is_not_lost(wordpiece: PreTrainedTokenizerBase) -> None:
    made = encoded(wordpiece, tagged("unbelievableness"), max_length=3)
    assert (made.examples[0].words.tolist(), made.lost_words) == ([1], 0)


@pytest.mark.parametrize(
    "vanishing", ["\u200b", "\ufeff", "\x07", "\x7f", "\u0301", " ", "\u3000", "\u202e", ""]
)
def test_words_that_vanish_in_the_tokenizer_still_count(
    wordpiece: PreTrainedTokenizerBase, vanishing: str
) -> None:
    words = sentence(
        [vanishing, "rain", vanishing, "oslo", vanishing], ["O", "O", "B-LOC", "I-LOC", "O"]
    )
    made = encoded(wordpiece, words)
    assert made.examples[0].words.tolist() == [-1, 1, -1, 2, -1]
    assert made.examples[0].of_words["ner"].tolist() == [0, 0, 1, 2, 0]
    assert made.lost_words == 3


def test_a_sentence_of_nothing_but_vanishing_words(wordpiece: PreTrainedTokenizerBase) -> None:
    made = encoded(wordpiece, tagged("\u200b", "\ufeff"))
    assert (made.examples[0].words.tolist(), len(made.examples[0]), made.lost_words) == (
        [-1, -1],
        2,
        2,
    )


def test_emoji_right_to_left_and_combining_marks_keep_their_places(
    wordpiece: PreTrainedTokenizerBase,
) -> None:
    words = [
        "e\u0301te",
        "😀",
        "שלום",
        "👨\u200d👩\u200d👧",
        "مرحبا",
        "漢字",
        "i\u0307stanbul",
        "🇳🇴",
        "end",
    ]
    made = encoded(wordpiece, tagged(*words))
    assert pieces(wordpiece, made.examples[0]) == [
        "et",
        "[UNK]",
        "ש",
        "[UNK]",
        "م",
        "漢",
        "istanbul",
        "[UNK]",
        "end",
    ]
    assert made.lost_words == 0


@pytest.mark.parametrize("tokenizer", ["wordpiece", "byte_level"])
def test_words_that_look_like_special_tokens_are_words(
    tokenizer: str, request: pytest.FixtureRequest
) -> None:
    found = request.getfixturevalue(tokenizer)
    words = ["rain", found.sep_token, found.pad_token, found.cls_token, found.mask_token, "in"]
    made = encoded(found, tagged(*words))
    assert [piece.removeprefix("Ġ") for piece in pieces(found, made.examples[0])] == words


def test_raw_text_is_read_whole_and_has_no_words(wordpiece: PreTrainedTokenizerBase) -> None:
    made = encoded(
        wordpiece,
        sentence(None, label="yes", text="Rain,  in Oslo!"),
        sentence(["rain", "in"], label="no"),
    )
    first, second = made.examples
    assert wordpiece.convert_ids_to_tokens(first.input_ids.tolist()) == [
        "[CLS]",
        "rain",
        ",",
        "in",
        "oslo",
        "!",
        "[SEP]",
    ]
    assert [len(example.words) + len(example.of_words["ner"]) for example in (first, second)] == [
        0,
        0,
    ]
    assert (first.of_sentence["classifier"], second.of_sentence["classifier"], made.lost_words) == (
        1,
        0,
        0,
    )
    assert len(encoded(wordpiece, sentence(None, text="rain " * 50), max_length=8).examples[0]) == 8


def test_labels_and_tags_that_training_does_not_have_are_ignored(
    wordpiece: PreTrainedTokenizerBase,
) -> None:
    made = encoded(
        wordpiece,
        sentence(["rain", "oslo", "fog"], ["O", "B-ORG", "I-LOC"], "maybe"),
        sentence(["rain"], ["O"]),
        sentence(["rain"], None, "no"),
    )
    assert made.examples[0].of_words["ner"].tolist() == [0, IGNORE, 2]
    assert [example.of_sentence["classifier"] for example in made.examples] == [IGNORE, IGNORE, 0]


def test_texts_and_words_mixed_keep_their_order_and_their_source(
    wordpiece: PreTrainedTokenizerBase,
) -> None:
    rows = [
        sentence(None, label="yes", text="rain")
        if at % 3
        else Sentence("made:1", 1, ("oslo",) * (at + 1), None, {"ner": ("O",) * (at + 1)})
        for at in range(12)
    ]
    made = encoded(wordpiece, *rows)
    assert [example.source for example in made.examples] == [row.source for row in rows]
    assert [len(example.words) for example in made.examples] == [
        len(row.gold.get("ner", ())) for row in rows
    ]
    assert [len(example) for example in made.examples] == [
        2 + len(row.tokens or ("rain",)) for row in rows
    ]


def test_what_a_sentence_becomes_does_not_depend_on_those_beside_it(
    wordpiece: PreTrainedTokenizerBase,
) -> None:
    rows = [
        tagged("rain", "unbelievableness"),
        sentence(None, text="long " * 40),
        tagged("\u200b", "in", "oslo"),
    ]
    together = encoded(wordpiece, *rows, max_length=16).examples
    for row, example in zip(rows, together, strict=True):
        (alone,) = encoded(wordpiece, row, max_length=16).examples
        assert np.array_equal(alone.input_ids, example.input_ids) and np.array_equal(
            alone.words, example.words
        )


def test_an_empty_split_encodes_to_nothing(wordpiece: PreTrainedTokenizerBase) -> None:
    made = encoded(wordpiece)
    assert (len(made.examples), list(made.examples), made.lost_words) == (0, [], 0)


@pytest.mark.parametrize("kind", ["byte_level", "generic_byte_level"])
def test_byte_level_words_are_those_of_running_text(
    kind: str, request: pytest.FixtureRequest
) -> None:
    byte_level = request.getfixturevalue(kind)
    made = encoded(byte_level, tagged("rain", "in", "oslo"), sentence(None, text="rain in oslo"))
    assert pieces(byte_level, made.examples[0]) == ["Ġrain", "Ġin", "Ġoslo"]
    assert np.array_equal(made.examples[0].input_ids, made.examples[1].input_ids)


def test_byte_level_pieces_keep_every_character(byte_level: PreTrainedTokenizerBase) -> None:
    words = ["\u200b", "\ufeff", "😀", "שלום", "e\u0301", "raining", "\x07"]
    made = encoded(byte_level, tagged(*words))
    example = made.examples[0]
    assert made.lost_words == 0
    ends = [*example.words[1:], len(example) - 1]
    assert [
        byte_level.decode(example.input_ids[a:b]).removeprefix(" ")
        for a, b in zip(example.words, ends, strict=True)
    ] == words


def test_byte_level_truncation_and_empty_words_count(byte_level: PreTrainedTokenizerBase) -> None:
    made = encoded(byte_level, tagged("", "rain", "😀", "in"), max_length=5)
    assert made.examples[0].words.tolist() == [-1, 1, 2, -1]
    assert (len(made.examples[0]), made.lost_words) == (5, 2)


def test_an_encoder_directory_without_a_tokenizer_is_an_error(tmp_path: Path) -> None:
    from mtlab.plan.errors import UserError

    transformers.BertConfig().save_pretrained(tmp_path)
    with pytest.raises(UserError, match="encoder"):
        backbone.tokenizer(backbone.find(Encoder(name=str(tmp_path))))
