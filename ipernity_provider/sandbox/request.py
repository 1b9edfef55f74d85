"""Read one call: its parameters into memory, its file straight onto the disk.

A part with a file name is a file, a part without one is a field, wherever it stands in the body.
Memory stays flat: a file is read block by block, hashed and written on the way.
"""

from __future__ import annotations

import asyncio
import hashlib
import unicodedata
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

from aiohttp import BodyPartReader, web

from ipernity_provider.sandbox.errors import NOT_EMULATED, ApiError

# aiohttp warns about a header that it cannot parse; the part then has no name, and the call fails.
warnings.filterwarnings("ignore", module=r"aiohttp\.multipart")

BLOCK = 256 * 1024
FIELD_BYTES = 1024 * 1024
"""The longest single field; a description needs a fraction of it."""

REWRITTEN = b"\n<!-- stored by the ipernity sandbox -->\n"
"""What ``rewrite_bytes`` appends: readers of the usual formats ignore what follows the end."""


@dataclass(frozen=True)
class ReceivedFile:
    """One file part. ``md5`` and ``bytes`` are as received, ``stored_*`` as on the disk."""

    path: Path
    filename: str
    md5: str
    bytes: int
    stored_md5: str
    stored_bytes: int
    too_large: bool


@dataclass(frozen=True)
class ApiRequest:
    """One call as it was received.

    :param params: query and form fields. A form field wins over a query parameter of the same
        name, and the last of several with the same name wins.
    :param form: the fields of the body alone, in order, as the OAuth base string needs them.
    :param multipart: whether they came as multipart/form-data.
    :param url: the address called, with its query.
    :param root: the address without path and query.
    """

    method: str
    format: str
    verb: str
    params: Mapping[str, str]
    form: tuple[tuple[str, str], ...]
    multipart: bool
    file: ReceivedFile | None
    url: str
    root: str
    authorization: str

    def param(self, name: str) -> str:
        return self.params.get(name, "")

    def listed(self, name: str) -> list[str]:
        """Return the members of a comma separated parameter."""
        return [member.strip() for member in self.param(name).split(",") if member.strip()]


@dataclass(frozen=True)
class UploadLimits:
    """How a file is received.

    :param path: where it is written; None reads and forgets it.
    :param rewrite: store other bytes than were sent.
    """

    path: Path | None = None
    max_bytes: int = 0
    rewrite: bool = False
    bytes_per_second: int | None = None


async def read_request(
    request: web.Request, method: str, reply_format: str, limits: UploadLimits
) -> ApiRequest:
    """Read the whole request.

    :raises ApiError: 900 when its body cannot be read.
    """
    form: list[tuple[str, str]] = []
    file = None
    multipart = request.content_type == "multipart/form-data"
    try:
        if multipart:
            file = await _read_multipart(request, form, limits)
        elif request.content_type == "application/x-www-form-urlencoded":
            body = (await request.read()).decode("utf-8", "replace")
            form = parse_qsl(body, keep_blank_values=True)
        else:  # an answer to half a request would be a broken connection to the sender
            async for _ in request.content.iter_chunked(BLOCK):
                pass
    except (ConnectionError, web.HTTPException, ApiError):
        raise
    except Exception as error:  # aiohttp has many for a body that is not well-formed
        kind = "multipart body" if multipart else "body"
        title = f"ipernity sandbox: the {kind} is not well-formed"
        raise ApiError(NOT_EMULATED, title=title) from error
    return ApiRequest(
        method=method,
        format=reply_format,
        verb=request.method,
        params={**last_values(request), **dict(form)},
        form=tuple(form),
        multipart=multipart,
        file=file,
        url=str(request.url),
        root=str(request.url.origin()),
        authorization=request.headers.get("Authorization", ""),
    )


def last_values(request: web.Request) -> dict[str, str]:
    """Return the query's parameters; the last of several with the same name wins, as in PHP."""
    return dict(request.query.items())


async def _read_multipart(
    request: web.Request, form: list[tuple[str, str]], limits: UploadLimits
) -> ReceivedFile | None:
    file = None
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader) or part.name is None:
            raise ValueError("a part is not a field and not a file")
        if part.filename is None:
            form.append((part.name, await _read_field(part)))
        elif part.name == "file" and file is None and limits.path is not None:
            file = await _read_file(part, limits.path, limits)
        else:
            while await part.read_chunk(BLOCK):
                pass
    return file


async def _read_field(part: BodyPartReader) -> str:
    value = bytearray()
    while block := await part.read_chunk(BLOCK):
        value += block
        if len(value) > FIELD_BYTES:
            raise web.HTTPRequestEntityTooLarge(FIELD_BYTES, len(value))
    return value.decode("utf-8", "replace")


async def _read_file(part: BodyPartReader, path: Path, limits: UploadLimits) -> ReceivedFile:
    md5 = hashlib.md5(usedforsecurity=False)
    size = 0
    with path.open("wb", buffering=0) as target:
        while block := await part.read_chunk(BLOCK):
            size += len(block)
            if size <= limits.max_bytes:
                md5.update(block)
                target.write(block)
            if limits.bytes_per_second:
                await asyncio.sleep(len(block) / limits.bytes_per_second)
        received_md5 = md5.hexdigest()
        if limits.rewrite:
            md5.update(REWRITTEN)
            target.write(REWRITTEN)
    return ReceivedFile(
        path,
        base_name(part.filename or ""),
        received_md5,
        size,
        md5.hexdigest(),
        size + len(REWRITTEN) if limits.rewrite else size,
        too_large=size > limits.max_bytes,
    )


def base_name(filename: str) -> str:
    """Return a file name without its folders.

    U+FFFD takes the place of control characters, line breaks and half surrogates.
    """
    name = filename.replace("\\", "/").rpartition("/")[2]
    unsafe = ("Cc", "Cs", "Zl", "Zp")
    return "".join("\ufffd" if unicodedata.category(char) in unsafe else char for char in name)
