"""What is known of a file to send: size, checksum, change marker and media class."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any, Literal

from ipernity_provider.files.errors import FileError, file_error
from ipernity_provider.files.paths import is_stored, object_info, require_inside
from ipernity_provider.text import display

MediaClass = Literal["photo", "audio", "video", "other"]

_BLOCK_BYTES = 1 << 20

# Endings of what holds sound as well as films (ogg, webm, 3gp, rm, asf) are left out: the service
# decides.
_ENDINGS: dict[MediaClass, str] = {
    "photo": "jpg jpeg jpe jfif png gif webp tif tiff bmp heic heif avif",
    "audio": "mp3 mp2 m4a m4b mka oga opus wav aif aiff aifc flac aac au wma",
    "video": "mp4 m4v mkv ogv mov qt mpg mpeg mpe avi wmv flv",
    "other": "pdf doc docx xls xlsx ppt pptx pps ppsx odt ods odp rtf txt csv tsv htm html",
}
# What is known of a name besides: media of either class, and raw photos.
_OTHER_ENDINGS = (
    "ogg webm 3gp rm asf dng cr2 cr3 crw nef nrw arw srf sr2 raf orf rw2 pef srw x3f 3fr iiq"
    " raw psd"
)
_MEDIA_OF_ENDING = {
    ending: media for media, endings in _ENDINGS.items() for ending in endings.split()
}

# What storages call that which changes with a file; without capitals and signs it is a few words.
_CHANGING = frozenset(
    [
        "etag",
        "md5",
        "md5hash",
        "contentmd5",
        "crc32c",
        "checksum",
        "generation",
        "versionid",
        "lastmodified",
        "lastmodifiedtime",
        "modified",
        "modificationtime",
        "modify",
        "mtime",
        "updated",
    ]
)


@dataclass(frozen=True)
class SourceFile:
    """A file that was looked at.

    :param source: where its bytes come from.
    :param name: the name that the service gets.
    :param size: in bytes.
    :param md5: checksum of its bytes, lower-case hex; None for a file on object storage, which is
        read while it is sent.
    :param reported_md5: the checksum that its storage reports, right or wrong; None where it
        reports none.
    :param media: its class on the service, by the ending of its name; None where that does not say.
    :param marker: changes with the file; empty where nothing tells more than its size.
    """

    source: Any
    name: str
    size: int
    md5: str | None
    reported_md5: str | None = None
    media: MediaClass | None = None
    marker: str = ""


def inspect_file(
    path: Any,
    filename: str | None = None,
    upload_roots: Sequence[str] = (),
    known: SourceFile | None = None,
) -> SourceFile:
    """Inspect a file before it is sent.

    A local file is read for its checksum; a file on object storage costs one request.

    :param filename: the name that the service gets; the file's own by default.
    :param upload_roots: folders or URIs of which one must hold the file; none: any file.
    :param known: as it was inspected before; if its marker has not changed since, the file is not
        read again.
    :raises FileError: it is missing, empty, not a regular file, unreadable, outside the roots, or
        has an unusable name.
    """
    source = require_inside(path, upload_roots)
    name = filename or str(
        path.name
    )  # of the link, if it is one: what it leads to may have any name
    path = source.path
    try:
        name.encode()
    except UnicodeEncodeError:
        raise FileError(
            f"{display(path)} cannot be sent under the name {display(name)}, which is not UTF-8;"
            " give another one with filename.",
            permanent=True,
        ) from None
    try:
        marker = change_marker(
            path
        )  # before the file is read: what changes meanwhile is noticed later
        if known and marker and (known.marker, known.name) == (marker, name):
            return replace(known, source=source)
        file = SourceFile(source, name, 0, None, media=media_of_name(name), marker=marker)
        file = _as_reported(file) if is_stored(path) else with_checksum(file)
    except Exception as error:  # noqa: BLE001 - storages raise what they like
        raise file_error(path, error) from None
    if file.size == 0:
        raise FileError(f"{display(path)} is empty.", permanent=True)
    return file


def with_checksum(file: SourceFile) -> SourceFile:
    """Return the file with the size and the checksum of its bytes.

    The file is read for that, unless its checksum is known already.

    :raises FileError: it cannot be read.
    """
    if file.md5:
        return file
    digest = hashlib.md5(usedforsecurity=False)
    buffer = memoryview(bytearray(_BLOCK_BYTES))
    size = 0
    try:
        with file.source.open() as stream:
            while count := stream.readinto(buffer):
                digest.update(buffer[:count])
                size += count
    except Exception as error:  # noqa: BLE001 - storages raise what they like
        raise file_error(file.source.path, error) from None
    return replace(file, md5=digest.hexdigest(), size=size)


def media_of_name(name: str) -> MediaClass | None:
    """Return the media class by the suffix of a name.

    None if the suffix does not identify one, as with raw photos.
    """
    return _MEDIA_OF_ENDING.get(PurePath(name).suffix.removeprefix(".").lower())


def media_suffix(ending: str | None) -> str:
    """Return the suffix, such as ``.jpg``, for a file with this ending.

    It is empty if the ending is not that of a known kind of media.
    """
    plain = (ending or "").lower()
    return f".{plain}" if plain in _MEDIA_OF_ENDING or plain in _OTHER_ENDINGS.split() else ""


def change_marker(path: Any) -> str:
    """Return a text that changes with the file; empty where nothing tells more than its size."""
    try:
        if isinstance(path, Path):
            stat = path.stat()
            # An overwriting program may set the time of the last change, but not that of the
            # inode's.
            return f"{stat.st_size}-{stat.st_mtime_ns}-{stat.st_ctime_ns}-{stat.st_ino}"
        if not is_stored(path):
            return ""
        info = object_info(path)
    except Exception:  # noqa: BLE001 - storages raise what they like, and reading the file will say what is wrong
        return ""
    changing = sorted(
        (name, str(value)) for name, value in info.items() if value and _plain(name) in _CHANGING
    )
    if not changing or not isinstance(info.get("size"), int):
        return ""
    return f"{info['size']}-{hashlib.sha256(repr(changing).encode()).hexdigest()[:32]}"


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


# -- what a storage reports ------------------------------------------------------------------------


def _as_reported(file: SourceFile) -> SourceFile:
    """Return the file with what its storage says of it.

    Its checksum may be wrong (the ETag of an object that is encrypted with a KMS key looks like
    one): it only serves to conclude that a document carries the file already.
    """
    info = object_info(file.source.path)
    if info.get("type") == "directory":
        raise IsADirectoryError
    size = info.get("size")
    if not isinstance(size, int):
        return with_checksum(file)
    return replace(
        file, size=size, reported_md5=_REPORTED_MD5.get(file.source.path.protocol, _none)(info)
    )


def _none(info: Mapping[str, Any]) -> str | None:  # noqa: ARG001
    return None


def _s3_md5(info: Mapping[str, Any]) -> str | None:
    """Return the ETag of an object that was stored in one part.

    The ETag of an object that was stored in several parts contains a ``-``.
    """
    etag = str(info.get("ETag") or "").strip('"').lower()
    return etag if re.fullmatch(r"[0-9a-f]{32}", etag, re.ASCII) else None


def _gs_md5(info: Mapping[str, Any]) -> str | None:
    """Return ``md5Hash``; composite objects have none."""
    return _hex_of(info.get("md5Hash"))


def _azure_md5(info: Mapping[str, Any]) -> str | None:
    """Return ``Content-MD5``, which is stored with a blob if its writer gave one."""
    settings = info.get("content_settings")
    stored = settings.get("content_md5") if isinstance(settings, Mapping) else None
    return _hex_of(stored or getattr(settings, "content_md5", None))


_REPORTED_MD5: dict[str, Callable[[Mapping[str, Any]], str | None]] = {
    **dict.fromkeys(("s3", "s3a", "s3n"), _s3_md5),
    **dict.fromkeys(("gs", "gcs"), _gs_md5),
    **dict.fromkeys(("abfs", "abfss", "adl", "az"), _azure_md5),
}


def _hex_of(given: Any) -> str | None:
    """Return sixteen bytes, given as they are or in base64, as hex."""
    try:
        raw = (
            base64.b64decode(given, validate=True)
            if isinstance(given, str)
            else bytes(given or b"")
        )
    except (binascii.Error, ValueError, TypeError):
        return None
    return raw.hex() if len(raw) == 16 else None
