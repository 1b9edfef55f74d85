"""What can be wrong with a file, as one sentence that shows no secret.

Each storage comes with a library of its own (botocore, azure.core, google.auth, ...), whose text
can hold signed addresses. So an error is known by its class, by the storage's code and by the HTTP
status that it carries; its text is not repeated.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from typing import Any

from ipernity_provider.text import display

_MISSING = frozenset(
    {"404", "410", "NoSuchKey", "NoSuchBucket", "ContainerNotFound", "BlobNotFound"}
)
_DENIED = frozenset({"401", "403", "AccessDenied"})
_ARCHIVED = frozenset({"InvalidObjectState", "BlobArchived"})
_NAMES = {
    errno.ENAMETOOLONG: (
        "has too long a name: 255 bytes are the most that file systems take, and 4095 with its"
        " folders"
    ),
    errno.ELOOP: "is a link that leads in a circle",
}


class FileError(Exception):
    """A file cannot be read or written; the text is one sentence for a person.

    :param permanent: whether trying again cannot help.
    """

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent


class NotRegularFile(OSError):
    """Something that has a file's name and is not a file with an end.

    :ivar what: its kind, such as ``a device``.
    """

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not a regular file")
        self.what = what


def file_error(path: object, error: Exception, doing: str = "read") -> FileError:
    """Make the typed error of what the system or a storage's library raised.

    :param doing: what was tried: ``read`` or ``written``.
    """
    if isinstance(error, FileError):
        return error
    words, permanent = classify_error(error, doing)
    return FileError(f"{display(path)} {words}.", permanent=permanent)


def classify_error(error: Exception, doing: str = "read") -> tuple[str, bool]:
    """Return what follows a file's name in a sentence, and whether trying again cannot help.

    Missing, a folder, not a regular file, an unusable name, archived and no permission are
    permanent; all else is not.
    """
    codes = set(_codes(error))
    if isinstance(error, FileNotFoundError) or codes & _MISSING:
        return "does not exist", True
    if isinstance(error, IsADirectoryError):
        return "is a folder", True
    if isinstance(error, NotRegularFile):
        return f"is {error.what}; only a regular file can be {doing}", True
    if codes & _ARCHIVED:
        return f"cannot be {doing}: it is in its storage's archive; restore it first", True
    if isinstance(error, PermissionError) or codes & _DENIED:
        return (
            f"cannot be {doing}: access is denied; check the rights, the credentials and the name",
            True,
        )
    if isinstance(
        error, FileExistsError | NotADirectoryError
    ):  # raised where a folder is to be made
        return f"cannot be {doing}: something that is not a folder stands in its place", True
    if lacking := _lacking(error):
        return f"cannot be {doing}: {lacking}", True
    if isinstance(error, OSError) and error.errno in _NAMES:
        return _NAMES[error.errno], True
    if isinstance(error, OSError) and error.errno and error.errno in errno.errorcode:
        return f"cannot be {doing}: {os.strerror(error.errno)}", False
    return f"cannot be {doing} ({type(error).__name__})", False


def _lacking(error: Exception) -> str:
    """Return what this installation lacks to use a storage; empty if that is not the cause."""
    if isinstance(error, ImportError):
        return f"the package {error.name or 'for its storage'} is not installed here"
    if "Credential" in type(error).__name__:
        return (
            f"there are no credentials for its storage ({type(error).__name__}); check its"
            " connection"
        )
    return ""


def _codes(error: BaseException) -> Iterator[str]:
    """Yield what the storage answered: its own code (S3, Azure) and the HTTP status.

    The causes of the error are included.
    """
    cause: BaseException | None = error
    while cause is not None:
        response = getattr(cause, "response", None)
        found: list[Any] = [
            getattr(cause, name, None) for name in ("error_code", "status_code", "code", "status")
        ]
        if isinstance(response, Mapping):  # botocore
            found.append((response.get("Error") or {}).get("Code"))
            found.append((response.get("ResponseMetadata") or {}).get("HTTPStatusCode"))
        yield from (str(getattr(code, "value", code)) for code in found if code is not None)
        cause = cause.__cause__
