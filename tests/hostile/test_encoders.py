"""Encoders of strangers: nothing that lies in their directories is run, and nothing but safetensors
is read."""

import json
import pickle
from pathlib import Path

import pytest
import torch

from mtlab.model import backbone
from mtlab.model.network import Network
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Encoder, Head
from mtlab.train.weights import source_checkpoint
from tests import tiny
from tests.hostile import attacks
from tests.hostile.attacks import Attack
from tests.hostile.conftest import Run


def test_the_payloads_would_work(tmp_path: Path) -> None:
    pickle.loads(attacks.pickled(tmp_path / "pickled"))
    torch.load(attacks.io.BytesIO(attacks.torch_file(tmp_path / "torch")), weights_only=False)
    exec(attacks.code(tmp_path / "code"), {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["code", "pickled", "torch"]


def changed(directory: Path, file: str, **more: object) -> None:
    """Write more into a JSON file."""
    path = directory / file
    path.write_text(json.dumps({**(json.loads(path.read_text()) if path.exists() else {}), **more}))


def only_pickled(directory: Path, marker: Path) -> None:
    (directory / "model.safetensors").unlink()
    (directory / "pytorch_model.bin").write_bytes(attacks.torch_file(marker))


def pickle_by_another_name(directory: Path, marker: Path) -> None:
    (directory / "model.safetensors").write_bytes(attacks.pickled(marker))


def checkpoint_by_another_name(directory: Path, marker: Path) -> None:
    (directory / "model.safetensors").write_bytes(attacks.torch_file(marker))


def pickled_shard(directory: Path, marker: Path) -> None:
    only_pickled(directory, marker)
    index = {
        "metadata": {},
        "weight_map": {"embeddings.word_embeddings.weight": "pytorch_model.bin"},
    }
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))


def shard_elsewhere(directory: Path, marker: Path) -> None:
    (directory / "model.safetensors").rename(directory.parent / "elsewhere.safetensors")
    index = {
        "metadata": {},
        "weight_map": {"embeddings.word_embeddings.weight": "../elsewhere.safetensors"},
    }
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))


def pickle_named_in_the_configuration(directory: Path, marker: Path) -> None:
    (directory / "adapter_model.bin").write_bytes(attacks.torch_file(marker))
    changed(directory, "config.json", transformers_weights="adapter_model.bin")


def pickled_adapters(directory: Path, marker: Path) -> None:
    (directory / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "r": 1, "target_modules": ["query"]})
    )
    (directory / "adapter_model.bin").write_bytes(attacks.torch_file(marker))


def own_model(directory: Path, marker: Path) -> None:
    changed(
        directory, "config.json", auto_map={"AutoConfig": "own.Config", "AutoModel": "own.Model"}
    )
    (directory / "own.py").write_text(attacks.code(marker))


def own_kind_of_model(directory: Path, marker: Path) -> None:
    own_model(directory, marker)
    changed(directory, "config.json", model_type="a-kind-of-its-own")


def code_of_another_repository(directory: Path, marker: Path) -> None:
    own_kind_of_model(directory, marker)
    changed(directory, "config.json", auto_map={"AutoConfig": f"{directory}--own.Config"})


def kernel_of_the_hub(directory: Path, marker: Path) -> None:
    changed(directory, "config.json", _attn_implementation="owner/kernel")


def own_tokenizer(directory: Path, marker: Path) -> None:
    changed(
        directory,
        "tokenizer_config.json",
        tokenizer_class="OwnTokenizer",
        auto_map={"AutoTokenizer": ["own.T", "own.T"]},
    )
    (directory / "own.py").write_text(attacks.code(marker))


REFUSED: list[tuple[Attack, str]] = [
    (only_pickled, "it needs model.safetensors"),
    (pickle_by_another_name, "cannot be loaded (Error while deserializing header"),
    (checkpoint_by_another_name, "cannot be loaded (Error while deserializing header"),
    (pickled_shard, "names 'pytorch_model.bin'; it needs .safetensors files that lie beside it"),
    (
        shard_elsewhere,
        "names '../elsewhere.safetensors'; it needs .safetensors files that lie beside it",
    ),
    (pickle_named_in_the_configuration, "are 'adapter_model.bin'; it needs model.safetensors"),
    (pickled_adapters, "comes with adapters; merge them into its weights"),
    (own_model, "comes with code of its own; mtlab runs none, so take another"),
    (own_kind_of_model, "comes with code of its own; mtlab runs none, so take another"),
    (code_of_another_repository, "comes with code of its own; mtlab runs none, so take another"),
    (kernel_of_the_hub, "asks for the attention kernel 'owner/kernel'; mtlab takes eager and sdpa"),
    (own_tokenizer, "comes with code of its own; mtlab runs none, so take another"),
]


@pytest.mark.parametrize(
    ("attack", "said"), REFUSED, ids=lambda value: getattr(value, "__name__", "")
)
def test_an_encoder_that_would_run_something_is_refused(
    attack: Attack, said: str, attacked_encoder: Path, marker: Path, experiment_file: Path, run: Run
) -> None:
    attack(attacked_encoder, marker)
    status, line = run("compare", experiment_file, "--encoder", attacked_encoder)
    assert status == 2 and line.startswith("--encoder: ") and said in line
    assert not (experiment_file.parent / "report").exists()


