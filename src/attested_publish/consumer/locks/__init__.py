"""Reading the locks of six tools, and what is expected of the publishers of their packages."""

from attested_publish.consumer.locks.bounded import read_lock
from attested_publish.consumer.locks.model import (
    Format,
    Lock,
    LockedFile,
    LockedPackage,
    LockError,
    Remark,
    Source,
)
from attested_publish.consumer.locks.reading import parse_lock

__all__ = [
    "Format",
    "Lock",
    "LockError",
    "LockedFile",
    "LockedPackage",
    "Remark",
    "Source",
    "parse_lock",
    "read_lock",
]
