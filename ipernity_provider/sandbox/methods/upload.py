"""``upload.*``."""

from __future__ import annotations

import asyncio

from ipernity_provider.sandbox.auth import AuthorizedCall
from ipernity_provider.sandbox.credentials import ACCOUNT
from ipernity_provider.sandbox.documents import Document
from ipernity_provider.sandbox.errors import NOT_EMULATED, QUOTA_OF_UPLOAD_FILE
from ipernity_provider.sandbox.media import Probe, probe
from ipernity_provider.sandbox.methods.albums import own_album
from ipernity_provider.sandbox.methods.fields import read_date_time, read_fields, read_orientation
from ipernity_provider.sandbox.methods.tags import members_of
from ipernity_provider.sandbox.parameters import PARAMETERS
from ipernity_provider.sandbox.reply import Payload
from ipernity_provider.sandbox.request import ReceivedFile
from ipernity_provider.sandbox.settings import Settings
from ipernity_provider.sandbox.tickets import Ticket
from ipernity_provider.sandbox.uploads import (
    AcceptedUpload,
    accept_new_document,
    accept_replacement,
)

MAX_TICKETS = 50


async def replace(call: AuthorizedCall) -> Payload:
    """Accept a file for an existing document; check in the order of the documented errors."""
    file, found = await _usable_file(call, quota_code=3)
    document = call.own_document(4)
    if found.media != document.file.media:
        raise call.error(5)
    if not call.sandbox.settings.is_pro:
        raise call.error(6)
    return await _answer(call, accept_replacement(call.sandbox, file, found, document))


async def upload_file(call: AuthorizedCall) -> Payload:
    """Accept a file for a new document, private unless ``is_public=1``.

    What the call does not give comes from the file's EXIF data. A value that is not documented is
    refused with the sandbox's own code: what the service does with it is not known.
    """
    file, found = await _usable_file(call, QUOTA_OF_UPLOAD_FILE)
    fields = read_fields(call, PARAMETERS["upload.file"].applied, NOT_EMULATED)
    created = read_date_time(call, "created_at")
    if created:
        fields["created"] = created
    members = members_of(call, "member_ids")
    album = own_album(call, NOT_EMULATED) if call.request.param("album_id") else None
    orientation = read_orientation(call)

    def complete(document: Document) -> None:
        for name, value in fields.items():
            setattr(document, name, value)
        document.add_keywords(call.request.listed("keywords"), ACCOUNT, document.posted_at)
        document.add_members(members, ACCOUNT, document.posted_at)
        if album is not None:
            album.doc_ids.append(document.doc_id)

    return await _answer(
        call, accept_new_document(call.sandbox, file, found, complete, orientation)
    )


async def _usable_file(call: AuthorizedCall, quota_code: int) -> tuple[ReceivedFile, Probe]:
    """Return the file and what it is.

    The volume is looked at last: until it is used nothing may wait, or another upload uses it, too.
    """
    file = call.request.file
    if file is None or not file.bytes:
        raise call.error(1)
    if file.too_large:
        raise call.error(2)
    found = await asyncio.to_thread(probe, file.path, file.filename)
    if not call.sandbox.has_volume_for(file.bytes):
        raise call.error(quota_code)
    return file, found


async def _answer(call: AuthorizedCall, upload: AcceptedUpload) -> Payload:
    """Return the ticket; with ``async=0``, the outcome of the upload (see ``sync_reply``)."""
    ticket, sync_reply = upload.ticket, call.sandbox.settings.sync_reply
    if call.request.params.get("async", "1") != "0":
        return {"ticket": ticket.ticket}
    await asyncio.wait([upload.work])
    if ticket.state == "pending":  # a reset cancelled the work
        raise call.error(500)
    if ticket.state == "invalid" or sync_reply == "ticket":
        return {"ticket": ticket.ticket}
    doc_id = ticket.doc_id or ""
    if sync_reply == "doc_id":
        return {"doc_id": doc_id}
    return {"ticket": ticket.ticket, "doc_id": doc_id}


async def check_tickets(call: AuthorizedCall) -> Payload:
    """Answer with the state of up to 50 tickets.

    One unknown ticket makes the whole call fail. More than 50 are error 2 (the service's own
    answer is not known).
    """
    ids = call.request.listed("tickets")
    if len(ids) > MAX_TICKETS:
        raise call.error(2)
    settings, now = call.sandbox.settings, call.sandbox.clock()
    tickets = call.sandbox.tickets.find(ids, now, settings.forget_tickets_after_seconds)
    if not tickets:
        raise call.error(1)
    reports = [_report(ticket, now, settings) for ticket in tickets]
    states = [ticket.state for ticket in tickets]
    for ticket in tickets:
        ticket.count_check()
    etas = [int(str(report["eta"])) for report in reports if "eta" in report]
    return {
        "tickets": {
            "done": states.count("done"),
            "invalid": states.count("invalid"),
            "left": states.count("pending"),
            **({"eta": max(etas)} if etas else {}),
            "count": len(tickets),
            "ticket": reports,
        }
    }


def _report(ticket: Ticket, now: float, settings: Settings) -> Payload:
    report: dict[str, str | int] = {
        "id": ticket.ticket,
        "done": ticket.state == "done",
        "invalid": ticket.state == "invalid",
    }
    if ticket.state == "done":
        report["doc_id"] = ticket.doc_id or ""
    fixed = settings.eta_seconds if ticket.state == "pending" else None
    if settings.show_eta:
        report["eta"] = ticket.eta(now) if fixed is None else fixed
    return report
