"""What happens to an upload once it is accepted: a ticket at once, the change only when the processing is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from ipernity_provider.sandbox.credentials import ACCOUNT
from ipernity_provider.sandbox.documents import PUBLIC, Document, StoredFile
from ipernity_provider.sandbox.media import Probe, extension, with_thumbnails
from ipernity_provider.sandbox.receive import ApiCall, ReceivedFile
from ipernity_provider.sandbox.state import LedgerEntry, Sandbox
from ipernity_provider.sandbox.tickets import Ticket


@dataclass(frozen=True)
class Accepted:
    """An upload that was taken: its ticket, and the processing that ends it."""

    ticket: Ticket
    work: asyncio.Task[None]


def accept_replacement(sandbox: Sandbox, file: ReceivedFile, found: Probe, document: Document) -> Accepted:
    """Take the file for an existing document.

    With ``replace_mode`` ``new_document`` a new one comes out instead, bare of everything but the file, and the old one
    is not touched: what other clients have seen since 2022.
    """
    ticket = sandbox.tickets.for_replacement(document.doc_id, _ready_at(sandbox))
    entry = _enter(sandbox, "upload.replace", document.doc_id, ticket, file)

    def in_place(stored: StoredFile) -> str | None:
        if sandbox.documents.get(document.doc_id) is not document:
            return None  # deleted in the meantime
        sandbox.remove_file(document.file)
        document.replace_file(stored, sandbox.at())
        return document.doc_id

    def as_new_document(stored: StoredFile) -> str:
        return _add_document(sandbox, Document(sandbox.new_doc_id(), ACCOUNT, stored, sandbox.at()), entry)

    finish = in_place if sandbox.settings.replace_mode == "in_place" else as_new_document
    return _accept(sandbox, ticket, _stored(sandbox, file, found), finish)


def accept_new_document(sandbox: Sandbox, file: ReceivedFile, found: Probe, call: ApiCall) -> Accepted:
    """Take the file for a new document, private unless ``is_public=1``."""
    ticket = sandbox.tickets.for_new_document(_ready_at(sandbox))
    entry = _enter(sandbox, "upload.file", None, ticket, file)

    def finish(stored: StoredFile) -> str:
        document = Document(sandbox.new_doc_id(), ACCOUNT, stored, sandbox.at())
        document.title = call.param("title")
        document.description = call.param("description")
        document.keywords = tuple(call.listed("keywords"))
        document.share = _share(call)
        if call.param("license").isdigit():
            document.license = int(call.param("license"))
        if call.param("created_at"):
            document.created = call.param("created_at")
        return _add_document(sandbox, document, entry)

    return _accept(sandbox, ticket, _stored(sandbox, file, found), finish)


def _share(call: ApiCall) -> int:
    if call.param("is_public") == "1":
        return PUBLIC
    return (call.param("is_family") == "1") + 2 * (call.param("is_friend") == "1")


def _ready_at(sandbox: Sandbox) -> float:
    return sandbox.clock() + sandbox.settings.processing_seconds


def _enter(
    sandbox: Sandbox, method: str, doc_id: str | None, ticket: Ticket, file: ReceivedFile
) -> LedgerEntry:
    """The upload counts from here on, whatever becomes of it."""
    entry = LedgerEntry(
        method, doc_id, None, ticket.ticket, file.md5, file.bytes, file.filename, sandbox.now()
    )
    sandbox.ledger.append(entry)
    sandbox.use_volume(file.bytes)
    return entry


def _stored(sandbox: Sandbox, file: ReceivedFile, found: Probe) -> StoredFile:
    """Keep the received file: under its first path it would be removed at the end of the call."""
    path = file.path.rename(sandbox.new_file_path())
    ext = extension(file.filename)
    return StoredFile(
        path, file.filename, file.stored_md5, file.stored_bytes, found.media, ext, found.w, found.h
    )


def _accept(
    sandbox: Sandbox, ticket: Ticket, stored: StoredFile, finish: Callable[[StoredFile], str | None]
) -> Accepted:
    invalid = sandbox.take_invalid()

    async def process() -> None:
        try:
            folder = stored.path.with_suffix(".thumbnails")
            finished = await asyncio.to_thread(with_thumbnails, stored, folder)
            await asyncio.sleep(ticket.ready_at - sandbox.clock())
        except asyncio.CancelledError:
            stored.path.unlink(missing_ok=True)
            raise
        doc_id = None if invalid else finish(finished)
        if doc_id is None:
            sandbox.remove_file(finished)
        ticket.end("done" if doc_id else "invalid", sandbox.clock(), doc_id)

    return Accepted(ticket, sandbox.start_work(process()))


def _add_document(sandbox: Sandbox, document: Document, entry: LedgerEntry) -> str:
    sandbox.documents[document.doc_id] = document
    entry.new_doc_id = document.doc_id
    return document.doc_id
