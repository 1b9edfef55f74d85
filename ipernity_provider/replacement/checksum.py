"""What a storage says of a file by itself, so that the file need not be read for it.

It is a claim and no more: the ETag of an S3 object that is encrypted with a KMS key looks like an MD5 and is none, and
anybody can store a wrong one with an Azure blob. The bytes are compared with it while they are sent.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ipernity_provider.api.storage import is_stored, told_of

_HEX = re.compile(r"[0-9a-f]{32}", re.ASCII)

Info = Mapping[str, Any]


@dataclass(frozen=True)
class Claim:
    """Size in bytes and MD5 (lower-case hex) of a file, by the word of its storage."""

    size: int
    md5: str


def claim_of(path: Any) -> Claim | None:
    """What the storage claims; None where it claims no MD5 of the whole file. Costs one question, and no reading.

    :raises IsADirectoryError: the path leads to no file; and whatever the storage's library raises.
    """
    if not is_stored(path):
        return None
    info = told_of(path)
    if info.get("type") == "directory":
        raise IsADirectoryError
    size, md5 = info.get("size"), _MD5_IN.get(path.protocol, _none)(info)
    return Claim(size, md5) if md5 and isinstance(size, int) else None


def _none(info: Info) -> str | None:  # noqa: ARG001
    return None


def _s3(info: Info) -> str | None:
    """The ETag of an object that was stored in one piece; one that was stored in parts has a ``-`` in it."""
    etag = str(info.get("ETag") or "").strip('"').lower()
    return etag if _HEX.fullmatch(etag) else None


def _gs(info: Info) -> str | None:
    """``md5Hash``; composite objects have none."""
    return _hex_of(info.get("md5Hash"))


def _abfs(info: Info) -> str | None:
    """``Content-MD5``, which is stored with a blob if whoever wrote it gave one."""
    settings = info.get("content_settings")
    stored = settings.get("content_md5") if isinstance(settings, Mapping) else None
    return _hex_of(stored or getattr(settings, "content_md5", None))


_MD5_IN: dict[str, Callable[[Info], str | None]] = {
    **dict.fromkeys(("s3", "s3a", "s3n"), _s3),
    **dict.fromkeys(("gs", "gcs"), _gs),
    **dict.fromkeys(("abfs", "abfss", "adl", "az"), _abfs),
}


def _hex_of(given: Any) -> str | None:
    """Sixteen bytes, as they are or in base64, as hex."""
    try:
        raw = base64.b64decode(given, validate=True) if isinstance(given, str) else bytes(given or b"")
    except (binascii.Error, ValueError, TypeError):
        return None
    return raw.hex() if len(raw) == 16 else None
