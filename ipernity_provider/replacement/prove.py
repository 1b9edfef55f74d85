"""Prove what an upload has led to: whether the document carries these bytes now."""

from __future__ import annotations

import logging
from dataclasses import replace

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import IpernityError
from ipernity_provider.api.models import Ticket
from ipernity_provider.replacement.decisions import (
    Arrival,
    TicketMeaning,
    interpret_ticket,
    proof_reached,
)
from ipernity_provider.replacement.errors import (
    NewDocument,
    NotVerified,
    TicketInvalid,
    unclaimed_document,
)
from ipernity_provider.replacement.preflight import locate, observe
from ipernity_provider.replacement.record import DocumentSnapshot, Journal, UploadRecord
from ipernity_provider.replacement.request import ProofLevel, ReplaceOptions, Result
from ipernity_provider.replacement.schedule import Clock
from ipernity_provider.replacement.transfer import IMPOSSIBLE, transfer_lines
from ipernity_provider.text import lines_of, printable

log = logging.getLogger(__name__)

_PAUSES = (0.5, 1.0, 2.0, 3.0)


def prove(
    client: IpernityClient,
    options: ReplaceOptions,
    journal: Journal,
    clock: Clock,
    record: UploadRecord,
    ticket: Ticket | None,
    intent: str,
) -> UploadRecord:
    """Judge a finished upload, and remember the verdict.

    :param ticket: no longer pending; None where the resulting document is known without one.
    :param intent: on whose behalf it is judged. For the one that has sent the file, the proof has
        ``proof_seconds`` to appear: a document may lag behind its ticket.
    :return: the record with the proof that was reached, which is of this intent now.
    :raises TicketInvalid: the service could not use the file.
    :raises NewDocument: another document resulted, and ``on_new_document`` is ``fail``.
    :raises NotVerified: the document does not show the proof that is demanded.
    """
    meaning = interpret_ticket(record.doc_id, ticket) if ticket else TicketMeaning.IN_PLACE
    if meaning is TicketMeaning.INVALID:
        journal.delete()
        raise TicketInvalid(
            f"Ticket {record.ticket} is invalid: the service accepted"
            f" {printable(record.filename)} for document {record.doc_id} but could not use it; it"
            " gives no reason. Check that the file opens and is of the document's kind."
        )
    if meaning is TicketMeaning.FORGOTTEN:
        arrival, resulting = locate(client, record)
        if arrival is Arrival.NEW_DOCUMENT:
            # Which upload created it, nothing says any more: with on_new_document="keep" it could
            # be another one's.
            raise unclaimed_document(record, resulting, options)
    elif ticket and ticket.doc_id:
        record = replace(record, result_id=ticket.doc_id)
    result_id = record.result_id or record.doc_id
    if result_id != record.doc_id:
        journal.write(record)
        require_wanted(client, options, record, result_id)
    elif options.proof == "none" and meaning is TicketMeaning.FORGOTTEN:
        raise NotVerified(
            f"The service does not know the ticket {record.ticket} any more, so it does not say"
            f" what the upload to document {record.doc_id} has led to. Look at {record.url}"
            " yourself; any proof but none looks by itself."
        )
    if options.proof == "none" and result_id == record.doc_id:
        shown, proof = record.before, None
    else:
        patience = options.proof_seconds if record.intent == intent else 0.0
        end = clock.monotonic() + patience
        shown, proof = _poll_for_proof(client, options, journal, clock, record, end)
    record = replace(record, result_id=result_id, proven=shown, proof=proof, intent=intent)
    journal.write(record)
    return record


