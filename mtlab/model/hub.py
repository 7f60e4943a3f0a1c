"""Checks of an encoder's name on the hub and of its files, before transformers reads them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, errors
from huggingface_hub.utils import httpx
from transformers import PretrainedConfig
from transformers.models.auto.tokenization_auto import get_tokenizer_config
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, cached_file, find_adapter_config_file

from mtlab.plan.errors import UserError, shown
from mtlab.plan.settings import Encoder


@dataclass(frozen=True)
class Location:
    """An encoder that was found: what to hand to ``from_pretrained``, and its configuration.

    Attributes:
        name: as the experiment has it.
        path: a directory, or the id on the hub.
        revision: the hub's commit, pinned; ``None`` for a directory.
        cached: the hub is out of reach, so only cached files are read.
        config: the encoder's configuration.
    """

    name: str
    path: str
    revision: str | None
    cached: bool
    config: PretrainedConfig

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of every ``from_pretrained`` call for this encoder."""
        return {
            "pretrained_model_name_or_path": self.path,
            "revision": self.revision,
            "local_files_only": self.cached,
        }


def refuse_more_than_weights(encoder: Encoder, path: str, where: dict[str, Any]) -> None:
    """Check an encoder's configuration before transformers reads it, because transformers would ask
    the user whether to run the encoder's code.

    Raises:
        UserError: the encoder comes with code, with adapters or with weights other than
            safetensors, or asks for an attention kernel other than eager and sdpa.
    """
    config, _ = PretrainedConfig.get_config_dict(path, **where)
    if config.get("auto_map") or get_tokenizer_config(path, **where).get("auto_map"):
        raise UserError(
            f"encoder {encoder.name} comes with code of its own",
            "mtlab runs none, so take another",
            where="encoder",
            code="runs-code",
        )
    if find_adapter_config_file(path, **where) is not None:
        raise UserError(
            f"encoder {encoder.name} comes with adapters",
            "merge them into its weights",
            where="encoder",
            code="encoder-unfit",
        )
    kernel = config.get("_attn_implementation")
    if kernel not in (None, "eager", "sdpa"):  # `owner/name` would be fetched from the hub and run
        raise UserError(
            f"encoder {encoder.name} asks for the attention kernel {shown(kernel)}",
            "mtlab takes eager and sdpa",
            where="encoder",
            code="encoder-unfit",
        )
    weights = config.get("transformers_weights")
    if weights is not None and not str(weights).endswith(".safetensors"):
        raise UserError(
            f"the weights of encoder {encoder.name} are {shown(weights)}",
            "it needs model.safetensors",
            where="encoder",
            code="encoder-unfit",
        )


def pinned(encoder: Encoder) -> tuple[str, bool]:
    """The commit of an encoder's revision, and whether only its cached files can be used because
    the hub is out of reach.

    One quick request finds this out; transformers itself would try for some twenty seconds before
    it gives up.

    Raises:
        UserError: the hub does not have the encoder or refuses it, or the hub is out of reach and
            the encoder is not cached.
    """
    api = HfApi()
    try:
        commit = api.resolve_revision(encoder.name, revision=encoder.revision).resolved
        try:
            api.model_info(encoder.name, revision=commit, timeout=10)
        except (errors.OfflineModeIsEnabled, httpx.TransportError):
            return commit, True
        return commit, False
    except errors.RevisionResolutionError:
        raise unavailable(encoder, "the hub is out of reach, and it is not in the cache") from None
    except errors.GatedRepoError:
        raise unavailable(encoder, "it is gated: ask for access there, then set HF_TOKEN") from None
    except errors.RevisionNotFoundError:
        raise unavailable(encoder, "no such revision") from None
    except (errors.HfHubHTTPError, errors.HFValidationError) as error:
        reason = (
            "not on the hub, or private"
            if isinstance(error, errors.RepositoryNotFoundError | errors.HFValidationError)
            else "the hub fails"
        )
        raise unavailable(encoder, reason) from None


def unavailable(encoder: Encoder, reason: str) -> UserError:
    """The error for an encoder that cannot be downloaded from the hub."""
    at = f" at revision {encoder.revision}" if encoder.revision else ""
    remedy = "check the name; where no hub can be reached, give a local directory or `minilm`"
    return UserError(
        f"no encoder {encoder.name}{at} ({reason})", remedy, where="encoder", code="hub-unavailable"
    )


def first_line(error: Exception) -> str:
    """The first line of an error of another library, cut to fit into a message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160].rstrip(".:")


def refuse_other_files(location: Location) -> None:
    """Check the file names in the index of weights that are split into several files, because
    transformers would accept any path and any kind of file.

    Raises:
        UserError: the index names a file that is not a safetensors file in the folder of the index.
    """
    missing_is_fine = {
        "_raise_exceptions_for_missing_entries": False,
        "_raise_exceptions_for_connection_errors": False,
    }
    options = {"revision": location.revision, "local_files_only": location.cached}
    index = cached_file(location.path, SAFE_WEIGHTS_INDEX_NAME, **options, **missing_is_fine)
    for name in (
        set(json.loads(Path(index).read_text(encoding="utf-8"))["weight_map"].values())
        if index
        else ()
    ):
        if Path(name).name != name or not name.endswith(".safetensors"):
            problem = f"the index of weights of encoder {location.name} names {shown(name)}"
            raise UserError(
                problem,
                "it needs .safetensors files that lie beside it",
                where="encoder",
                code="outside-path",
            )
