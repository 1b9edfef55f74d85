"""What a probe has seen of the service."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ipernity_provider.api.errors import IpernityError
from ipernity_provider.api.exchange import Answer
from ipernity_provider.api.models import Quota, Token, Upload
from ipernity_provider.api.parsing import Payload, as_flag, as_int, as_map, as_text
from ipernity_provider.probe.findings import UNKNOWN
from ipernity_provider.probe.samples import Sample

_LONGEST_LIST = 100
_MD5 = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True)
class SeenDocument:
    """The parts of a document that a replacement may change, as ``doc.get`` showed them.

    :param thumbnails: label -> address.
    :param visibility: ``private``, ``restricted`` or ``public``; None if it was not shown.
    """

    md5: str | None
    original_md5: str | None
    bytes: int | None
    replaced_at: int
    visibility: str | None
    original_url: str | None
    thumbnails: Mapping[str, str]

    @property
    def shown_md5(self) -> str | None:
        return self.md5 or self.original_md5

    @classmethod
    def of(cls, reply: Payload) -> SeenDocument:
        doc = as_map(reply.get("doc"))
        original, visibility = as_map(doc.get("original")), as_map(doc.get("visibility"))
        thumbs = as_map(doc.get("thumbs")).get("thumb")
        found = [as_map(one) for one in thumbs[:_LONGEST_LIST]] if isinstance(thumbs, list) else []
        return cls(
            md5=_md5(doc.get("md5")),
            original_md5=_md5(original.get("md5")),
            bytes=as_int(original.get("bytes")),
            replaced_at=as_int(as_map(doc.get("dates")).get("replaced_at")) or 0,
            visibility=_visibility(visibility),
            original_url=as_text(original.get("url")) or None,
            thumbnails={as_text(one.get("label")): as_text(one.get("url")) for one in found},
        )


@dataclass(frozen=True)
class Wait:
    """How an upload ended.

    :param state: ``done``, ``invalid``, or ``unknown``: it did not end in time, or was forgotten.
    :param seconds: until the end was seen.
    :param announced: the first time left that the ticket showed while it was pending.
    :param was_pending: whether it was seen pending at all.
    """

    state: str
    doc_id: str | None = None
    seconds: float = 0.0
    announced: int | None = None
    was_pending: bool = False


@dataclass
class Sending:
    """One upload: what was sent, what was answered, and how it ended."""

    sample: Sample
    error: IpernityError | None = None
    reply: Upload | None = None
    wait: Wait | None = None

    @property
    def doc_id(self) -> str | None:
        """The document that it resulted in."""
        if self.wait and self.wait.state == "done":
            return self.wait.doc_id
        return None


@dataclass
class MediaObservation:
    """What was seen of one media class.

    :param before: the new document; ``after``: the same one after its replacement; ``new``: the
        document that the replacement made.
    :param stored_md5: of the original as it was fetched after the replacement.
    :param thumbnails: checksums of the smallest thumbnail, before and after.
    :param md5_hits: checksum -> documents, by ``doc.checkMD5``.
    """

    media: str
    file: Sending
    replace: Sending | None = None
    before: SeenDocument | None = None
    after: SeenDocument | None = None
    new: SeenDocument | None = None
    stored_md5: str | None = None
    thumbnails: tuple[str | None, str | None] = (None, None)
    md5_hits: Mapping[str, Sequence[str]] | None = None
    md5_error: IpernityError | None = None


@dataclass
class Observation:
    """What was seen of the account.

    :param answers: payloads, for the types of their members.
    :param without_lg: the answer to a call without ``lg``.
    :param error: the answer to a call that must fail.
    :param oauth_multipart: what was signed of an upload that was accepted.
    """

    day: str
    is_live: bool
    auth: str
    token: Token
    quota: Quota | None = None
    without_lg: Answer | None = None
    error: Answer | None = None
    oauth_multipart: str = UNKNOWN
    sync: Sending | None = None
    media: list[MediaObservation] = field(default_factory=list)
    answers: list[Payload] = field(default_factory=list)


def _md5(value: object) -> str | None:
    text = as_text(value).lower()
    return text if _MD5.fullmatch(text) else None


def _visibility(members: Mapping[str, Any]) -> str | None:
    if not members:
        return None
    share = as_int(members.get("share"))
    if as_flag(members.get("ispublic")) or (share or 0) >= 4:
        return "public"
    if as_flag(members.get("isfriend")) or as_flag(members.get("isfamily")) or share:
        return "restricted"
    return "private"
