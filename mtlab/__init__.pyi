from mtlab.api import compare, dry_run, export_model, load, recommend
from mtlab.comparison import Comparison
from mtlab.model.freezing import CertificateError
from mtlab.plan.errors import UserError
from mtlab.tuning.certificate import certify
from mtlab.tuning.schedule import FreezeSchedule
from mtlab.tuning.train_only import train_only

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
