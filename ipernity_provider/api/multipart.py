"""The streamed multipart body of an upload.

requests sends an object that has a length and can be iterated, but not read, in the blocks that it
yields. That is the fastest way at hand and keeps memory flat, where ``files=`` holds the whole file
twice.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol
from urllib.parse import quote

from urllib3.fields import RequestField
from urllib3.filepost import encode_multipart_formdata

from ipernity_provider.api.errors import SourceChanged, SourceUnreadable
from ipernity_provider.text import clean_text

BLOCK_BYTES = 1 << 20

Progress = Callable[[int, int], None]
"""Called after each block with the number of sent bytes of the file, and the file's size.

A byte counts as sent when it was handed to the connection.
"""

BeforeLastBlock = Callable[[str, int], None]
"""Called before the last block is sent, with the MD5 checksum (hex) and the size of the file.

Both are those of all bytes of the file that will have been sent.
"""


class FilePath(Protocol):
    """A file that can be opened again: ``pathlib.Path``, ``ObjectStoragePath``, ``UPath``."""

    @property
    def name(self) -> str: ...

    def open(self, mode: Literal["rb"], /) -> Any: ...

    def stat(self) -> Any: ...


class BodyFailed(Exception):
    """The body of a request could not be made; why is in its ``failure``.

    The failure itself might be an ``OSError``, which the HTTP library would take for one of the
    connection.
    """


@contextmanager
def reading(filename: str) -> Iterator[None]:
    """Raise a fault of the source as an error of its own.

    An OSError would be mistaken for a fault of the connection.

    The text of what a storage raises can hold what must not be shown. It is transient, whatever it
    is: a moment ago the file was there, and the next try looks at it again.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - storages raise what they like
        raise SourceUnreadable(
            f"{clean_text(filename)} could not be read to its end ({type(error).__name__}); nothing"
            " was replaced."
        ) from None


@dataclass
class MultipartBody:
    """A form with one file at its end, read block by block each time it is iterated.

    The last block leaves only after the whole file was read and checked: an upload that ends before
    cannot have arrived.

    :param fields: the plain fields, already signed.
    :param size: of the file, in bytes; the announced length rests on it.
    :param filename: the name that the service gets.
    :param expected_md5: checksum that the file must have, lower-case hex; None leaves the check
        out.
    :param before_last_block: called when all was read and checked; if it raises, the last block
        does not leave.
    :ivar begun: whether any of it was handed to the connection.
    :ivar ended: whether its last bytes were: before that the service cannot take the upload for
        complete.
    :ivar failure: why it could not be made: what a callback raised, or :class:`SourceUnreadable`
        (the file cannot be opened or read) or :class:`SourceChanged` (it is longer, shorter or
        another one than announced).
    :raises BodyFailed: (while iterating) there is a ``failure``.
    """

    fields: Mapping[str, str]
    file: FilePath
    size: int
    filename: str
    expected_md5: str | None = None
    progress: Progress | None = None
    before_last_block: BeforeLastBlock | None = None
    boundary: str = field(default_factory=lambda: secrets.token_hex(16))
    begun: bool = field(default=False, init=False)
    ended: bool = field(default=False, init=False)
    failure: Exception | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        # The library lays out the whole form with an empty file as its last part; the file's bytes
        # go before the end. All control characters are escaped as it escapes line breaks.
        filename = re.sub(
            r"[\x00-\x1f\x7f-\x9f\u2028\u2029]",
            lambda found: quote(found[0]),
            self.filename.encode("utf-8", "replace").decode(),
        )
        file = RequestField("file", b"", filename=filename)
        file.make_multipart(content_type="application/octet-stream")
        plain = [RequestField.from_tuples(name, value) for name, value in self.fields.items()]
        form, self.content_type = encode_multipart_formdata([*plain, file], self.boundary)
        self._tail = f"\r\n--{self.boundary}--\r\n".encode()
        self._head = form.removesuffix(self._tail)

    def __len__(self) -> int:
        return len(self._head) + self.size + len(self._tail)

    def __iter__(self) -> Iterator[bytes | memoryview]:
        self.begun, self.ended, self.failure = True, False, None
        try:
            yield self._head
            yield from self._blocks()
        except Exception as failure:
            self.failure = failure
            raise BodyFailed from failure
        self.ended = True
        yield self._tail

    def _blocks(self) -> Iterator[memoryview]:
        """Yield the file; its last block only after all of it was read and checked."""
        digest = hashlib.md5(usedforsecurity=False)
        buffer, sent, name = memoryview(bytearray(BLOCK_BYTES)), 0, clean_text(self.filename)
        with reading(self.filename):
            stream = self.file.open("rb")
        try:
            while not sent or sent < self.size:
                with reading(self.filename):
                    count = int(stream.readinto(buffer))
                    sent += count
                    more = sent >= self.size and stream.readinto(bytearray(1))
                if more or sent > self.size:
                    raise SourceChanged(
                        f"{name} has grown while it was read; nothing was replaced."
                    )
                if not count and self.size:
                    raise SourceChanged(
                        f"{name} has shrunk while it was read; nothing was replaced."
                    )
                if self.expected_md5 or self.before_last_block:
                    digest.update(buffer[:count])
                if sent == self.size:
                    self._check_all(digest.hexdigest())
                if not count:  # the file is empty
                    return
                yield buffer[:count]
                if self.progress:
                    self.progress(sent, self.size)
        finally:
            with suppress(Exception):  # what was read is read
                stream.close()

    def _check_all(self, md5: str) -> None:
        """Raise if the file is not the announced one, or if the caller stops the upload."""
        if self.expected_md5 and md5 != self.expected_md5:
            raise SourceChanged(
                f"{clean_text(self.filename)} was changed while it was read; nothing was replaced.",
                md5=md5,
                size=self.size,
            )
        if self.before_last_block:
            self.before_last_block(md5, self.size)
