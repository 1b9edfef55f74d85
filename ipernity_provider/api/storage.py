"""Files on object storage: opened in blocks of a modest size, and their failures as words that show no secret.

Each storage comes with a library of its own (botocore, azure.core, google.auth, ...), which raises what is no OSError
and whose text can hold signed addresses. None of them is imported here: an error is known by the name of its class, by
the storage's code and by the HTTP status that it carries, and its text is not repeated.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import unquote_to_bytes

from ipernity_provider.api.local_files import NotRegularFile, open_regular
from ipernity_provider.api.sentences import printable

#: How much is asked of a storage at once, in bytes. fsspec's own 50 MiB cost 150 MiB of memory; 8 MiB cost 37, and
#: less than that costs time where each answer of the storage does.
READ_BLOCK_BYTES = 8 << 20
#: The same for writing: S3 takes no parts below 5 MiB.
WRITE_BLOCK_BYTES = 8 << 20

_LOCAL = frozenset({"file", "local"})

_DENIED = frozenset({"401", "403"})
_MISSING = frozenset({"404", "410"})
_NO_FOLDER = frozenset({"NoSuchBucket", "ContainerNotFound"})
_NO_CREDENTIALS = frozenset(
    {
        "NoCredentialsError",
        "PartialCredentialsError",
        "CredentialRetrievalError",
        "TokenRetrievalError",
        "UnauthorizedSSOTokenError",
        "ClientAuthenticationError",
        "CredentialUnavailableError",
        "DefaultCredentialsError",
        "MalformedError",
        "RefreshError",
    }
)
_SETTINGS = frozenset(
    {
        "ProfileNotFound",
        "ConfigNotFound",
        "ConfigParseError",
        "InvalidConfigError",
        "NoRegionError",
        "UnknownEndpointError",
        "ParamValidationError",
    }
)
_UNREACHABLE = frozenset(
    {
        "EndpointConnectionError",
        "ConnectionClosedError",
        "ConnectTimeoutError",
        "ReadTimeoutError",
        "ProxyConnectionError",
        "SSLError",
        "HTTPClientError",
        "ServiceRequestError",
        "ServiceResponseError",
        "TransportError",
        "ClientConnectorError",
        "ClientConnectorDNSError",
        "ServerDisconnectedError",
        "ProxyError",
        "ConnectionError",
        "ConnectTimeout",
        "ReadTimeout",
        "TimeoutError",
        "gaierror",
    }
)
_CHANGED = frozenset({"FileExpired"})
_UNUSABLE_NAMES = {
    errno.ENAMETOOLONG: "has too long a name: 255 bytes are the most that file systems take, and 4095 with its folders",
    errno.ELOOP: "is a link that leads in a circle",
}
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,60}", re.ASCII)
_LONGEST_TEXT = 300


@dataclass(frozen=True)
class Fault:
    """Why a file cannot be read or written.

    :param words: what follows its name in a sentence, without a full stop.
    """

    kind: Literal[
        "missing", "folder", "special", "name", "denied", "settings", "changed", "unreachable", "other"
    ]
    words: str

    @property
    def permanent(self) -> bool:
        """Whether no retry mends it."""
        return self.kind not in {"changed", "unreachable", "other"}


def is_stored(file: object) -> bool:
    """Whether a path leads to an fsspec file system (``ObjectStoragePath``, ``UPath``) instead of this machine's own."""
    return hasattr(type(file), "fs") and not isinstance(file, Path)


def told_of(file: Any) -> Mapping[str, Any]:
    """What the storage says of a file now: one question, answered in each storage's own words.

    :raises Exception: whatever the storage's library raises.
    """
    file.fs.invalidate_cache(file.path)  # a listing that this process made earlier may be out of date
    told: Mapping[str, Any] = file.fs.info(file.path)
    return told


def open_to_read(file: Any) -> Any:
    """Open a file to be sent, or a manifest: the one place for that, for the checksum and for the upload alike.

    :raises NotRegularFile: it is a pipe, a socket or a device of this machine.
    :raises Exception: whatever else the system or the storage's library raises.
    """
    if isinstance(file, Path):
        return open_regular(file)
    return file.open("rb", block_size=READ_BLOCK_BYTES) if is_stored(file) else file.open("rb")


def local_path(text: str) -> Path | None:
    """The file or folder of this machine that a path or a ``file:`` address names; None for any other address.

    :raises ValueError: the address names another machine, or nothing.
    :raises RuntimeError: ``~`` leads to nobody's home.
    """
    scheme, _, rest = text.partition(":")
    if scheme.lower() not in _LOCAL or not rest.startswith("/"):
        return None if "://" in text else Path(text).expanduser()
    host, slash, path = rest.removeprefix("//").partition("/")
    if host not in {"", "localhost"} or not slash:
        raise ValueError("a local file is named file:///folder/name, without a host")
    # All that follows is the path, also a ? or a #; its bytes need not be UTF-8.
    return Path(os.fsdecode(unquote_to_bytes(os.fsencode(f"/{path}"))))


def shown(file: object) -> str:
    """A path or a name for a sentence, on one line: an address without its query, which may be a signature."""
    return printable(without_query(file))


