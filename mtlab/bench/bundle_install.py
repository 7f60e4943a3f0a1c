"""Installs a bundle of mtlab without a network: ``python3 install.py [--target DIR]``. It needs
Python and pip alone.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

MANIFEST = "manifest.json"
"""Wheel to its parts in order: ``file``, ``bytes`` and ``sha256``."""


def join(bundle: Path, to: Path) -> list[Path]:
    """Join the parts of a bundle's wheels, and write the wheels into a folder. Each part is checked
    by its SHA-256.

    Raises:
        SystemExit: a part is missing or damaged; its text says which.
    """
    wheels = []
    for name, parts in json.loads((bundle / MANIFEST).read_text(encoding="utf-8")).items():
        wheel = to / name
        with wheel.open("wb") as file:
            for part in parts:
                path = bundle / part["file"]
                if not path.is_file():
                    raise SystemExit(f"{path}: is missing; copy its folder here, too")
                content = path.read_bytes()
                if hashlib.sha256(content).hexdigest() != part["sha256"]:
                    raise SystemExit(f"{path}: is damaged; copy it again")
                file.write(content)
        wheels.append(wheel)
    return wheels


def main() -> int:
    """The entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--target", help="install into this folder, for PYTHONPATH, and leave the environment alone"
    )
    options = parser.parse_args()
    target = ["--target", options.target] if options.target else []
    with tempfile.TemporaryDirectory() as directory:
        wheels = join(Path(__file__).parent, Path(directory))
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-index",
            "--no-deps",
            *target,
        ]
        return subprocess.run([*pip, *map(str, wheels)], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
