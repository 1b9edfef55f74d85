"""The file to send: where it may lie, its size, checksum and media class."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ipernity_provider.api.errors import SourceUnreadable
from ipernity_provider.api.models import MediaClass
from ipernity_provider.api.upload import BLOCK_BYTES, FilePath
from ipernity_provider.replacement.order import Refused


@dataclass(frozen=True)
class Source:
    """A file that was read once.

    :param media: its class on the service, by its name; None where the name does not say.
    """

    path: FilePath
    name: str
    size: int
    md5: str
    media: MediaClass | None


def examine(file: FilePath, filename: str | None, upload_roots: Sequence[Sequence[str]]) -> Source:
    """Look at the file and read it once, for its checksum.

    :raises Refused: it is missing, empty, a folder, unreadable, or lies outside the roots.
    :raises SourceUnreadable: its storage fails; a later try may get through.
    """
    try:
        path = file.resolve() if isinstance(file, Path) else file
        for roots in upload_roots:
            _require_inside(path, roots)
        size, md5 = _read(path)
    except FileNotFoundError:
        raise Refused(f"{file} does not exist. Nothing was sent.") from None
    except IsADirectoryError:
        raise Refused(f"{file} is a folder; a replacement needs one file. Nothing was sent.") from None
    except (PermissionError, NotADirectoryError) as error:
        raise Refused(f"{file} cannot be read: {error.strerror}. Nothing was sent.") from error
    except OSError as error:
        raise SourceUnreadable(
            f"{file} cannot be read: {error.strerror or type(error).__name__}. Nothing was sent."
        ) from error
    except (
        ValueError,
        ImportError,
        RuntimeError,
    ) as error:  # fsspec's for unknown addresses, pathlib's for loops
        raise Refused(f"{file} cannot be opened: {str(error).rstrip('.')}. Nothing was sent.") from error
    if size == 0:
        raise Refused(f"{file} is empty. Nothing was sent.")
    name = filename or file.name
    return Source(path, name, size, md5, media_class(name))


def _read(path: FilePath) -> tuple[int, str]:
    digest = hashlib.md5()
    buffer = memoryview(bytearray(BLOCK_BYTES))
    size = 0
    with path.open("rb") as stream:
        while count := stream.readinto(buffer):
            digest.update(buffer[:count])
            size += count
    return size, digest.hexdigest()


def _require_inside(path: FilePath, roots: Sequence[str]) -> None:
    if not any(_inside(path, root) for root in roots):
        allowed = ", ".join(roots) or "nothing at all"
        raise Refused(
            f"{path} lies outside the folders that uploads may come from ({allowed}). Nothing was sent."
        )


def _inside(path: FilePath, root: str) -> bool:
    """Local paths are compared with all links resolved, addresses part by part; ``..`` never leads out."""
    if isinstance(path, Path):
        local = root.removeprefix("file://")
        return "://" not in local and path.is_relative_to(Path(local).expanduser().resolve())
    parts = str(path).split("/")
    wanted = root.rstrip("/").split("/")
    return ".." not in parts and parts[: len(wanted)] == wanted


# The table that comes with Python, alike on all workers; a machine's own mime.types are not read.
_TYPES = mimetypes.MimeTypes()
_BY_TYPE: dict[str, MediaClass] = {"image": "photo", "audio": "audio", "video": "video", "text": "other"}
_NOT_TELLING = frozenset({"application/octet-stream", "image/svg+xml", "image/vnd.djvu"})


def media_class(name: str) -> MediaClass | None:
    """The service's class of a file by its name: documents such as pdf or xls count as ``other``.

    None for a name that does not say, raw photos among them: the service then decides.
    """
    kind, encoding = _TYPES.guess_type(name, strict=False)
    if kind is None or encoding or kind in _NOT_TELLING:
        return None
    return _BY_TYPE.get(kind.partition("/")[0], "other")
