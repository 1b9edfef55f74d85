"""What a check has found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

#: The checks in their order.
CHECKS = ("service", "clock", "token", "permission", "account", "quota", "answers")

Status = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    :param sentence: for a person, without secrets.
    """

    check: str
    status: Status
    sentence: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)
