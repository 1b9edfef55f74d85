"""Reading one call off the wire: its parameters, and its file straight to the disk.

A part with a file name is a file, a part without one is a field, wherever it stands in the body. Memory stays flat:
a file is taken block by block, hashed and written on the way.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

from aiohttp import BodyPartReader, web

BLOCK = 256 * 1024
FIELD_BYTES = 1024 * 1024
"""The longest single field; a description needs a fraction of it."""

REWRITTEN = b"\n<!-- stored by the ipernity sandbox -->\n"
"""What ``rewrite_bytes`` adds: every reader of the formats in use ignores what comes after the end."""


@dataclass(frozen=True)
class ReceivedFile:
    """One file part. ``md5`` and ``bytes`` are as received, the ``stored_*`` are what is on the disk."""

    path: Path
    filename: str
    md5: str
    bytes: int
    stored_md5: str
    stored_bytes: int
    too_large: bool


@dataclass(frozen=True)
class ApiCall:
    """One call as it came in.

    :param params: query and form fields; a form field wins over a query parameter of the same name.
    :param form: the fields of the body alone, in order, as the OAuth base string needs them.
    :param multipart: whether they came as multipart/form-data.
    :param url: the address called, with its query.
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
        """The members of a comma separated parameter."""
        return [member.strip() for member in self.param(name).split(",") if member.strip()]


@dataclass(frozen=True)
class Reception:
    """How files are to be taken."""

    path: Path | None
    max_bytes: int
    rewrite: bool
    bytes_per_second: int | None


async def receive(request: web.Request, method: str, reply_format: str, reception: Reception) -> ApiCall:
    """Read the whole request.

    :param reception: with ``path`` None, files are read and forgotten.
    """
    form: list[tuple[str, str]] = []
    file = None
    multipart = request.content_type == "multipart/form-data"
    if multipart:
        file = await _receive_multipart(request, form, reception)
    elif request.content_type == "application/x-www-form-urlencoded":
        form = parse_qsl((await request.read()).decode("utf-8", "replace"), keep_blank_values=True)
    else:
        await discard(request)
    return ApiCall(
        method=method,
        format=reply_format,
        verb=request.method,
        params={**dict(request.query), **dict(form)},
        form=tuple(form),
        multipart=multipart,
        file=file,
        url=str(request.url),
        root=str(request.url.origin()),
        authorization=request.headers.get("Authorization", ""),
    )


async def discard(request: web.Request) -> None:
    """Read a body that nobody needs: a reply to half a request would be a broken connection to the sender."""
    async for _ in request.content.iter_chunked(BLOCK):
        pass


async def _receive_multipart(
    request: web.Request, form: list[tuple[str, str]], reception: Reception
) -> ReceivedFile | None:
    file = None
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader):
                raise web.HTTPBadRequest(text="A multipart part inside a multipart body is not understood.")
            if part.filename is None:
                form.append((part.name or "", await _receive_field(part)))
            elif part.name == "file" and file is None and reception.path is not None:
                file = await _receive_file(part, reception.path, reception)
            else:
                while await part.read_chunk(BLOCK):
                    pass
    except ValueError as error:
        _forget(reception)
        raise web.HTTPBadRequest(text="The multipart body could not be read.") from error
    except BaseException:
        _forget(reception)
        raise
    return file


def _forget(reception: Reception) -> None:
    if reception.path is not None:
        reception.path.unlink(missing_ok=True)


async def _receive_field(part: BodyPartReader) -> str:
    value = bytearray()
    while block := await part.read_chunk(BLOCK):
        value += block
        if len(value) > FIELD_BYTES:
            raise web.HTTPRequestEntityTooLarge(FIELD_BYTES, len(value))
    return value.decode("utf-8", "replace")


async def _receive_file(part: BodyPartReader, path: Path, reception: Reception) -> ReceivedFile:
    md5 = hashlib.md5()
    size = 0
    with path.open("wb", buffering=0) as target:
        while block := await part.read_chunk(BLOCK):
            size += len(block)
            if size <= reception.max_bytes:
                md5.update(block)
                target.write(block)
            if reception.bytes_per_second:
                await asyncio.sleep(len(block) / reception.bytes_per_second)
        sent = md5.hexdigest()
        if reception.rewrite:
            md5.update(REWRITTEN)
            target.write(REWRITTEN)
    stored_bytes = size + len(REWRITTEN) if reception.rewrite else size
    filename = Path((part.filename or "").replace("\\", "/")).name
    too_large = size > reception.max_bytes
    return ReceivedFile(path, filename, sent, size, md5.hexdigest(), stored_bytes, too_large)
