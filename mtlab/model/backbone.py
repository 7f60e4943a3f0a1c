"""Encoders: where they come from, and their blocks in the order in which they run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import pre_tokenizers
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from mtlab.model import embedded, hub
from mtlab.model.hub import Location
from mtlab.plan.errors import UserError, shown
from mtlab.plan.settings import Encoder

TAKE = "take BERT, RoBERTa, DistilBERT, ELECTRA, MPNet, DeBERTa or ModernBERT"

SHORTEST = 8
"""The smallest allowed limit on the length of an input, in tokens."""


@dataclass(frozen=True)
class Backbone:
    """An encoder and the names of its parts.

    Attributes:
        model: the encoder, without a pooler; gives ``last_hidden_state`` of shape (sentences,
            tokens, hidden).
        blocks: names of its transformer blocks within ``model``, in execution order.
        after: names of the modules that run after the last block, such as a final norm.
    """

    model: PreTrainedModel
    blocks: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def hidden_size(self) -> int:
        """Size of a hidden state."""
        return int(self.model.config.hidden_size)


def find(encoder: Encoder) -> Location:
    """Find an encoder by name; only its configuration is read.

    Raises:
        UserError: the encoder is not installed, not found, out of reach or damaged, or it needs
            code from the hub.
    """
    _quiet()
    path, local = _place(encoder)
    revision: str | None = None
    cached = False
    if not local:
        revision, cached = hub.pinned(encoder)
    try:
        hub.refuse_more_than_weights(
            encoder, path, {"revision": revision, "local_files_only": cached}
        )
        config = AutoConfig.from_pretrained(path, revision=revision, local_files_only=cached)
    except UserError:
        raise
    except Exception as error:  # transformers fails in many ways
        if not local:
            raise hub.unavailable(encoder, hub.first_line(error)) from error
        problem = f"config.json of {encoder.name} cannot be used ({hub.first_line(error)})"
        raise UserError(
            problem, "put that of a transformers encoder there", where="encoder", code="unreadable"
        ) from error
    if getattr(config, "auto_map", None):
        raise UserError(
            f"encoder {encoder.name} comes with code of its own",
            "mtlab runs none, so take another",
            where="encoder",
            code="runs-code",
        )
    if getattr(config, "is_encoder_decoder", False):
        raise UserError(
            f"{config.model_type} is an encoder-decoder",
            "mtlab takes encoders, such as BERT or RoBERTa",
            where="encoder",
            code="encoder-unfit",
        )
    return Location(
        encoder.name, path, revision or getattr(config, "_commit_hash", None), cached, config
    )


def _place(encoder: Encoder) -> tuple[str, bool]:
    """The folder of an encoder, or its name on the hub; and whether it is a folder.

    Raises:
        UserError: the folder holds no encoder, or a revision is given for a folder.
    """
    path = str(embedded.folder() if encoder.name == embedded.NAME else _local(encoder.name))
    try:
        is_directory, is_encoder = Path(path).is_dir(), (Path(path) / "config.json").is_file()
    except OSError:  # the name is longer than file names may be
        is_directory = is_encoder = False
    local = is_directory or encoder.name.startswith(("/", ".", "~"))
    if local and not is_encoder:
        raise UserError(
            f"no encoder in {path}",
            "a directory holds config.json, model.safetensors and a tokenizer",
            where="encoder",
            code="file-missing",
        )
    if local and encoder.revision is not None:
        raise UserError(
            "a local encoder has no revisions",
            "leave it out",
            where="encoder.revision",
            code="no-revisions",
        )
    return path, local


def tokenizer(location: Location) -> PreTrainedTokenizerBase:
    """The encoder's tokenizer, set up for sentences that are already split into words.

    Raises:
        UserError: there is no tokenizer, or it cannot tell which sub-word belongs to which word.
    """
    _quiet()
    try:
        loaded = AutoTokenizer.from_pretrained(**location.arguments)
        if (
            getattr(loaded, "add_prefix_space", None) is False
        ):  # with this setting, tokenizers refuse sentences that are already split into words
            loaded = AutoTokenizer.from_pretrained(**location.arguments, add_prefix_space=True)
    except (OSError, ValueError) as error:
        problem = f"no tokenizer for encoder {location.name} ({hub.first_line(error)})"
        raise UserError(
            problem, "its directory holds tokenizer.json", where="encoder", code="no-tokenizer"
        ) from error
    except Exception as error:  # the tokenizers library raises no narrower class
        problem = f"the tokenizer of {location.name} cannot be read ({hub.first_line(error)})"
        raise UserError(
            problem, "put its tokenizer.json there anew", where="encoder", code="unreadable"
        ) from error
    if len(loaded) <= len(
        set(loaded.all_special_ids)
    ):  # without files, transformers makes a tokenizer with special tokens alone
        raise UserError(
            f"no tokenizer for encoder {location.name}",
            "its directory holds tokenizer.json",
            where="encoder",
            code="no-tokenizer",
        )
    if not loaded.is_fast:
        problem = f"the tokenizer of {location.name} is not a fast one, so words cannot be aligned"
        raise UserError(
            problem, "take an encoder with a tokenizer.json", where="encoder", code="encoder-unfit"
        )
    if not (
        isinstance(loaded.model_max_length, int | float) and loaded.model_max_length >= SHORTEST
    ):
        raise UserError(
            f"the tokenizer of {location.name} takes {shown(loaded.model_max_length)} tokens",
            where="encoder",
            code="encoder-unfit",
        )
    _begin_words_with_a_space(loaded)
    return loaded


def load(location: Location, attention: str | None = None) -> Backbone:
    """Load an encoder's weights in fp32, from safetensors only.

    Raises:
        UserError: there are no safetensors weights, or they do not fit the configuration.
    """
    _quiet()
    try:
        hub.refuse_other_files(location)
        model, info = AutoModel.from_pretrained(
            **location.arguments,
            dtype=torch.float32,
            use_safetensors=True,
            attn_implementation=attention,
            output_loading_info=True,
        )
    except UserError:
        raise
    except OSError as error:
        raise UserError(
            f"no weights for encoder {location.name} ({hub.first_line(error)})",
            "it needs model.safetensors",
            where="encoder",
            code="no-weights",
        ) from error
    except Exception as error:  # transformers and safetensors fail in many ways
        problem = f"the weights of {location.name} cannot be loaded ({hub.first_line(error)})"
        raise UserError(
            problem,
            "put its model.safetensors and config.json there anew",
            where="encoder",
            code="unreadable",
        ) from error
    missing = [name for name in info["missing_keys"] if not name.startswith("pooler.")]
    if missing or info["mismatched_keys"]:
        problem = (
            f"the weights of {location.name} lack {len(missing)} tensors of the encoder "
            f"(first: {(missing or ['a mismatched one'])[0]})"
        )
        raise UserError(
            problem,
            "take whole weights: these parts would start at random",
            where="encoder",
            code="encoder-unfit",
        )
    return inspect(model)


def skeleton(config: PretrainedConfig) -> Backbone:
    """The encoder's structure without weights, on torch's meta device: it serves to count FLOPs and
    parameters, and takes almost no time and memory.

    Raises:
        UserError: no encoder can be built from the configuration.
    """
    _quiet()
    try:
        with torch.device("meta"):
            return inspect(AutoModel.from_config(config, attn_implementation="eager"))
    except UserError:
        raise
    except Exception as error:  # transformers and torch fail in many ways
        raise UserError(
            f"its configuration makes no encoder ({hub.first_line(error)})",
            where="encoder",
            code="encoder-unfit",
        ) from error


def inspect(model: PreTrainedModel) -> Backbone:
    """Find the blocks of an encoder by watching one forward pass, and drop its pooler.

    Raises:
        UserError: the encoder does not read tokens, or it has no list of blocks that each run once
            and in order (in ALBERT, for one, all layers share one block).
    """
    if getattr(model, "pooler", None) is not None:
        model.pooler = (
            None  # the heads read token states; a pooler would count as an untrained part
        )
    family, depth = model.config.model_type, getattr(model.config, "num_hidden_layers", 0)
    lists = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and 0 < len(module) == depth
    ]
    try:
        ran = _execution_order(model)
    except (
        Exception
    ) as error:  # each family has its own way to ask for pixels, or for another encoder's states
        problem = f"{family} does not make hidden states of tokens ({hub.first_line(error)})"
        raise UserError(problem, TAKE, where="encoder", code="encoder-unfit") from None
    for name in lists:
        blocks = tuple(f"{name}.{index}" for index in range(depth))
        if [module for module in ran if module in blocks] == list(blocks):
            return Backbone(model, blocks, _after(model, blocks, ran))
    problem = (
        f"the {depth} layers of {family} are not {depth} blocks that run one after another "
        "(ALBERT shares one), so none can be frozen alone"
    )
    raise UserError(problem, TAKE, where="encoder", code="encoder-unfit")


def max_length(backbone: Backbone, tokenizer: PreTrainedTokenizerBase | None) -> int:
    """The length in tokens of the longest input that encoder and tokenizer allow (RoBERTa's 514
    positions hold 512 tokens).
    """
    limit = int(getattr(backbone.model.config, "max_position_embeddings", 0)) or 512
    for name, module in backbone.model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            offset = 0 if module.padding_idx is None else module.padding_idx + 1
            limit = min(limit, module.num_embeddings - offset)
    return limit if tokenizer is None else min(limit, tokenizer.model_max_length)


def probe(model: nn.Module, sentences: int, tokens: int) -> torch.Tensor:
    """Last hidden states (sentences, tokens, hidden) of a made-up input, on the model's device.

    The meta device has no values to read. There some families (BERT) fail with a mask, because they
    read its values, and others (DeBERTa) fail without one, because they make one and read that. So
    both calls are tried.
    """
    device = next(model.parameters()).device
    ids = torch.ones(sentences, tokens, dtype=torch.long, device=device)
    try:
        return model(input_ids=ids).last_hidden_state
    except RuntimeError:
        return model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state


def _quiet() -> None:
    """Turn off the progress bars and warnings of transformers: :func:`load` itself checks for
    missing weights.

    This is not done on import, because users who bring their own model want to see the warnings.
    """
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()


def _local(name: str) -> Path:
    """``name`` as a path, with ``~`` expanded where it stands for a home directory."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        return Path(name)


