"""What an earlier try left behind: found in the journal, and settled before anything is sent."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

from ipernity_provider.files.checksums import SourceFile, with_checksum
from ipernity_provider.files.errors import FileError
from ipernity_provider.replacement.decisions import (
    SENDER_TIMEOUT,
    Arrival,
    Resume,
    TicketMeaning,
    decide_resume,
    interpret_ticket,
    is_to_continue,
)
from ipernity_provider.replacement.errors import (
    Cancelled,
    OtherUploadPending,
    about,
    unclaimed_document,
)
from ipernity_provider.replacement.preflight import locate, observe, source_error
from ipernity_provider.replacement.prove import require_wanted
from ipernity_provider.replacement.record import UploadRecord

if TYPE_CHECKING:
    from ipernity_provider.replacement.replace import Replacement
    from ipernity_provider.replacement.request import Result

log = logging.getLogger(__name__)

_SENDER_POLL_SECONDS = 2.0


def find_earlier(
    replacement: Replacement, file: SourceFile, *, changes: bool
) -> tuple[UploadRecord | None, Resume]:
    """Find the record of an earlier try, and decide what it means for this one.

    Where documents are transferred, this also finds the one that has taken the place of the
    requested one. For an upload that goes on, it stays the document to which it was sent.

    :param changes: whether transfers that an earlier run left unfinished are finished first.
    """
    intent, options = replacement.intent, replacement.options
    record = replacement.known = replacement.journal.read()
    now = replacement.clock.time()
    if options.transfers:
        goes_on = record and is_to_continue(record, replacement.request, file, intent, options, now)
        _find_target(replacement, record.doc_id if record and goes_on else None, changes=changes)
    return record, decide_resume(record, replacement.request, file, intent, options, now)


def _find_target(replacement: Replacement, until: str | None = None, *, changes: bool) -> None:
    doc_id, known = replacement.request.doc_id, replacement.known
    succession = replacement.succession(known.attempt if known else uuid4().hex)
    target = succession.find_target(doc_id, until, changes=changes)
    successor = None if target == doc_id else target
    replacement.request = replace(replacement.request, successor=successor)


def resume(replacement: Replacement, file: SourceFile) -> Result | UploadRecord | None:
    """Settle what an earlier try of this task left behind.

    :return: as for :meth:`.Replacement.start`; None if the file is to be sent.
    """
    resumed: Result | UploadRecord | None = None
    while True:
        record, step = find_earlier(replacement, file, changes=True)
        with about(record.url if record else None):
            if step in {Resume.ASSUME, Resume.LOOK}:
                patient = step is Resume.ASSUME
                resumed = _reconcile_unrecorded(replacement, file, patient=patient)
            elif record is None or step is Resume.START:
                pass
            elif step is Resume.RETURN:
                resumed = replacement.report(record)
            elif step is Resume.CONTINUE:
                resumed = _continue(replacement, record)
            elif step is Resume.RECONCILE:
                log.info("An earlier try sent this file; asking the service whether it arrived.")
                resumed = replacement.uploader().reconcile(record)
            elif step is Resume.WAIT_FOR_SENDER:
                _wait_for_sender(replacement, record)
                continue
            elif _settle_other(replacement, record):
                continue
        break
    if resumed is None and replacement.options.transfers:  # no upload goes on any more
        _find_target(replacement, changes=True)
    return resumed


def _reconcile_unrecorded(
    replacement: Replacement, file: SourceFile, *, patient: bool
) -> UploadRecord | None:
    """Ask for an upload that no record tells of: the document as it was before it is not known.

    :param patient: whether it has ``resend_grace`` to show up.
    """
    try:
        file = with_checksum(file)
    except FileError as error:
        raise source_error(error) from None
    document, shown = observe(replacement.client, replacement.request.target, file.md5)
    if shown.carries(file.md5) and replacement.options.if_unchanged != "replace":
        return None  # the preflight says so
    now = replacement.clock.time()
    since = int(replacement.intent.since or now)
    log.info(
        "The file may have been sent by an earlier try; asking the service whether it arrived."
    )
    # A replacement since then shows as a change; the rest of the document is taken for what it was.
    before = replace(shown, replaced_at=min(shown.replaced_at, since - 1), observed_at=since)
    if document.posted_at >= since and shown.md5 is None and shown.listed is None:
        before = replace(before, replaced_at=-1)  # of what it was made, nothing shows
    assumed = replace(replacement.new_record(file, document, before), complete=True)
    until = now + (replacement.options.resend_grace if patient else 0.0)
    with about(document.link):
        return replacement.uploader().reconcile(assumed, until=until)


def _continue(replacement: Replacement, record: UploadRecord) -> Result | UploadRecord | None:
    """Go on with an upload that has an answer; one of an earlier intent is judged at once.

    :return: its record, if it is to be waited for; its result; None if the file is to be sent.
    """
    log.info("Continuing with the upload of an earlier try, ticket %s.", record.ticket or "unknown")
    if record.intent == replacement.intent.id:
        return record
    ticket = replacement.check_ticket(record.ticket) if record.ticket else None
    if ticket and ticket.pending:
        return record
    if result := replacement.finish(record, ticket):
        return result
    known = replacement.known = replacement.journal.read()  # the verdict was written there
    if known and known.attempt != record.attempt:
        raise Cancelled("Another process has taken over; this one sends nothing more.")
    return None


def _wait_for_sender(replacement: Replacement, record: UploadRecord) -> None:
    log.info("Another process may still be sending; waiting for it.")
    timeout = min(SENDER_TIMEOUT, replacement.options.resend_grace)
    left = max(0.1, record.heartbeat_at + timeout - replacement.clock.time())
    replacement.clock.sleep(min(_SENDER_POLL_SECONDS, left))


def _settle_other(replacement: Replacement, record: UploadRecord) -> bool:
    """Require that an upload of other bytes to this document is settled.

    Otherwise they could come last.

    :return: whether it was judged, so that the journal says more of it than before.
    :raises OtherUploadPending: it is not. It is given ``resend_grace``; what takes longer may
        never end.
    :raises NewDocument: it has led to one, and another would follow.
    """
    client, options = replacement.client, replacement.options
    if record.ticket:
        ticket = replacement.check_ticket(record.ticket)
        settled = not ticket.pending
        if interpret_ticket(record.doc_id, ticket) is TicketMeaning.NEW_DOCUMENT:
            require_wanted(client, options, record, str(ticket.doc_id))
            if options.transfers:  # its document gets what this file would miss
                replacement.finish(record, ticket)
                return True
    else:
        arrival, resulting = locate(client, record)
        settled = arrival is Arrival.ARRIVED
        if arrival is Arrival.NEW_DOCUMENT:
            raise unclaimed_document(record, resulting, options)
    if settled:
        return False
    name = record.ticket or "unknown"
    if replacement.clock.time() < record.heartbeat_at + options.resend_grace:
        raise OtherUploadPending(
            f"An earlier upload of other bytes to document {record.doc_id} (ticket {name}) is not"
            " settled yet; sent now, this file could be overwritten by it. Nothing was sent. A"
            " retry checks again."
        )
    log.warning("Gave up waiting for the earlier upload, ticket %s.", name)
    return False
