"""Checks of an encoder on the hub, and of its files, before transformers reads them."""

from typing import Any

from huggingface_hub import HfApi, errors
from huggingface_hub.utils import httpx
from transformers import PretrainedConfig
from transformers.models.auto.tokenization_auto import get_tokenizer_config
from transformers.utils import find_adapter_config_file

from mtlab.plan.errors import UserError, shown
from mtlab.plan.settings import Encoder


def refuse_more_than_weights(encoder: Encoder, path: str, where: dict[str, Any]) -> None:
    """Read an encoder's configuration before transformers does, which would ask whether to run its
    code.

    Raises:
        UserError: it comes with code, with adapters, with a kernel, or with weights that are not
            safetensors.
    """
    config, _ = PretrainedConfig.get_config_dict(path, **where)
    if config.get("auto_map") or get_tokenizer_config(path, **where).get("auto_map"):
        raise UserError(
            f"encoder {encoder.name} comes with code of its own",
            "mtlab runs none, so take another",
            where="encoder",
        )
    if find_adapter_config_file(path, **where) is not None:
        raise UserError(
            f"encoder {encoder.name} comes with adapters",
            "merge them into its weights",
            where="encoder",
        )
    kernel = config.get("_attn_implementation")
    if kernel not in (None, "eager", "sdpa"):  # `owner/name` would be fetched from the hub and run
        raise UserError(
            f"encoder {encoder.name} asks for the attention kernel {shown(kernel)}",
            "mtlab takes eager and sdpa",
            where="encoder",
        )
    weights = config.get("transformers_weights")
    if weights is not None and not str(weights).endswith(".safetensors"):
        raise UserError(
            f"the weights of encoder {encoder.name} are {shown(weights)}",
            "it needs model.safetensors",
            where="encoder",
        )


def pinned(encoder: Encoder) -> tuple[str, bool]:
    """The commit that an encoder's revision stands for, and whether to do with what is cached of
    it.

    One quick request tells: transformers itself would try for some twenty seconds where no hub can
    be reached.
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
    """The mistake of an encoder that the hub does not give."""
    at = f" at revision {encoder.revision}" if encoder.revision else ""
    remedy = "check the name; where no hub can be reached, give a local directory or `minilm`"
    return UserError(f"no encoder {encoder.name}{at} ({reason})", remedy, where="encoder")


def first_line(error: Exception) -> str:
    """The first line of what another library raised, short enough for a message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160].rstrip(".:")
