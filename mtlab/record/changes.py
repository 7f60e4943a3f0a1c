"""Changes since an experiment last ran in the same place."""

from typing import Any

from mtlab.record.records import SuiteRecord

SHOWN = 8
"""The most changes that are listed; further ones are only counted."""

NOT_TOLD = ("question", "answer", "colours", "output", "checkpoints.")
"""Settings that do not affect results."""


def changes(before: SuiteRecord, now: SuiteRecord) -> list[str]:
    """Lines about what changed between two suites, by key: settings, machine and versions, encoder,
    data.
    """
    lines = []
    for title, old, new in (
        ("", before.experiment, now.experiment),
        ("environment.", before.environment, now.environment),
        ("encoder.", before.encoder, now.encoder),
        ("data.", _identity(before), _identity(now)),
    ):
        was, is_now = _values(old), _values(new)
        for key in sorted(was.keys() | is_now.keys()):
            if was.get(key) != is_now.get(key) and not key.startswith(NOT_TOLD):
                lines.append(f"{title}{key}: {_shown(was.get(key))} -> {_shown(is_now.get(key))}")
    more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return lines[:SHOWN] + more


def _identity(suite: SuiteRecord) -> dict[str, Any]:
    fingerprints = {}
    for point, data in suite.data.items():
        fingerprints[point or "fingerprint"] = data.get("fingerprint", "")
        for name, facts in data.get("also_test", {}).items():
            fingerprints[f"{point} also_test.{name}".strip()] = facts.get("fingerprint", "")
    return fingerprints


def _values(tree: Any) -> dict[str, Any]:
    """Dotted keys to leaves; positions in lists are keys too."""
    if isinstance(tree, list | tuple):
        tree = {str(index): item for index, item in enumerate(tree)}
    if not isinstance(tree, dict):
        return {"": tree}
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        for rest, leaf in _values(value).items():
            leaves[f"{key}.{rest}" if rest else str(key)] = leaf
    return leaves


def _shown(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:16]}..."
