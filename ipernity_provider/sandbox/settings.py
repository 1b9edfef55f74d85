"""The settings that can be changed while the sandbox runs, and the check of every change.

Each default is what the service most likely does; the other values are what it was seen to do, or
may do.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from ipernity_provider.sandbox.faults import Fault, FaultError

YEAR_SECONDS = 365 * 24 * 3600
UNBOUNDED = 10**12
"""More than any useful number of seconds or bytes."""

QUOTA_BYTES = 10 * 1024**3
NumberForm: TypeAlias = Literal["text", "number"]
ReplaceMode: TypeAlias = Literal["in_place", "new_document"]
MEDIA_CLASSES = ("photo", "audio", "video", "other")
CONTENT_TYPES = ("text/plain", "application/json", "text/html", "text/javascript")
LEVELS = ("none", "read", "write", "delete")
RIGHTS = ("doc", "blog", "profile", "network", "post")
DEFAULT_RIGHTS: Mapping[str, str] = {**dict.fromkeys(RIGHTS, "none"), "doc": "write"}


_PATH = re.compile(r"\w+(\.\w+)*", re.ASCII)


class SettingsError(ValueError):
    """A change was refused; the message names the setting and what is allowed."""


@dataclass(frozen=True)
class Settings:
    """The sandbox's settings; docs/sandbox.md describes each one."""

    replace_mode: ReplaceMode | Mapping[str, ReplaceMode] = "in_place"
    replace_ticket: Literal["dashed", "plain"] = "dashed"
    new_document_share: int = 0
    processing_seconds: float = 1.0
    eta_seconds: int | None = None
    show_eta: bool = True
    require_lg: bool = True
    lg_refusal: str = "http:403"
    rewrite_bytes: bool = False
    numbers_as_numbers: bool = False
    number_members: Mapping[str, NumberForm] = field(default_factory=dict)
    empty_collections: Literal["missing", "list"] = "missing"
    md5_member: Literal["doc", "original", "both", "none"] = "doc"
    md5_of: Literal["stored", "sent"] = "stored"
    check_md5: Literal["stored", "sent", "nothing"] = "stored"
    show_replaced_at: bool = True
    address_change: Literal["marker", "path", "none"] = "marker"
    reply_content_type: str = "text/plain"
    error_http_status: int = 200
    error_at: bool = True
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
        """Return these settings with some of them replaced.

        :param changes: decoded JSON; ``permissions`` may name only the rights to change.
        :raises SettingsError: for the first unknown name or impossible value.
        """
        if not isinstance(changes, dict):
            raise SettingsError("The settings must be a JSON object.")
        values = {name: _checked(name, value) for name, value in changes.items()}
        if "permissions" in values:
            values["permissions"] = {**self.permissions, **values["permissions"]}
        return dataclasses.replace(self, **values)

    def replace_mode_of(self, media: str) -> ReplaceMode:
        """Return what replacing does with a document of this media class."""
        if isinstance(self.replace_mode, str):
            return self.replace_mode
        return self.replace_mode.get(media, "in_place")

    def form_of_number(self, path: str) -> NumberForm:
        """Return how a number is sent.

        :param path: the names that lead to it, joined by dots, for example ``tickets.eta``.
        """
        return self.number_members.get(path, "number" if self.numbers_as_numbers else "text")

    def as_json(self) -> dict[str, Any]:
        values = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        values["permissions"] = dict(self.permissions)
        values["number_members"] = dict(self.number_members)
        values["faults"] = [fault.as_json() for fault in self.faults]
        return values


Check: TypeAlias = Callable[[Any], Any]


class _NotAllowedError(Exception):
    """The value is not allowed; the message is what is allowed."""


def _one_of(*choices: str) -> Check:
    def check(value: Any) -> str:
        if isinstance(value, str) and value in choices:
            return value
        raise _NotAllowedError("one of " + ", ".join(f'"{choice}"' for choice in choices))

    return check


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise _NotAllowedError("true or false")