def _begin_words_with_a_space(tokenizer: PreTrainedTokenizerBase) -> None:
    """Make byte-level BPE encode a single word as it does inside a sentence, after a space.

    Tokenizers of the generic class (ModernBERT's) accept ``add_prefix_space`` but do not apply it.
    """
    current = tokenizer.backend_tokenizer.pre_tokenizer
    parts: list[Any] = [current]
    if isinstance(current, pre_tokenizers.Sequence):
        parts = list(current)  # type: ignore[call-overload]
    levels = [part for part in parts if isinstance(part, pre_tokenizers.ByteLevel)]
    for level in levels:
        level.add_prefix_space = True
    if levels:
        tokenizer.backend_tokenizer.pre_tokenizer = (
            pre_tokenizers.Sequence(parts) if len(parts) > 1 else parts[0]
        )


def _execution_order(model: PreTrainedModel) -> list[str]:
    ran: list[str] = []
    hooks = [
        module.register_forward_pre_hook(lambda _module, _inputs, name=name: ran.append(name))
        for name, module in model.named_modules()
    ]
    was_training = model.training
    model.eval()
    with torch.no_grad():
        probe(model, 1, 4)
    model.train(was_training)
    for hook in hooks:
        hook.remove()
    return ran


def _after(model: PreTrainedModel, blocks: tuple[str, ...], ran: list[str]) -> tuple[str, ...]:
    """The modules outside the blocks that have parameters of their own and run for the first time
    after the last block has started.
    """
    last = ran.index(blocks[-1])
    owners = {name.rpartition(".")[0] for name, _ in model.named_parameters()}
    within = tuple(f"{block}." for block in blocks)
    return tuple(
        name
        for name in ran[last:]
        if name in owners and name not in ran[:last] and not f"{name}.".startswith(within)
    )
