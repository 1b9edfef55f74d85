"""The service's class of a file: photo, audio, video or other."""

from __future__ import annotations

import mimetypes

from ipernity_provider.api.models import MediaClass

#: How much of a file's beginning is looked at where its name does not tell.
HEAD_BYTES = 8192

# The table that comes with Python, alike on all workers; a machine's own mime.types are not read.
_TYPES = mimetypes.MimeTypes()
_BY_TYPE: dict[str, MediaClass] = {"image": "photo", "audio": "audio", "video": "video", "text": "other"}
_NOT_TELLING = frozenset({"application/octet-stream", "image/svg+xml"})
_DJVU = "image/vnd.djvu"

# A match of two bytes has 0.2; what is this far below the best match is a weaker reading of the same bytes.
_LEAST_CONFIDENCE = 0.3
_AS_GOOD = 0.15


def media_of_name(name: str) -> MediaClass | None:
    """By the name: documents such as pdf or xls count as ``other``.

    None for a name that does not say, raw photos among them.
    """
    kind, encoding = _TYPES.guess_type(name, strict=False)
    if kind is None or encoding or _tells_nothing(kind):
        return None
    return _BY_TYPE.get(kind.partition("/")[0], "other")


def media_of_bytes(head: bytes) -> MediaClass | None:
    """By the first bytes; None, and the service decides, unless they say it beyond doubt.

    Containers that hold sound as well as films (Ogg, Matroska, ASF, some MP4) do not.
    """
    # Here, for parsing a DAG must not pay for its tables.
    import puremagic

    try:
        matches = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):  # nothing known, nothing given
        return None
    best = max((match.confidence for match in matches), default=0.0)
    least = max(_LEAST_CONFIDENCE, best - _AS_GOOD)
    classes = {_class_of(match.mime_type) for match in matches if match.confidence >= least}
    classes.discard(None)
    return classes.pop() if len(classes) == 1 else None


def _class_of(mime_type: str) -> MediaClass | None:
    """Only what is a picture, a sound, a film or a PDF for sure: text and archives can be anything."""
    if mime_type == "application/pdf":
        return "other"
    kind = mime_type.partition("/")[0]
    return _BY_TYPE.get(kind) if kind != "text" and not _tells_nothing(mime_type) else None


def _tells_nothing(mime_type: str) -> bool:
    return mime_type in _NOT_TELLING or mime_type.startswith(_DJVU)
