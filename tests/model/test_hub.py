"""Encoders from the hub, against a stand-in server: in processes of their own, for the address is
read at import."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import stand_in, tiny

COMMIT = "a" * 40
LOOK = """
import sys
from mtlab.model import backbone
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Encoder
try:
    location = backbone.find(Encoder(name=sys.argv[1], revision=sys.argv[2] or None))
    print(location.revision, len(backbone.load(location).blocks), backbone.tokenizer(location).pad_token_id)
except UserError as error:
    print(error)
"""


def look(address: str, cache: Path, name: str, revision: str = "") -> str:
    environment = {
        **os.environ,
        "HF_ENDPOINT": address,
        "HF_HOME": str(cache),
        "HF_HUB_DISABLE_XET": "1",
    }
    ran = subprocess.run(
        [sys.executable, "-c", LOOK, name, revision],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip().splitlines()[-1]


@pytest.mark.process
def test_hub_encoder_is_pinned_then_found_in_the_cache_when_the_hub_is_gone(tmp_path: Path) -> None:
    directory = tiny.write_encoder(tmp_path / "encoder")
    files = {path.name: path.read_bytes() for path in directory.iterdir()}
    with stand_in.serve({COMMIT: files}, {"main": COMMIT, "v1": COMMIT}) as address:
        assert look(address, tmp_path / "cache", stand_in.NAME, "v1") == f"{COMMIT} 3 0"
        assert "no such revision" in look(address, tmp_path / "cache", stand_in.NAME, "v2")
        assert "no encoder owner/none (not on the hub, or private); check the name" in look(
            address, tmp_path / "cache", "owner/none"
        )
    assert look(address, tmp_path / "cache", stand_in.NAME, "v1") == f"{COMMIT} 3 0"
    gone = look(address, tmp_path / "empty", stand_in.NAME)
    assert gone.startswith(
        "encoder: no encoder owner/toy (the hub is out of reach, and it is not in the cache)"
    )
    assert gone.endswith("where no hub can be reached, give a local directory or `minilm`")
