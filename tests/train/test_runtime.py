"""What ``auto`` settles."""

from pathlib import Path

import pytest
import torch

from mtlab.plan.experiment import load
from mtlab.train import runtime


@pytest.mark.parametrize(
    ("instructions", "gain", "precision"),
    [
        ("amx_bf16", 4.0, "bf16"),
        ("avx512_bf16", 0.5, "fp32"),
        ("avx512_bf16", 1.1, "fp32"),
        ("avx2", 4.0, "fp32"),
    ],
)
def test_a_cpu_computes_in_bf16_only_where_that_is_faster(
    experiment_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    instructions: str,
    gain: float,
    precision: str,
) -> None:
    monkeypatch.setattr(runtime, "_cpu", lambda: {instructions: True, "cpu_name": "a CPU"})
    monkeypatch.setattr(runtime, "_gain_of_bf16", lambda: gain)
    settled = runtime.resolve(load(experiment_file, {"precision": ["auto"]}))
    assert settled.precision == precision
    assert settled.attention == ("eager" if precision == "bf16" else None)


def test_the_gain_is_a_number_and_the_threads_stay() -> None:
    before = torch.get_num_threads()
    runtime._gain_of_bf16.cache_clear()
    assert 0 < runtime._gain_of_bf16() < 100
    assert torch.get_num_threads() == before