def without_query(file: object) -> str:
    """Return a path or a name as it is, and an address without its query, which may be a signature."""
    text = str(file)
    return text.partition("?")[0] + "?..." if "://" in text and "?" in text else text


def fault_of(error: Exception, doing: str = "read") -> Fault:
    """What an error of a file or its storage means.

    :param doing: what was tried: ``read`` or ``written``.
    """
    clues = _Clues.of(error, f"cannot be {doing}")
    if isinstance(error, NotRegularFile):
        return Fault("special", f"is {error.what}; only a regular file can be {doing}")
    return _by_type(clues) or _by_code(clues) or _by_name(clues) or Fault("other", clues.because())


@dataclass(frozen=True)
class _Clues:
    """What an error tells without its text.

    :param codes: what the storage answered: its own code, then the HTTP status.
    :param names: of the classes of the error and of its causes.
    """

    error: Exception
    codes: tuple[str, ...]
    names: frozenset[str]
    cannot: str

    @classmethod
    def of(cls, error: Exception, cannot: str) -> Self:
        causes = list(_causes(error))
        names = (kind.__name__ for cause in causes for kind in type(cause).__mro__)
        codes = (code for cause in causes for code in _codes(cause))
        return cls(error, tuple(codes), frozenset(names), cannot)

    @property
    def name(self) -> str:
        return type(self.error).__name__

    def because(self) -> str:
        """By the storage's code, the system's word for an error number, or the error's class."""
        if self.codes:
            return f"{self.cannot}: its storage answers {self.codes[0]}"
        number = self.error.errno if isinstance(self.error, OSError) else None
        reason = os.strerror(number) if number and number in errno.errorcode else self.name
        return f"{self.cannot}: {reason}"


def _by_type(clues: _Clues) -> Fault | None:
    """Python's own exceptions, which the better libraries raise too."""
    error = clues.error
    if isinstance(error, FileNotFoundError):
        return _missing(clues)
    if isinstance(error, IsADirectoryError):
        return Fault("folder", "is a folder")
    if isinstance(error, FileExistsError):  # raised where a folder is to be made
        return Fault("denied", f"{clues.cannot}: something that is not a folder stands in its place")
    if isinstance(error, OSError) and error.errno in _UNUSABLE_NAMES:
        return Fault("name", _UNUSABLE_NAMES[error.errno])
    if isinstance(error, NotADirectoryError) or (isinstance(error, PermissionError) and error.errno):
        return Fault("denied", clues.because())
    if isinstance(error, PermissionError):
        return _denied(clues)
    # With a cause, they are only how a library passes on what the storage did.
    if isinstance(error, ImportError | ValueError | RuntimeError) and not (clues.codes or error.__cause__):
        return Fault("settings", f"cannot be opened: {_harmless(error)}")
    return None


def _by_code(clues: _Clues) -> Fault | None:
    if (_MISSING | _NO_FOLDER).intersection(clues.codes):
        return _missing(clues)
    # Google's library says so in the text alone.
    forbidden = isinstance(clues.error, OSError) and str(clues.error).startswith("Forbidden")
    return _denied(clues) if forbidden or _DENIED.intersection(clues.codes) else None


def _by_name(clues: _Clues) -> Fault | None:
    if clues.names & _NO_CREDENTIALS:
        words = f"there are no usable credentials for its storage ({clues.name}); check its connection"
        return Fault("denied", f"{clues.cannot}: {words}")
    if clues.names & _SETTINGS:
        words = f"the settings of its storage are wrong ({clues.name}); check its connection"
        return Fault("settings", f"{clues.cannot}: {words}")
    if clues.names & _CHANGED:
        return Fault("changed", "was changed while it was read")
    if clues.names & _UNREACHABLE:
        words = f"its storage cannot be reached or does not answer ({clues.name})"
        return Fault("unreachable", f"{clues.cannot}: {words}")
    return None


def _missing(clues: _Clues) -> Fault:
    bucket = ": there is no such bucket or container" if _NO_FOLDER.intersection(clues.codes) else ""
    return Fault("missing", f"does not exist{bucket}")


def _denied(clues: _Clues) -> Fault:
    code = f" ({clues.codes[0]})" if clues.codes else ""
    return Fault(
        "denied",
        f"{clues.cannot}: its storage denies access{code}; check the credentials of its connection, their rights, and "
        "the name, for some storages say so of what does not exist",
    )


def _harmless(error: Exception) -> str:
    """The text where it cannot hold an address or a setting: these errors name packages, schemes and the like."""
    text = str(error).strip().rstrip(".")
    telling = text and len(text) <= _LONGEST_TEXT and not re.search(r"://|[=\n]", text)
    return text if telling else type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was made of."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _codes(error: BaseException) -> Iterator[str]:
    """What the storage answered: its own code (S3, Azure), then the HTTP status."""
    response = getattr(error, "response", None)
    found: list[Any] = []
    if isinstance(response, Mapping):  # botocore
        found = [
            (response.get("Error") or {}).get("Code"),
            (response.get("ResponseMetadata") or {}).get("HTTPStatusCode"),
        ]
    found += [getattr(error, name, None) for name in ("error_code", "status_code", "code", "status")]
    for code in found:
        text = str(getattr(code, "value", code))
        if isinstance(code, str | int) and not isinstance(code, bool) and _CODE.fullmatch(text):
            yield text
