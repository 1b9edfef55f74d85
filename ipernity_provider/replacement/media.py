"""The service's class of a file: photo, audio, video or other.

It is told only where it is beyond doubt. What is not told is not refused either: the service decides.
"""

from __future__ import annotations

from pathlib import PurePath

from ipernity_provider.api.models import MediaClass

#: How much of a file's beginning is looked at where its name does not tell.
HEAD_BYTES = 8192

# Endings and types of what holds sound as well as films (ogg, webm, 3gp, rm, asf, generic MP4) are left out.
_ENDINGS: dict[MediaClass, str] = {
    "photo": "jpg jpeg jpe jfif png gif webp tif tiff bmp heic heif avif",
    "audio": "mp3 mp2 m4a m4b mka oga opus wav aif aiff aifc flac aac au wma",
    "video": "mp4 m4v mkv ogv mov qt mpg mpeg mpe avi wmv flv",
    "other": "pdf doc docx xls xlsx ppt pptx pps ppsx odt ods odp rtf txt csv tsv htm html",
}
_BY_ENDING = {ending: media for media, endings in _ENDINGS.items() for ending in endings.split()}
# Drawings, which the service may take for photos though their bytes can be those of a PDF.
_DRAWINGS = frozenset({"ai", "eps", "ps", "svg"})

_TYPES: dict[MediaClass, str] = {
    "photo": "image/jpeg image/png image/gif image/webp image/tiff image/heic image/heif image/avif",
    "audio": "audio/mpeg audio/mp4 audio/x-m4b audio/wav audio/wave audio/x-wav audio/aiff audio/x-aiff audio/flac audio/aac",
    "video": "video/avi video/x-msvideo video/quicktime video/mpeg video/dvd",
    "other": "application/pdf",
}
_BY_TYPE = {kind: media for media, kinds in _TYPES.items() for kind in kinds.split()}

# A match of two bytes has 0.2; what is this far below the best match is a weaker reading of the same bytes.
_LEAST_CONFIDENCE = 0.3
_AS_GOOD = 0.15


def media_of(name: str, head: bytes) -> MediaClass | None:
    """By the name, or else by the first bytes."""
    return media_of_name(name) or (None if _ending(name) in _DRAWINGS else media_of_bytes(head))


def media_of_name(name: str) -> MediaClass | None:
    """By the ending; None for one that does not say, raw photos among them."""
    return _BY_ENDING.get(_ending(name))


def media_of_bytes(head: bytes) -> MediaClass | None:
    """By the first bytes; None unless they say it beyond doubt."""
    # Here, for parsing a DAG must not pay for its tables.
    import puremagic

    try:
        matches = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):  # nothing known, nothing given
        return None
    best = max((match.confidence for match in matches), default=0.0)
    least = max(_LEAST_CONFIDENCE, best - _AS_GOOD)
    classes = {_BY_TYPE.get(match.mime_type) for match in matches if match.confidence >= least}
    classes.discard(None)
    return classes.pop() if len(classes) == 1 else None


def _ending(name: str) -> str:
    return PurePath(name).suffix.removeprefix(".").lower()