def test_pickled_weights_beside_safetensors_are_not_read(
    attacked_encoder: Path, marker: Path
) -> None:
    for name in (
        "pytorch_model.bin",
        "training_args.bin",
        "optimizer.pt",
        "tf_model.h5",
        "flax_model.msgpack",
        "rng_state.pth",
    ):
        (attacked_encoder / name).write_bytes(attacks.torch_file(marker))
    for name in (
        "modeling_bert.py",
        "tokenization_bert.py",
        "configuration_bert.py",
        "handler.py",
        "conftest.py",
        "torch.py",
    ):
        (attacked_encoder / name).write_text(attacks.code(marker))
    location = backbone.find(Encoder(name=str(attacked_encoder)))
    assert len(backbone.load(location).blocks) == 3
    assert len(backbone.tokenizer(location)) > 10


CONFIGURATIONS = {
    "a list": "[]",
    "a number": "1",
    "nothing": "",
    "nested deeply": "[" * 100_000,
    "no text": b"\xff\xfe",
    "no kind": '{"model_type": ["bert"]}',
    "no such kind": '{"model_type": "../../bert"}',
    "text for a size": {"hidden_size": "x"},
    "a size below 0": {"hidden_size": -32},
    "a size of 0": {"num_attention_heads": 0},
    "no blocks": {"num_hidden_layers": 0},
    "fewer blocks than none": {"num_hidden_layers": -1},
    "no words": {"vocab_size": 0},
    "no such activation": {"hidden_act": "os.system"},
    "a quantization": {
        "quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}
    },
    "another file": {"configuration_files": ["../config.4.0.0.json"]},
}


@pytest.mark.parametrize("written", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_a_configuration_that_makes_no_encoder_is_one_line(
    written: str | bytes | dict[str, object],
    attacked_encoder: Path,
    experiment_file: Path,
    run: Run,
) -> None:
    if isinstance(written, dict):
        changed(attacked_encoder, "config.json", **written)
    else:
        (attacked_encoder / "config.json").write_bytes(
            written if isinstance(written, bytes) else written.encode()
        )
    status, line = run("plan", experiment_file, "--encoder", attacked_encoder)
    assert (status, line.startswith("--encoder: ")) in ((2, True), (0, False))


TOKENIZERS = {
    "nothing": "",
    "nested deeply": "[" * 100_000,
    "another thing": '{"model": {"type": "__import__"}}',
    "a pickle": b"\x80\x04\x95\x00",
}


@pytest.mark.parametrize("written", TOKENIZERS.values(), ids=TOKENIZERS)
def test_a_damaged_tokenizer_is_one_line(written: str | bytes, attacked_encoder: Path) -> None:
    (attacked_encoder / "tokenizer.json").write_bytes(
        written if isinstance(written, bytes) else written.encode()
    )
    with pytest.raises(UserError, match="tokenizer"):
        backbone.tokenizer(backbone.find(Encoder(name=str(attacked_encoder))))


@pytest.mark.parametrize("limit", [0, -5, "many", None])
def test_a_tokenizer_that_takes_nothing_is_one_line(limit: object, attacked_encoder: Path) -> None:
    changed(attacked_encoder, "tokenizer_config.json", model_max_length=limit)
    location = backbone.find(Encoder(name=str(attacked_encoder)))
    if limit is None:
        assert backbone.tokenizer(location).model_max_length > 1000
    else:
        with pytest.raises(UserError, match=r"the tokenizer of .* takes|no tokenizer for encoder"):
            backbone.tokenizer(location)


def tampered_with(encoder: Path) -> dict[str, bytes]:
    return attacks.tampered((encoder / "model.safetensors").read_bytes())


def test_tampered_weights_of_an_encoder_are_refused(attacked_encoder: Path, marker: Path) -> None:
    location = backbone.find(Encoder(name=str(attacked_encoder)))
    for how, content in tampered_with(attacked_encoder).items():
        (attacked_encoder / "model.safetensors").write_bytes(content)
        with pytest.raises(UserError) as error:
            backbone.load(location)
        assert "weights" in str(error.value), how


def test_tampered_weights_of_a_checkpoint_are_refused(
    encoder: Path, tmp_path: Path, marker: Path
) -> None:
    network = Network(
        backbone.load(backbone.find(Encoder(name=str(encoder)))),
        tiny.shapes(3, 5),
        Head(),
    )
    source_checkpoint.save(network, tmp_path / "good.safetensors")
    good = (tmp_path / "good.safetensors").read_bytes()
    changes = {
        **attacks.tampered(good),
        "a pickle": attacks.pickled(marker),
        "a checkpoint of torch": attacks.torch_file(marker),
    }
    for how, content in changes.items():
        (tmp_path / "bad.safetensors").write_bytes(content)
        with pytest.raises(UserError) as error:
            source_checkpoint.load(network, tmp_path / "bad.safetensors")
        assert "belongs to another network; remove it and run again" in str(error.value), how
    source_checkpoint.load(network, tmp_path / "good.safetensors")


@pytest.mark.parametrize(
    "name",
    [
        "x" * 300,
        "/" + "x" * 300,
        "a/../../b",
        "~nobody-of-this-name/x",
        "..",
        "/etc",
        "/dev/null",
        "a b",
    ],
)
def test_names_that_are_no_encoder_are_one_line(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no encoder"):
        backbone.find(Encoder(name=name))
    assert not list(tmp_path.iterdir())


def test_the_families_that_are_taken_pass_all_checks(tmp_path: Path) -> None:
    for family in tiny.CONFIGS:
        location = backbone.find(Encoder(name=str(tiny.write_encoder(tmp_path / family, family))))
        assert len(backbone.load(location).blocks) == 3
