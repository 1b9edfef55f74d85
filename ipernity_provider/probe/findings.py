"""Findings: what a probe found out, fit to be published.

Each fact has one of a few known values, so that nothing that a service sends can get in: no secret,
no id and no name. What could not be found out is ``unknown``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

FORMAT, VERSION = "ipernity-probe", 1
UNKNOWN, NOT_APPLICABLE = "unknown", "not_applicable"
MEDIA_CLASSES = ("photo", "audio", "video", "other")

_VOLUME = ("bytes", "kb", "mb")
#: Place -> members there that are whole numbers, of which the JSON type is looked at.
_NUMBERS = {
    "api": ("at", "code"),
    "quota": ("is_pro",),
    "quota.upload": ("unlimited",),
    **{
        f"quota.upload.{name}": (*_VOLUME, "percent", "seconds") for name in ("max", "used", "left")
    },
    **{f"quota.maxfilesize.{media}": _VOLUME for media in MEDIA_CLASSES},
    "quota.albums": ("max", "created", "left"),
    "tickets": ("count", "done", "invalid", "left", "eta"),
    "tickets.ticket": ("done", "invalid", "eta"),
    "doc": ("license", "rotation", "safety"),
    "doc.dates": ("posted_at", "replaced_at", "modified_at"),
    "doc.visibility": ("ispublic", "isfriend", "isfamily", "share"),
    "doc.permissions": ("comment", "tag", "tagme"),
    "doc.count": ("visits", "faves", "comments", "notes", "tags", "albums", "groups"),
    "doc.thumbs.thumb": ("w", "h"),
    "doc.medias.media": ("w", "h", "lenght"),
    "doc.original": ("w", "h", "bytes", "length"),
}
NUMBER_PATHS = frozenset(f"{place}.{name}" for place, names in _NUMBERS.items() for name in names)
NUMBER_FORMS = frozenset({"text", "number", "both"})

_LARGEST_MEASURE = 10**6
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True)
class Fact:
    """One question about the service.

    :param label: the question, for a table.
    :param answers: value -> its words.
    :param numbered: values like ``code:105``: their kind -> its words, in which ``{}`` is the
        number.
    """

    label: str
    answers: Mapping[str, str]
    numbered: Mapping[str, str] = field(default_factory=dict)

    def words(self, value: str) -> str | None:
        """Return the words for a value; None if it is none of this fact's."""
        if value in self.answers:
            return self.answers[value]
        kind, _, number = value.partition(":")
        if kind in self.numbered and re.fullmatch(r"\d{1,4}", number):
            return self.numbered[kind].format(number)
        return {UNKNOWN: "not found out", NOT_APPLICABLE: "does not apply"}.get(value)


_REFUSED = {"refused": "refused with code {}"}
_YES_NO = {"yes": "yes", "no": "no"}
_TICKET = {
    "digits": "digits",
    "dashed": "digits, a dash, digits",
    "other": "of another form",
    "none": "no ticket",
}

#: What holds for the whole account.
FACTS: Mapping[str, Fact] = {
    "service": Fact("service", {"live": "ipernity.com", "other": "another host (a sandbox?)"}),
    "auth": Fact("signature", {"signature": "the service's own", "oauth": "OAuth 1.0a"}),
    "is_pro": Fact("PRO account", _YES_NO),
    "doc_permission": Fact(
        "token allows doc", {level: level for level in ("none", "read", "write", "delete")}
    ),
    "unlimited": Fact("unlimited volume", _YES_NO),
    "without_lg": Fact(
        "a call without lg",
        {"answered": "answered: lg is not needed"},
        {"http": "refused with HTTP {}", "code": "refused with code {}"},
    ),
    "numbers": Fact(
        "numbers in answers",
        {"text": "sent as text", "number": "sent as numbers", "mixed": "some as text, some not"},
    ),
    "content_type": Fact(
        "content type of JSON",
        {name: name for name in ("text/plain", "application/json", "text/html", "text/javascript")}
        | {"other": "another one", "none": "none"},
    ),
    "error_http_status": Fact("HTTP status of errors", {}, {"http": "{}"}),
    "error_at": Fact("errors show the time", _YES_NO),
    "error_retry_after": Fact("errors say Retry-After", _YES_NO),
    "oauth_multipart": Fact(
        "OAuth signs of an upload",
        {"form_fields": "its plain fields", "rfc5849": "none of its fields (RFC 5849)"},
        _REFUSED,
    ),
    "async_0": Fact(
        "answer with async=0",
        {
            "both": "the ticket and the document",
            "ticket": "the ticket alone",
            "doc_id": "the document alone",
            "neither": "neither ticket nor document",
        },
        _REFUSED,
    ),
}