def _poll_for_proof(
    client: IpernityClient,
    options: ReplaceOptions,
    journal: Journal,
    clock: Clock,
    record: UploadRecord,
    end: float,
) -> tuple[DocumentSnapshot, ProofLevel | None]:
    """Look at the resulting document until it shows what is demanded.

    :param end: monotonic time until when it may lag behind its ticket.
    :raises NotVerified: it does not show it.
    """
    result_id = record.result_id or record.doc_id
    compared = record
    if result_id != record.doc_id:  # it was not there before: whatever it shows is new
        compared, end = replace(record, before=DocumentSnapshot(None, None, -1)), 0.0
    pauses = iter(_PAUSES)
    while True:
        document, shown = observe(client, result_id, record.md5)
        proof = proof_reached(compared, shown, options.proof)
        if proof or clock.monotonic() >= end:
            break
        clock.sleep(next(pauses, _PAUSES[-1]))
    if proof is None and options.proof != "none":
        journal.write(replace(record, rejected=True))
        size = "an unknown number of" if shown.bytes is None else shown.bytes
        md5 = shown.md5 or ("another one" if shown.listed is False else "unknown")
        raise NotVerified(
            f"Document {result_id} does not show {printable(record.filename)}: sent were"
            f" {record.bytes} bytes with md5 {record.md5}, it shows {size} bytes with md5 {md5}"
            f" (demanded proof: {options.proof}). Either the service rewrote the file, or"
            f" somebody else replaced it since. Look at {document.link} first: if it is right,"
            " proof='changed' accepts rewritten files."
        )
    if shown.md5 not in {None, record.md5}:
        log.warning(
            "The service stores other bytes than were sent (md5 %s); it may have rewritten them.",
            shown.md5,
        )
    return shown, proof


def require_wanted(
    client: IpernityClient, options: ReplaceOptions, record: UploadRecord, new_id: str
) -> None:
    """Require that a new document may result from an upload.

    :raises NewDocument: ``on_new_document`` is ``fail``.
    """
    if options.on_new_document != "fail":
        return
    try:
        page = client.get_document(new_id).link or new_id
    except IpernityError:  # that a document was created is worth reporting even then
        page = new_id
    raise NewDocument(
        # Airflow's log view takes an address for a link up to the next space.
        f"The service created document {new_id} instead of replacing the file of document"
        f" {record.doc_id}. Nothing was deleted. Compare {record.url} (old) with {page} (new), and"
        " decide which of the two to keep; on_new_document='keep' accepts new documents.",
        new_doc_id=new_id,
        url=record.url,
    )


def result_of(record: UploadRecord) -> Result:
    """Return what a proven record says."""
    asked_for = record.asked_for or record.doc_id
    created = record.result_id != record.doc_id
    transfer = record.transfer if created else None
    shows = f"proof: {record.proof}" if record.proof else "not verified"
    reason = f"Document {record.doc_id} carries {printable(record.filename)} ({shows})."
    if created:
        reason = (
            f"The service created document {record.result_id} instead of replacing the file of"
            f" {record.doc_id} ({shows})."
        )
    if transfer:
        reason += f" It has taken the place of {record.doc_id}, which was not deleted."
    elif record.asked_for:
        reason += f" It has taken the place of document {asked_for}."
    return Result(
        outcome=("transferred" if transfer else "new_document") if created else "replaced",
        doc_id=asked_for,
        ticket=record.ticket,
        new_doc_id=None if record.result_id == asked_for else record.result_id,
        filename=record.filename,
        bytes=record.bytes,
        md5=record.md5,
        proof=record.proof,
        url=record.url,
        backup=record.backup,
        reason=reason,
        new_url=transfer.new_url if transfer else None,
        transferred=transfer.done if transfer else (),
        not_transferred={**transfer.refused, **IMPOSSIBLE} if transfer else {},
    )


def result_lines(record: UploadRecord, result: Result) -> list[str]:
    """Return what a log says of a proven replacement.

    That is the document, the old and the new file, the proof, and the page.
    """
    before = record.before
    title = f' "{printable(record.title)}"' if record.title else ""
    old = (
        printable(record.old_filename),
        "size unknown" if before.bytes is None else f"{before.bytes:,} bytes",
        f"md5 {before.md5 or 'unknown'}",
    )
    if result.outcome in {"new_document", "transferred"}:
        ending = (
            f"Document {record.doc_id}{title} has its old file; the new document is"
            f" {result.new_doc_id}."
        )
    elif result.proof:
        ending = f"Document {record.doc_id}{title} carries the new file."
    else:
        ending = f"Document {record.doc_id}{title} was replaced, as the service says."
    facts = (
        f"Old file: {', '.join(filter(None, old))}",
        f"New file: {printable(record.filename)}, {record.bytes:,} bytes, md5 {record.md5}",
        f"Proof: {result.proof or 'none'}",
        f"Page: {result.url or 'unknown'}",
    )
    # Each is a line of its own, whatever a title or a file name looks like.
    lines = lines_of("\n".join([ending, *facts]))
    if record.transfer and record.result_id:
        lines += transfer_lines(record.doc_id, record.result_id, record.transfer)
    return lines
