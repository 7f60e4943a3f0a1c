from mtlab.model.freezing import CertificateError
from mtlab.plan.errors import UserError
from mtlab.tuning.certificate import certify
from mtlab.tuning.schedule import FreezeSchedule
from mtlab.tuning.train_only import train_only

__all__ = ["CertificateError", "FreezeSchedule", "UserError", "certify", "train_only"]
