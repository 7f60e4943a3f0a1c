"""mtlab compares freezing scenarios in a multi-task transformer, and freezes parts of a model in
your own training.

Names are imported when they are first used, because importing torch takes seconds.
"""

from importlib import import_module

__all__ = [
    "CertificateError",
    "Comparison",
    "FreezeSchedule",
    "UserError",
    "certify",
    "compare",
    "dry_run",
    "export_model",
    "load",
    "recommend",
    "train_only",
]

_HOMES = {
    "CertificateError": "mtlab.model.freezing",
    "Comparison": "mtlab.comparison",
    "FreezeSchedule": "mtlab.tuning.schedule",
    "UserError": "mtlab.plan.errors",
    "certify": "mtlab.tuning.certificate",
    "compare": "mtlab.api",
    "dry_run": "mtlab.api",
    "export_model": "mtlab.api",
    "load": "mtlab.api",
    "recommend": "mtlab.api",
    "train_only": "mtlab.tuning.train_only",
}
"""Name to the module that defines it. Editors read ``__init__.pyi``, which has the same names."""


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
