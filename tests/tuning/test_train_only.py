"""Training parts of anybody's model: which encoder and heads it has, what is frozen, and that it stays so."""

import ast
import copy
import importlib
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import transformers
from transformers import Trainer, TrainingArguments

import mtlab
from mtlab.model.freezing import CertificateError
from mtlab.tuning.parts import parts
from tests import tiny
from tests.tuning.own import Joint, classifier, rows

KINDS = {
    "sequence": transformers.AutoModelForSequenceClassification,
    "token": transformers.AutoModelForTokenClassification,
}
HEADS = {
    ("bert", "sequence"): {"classifier", "pooler"},
    ("distilbert", "sequence"): {"pre_classifier", "classifier"},
    ("deberta-v2", "sequence"): {"pooler", "classifier"},
    ("modernbert", "sequence"): {"head", "classifier"},
    ("modernbert", "token"): {"head", "classifier"},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", tiny.CONFIGS)
def test_every_family_with_every_head_has_its_parts(family: str, kind: str) -> None:
    torch.manual_seed(0)
    model = KINDS[kind].from_config(tiny.CONFIGS[family]())
    groups, partition = mtlab.train_only(model, {"layers[-2:]": 1e-4, "classifier": 1e-3})
    assert set(parts(model).heads) == HEADS.get((family, kind), {"classifier"})
    assert [group["lr"] for group in groups] == [1e-4, 1e-3]
    trained = {id(own) for group in groups for own in group["params"]}
    assert trained == {id(own) for own in model.parameters() if own.requires_grad}
    assert {"embeddings", "layers[0]"} <= set(partition.frozen)
    assert sum(partition.counts.values()) == sum(own.numel() for own in model.parameters())
    model.eval()
    model.train()
    base = model.base_model
    assert model.training
    assert model.classifier.training
    frozen = [base.get_input_embeddings(), base.get_submodule(parts(model).backbone.blocks[0])]
    assert not any(module.training for part in frozen for module in part.modules())
    top = base.get_submodule(parts(model).backbone.blocks[-1])
    assert all(module.training for module in top.modules())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer = torch.optim.AdamW(groups)
    labels = torch.zeros((2, 6) if kind == "token" else (2,), dtype=torch.long)
    with mtlab.certify(model) as certificate:
        model(torch.arange(4, 16).reshape(2, 6), labels=labels).loss.backward()
        optimizer.step()
    moved = {name for name, old in before.items() if not torch.equal(old, model.state_dict()[name])}
    assert moved
    assert moved <= {name for unit in certificate.trained.values() for name in unit}


def test_a_partition_prints_what_trains_and_what_is_frozen() -> None:
    _, partition = mtlab.train_only(classifier(), {"layers[-2:]": 1e-4, "classifier": 1e-3})
    assert str(partition).splitlines() == [
        "trains 17,187 of 32,803 parameters (52.4%)",
        "   0.0001  layers[-2:]             17,088  layers[1:3]",
        "    0.001  head.classifier             99  head.classifier",
        "   frozen                          15,616  embeddings, layers[0], head.pooler",
    ]


def test_a_module_around_an_encoder_has_heads_by_attribute() -> None:
    model = Joint()
    known = parts(model)
    assert set(known.heads) == {"topics", "tags", "balance"}
    mtlab.train_only(model, {"tags": 1e-3, "balance": 1e-2})
    model.train()
    assert model.balance.requires_grad
    assert not model.topics.weight.requires_grad
    assert (model.words["tags"].training, model.topics.training) == (True, False)
    assert model.noise.training
    mtlab.train_only(model, {"layers[-1]": 1e-3})
    model.train()
    assert not model.noise.training, "no head trains"


def test_a_plain_trainer_keeps_the_choice(tmp_path: Path) -> None:
    model = classifier()
    groups, _ = mtlab.train_only(model, {"layers[-1]": 1e-3, "classifier": 1e-2})
    arguments = TrainingArguments(
        str(tmp_path),
        num_train_epochs=2,
        eval_strategy="epoch",
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    optimizer = torch.optim.AdamW(groups, weight_decay=0.5)
    with mtlab.certify(model) as certificate:
        Trainer(model, arguments, None, rows(), rows(8), optimizers=(optimizer, None)).train()
    assert set(certificate.trained) == {"layers[2]", "head.classifier"}
    assert (model.train().bert.embeddings.training, model.classifier.training) == (False, True)


def test_a_later_choice_replaces_an_earlier_one() -> None:
    model = classifier()
    mtlab.train_only(model, {"classifier": 1e-3})
    _, partition = mtlab.train_only(model, {"all": 1e-3})
    assert partition.frozen == ()
    assert all(module.training for module in model.train().modules())


def test_a_frozen_model_can_be_copied_and_pickled() -> None:
    model = classifier()
    mtlab.train_only(model, {"classifier": 1e-3})
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        other.train()
        assert (other.bert.encoder.training, other.classifier.training) == (False, True)
    model.eval()
    assert not model.classifier.training


def test_finding_the_parts_of_a_model_changes_nothing() -> None:
    model = classifier().train()
    model.bert.encoder.layer[1].eval()
    pooler, modes = model.bert.pooler, [module.training for module in model.modules()]
    drawn = torch.get_rng_state()
    parts(model)
    assert model.bert.pooler is pooler
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(drawn, torch.get_rng_state())


@pytest.mark.parametrize("fault", ["weight", "buffer", "idle", "both"])
def test_a_certificate_names_what_moved_and_what_did_not(fault: str) -> None:
    model = classifier()
    mtlab.train_only(model, {"layers[-1]": 1e-3, "classifier": 1e-3})
    expected = {
        "weight": "frozen, but changed: bert.encoder.layer.1.output.dense.bias",
        "buffer": "frozen, but changed: bert.embeddings.position_ids",
        "idle": "trains, but did not change: layers[2]",
        "both": "frozen, but changed: bert.pooler.dense.weight; trains, but did not change: layers[2], head.classifier",
    }
    with pytest.raises(CertificateError) as error, mtlab.certify(model), torch.no_grad():
        if fault != "both":
            model.classifier.bias.add_(1.0)
        if fault in ("weight", "buffer"):
            model.bert.encoder.layer[2].output.dense.bias.add_(1.0)
        if fault == "weight":
            model.bert.encoder.layer[1].output.dense.bias[3] += 1e-6
        if fault == "buffer":
            model.bert.embeddings.position_ids[0, 0] += 1
        if fault == "both":
            model.bert.pooler.dense.weight[0, 0] += 1.0
    assert str(error.value) == expected[fault]


def test_a_certificate_reads_weights_in_bf16() -> None:
    model = classifier().to(torch.bfloat16)
    mtlab.train_only(model, {"classifier": 1e-3})
    with mtlab.certify(model), torch.no_grad():
        model.classifier.bias.add_(1.0)


@pytest.mark.process
def test_the_package_is_light_until_a_name_is_used() -> None:
    script = "import sys, mtlab; print('torch' in sys.modules); mtlab.certify; print('torch' in sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert ended.stdout.split() == ["False", "True"]


def test_editors_are_told_the_names_that_there_are() -> None:
    assert set(mtlab.__all__) <= set(dir(mtlab))
    told = ast.parse(Path(mtlab.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    imports = [node for node in told.body if isinstance(node, ast.ImportFrom)]
    homes = {alias.name: node.module for node in imports for alias in node.names}
    assert sorted(homes) == mtlab.__all__
    for name, home in homes.items():
        assert getattr(mtlab, name) is getattr(importlib.import_module(home), name)
    with pytest.raises(AttributeError, match="no attribute 'train_all'"):
        mtlab.train_all  # noqa: B018
