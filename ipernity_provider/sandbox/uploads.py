"""Process an accepted upload: issue a ticket at once, change the document at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from ipernity_provider.sandbox.credentials import ACCOUNT
from ipernity_provider.sandbox.documents import Document, StoredFile
from ipernity_provider.sandbox.media import Probe, extension, with_thumbnails
from ipernity_provider.sandbox.request import ReceivedFile
from ipernity_provider.sandbox.state import Sandbox
from ipernity_provider.sandbox.tickets import Ticket


@dataclass(frozen=True)
class AcceptedUpload:
    """An upload that was accepted: its ticket, and the processing that ends it."""

    ticket: Ticket
    work: asyncio.Task[None]


def accept_replacement(
    sandbox: Sandbox, file: ReceivedFile, found: Probe, document: Document
) -> AcceptedUpload:
    """Accept a file for an existing document.

    With ``replace_mode`` ``new_document`` the upload results in a new document that has only the
    file, and the old one is not changed: what other clients have seen since 2022.
    """
    ready_at = sandbox.clock() + sandbox.settings.processing_seconds
    if sandbox.settings.replace_ticket == "dashed":
        ticket = sandbox.tickets.for_replacement(document.doc_id, ready_at)
    else:
        ticket = sandbox.tickets.for_new_document(ready_at)
    entry = sandbox.record_upload("upload.replace", document.doc_id, ticket.ticket, file)

    def in_place(stored: StoredFile) -> str | None:
        if sandbox.documents.get(document.doc_id) is not document:
            return None  # deleted in the meantime
        sandbox.keep_file(document.file)
        document.replace_file(stored, sandbox.at(), sandbox.settings.address_change)
        return document.doc_id

    def as_new_document(stored: StoredFile) -> str:
        new = _add_document(sandbox, stored, found)
        new.share = sandbox.settings.new_document_share
        entry.new_doc_id = new.doc_id
        return new.doc_id

    mode = sandbox.settings.replace_mode_of(document.file.media)
    finish = in_place if mode == "in_place" else as_new_document
    return _start_processing(sandbox, ticket, file, found, finish)


def accept_new_document(
    sandbox: Sandbox,
    file: ReceivedFile,
    found: Probe,
    complete: Callable[[Document], None],
    orientation: int | None = None,
) -> AcceptedUpload:
    """Accept a file for a new document.

    :param complete: gives the document what the call says of it.
    :param orientation: of a photo, as EXIF counts, where the call says it.
    """
    ticket = sandbox.tickets.for_new_document(sandbox.clock() + sandbox.settings.processing_seconds)
    entry = sandbox.record_upload("upload.file", None, ticket.ticket, file)

    def finish(stored: StoredFile) -> str:
        document = _add_document(sandbox, stored, found)
        complete(document)
        entry.new_doc_id = document.doc_id
        return document.doc_id

    return _start_processing(sandbox, ticket, file, found, finish, orientation)


def _add_document(sandbox: Sandbox, stored: StoredFile, found: Probe) -> Document:
    """Add a document of the account with nothing but a file, and what the file says of itself."""
    document = Document(sandbox.new_id("document"), ACCOUNT, stored, sandbox.at())
    document.created = found.created or document.created
    if found.place is not None:
        document.lat, document.lng = found.place
    sandbox.documents[document.doc_id] = document
    return document


def _start_processing(
    sandbox: Sandbox,
    ticket: Ticket,
    file: ReceivedFile,
    found: Probe,
    finish: Callable[[StoredFile], str | None],
    orientation: int | None = None,
) -> AcceptedUpload:
    """Keep the file, and call ``finish`` with it when the processing is over.

    :param finish: changes the documents; returns the id of the result, None when there is none.
    """
    stored = StoredFile(
        file.path.rename(sandbox.new_file_path()),  # the call removes what is at its first path
        file.filename,
        file.stored_md5,
        file.stored_bytes,
        found.media,
        extension(file.filename),
        found.w,
        found.h,
        file.md5,
        found.seconds,
    )
    invalid = sandbox.use_invalid()

    async def process() -> None:
        try:
            folder = stored.path.with_suffix(".thumbnails")
            finished = await asyncio.to_thread(with_thumbnails, stored, folder, orientation)
            await sandbox.until_ready(ticket)
        except asyncio.CancelledError:
            stored.path.unlink(missing_ok=True)
            raise
        doc_id = None if invalid else finish(finished)
        if doc_id is None:
            sandbox.remove_file(finished)
        ticket.end("done" if doc_id else "invalid", sandbox.clock(), doc_id)

    return AcceptedUpload(ticket, sandbox.start_work(process()))
