"""Settings from the findings of a probe: the sandbox then does what the service was seen to do.

It reads the file format of ``airflow ipernity probe --save`` and shares no code with the probe.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from ipernity_provider.sandbox.settings import (
    CONTENT_TYPES,
    LEVELS,
    MEDIA_CLASSES,
    Settings,
    SettingsError,
)

FORMAT, VERSION = "ipernity-probe", 1

_FLAGS = {"yes": True, "no": False}
#: Facts whose values are those of a setting.
_AS_FOUND = (
    ("content_type", CONTENT_TYPES, "reply_content_type"),
    ("oauth_multipart", ("form_fields", "rfc5849"), "oauth_multipart"),
    ("async_0", ("both", "ticket", "doc_id"), "sync_reply"),
)
_MD5_MEMBERS = ("doc", "original", "both", "none")
_SHARES = {"private": 0, "restricted": 1, "public": 4}


def read_findings(path: str | PathLike[str]) -> Any:
    """Return the content of a file of findings.

    :raises SettingsError: it cannot be read, or is not JSON.
    """
    try:
        return json.loads(Path(path).read_bytes())
    except OSError as error:
        raise SettingsError(f"The findings {path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"The findings {path} are not JSON.") from error


def settings_like(findings: Any) -> dict[str, Any]:
    """Return the settings with which the sandbox does what was found.

    What was not found out keeps its default. Where the media classes differ and the sandbox has one
    setting for all, the first one that says something decides, photos before the others.

    :raises SettingsError: these are not findings.
    """
    if not isinstance(findings, dict) or findings.get("format") != FORMAT:
        raise SettingsError("These are not findings of `airflow ipernity probe --save`.")
    if findings.get("version") != VERSION:
        raise SettingsError(f"The findings must be of version {VERSION}.")
    facts = _object(findings, "facts")
    by_media = _object(findings, "media")
    media = [_object(by_media, name) for name in MEDIA_CLASSES if name in by_media]
    measured = _object(findings, "measured")
    found = dict(_of_account(facts))
    if _text(facts, "numbers") == "mixed":
        forms = _object(findings, "number_members")
        found["number_members"] = {
            path: form for path, form in forms.items() if form in ("text", "number")
        }
    found |= _of_files(media)
    found |= _of_replacing(by_media)
    found |= _of_time(media, [_object(measured, name) for name in MEDIA_CLASSES])
    Settings().changed(found)  # nothing but what can be set
    return found


def _object(members: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = members.get(name, {})
    if isinstance(value, dict):
        return value
    raise SettingsError(f"The findings must have an object in {name!a}.")


def _of_account(facts: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in ("is_pro", "unlimited", "error_at"):
        if _text(facts, name) in _FLAGS:
            yield name, _FLAGS[_text(facts, name)]
    for name, values, setting in _AS_FOUND:
        if (value := _text(facts, name)) in values:
            yield setting, value
    if (level := _text(facts, "doc_permission")) in LEVELS:
        yield "permissions", {"doc": level}
    if (refusal := _text(facts, "without_lg")) == "answered":
        yield "require_lg", False
    elif refusal.startswith(("code:", "http:4", "http:5")):
        yield "lg_refusal", refusal
    if (numbers := _text(facts, "numbers")) in ("text", "number"):
        yield "numbers_as_numbers", numbers == "number"
    status = _text(facts, "error_http_status").removeprefix("http:")
    if status.isascii() and status.isdigit():
        yield "error_http_status", int(status)


def _of_files(media: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what is found of the stored files, their checksums and their addresses."""
    found: dict[str, Any] = {}
    if (stored := _first(media, "stored_bytes", "as_sent", "rewritten")) is not None:
        found["rewrite_bytes"] = stored == "rewritten"
    if (member := _first(media, "md5_member", *_MD5_MEMBERS)) is not None:
        found["md5_member"] = member
    if stored == "rewritten" and _first(media, "md5_of", "sent", "stored", "other") == "sent":
        found["md5_of"] = "sent"
    if (hits := _first(media, "check_md5", "sent", "stored", "nothing")) is not None:
        # The sent and the stored checksum are the same one unless bytes are rewritten.
        found["check_md5"] = "stored" if hits == "sent" and stored != "rewritten" else hits
    if (shown := _first(media, "replaced_at", "shown", "not_shown")) is not None:
        found["show_replaced_at"] = shown == "shown"
    if (change := _first(media, "thumbnail_address", "same", "marker", "path")) is not None:
        found["address_change"] = "none" if change == "same" else change
    return found


def _of_replacing(by_media: Mapping[str, Any]) -> dict[str, Any]:
    modes = {
        name: mode
        for name in MEDIA_CLASSES
        if name in by_media
        and (mode := _text(by_media[name], "replace")) in ("in_place", "new_document")
    }
    media = [by_media[name] for name in MEDIA_CLASSES if name in by_media]
    found: dict[str, Any] = {}
    if len(set(modes.values())) == 1:
        found["replace_mode"] = next(iter(modes.values()))
    elif modes:
        found["replace_mode"] = modes
    if (form := _first(media, "replace_ticket", "dashed", "digits")) is not None:
        found["replace_ticket"] = "plain" if form == "digits" else form
    if (share := _first(media, "new_document_visibility", *_SHARES)) is not None:
        found["new_document_share"] = _SHARES[share]
    return found


def _of_time(media: list[dict[str, Any]], measured: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    seconds = [one.get("processing_seconds") for one in measured]
    if (processing := next((one for one in seconds if one is not None), None)) is not None:
        found["processing_seconds"] = processing
    eta = _first(media, "eta", "honest", "too_high", "too_low", "absent")
    if eta == "absent":
        found["show_eta"] = False
    elif eta in ("too_high", "too_low"):
        announced = [one.get("announced_seconds") for one in measured]
        found["eta_seconds"] = next((one for one in announced if one is not None), None)
    return found


def _first(media: list[dict[str, Any]], name: str, *values: str) -> str | None:
    """Return the first of these values that a media class has for a fact."""
    found = (_text(facts, name) for facts in media)
    return next((value for value in found if value in values), None)


def _text(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) else ""
