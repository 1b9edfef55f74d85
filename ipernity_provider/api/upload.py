"""The streamed multipart body of an upload.

requests sends an object that has a length and can be iterated, but not read, in the blocks that it yields. That is the
fastest way at hand and keeps memory flat, where ``files=`` holds the whole file twice.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from urllib3.fields import RequestField
from urllib3.filepost import encode_multipart_formdata

from ipernity_provider.api.errors import SourceChanged, SourceUnreadable
from ipernity_provider.api.storage import fault_of, open_to_read

BLOCK_BYTES = 1 << 20

Progress = Callable[[int, int], None]
"""Called after each block with the bytes of the file that were handed to the connection, and the file's size."""


class FilePath(Protocol):
    """A file that can be opened again: ``pathlib.Path``, ``ObjectStoragePath``, ``UPath``."""

    @property
    def name(self) -> str: ...

    def open(self, mode: Literal["rb"], /) -> Any: ...

    def stat(self) -> Any: ...


@contextmanager
def reading(filename: str) -> Iterator[None]:
    """Turns a fault of the source into its own error: an OSError would pass for one of the connection.

    Without its cause, whose text can hold what must not be shown.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - storages raise what they like
        fault = fault_of(error)
        if fault.kind == "changed":
            raise SourceChanged(f"{filename} {fault.words}; nothing was replaced.") from None
        # Transient, whatever it is: a moment ago the file was there. The next try looks anew.
        gone = " (any more)" if fault.kind == "missing" else ""
        raise SourceUnreadable(f"{filename} {fault.words}{gone}; nothing was replaced.") from None


@dataclass
class MultipartBody:
    """A form with one file at its end, read block by block each time it is iterated.

    :param fields: the plain fields, already signed.
    :param size: of the file, in bytes; the announced length rests on it.
    :param filename: the name that the service is told.
    :param md5: expected checksum, lower-case hex; None leaves the check (and its CPU time) out.
    :ivar begun: whether any of it was handed to the connection.
    :ivar ended: whether its last bytes were: before that the service cannot take the upload for complete.
    :raises SourceUnreadable: (while iterating) the file cannot be opened or read.
    :raises SourceChanged: (while iterating) the file is longer, shorter or another one than announced. The form's
        closing line is not sent then, so the service cannot take the upload for complete.
    """

    fields: Mapping[str, str]
    file: FilePath
    size: int
    filename: str
    md5: str | None = None
    progress: Progress | None = None
    boundary: str = field(default_factory=lambda: secrets.token_hex(16))
    begun: bool = field(default=False, init=False)
    ended: bool = field(default=False, init=False)

    @property
    def content_type(self) -> str:
        return f"multipart/form-data; boundary={self.boundary}"

    def __len__(self) -> int:
        return len(self._head) + self.size + len(self._tail)

    def __iter__(self) -> Iterator[bytes | memoryview]:
        self.begun = True
        yield self._head
        yield from self._blocks()
        self.ended = True
        yield self._tail

    @property
    def _head(self) -> bytes:
        # The library lays out the whole form with an empty file as its last part; the file's bytes go before the end.
        file = RequestField("file", b"", filename=self.filename)
        file.make_multipart(content_type="application/octet-stream")
        plain = [RequestField.from_tuples(name, value) for name, value in self.fields.items()]
        form, _ = encode_multipart_formdata([*plain, file], self.boundary)
        return form.removesuffix(self._tail)

    @property
    def _tail(self) -> bytes:
        return f"\r\n--{self.boundary}--\r\n".encode()

    def _blocks(self) -> Iterator[memoryview]:
        digest = hashlib.md5()
        buffer = memoryview(bytearray(BLOCK_BYTES))
        sent = 0
        with reading(self.filename):
            stream = open_to_read(self.file)
        with stream:
            while count := self._read(stream, buffer):
                sent += count
                if sent > self.size:
                    raise SourceChanged(f"{self.filename} has grown while it was read; nothing was replaced.")
                if self.md5:
                    digest.update(buffer[:count])
                yield buffer[:count]
                if self.progress:
                    self.progress(sent, self.size)
        if sent < self.size:
            raise SourceChanged(f"{self.filename} has shrunk while it was read; nothing was replaced.")
        if self.md5 and digest.hexdigest() != self.md5:
            raise SourceChanged(
                f"{self.filename} was changed while it was read; nothing was replaced.",
                md5=digest.hexdigest(),
                size=sent,
            )

    def _read(self, stream: Any, buffer: memoryview) -> int:
        with reading(self.filename):
            return int(stream.readinto(buffer))
