"""Every decision about one replacement: pure functions over records.

They have no clock and do no I/O.

The drivers (:mod:`replace`, :mod:`upload`, ``bulk``) ask here, do what is decided, and write the
record.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from ipernity_provider.api.models import Document, Ticket
from ipernity_provider.files.checksums import SourceFile
from ipernity_provider.replacement.memory import Remembered
from ipernity_provider.replacement.record import DocumentSnapshot, UploadRecord
from ipernity_provider.replacement.request import (
    Intent,
    Proof,
    ProofLevel,
    ReplaceOptions,
    ReplaceRequest,
)

#: A sender that gave no sign of life for so long is dead, or frozen: six missed heartbeats.
SENDER_TIMEOUT = 60.0


# -- what an earlier try left behind ---------------------------------------------------------------


class Resume(StrEnum):
    """What to do about what is remembered, before anything is sent."""

    START = "start"
    """Nothing is under way: send."""
    RETURN = "return"
    """This very intent was fulfilled: return what was proven."""
    CONTINUE = "continue"
    """The file was sent: wait for its ticket, and prove."""
    RECONCILE = "reconcile"
    """The file may have arrived: ask the service, and wait for it to show up."""
    ASSUME = "assume"
    """No record says so, but the file may have been sent: ask the service as for a lost answer."""
    LOOK = "look"
    """The same, but nothing suggests that it is still being processed: ask once."""
    WAIT_FOR_SENDER = "wait for sender"
    """Another process may still be sending it."""
    WAIT_FOR_OTHER = "wait for other"
    """Another file was sent to the document and is not settled: its bytes could come last."""


def decide_resume(
    record: UploadRecord | None,
    request: ReplaceRequest,
    file: SourceFile,
    intent: Intent,
    options: ReplaceOptions,
    now: float,
) -> Resume:
    """Decide what the record of an earlier try means for this request.

    =====================================================  ========================================
    the record is                                          then
    =====================================================  ========================================
    missing                                                start
    - and so is the journal, and it is not the first try   assume
    - and the run of a mapped task was cleared             look: another task may have sent it
    of another document (a mapped task changed its order)  assume: another task may have sent it
    - proven or cut off, and the present document has      as if it were missing
      taken its place
    of this document and file, its transfer not finished   continue
    - proven, same intent                                  return it; continue if more is demanded
    - proven, another intent (the task was cleared)        start: equal bytes cost one question
    - with a ticket or a resulting document                continue
    - not complete, its sender may be alive                wait for the sender
    - not complete                                         start: it cannot have arrived
    - complete, without an answer                          reconcile
    of this document, another file, settled or incomplete  start
    - not settled                                          wait for the other
    =====================================================  ========================================
    """
    doc_id = request.target
    cut_off = record and _was_cut_off(record, options, now)
    if record and record.doc_id != doc_id and _is_asked_for(record, request):
        record = None if record.proven or cut_off else record
    if record is None:
        if intent.without_journal:
            return Resume.ASSUME
        return Resume.LOOK if intent.others_cleared else Resume.START
    if record.doc_id != doc_id:
        return Resume.ASSUME
    same_file = is_same_file(record, file)
    if record.proven:
        if same_file and _is_unfinished(record, options):
            return Resume.CONTINUE
        if not (same_file and record.intent == intent.id):
            return Resume.START
        done = record.result_id == doc_id or options.on_new_document != "fail"
        return Resume.RETURN if done and meets(record.proof, options.proof) else Resume.CONTINUE
    if not record.answered and not record.complete:
        return Resume.START if cut_off else Resume.WAIT_FOR_SENDER
    if not same_file:
        return Resume.START if record.result_id else Resume.WAIT_FOR_OTHER
    return Resume.CONTINUE if record.answered else Resume.RECONCILE


def is_to_continue(
    record: UploadRecord,
    request: ReplaceRequest,
    file: SourceFile,
    intent: Intent,
    options: ReplaceOptions,
    now: float,
) -> bool:
    """Return whether the upload to a document goes on, whatever has taken its place since.

    It does if it may have arrived. Once it is proven, it does for the same file, until its transfer
    is finished; after that its own intent only reports it again.
    """
    if not _is_asked_for(record, request):
        return False
    if record.proven:
        wanted = record.intent == intent.id or _is_unfinished(record, options)
        return wanted and is_same_file(record, file)
    return not _was_cut_off(record, options, now)


def _is_unfinished(record: UploadRecord, options: ReplaceOptions) -> bool:
    """Return whether a proven upload has led to a new document that lacks something of the old."""
    if not options.transfers or record.result_id in {None, record.doc_id}:
        return False
    return record.transfer is None or not record.transfer.finished


def _is_asked_for(record: UploadRecord, request: ReplaceRequest) -> bool:
    return bool(request.doc_id == (record.asked_for or record.doc_id))


def _was_cut_off(record: UploadRecord, options: ReplaceOptions, now: float) -> bool:
    """Return whether it ended before its last block, so that it cannot have arrived."""
    alive = now - record.heartbeat_at < min(SENDER_TIMEOUT, options.resend_grace)
    return not (record.answered or record.complete or alive)


def is_same_file(record: UploadRecord, file: SourceFile) -> bool:
    """Return whether the record is of this file.

    Checksums are compared where both are known, else size and change marker.
    """
    if record.md5 and file.md5:
        return record.md5 == file.md5
    if record.md5 and file.reported_md5 == record.md5 and file.size == record.bytes:
        return True
    return bool(file.marker) and (record.marker, record.bytes) == (file.marker, file.size)


def decide_unchanged(
    file: SourceFile,
    shown: DocumentSnapshot,
    options: ReplaceOptions,
    remembered: Remembered | None = None,
) -> bool:
    """Whether the document carries the file already, so that nothing has to be sent.

    The one place where a checksum that a storage reports is believed: at worst the file is sent
    another time.

    :param remembered: what the document showed after the last upload, for a service that rewrites
        files: it counts for those who accept rewriting.
    """
    if options.if_unchanged == "replace":
        return False
    md5 = file.md5 or file.reported_md5
    if shown.carries(md5):
        return True
    accepts_rewriting = options.proof == "changed"
    return bool(accepts_rewriting and remembered and remembered.says_carried(md5, shown))


# -- what became of an upload ----------------------------------------------------------------------


class Arrival(StrEnum):
    """What the service shows of an upload whose answer is not known."""

    ARRIVED = "arrived"
    """The document carries the file."""
    NEW_DOCUMENT = "new document"
    """A document with these bytes was created since; nothing proves that this upload created it."""
    ABSENT = "absent"
    """The document is as it was, as it also is while the service is processing the upload."""
    UNCLEAR = "unclear"
    """Something changed that may or may not be this upload."""


def decide_arrival(
    record: UploadRecord, shown: DocumentSnapshot, candidates: Sequence[Document]
) -> Arrival:
    """Compare what the service shows with what was to be sent.

    :param candidates: the owner's other documents that may stem from this upload, see
        :func:`is_candidate`.
    """
    before = record.before
    moved = shown.replaced_at > before.replaced_at
    if shown.carries(record.md5) and (moved or not before.carries(record.md5)):
        return Arrival.ARRIVED
    hidden = shown.md5 is None and shown.listed is None
    if hidden and moved and shown.bytes == record.bytes != before.bytes:
        return (
            Arrival.ARRIVED
        )  # without an answer an equal size tells only where it was another one before
    if candidates:
        return Arrival.NEW_DOCUMENT
    if moved or shown.md5 != before.md5 or shown.bytes != before.bytes:
        return Arrival.UNCLEAR
    telling = shown.md5 is not None or shown.listed is not None or shown.bytes is not None
    # Times are whole seconds: a replacement in the second of the last one does not show.
    blurred = before.observed_at is not None and before.replaced_at >= before.observed_at
    return Arrival.ABSENT if telling and not blurred else Arrival.UNCLEAR


def is_candidate(record: UploadRecord, document: Document) -> bool:
    """Return whether a document may have been created by this upload.

    It may if it is another document of the owner, posted since. Times are whole seconds: one that
    was posted just before, in the same second, counts too; to miss one would mean a second upload.
    """
    since = record.before.observed_at
    ours = bool(record.owner_id) and document.owner_id == record.owner_id
    return (
        ours
        and document.doc_id != record.doc_id
        and since is not None
        and document.posted_at >= since
    )


class TicketMeaning(StrEnum):
    """What a ticket's state means for the upload that it belongs to."""

    PENDING = "pending"
    IN_PLACE = "in place"
    """The document was replaced, or the service does not say which one resulted: look at it."""
    NEW_DOCUMENT = "new document"
    INVALID = "invalid"
    """The service could not use the file. Whatever the document shows is not this upload."""
    FORGOTTEN = "forgotten"
    """The service does not know the ticket (any more): only the document can tell."""


