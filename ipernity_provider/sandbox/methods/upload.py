"""``upload.*``"""

from __future__ import annotations

import asyncio

from ipernity_provider.sandbox.errors import QUOTA_OF_UPLOAD_FILE
from ipernity_provider.sandbox.gate import Admitted
from ipernity_provider.sandbox.media import probe
from ipernity_provider.sandbox.receive import ReceivedFile
from ipernity_provider.sandbox.reply import Payload
from ipernity_provider.sandbox.tickets import Ticket
from ipernity_provider.sandbox.uploads import Accepted, accept_new_document, accept_replacement

MOST_TICKETS = 50


async def replace(asked: Admitted) -> Payload:
    """Checks in the order of the documented error numbers."""
    file = _usable_file(asked, quota_code=3)
    document = asked.own_document(4)
    found = await asyncio.to_thread(probe, file.path, file.filename)
    if found.media != document.file.media:
        raise asked.error(5)
    if not asked.sandbox.settings.is_pro:
        raise asked.error(6)
    return await _answer(asked, accept_replacement(asked.sandbox, file, found, document))


async def upload_file(asked: Admitted) -> Payload:
    file = _usable_file(asked, QUOTA_OF_UPLOAD_FILE)
    found = await asyncio.to_thread(probe, file.path, file.filename)
    return await _answer(asked, accept_new_document(asked.sandbox, file, found, asked.call))


def _usable_file(asked: Admitted, quota_code: int) -> ReceivedFile:
    file = asked.call.file
    if file is None or not file.bytes:
        raise asked.error(1)
    if file.too_large:
        raise asked.error(2)
    if not asked.sandbox.has_volume_for(file.bytes):
        raise asked.error(quota_code)
    return file


async def _answer(asked: Admitted, accepted: Accepted) -> Payload:
    """A ticket at once; with ``async=0``, what came of it when it is done (see the setting ``sync_reply``)."""
    ticket, sync_reply = accepted.ticket, asked.sandbox.settings.sync_reply
    if asked.call.params.get("async", "1") != "0":
        return {"ticket": ticket.ticket}
    await asyncio.wait([accepted.work])
    if ticket.state == "pending":  # a reset came in between
        raise asked.error(500)
    if ticket.state == "invalid" or sync_reply == "ticket":
        return {"ticket": ticket.ticket}
    doc_id = ticket.doc_id or ""
    if sync_reply == "doc_id":
        return {"doc_id": doc_id}
    return {"ticket": ticket.ticket, "doc_id": doc_id}


async def check_tickets(asked: Admitted) -> Payload:
    """One unknown ticket spoils the whole batch. More than 50 are error 2 (the service's own answer is not known)."""
    ids = asked.call.listed("tickets")
    if len(ids) > MOST_TICKETS:
        raise asked.error(2)
    now = asked.sandbox.clock()
    tickets = asked.sandbox.tickets.find(ids, now, asked.sandbox.settings.forget_tickets_after_seconds)
    if not tickets:
        raise asked.error(1)
    reports = [_report(ticket, now, asked.sandbox.settings.eta_seconds) for ticket in tickets]
    states = [ticket.state for ticket in tickets]
    for ticket in tickets:
        ticket.count_question()
    return {
        "tickets": {
            "done": states.count("done"),
            "invalid": states.count("invalid"),
            "left": states.count("pending"),
            "eta": max(int(str(report["eta"])) for report in reports),
            "count": len(tickets),
            "ticket": reports,
        }
    }


def _report(ticket: Ticket, now: float, told_eta: int | None) -> Payload:
    pending = ticket.state == "pending"
    report: dict[str, str | int] = {
        "id": ticket.ticket,
        "done": ticket.state == "done",
        "invalid": ticket.state == "invalid",
    }
    if ticket.state == "done":
        report["doc_id"] = ticket.doc_id or ""
    report["eta"] = told_eta if pending and told_eta is not None else ticket.eta(now)
    return report