#: What may differ by media class.
MEDIA_FACTS: Mapping[str, Fact] = {
    "upload": Fact(
        "new document",
        {"accepted": "accepted", "invalid": "accepted, then its ticket became invalid"},
        _REFUSED,
    ),
    "replace": Fact(
        "replacing",
        {
            "in_place": "keeps the document: same id, new file",
            "new_document": "makes a new document; the old one stays as it is",
            "no_effect": "is reported as done, but the old file stays",
            "invalid": "accepted, then its ticket became invalid",
        },
        _REFUSED,
    ),
    "new_document_visibility": Fact(
        "the new document is",
        {"private": "private", "restricted": "for family or friends", "public": "public"},
    ),
    "file_ticket": Fact("ticket of upload.file", _TICKET),
    "replace_ticket": Fact("ticket of upload.replace", _TICKET),
    "eta": Fact(
        "announced time left",
        {
            "honest": "about right",
            "too_high": "far too long",
            "too_low": "far too short",
            "absent": "none",
        },
    ),
    "stored_bytes": Fact(
        "stored bytes", {"as_sent": "those that were sent", "rewritten": "rewritten"}
    ),
    "md5_member": Fact(
        "doc.get shows the md5",
        {
            "doc": "in doc.md5",
            "original": "in doc.original.md5",
            "both": "in doc.md5 and doc.original.md5",
            "none": "not at all",
        },
    ),
    "md5_of": Fact(
        "this md5 is that of",
        {"sent": "the sent bytes", "stored": "the stored bytes", "other": "other bytes"},
    ),
    "check_md5": Fact(
        "doc.checkMD5 finds",
        {"sent": "the sent md5", "stored": "the stored md5 alone", "nothing": "nothing"},
        _REFUSED,
    ),
    "replaced_at": Fact("replaced_at", {"shown": "shown", "not_shown": "not shown"}),
    "thumbnail_address": Fact(
        "thumbnail addresses",
        {
            "same": "stay the same",
            "marker": "change behind the ?",
            "path": "change",
            "none": "no thumbnails",
        },
    ),
    "thumbnail_content": Fact(
        "thumbnails", {"changed": "show the new file", "same": "still show the old file"}
    ),
}

#: Seconds, rounded.
MEASURES = {
    "processing_seconds": "processing, in seconds",
    "announced_seconds": "announced, in seconds",
}


@dataclass(frozen=True)
class Findings:
    """The facts of one probe.

    :param probed_on: the day, ``2026-11-27``.
    :param facts: name -> value, see :data:`FACTS`.
    :param media: media class -> name -> value, see :data:`MEDIA_FACTS`.
    :param measured: media class -> name -> number, see :data:`MEASURES`; these vary.
    :param number_members: if numbers are mixed: place of a member, as in :data:`NUMBER_PATHS` ->
        ``text``, ``number`` or ``both``.
    """

    probed_on: str
    facts: Mapping[str, str]
    media: Mapping[str, Mapping[str, str]]
    measured: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    number_members: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "version": VERSION,
            "probed_on": self.probed_on,
            "facts": dict(self.facts),
            "media": {media: dict(facts) for media, facts in self.media.items()},
            "measured": {media: dict(values) for media, values in self.measured.items()},
            "number_members": dict(self.number_members),
        }

    @classmethod
    def from_json(cls, value: Any) -> Findings:
        """Read findings.

        Facts that this version does not know are left out.

        :raises ValueError: half a sentence that names the member that is wrong.
        """
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            raise _not_findings("format")
        if value.get("version") != VERSION:
            raise _not_findings("version")
        if not _DAY.fullmatch(day := str(value.get("probed_on"))):
            raise _not_findings("probed_on")
        media = _objects(value, "media")
        return cls(
            probed_on=day,
            facts=_facts(_object(value, "facts"), FACTS, "facts"),
            media={name: _facts(media[name], MEDIA_FACTS, name) for name in media},
            measured={
                name: _measures(values) for name, values in _objects(value, "measured").items()
            },
            number_members=_members(value.get("number_members", {})),
        )

    @property
    def makes_new_document(self) -> frozenset[str]:
        """The media classes of which a replacement makes a new document."""
        return frozenset(
            media for media, facts in self.media.items() if facts.get("replace") == "new_document"
        )

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """Yield group, question and answer, for a table."""
        yield from _rows("account", self.facts, FACTS)
        if numbers := [path for path, form in self.number_members.items() if form != "text"]:
            yield "account", "sent as numbers", ", ".join(numbers)
        for media, facts in self.media.items():
            yield from _rows(media, facts, MEDIA_FACTS)
            for name, number in self.measured.get(media, {}).items():
                yield media, MEASURES[name], f"{number:g}"


def _not_findings(member: str) -> ValueError:
    return ValueError(
        f"must be findings of `airflow ipernity probe --store`, version {VERSION}: {member} is "
        "not valid"
    )


def _rows(
    group: str, facts: Mapping[str, str], known: Mapping[str, Fact]
) -> Iterator[tuple[str, str, str]]:
    for name, fact in known.items():
        value = facts.get(name, UNKNOWN)
        if value != NOT_APPLICABLE:
            yield group, fact.label, fact.words(value) or ""


def _object(value: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = value.get(name, {})
    if isinstance(found, dict):
        return found
    raise _not_findings(name)


def _objects(value: Mapping[str, Any], name: str) -> dict[str, dict[str, Any]]:
    """Return an object with an object for each media class."""
    found = _object(value, name)
    if not found.keys() <= set(MEDIA_CLASSES) or not all(
        isinstance(member, dict) for member in found.values()
    ):
        raise _not_findings(name)
    return found


def _facts(values: Mapping[str, Any], known: Mapping[str, Fact], place: str) -> dict[str, str]:
    facts = {name: values.get(name, UNKNOWN) for name in known}
    for name, value in facts.items():
        if not isinstance(value, str) or known[name].words(value) is None:
            raise _not_findings(f"{place}.{name}")
    return facts


def _measures(values: Mapping[str, Any]) -> dict[str, float]:
    for value in values.values():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or abs(value) > _LARGEST_MEASURE:
            raise _not_findings("measured")
    return {name: values[name] for name in MEASURES if name in values}


def _members(value: Any) -> dict[str, str]:
    if isinstance(value, list):  # of the first edition, whose names say no place
        return {}
    if not isinstance(value, dict) or not NUMBER_FORMS.issuperset(map(str, value.values())):
        raise _not_findings("number_members")
    return {path: form for path, form in value.items() if path in NUMBER_PATHS}