def interpret_ticket(doc_id: str | None, ticket: Ticket) -> TicketMeaning:
    """Decide what a ticket says about the upload to a document (None: not known)."""
    if ticket.state == "done":
        elsewhere = doc_id is not None and ticket.doc_id not in {None, doc_id}
        return TicketMeaning.NEW_DOCUMENT if elsewhere else TicketMeaning.IN_PLACE
    meanings = {"invalid": TicketMeaning.INVALID, "unknown": TicketMeaning.FORGOTTEN}
    return meanings.get(ticket.state, TicketMeaning.PENDING)


# -- proof -----------------------------------------------------------------------------------------


def proof_reached(
    record: UploadRecord, shown: DocumentSnapshot, demand: Proof
) -> ProofLevel | None:
    """Return the level of proof that a document gives; None if it is below the demanded one.

    A stronger level outweighs a weaker one. ``best`` takes the strongest level that the service
    shows and nothing that contradicts it: other bytes were either rewritten by the service or sent
    by somebody else, and nothing tells which.
    """
    before = record.before
    changed = shown.replaced_at > before.replaced_at
    level: ProofLevel | None = "changed" if changed else None
    contradicted = False
    if shown.md5 is not None or shown.listed is not None:
        contradicted = not shown.carries(record.md5)
        if not contradicted:
            level = "md5"
        elif changed and shown.bytes == record.bytes:
            level = "bytes"
    elif shown.bytes is not None:
        contradicted = shown.bytes != record.bytes
        # An equal size proves nothing where it was equal before, unless the document was replaced
        # since.
        if not contradicted and (changed or before.bytes != record.bytes):
            level = "bytes"
    if demand == "best":
        return None if contradicted else level
    return level if meets(level, demand) else None


_STRENGTH: dict[str | None, int] = {
    "md5": 3,
    "bytes": 2,
    "changed": 1,
    "best": 1,
    "none": 0,
    None: 0,
}


def meets(level: ProofLevel | None, demand: Proof) -> bool:
    """Whether a level that was reached is at least what is demanded."""
    return _STRENGTH[level] >= _STRENGTH[demand]
