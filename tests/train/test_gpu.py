"""What a GPU computes is what a CPU computes, to rounding, and the same again when it is asked
again."""

from pathlib import Path

import pytest
import torch

from mtlab.record.records import TrialRecord
from tests import tiny
from tests.train.several import run

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA"),
]

EXPERIMENT = """\
encoder: {encoder}
data: {{source: {data}, max_duplicates: 1.0}}
batch_size: 9
seeds: [0, 1]
precision: fp32
attention: eager
head: {{dropout: 0.0}}
control: nothing
scenarios:
  nothing: [{{epochs: 0}}]
  heads: [{{epochs: 2, train: {{heads: 1.0e-2}}}}]
  gradual:
    - {{name: heads, epochs: 1, train: {{heads: 1.0e-2}}}}
    - {{name: top, epochs: 1, train: {{"layers[-1/3:]": 1.0e-3, heads: 1.0e-2}}}}
    - {{name: all, epochs: 1, train: {{encoder: 1.0e-3, heads: 1.0e-2}}}}
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("gpu")
    encoder = tiny.write_encoder(
        home / "encoder", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )
    path = home / "tiny.yaml"
    path.write_text(
        EXPERIMENT.format(
            encoder=encoder, data=tiny.write_data(home / "data", train=120, validation=60, test=60)
        )
    )
    return path


@pytest.fixture(scope="module")
def on_gpu(file: Path) -> list[TrialRecord]:
    return run(str(file), file.parent / "cuda", {"device": ["cuda"]})


def test_losses_on_a_gpu_are_those_on_a_cpu(file: Path, on_gpu: list[TrialRecord]) -> None:
    on_cpu = run(str(file), file.parent / "cpu", {"device": ["cpu"]})
    for mine, yours in zip(on_gpu, on_cpu, strict=True):
        assert mine.ok and mine.initial_digest == yours.initial_digest
        assert mine.step_losses["total"] == pytest.approx(yours.step_losses["total"], abs=1e-3)
        assert mine.contributions == yours.contributions


def test_cached_states_on_a_gpu_change_nothing(file: Path, on_gpu: list[TrialRecord]) -> None:
    plain = run(str(file), file.parent / "plain", {"device": ["cuda"], "cache": ["off"]})
    for mine, yours in zip(on_gpu, plain, strict=True):
        assert mine.step_losses["total"] == pytest.approx(yours.step_losses["total"], abs=1e-4)
        assert mine.contributions == yours.contributions


def test_a_trial_on_a_gpu_repeats_bit_for_bit(file: Path, on_gpu: list[TrialRecord]) -> None:
    again = run(str(file), file.parent / "again", {"device": ["cuda:0"]})
    assert [trial.final_digest for trial in again] == [trial.final_digest for trial in on_gpu]
