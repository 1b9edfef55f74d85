"""What can be switched while the sandbox runs, and the check of every change.

Each default is what the service most likely does; the other values are for what it has been seen to do, or may do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from ipernity_provider.sandbox.faults import Fault, FaultError

YEAR_SECONDS = 365 * 24 * 3600
ENDLESS = 10**12
"""More than any number of seconds or bytes that makes sense."""

QUOTA_BYTES = 10 * 1024**3
LEVELS = ("none", "read", "write", "delete")
RIGHTS = ("doc", "blog", "profile", "network", "post")
DEFAULT_RIGHTS: Mapping[str, str] = {**dict.fromkeys(RIGHTS, "none"), "doc": "write"}


class SettingsError(ValueError):
    """A change was refused; the message is one sentence that names the setting and what is allowed."""


@dataclass(frozen=True)
class Settings:
    """The sandbox's switches, see the table in the README. Seconds and bytes are what the names say."""

    replace_mode: Literal["in_place", "new_document"] = "in_place"
    processing_seconds: float = 1.0
    eta_seconds: int | None = None
    require_lg: bool = True
    rewrite_bytes: bool = False
    numbers_as_numbers: bool = False
    md5_member: Literal["doc", "original", "none"] = "doc"
    is_pro: bool = True
    permissions: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULT_RIGHTS))
    quota_left_bytes: int | None = None
    unlimited: bool | None = None
    max_file_bytes: int = 1024**3
    invalid_next: int = 0
    forget_tickets_after_seconds: float | None = None
    sync_reply: Literal["both", "ticket", "doc_id"] = "both"
    oauth_multipart: Literal["form_fields", "rfc5849"] = "form_fields"
    oauth_timestamp_order: bool = True
    clock_offset_seconds: float = 0
    receive_bytes_per_second: int | None = None
    callback_url: str | None = None
    faults: tuple[Fault, ...] = ()

    def changed(self, changes: object) -> Settings:
        """These settings with some of them replaced.

        :param changes: a mapping as it came out of JSON; ``permissions`` may name only the rights to change.
        :raises SettingsError: for the first unknown name or impossible value.
        """
        if not isinstance(changes, dict):
            raise SettingsError("The settings must be a JSON object.")
        values = {name: _checked(name, value) for name, value in changes.items()}
        if "permissions" in values:
            values["permissions"] = {**self.permissions, **values["permissions"]}
        return dataclasses.replace(self, **values)

    def as_json(self) -> dict[str, Any]:
        values = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        values["permissions"] = dict(self.permissions)
        values["faults"] = [fault.as_json() for fault in self.faults]
        return values


Check: TypeAlias = Callable[[Any], Any]


class _Refused(Exception):
    """Says what would have been allowed."""


def _one_of(*choices: str) -> Check:
    def check(value: Any) -> str:
        if isinstance(value, str) and value in choices:
            return value
        raise _Refused("one of " + ", ".join(f'"{choice}"' for choice in choices))

    return check


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise _Refused("true or false")


def _number(minimum: float | None = 0, *, whole: bool = False, maximum: float | None = None) -> Check:
    allowed = "a whole number" if whole else "a number"
    if minimum is not None:
        allowed += f" of at least {minimum}"
    if maximum is not None:
        allowed += f" and at most {maximum}"
    lowest = -ENDLESS if minimum is None else minimum
    highest = ENDLESS if maximum is None else maximum

    def check(value: Any) -> Any:
        fits = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        if not fits or not lowest <= value <= highest:  # which NaN is not, either
            raise _Refused(allowed)
        return value

    return check


def _or_null(inner: Check) -> Check:
    def check(value: Any) -> Any:
        if value is None:
            return None
        try:
            return inner(value)
        except _Refused as refused:
            raise _Refused(f"{refused}, or null") from None

    return check


def _text(value: Any) -> str:
    if isinstance(value, str) and value:
        return value
    raise _Refused("a text that is not empty")


def _permissions(value: Any) -> dict[str, str]:
    if isinstance(value, dict) and all(name in RIGHTS and level in LEVELS for name, level in value.items()):
        return value
    raise _Refused(f"an object with the members {', '.join(RIGHTS)} and the levels {', '.join(LEVELS)}")


def _faults(value: Any) -> tuple[Fault, ...]:
    if not isinstance(value, list):
        raise _Refused("a list of faults")
    try:
        return tuple(Fault.from_json(entry) for entry in value)
    except FaultError as error:
        raise _Refused(f"a list in which {error}") from None


CHECKS: Mapping[str, Check] = {
    "replace_mode": _one_of("in_place", "new_document"),
    "processing_seconds": _number(),
    "eta_seconds": _or_null(_number(None, whole=True)),
    "require_lg": _flag,
    "rewrite_bytes": _flag,
    "numbers_as_numbers": _flag,
    "md5_member": _one_of("doc", "original", "none"),
    "is_pro": _flag,
    "permissions": _permissions,
    "quota_left_bytes": _or_null(_number(whole=True, maximum=QUOTA_BYTES)),
    "unlimited": _or_null(_flag),
    "max_file_bytes": _number(whole=True),
    "invalid_next": _number(whole=True),
    "forget_tickets_after_seconds": _or_null(_number()),
    "sync_reply": _one_of("both", "ticket", "doc_id"),
    "oauth_multipart": _one_of("form_fields", "rfc5849"),
    "oauth_timestamp_order": _flag,
    "clock_offset_seconds": _number(-YEAR_SECONDS, maximum=YEAR_SECONDS),
    "receive_bytes_per_second": _or_null(_number(1, whole=True)),
    "callback_url": _or_null(_text),
    "faults": _faults,
}


def _checked(name: str, value: object) -> Any:
    if name not in CHECKS:
        raise SettingsError(f"There is no setting '{name}'; the settings are {', '.join(CHECKS)}.")
    try:
        return CHECKS[name](value)
    except _Refused as refused:
        raise SettingsError(f"The setting '{name}' must be {refused}.") from None
