"""The address of MLflow's store, and messages about it without its secrets."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

DEFAULT_URI = "sqlite:///mlflow.db"
"""In the working directory, where plain ``mlflow ui`` looks for it."""


def tracking_uri() -> str:
    """The address for runs: ``MLFLOW_TRACKING_URI``, or a database in the working directory."""
    return os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI


def absolute(uri: str) -> str:
    """The URI of the same place for a process in another working directory."""
    if uri.startswith("sqlite:///"):
        file, *query = uri.removeprefix("sqlite:///").split("?", 1)
        return "?".join([f"sqlite:///{Path(file).absolute()}", *query])
    return uri if "://" in uri else str(Path(uri).absolute())


def database_file(uri: str) -> Path | None:
    """The file of a database on this machine; None if the URI stands for something else."""
    path = (
        uri.partition(":///")[2].partition("?")[0] if uri.startswith(("sqlite:", "sqlite+")) else ""
    )
    return Path(path).absolute() if path else None


def without_credentials(uri: str) -> str:
    """The URI without user, password and query."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return f"{uri.partition('://')[0]}://..."
    if not parts.netloc:
        return uri.partition("?")[0]
    if (
        "@" in parts.path + parts.query + parts.fragment
    ):  # a password with / ? or # in it, which a database may have
        return f"{parts.scheme}://..."
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))


def reason(error: Exception, uri: str) -> str:
    """Why a store failed, on one line, without the URI's secrets."""
    text = _redacted(str(error) or type(error).__name__, uri).strip().partition("\n")[0]
    return text.rpartition("(Caused by ")[2].removesuffix(")")[
        :200
    ]  # the first cause of a failed request


def _redacted(text: str, uri: str) -> str:
    """An error's text without the parts of the URI that :func:`without_credentials` leaves out."""
    shown = without_credentials(uri)
    text = text.replace(uri, shown)
    parts = set(_parts(uri)) - set(_parts(shown))
    for part in sorted({*parts, *map(unquote, parts)}, key=len, reverse=True):
        text = text.replace(part, "***")
    return text


def _parts(uri: str) -> Iterable[str]:
    return filter(None, re.split(r"[/?#@:&=]+", uri))
