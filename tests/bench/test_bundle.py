"""What mtlab needs, as files: what is missing on another machine, in pieces, and whole again
there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mtlab.bench import bundle, bundle_install
from mtlab.plan.errors import UserError


def test_what_is_there_in_a_version_that_fits_is_not_sent() -> None:
    bare = bundle.read_there(None, "3.12")
    lacking = bundle.missing(bare, "3.12")
    assert {"datasets", "mlflow", "seqeval", "ruamel-yaml", bundle.ENCODER} <= set(lacking)
    assert not {"torch", "transformers", "numpy", "mtlab"} & set(lacking) and not any(
        "+" in version for version in lacking.values()
    )
    assert "seqeval" not in bundle.missing({**bare, "seqeval": "1.2.2"}, "3.12")
    assert {"seqeval", "transformers"} <= set(
        bundle.missing({**bare, "seqeval": "0.9", "transformers": "4.50.0"}, "3.12")
    )


def test_the_list_of_another_machine_is_read(tmp_path: Path) -> None:
    there = tmp_path / "there.txt"
    there.write_text(
        "ruamel.yaml==0.19.1\nPyYAML==6.0\n-e git+ssh://somewhere\ntorch==2.11.0+cu130\n"
    )
    assert bundle.read_there(there, "3.12") == {
        "ruamel-yaml": "0.19.1",
        "pyyaml": "6.0",
        "torch": "2.11.0+cu130",
    }
    there.write_text("torch 2.11\n")
    with pytest.raises(
        UserError,
        match=r"there.txt: no line NAME==VERSION; write it on that machine with `pip list --format=freeze`",
    ):
        bundle.read_there(there, "3.12")
    with pytest.raises(UserError, match=r"none.txt: cannot be read"):
        bundle.read_there(tmp_path / "none.txt", "3.12")


@pytest.fixture
def packed(tmp_path: Path) -> tuple[Path, dict[str, bytes]]:
    """A bundle of three wheels, in pieces of a thousand bytes."""
    wheels = {
        "large.whl": os.urandom(2500),
        "middle.whl": os.urandom(600),
        "small.whl": os.urandom(390),
    }
    (tmp_path / "wheels").mkdir()
    for name, content in wheels.items():
        (tmp_path / "wheels" / name).write_bytes(content)
    to = tmp_path / "bundle"
    to.mkdir()
    manifest = bundle.pieces(list((tmp_path / "wheels").iterdir()), to, 1000)
    (to / bundle_install.MANIFEST).write_text(json.dumps(manifest))
    return to, wheels


def test_pieces_are_no_larger_than_asked_and_give_the_wheels_again(
    packed: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    to, wheels = packed
    sizes = [
        sum(file.stat().st_size for file in piece.iterdir())
        for piece in sorted(to.iterdir())
        if piece.is_dir()
    ]
    assert len(sizes) == 4 and max(sizes) <= 1000 and sum(sizes) == 3490
    joined = tmp_path / "joined"
    joined.mkdir()
    assert {file.name: file.read_bytes() for file in bundle_install.join(to, joined)} == wheels


def test_a_piece_that_is_missing_or_damaged_is_told(
    packed: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    to, _ = packed
    part = next(to.glob("*/large.whl.2"))
    content = part.read_bytes()
    part.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(SystemExit, match=r"large.whl.2: is damaged; copy it again"):
        bundle_install.join(to, tmp_path)
    part.unlink()
    with pytest.raises(SystemExit, match=r"large.whl.2: is missing; copy its folder here, too"):
        bundle_install.join(to, tmp_path)


@pytest.mark.process
def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    command = [sys.executable, "-m", "mtlab.bench.bundle", "--to", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = (
        f"mtlab: {tmp_path}: has files that are not of a bundle; choose another folder with --to\n"
    )
    assert (done.returncode, done.stderr) == (2, said)
    assert (tmp_path / "thesis.tex").exists()