def _number(
    minimum: float | None = 0,
    *,
    whole: bool = False,
    maximum: float | None = None,
) -> Check:
    allowed = "a whole number" if whole else "a number"
    if minimum is not None:
        allowed += f" of at least {minimum}"
    if maximum is not None:
        allowed += f" and at most {maximum}"
    lowest = -UNBOUNDED if minimum is None else minimum
    highest = UNBOUNDED if maximum is None else maximum

    def check(value: Any) -> Any:
        fits = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        if not fits or not lowest <= value <= highest:  # NaN is not, either
            raise _NotAllowedError(allowed)
        return value

    return check


def _or_null(inner: Check) -> Check:
    def check(value: Any) -> Any:
        if value is None:
            return None
        try:
            return inner(value)
        except _NotAllowedError as allowed:
            raise _NotAllowedError(f"{allowed}, or null") from None

    return check


def _address(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+", value):
        return value
    raise _NotAllowedError("an address such as https://app.example/back")


def _permissions(value: Any) -> dict[str, str]:
    is_object = isinstance(value, dict) and value.keys() <= set(RIGHTS)
    if is_object and all(level in LEVELS for level in value.values()):
        return dict(value)
    members, levels = ", ".join(RIGHTS), ", ".join(LEVELS)
    raise _NotAllowedError(f"an object with the members {members} and the levels {levels}")


def _replace_mode(value: Any) -> str | dict[str, str]:
    modes = ("in_place", "new_document")
    if isinstance(value, str) and value in modes:
        return value
    is_object = isinstance(value, dict) and value.keys() <= set(MEDIA_CLASSES)
    if is_object and all(isinstance(mode, str) and mode in modes for mode in value.values()):
        return dict(value)
    one_of, classes = " or ".join(f'"{mode}"' for mode in modes), ", ".join(MEDIA_CLASSES)
    raise _NotAllowedError(f"{one_of}, or an object of these with the members {classes}")


def _number_members(value: Any) -> dict[str, str]:
    is_object = isinstance(value, dict) and all(map(_PATH.fullmatch, value))
    if is_object and set(map(str, value.values())) <= {"text", "number"}:
        return dict(value)
    raise _NotAllowedError('an object of paths such as tickets.eta with "text" or "number"')


def _refusal(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"code:\d{1,4}|http:[45]\d\d", value):
        return value
    raise _NotAllowedError("code:<n> or http:<status>")


def _faults(value: Any) -> tuple[Fault, ...]:
    if not isinstance(value, list):
        raise _NotAllowedError("a list of faults")
    try:
        return tuple(Fault.from_json(entry) for entry in value)
    except FaultError as error:
        raise _NotAllowedError(f"a list in which {error}") from None


CHECKS: Mapping[str, Check] = {
    "replace_mode": _replace_mode,
    "replace_ticket": _one_of("dashed", "plain"),
    "new_document_share": _number(0, whole=True, maximum=4),
    "processing_seconds": _number(),
    "eta_seconds": _or_null(_number(None, whole=True)),
    "show_eta": _flag,
    "require_lg": _flag,
    "lg_refusal": _refusal,
    "rewrite_bytes": _flag,
    "numbers_as_numbers": _flag,
    "number_members": _number_members,
    "empty_collections": _one_of("missing", "list"),
    "md5_member": _one_of("doc", "original", "both", "none"),
    "md5_of": _one_of("stored", "sent"),
    "check_md5": _one_of("stored", "sent", "nothing"),
    "show_replaced_at": _flag,
    "address_change": _one_of("marker", "path", "none"),
    "reply_content_type": _one_of(*CONTENT_TYPES),
    "error_http_status": _number(200, whole=True, maximum=599),
    "error_at": _flag,
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
    "callback_url": _or_null(_address),
    "faults": _faults,
}


def _checked(name: str, value: object) -> Any:
    if name not in CHECKS:
        raise SettingsError(f"There is no setting {name!a}; the settings are {', '.join(CHECKS)}.")
    try:
        return CHECKS[name](value)
    except _NotAllowedError as allowed:
        raise SettingsError(f"The setting '{name}' must be {allowed}.") from None
