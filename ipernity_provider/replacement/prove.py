"""Prove what an upload has led to: whether the document carries these bytes now."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import IpernityError
from ipernity_provider.api.models import Document, Ticket
from ipernity_provider.replacement.clock import Clock, SystemClock
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
from ipernity_provider.replacement.observe import locate, observe
from ipernity_provider.replacement.record import DocumentSnapshot, Journal, UploadRecord
from ipernity_provider.replacement.request import ProofLevel, ReplaceOptions, Result
from ipernity_provider.text import lines_of, printable

log = logging.getLogger(__name__)

_PAUSES = (0.5, 1.0, 2.0, 3.0)


Describe = Callable[[UploadRecord, Result], Sequence[str]]


@dataclass
class Prover:
    """Judges finished uploads, and remembers the verdict.

    :param describe: makes the lines of the log for a proven replacement.
    """

    client: IpernityClient
    options: ReplaceOptions
    journal: Journal
    clock: Clock = field(default_factory=SystemClock)
    describe: Describe = field(default_factory=lambda: result_lines)

    def finish(
        self, record: UploadRecord, ticket: Ticket | None, *, patient: bool = True
    ) -> Result:
        """Prove what an upload has led to, and remember it.

        :param ticket: no longer pending; None where the resulting document is known without one.
        :param patient: whether to wait for the proof to appear.
        :raises TicketInvalid: the service could not use the file.
        :raises NewDocument: another document resulted, and ``on_new_document`` is ``fail``.
        :raises NotVerified: the document does not show the proof that is demanded.
        """
        meaning = interpret_ticket(record.doc_id, ticket) if ticket else TicketMeaning.IN_PLACE
        if meaning is TicketMeaning.INVALID:
            self.journal.delete()
            raise TicketInvalid(
                f"Ticket {record.ticket} is invalid: the service accepted"
                f" {printable(record.filename)} for document {record.doc_id} but could not use it;"
                " it gives no reason. Check that the file opens and is of the document's kind."
            )
        if meaning is TicketMeaning.FORGOTTEN:
            self._require_unclaimed(record)
        elif ticket and ticket.doc_id:
            record = replace(record, result_id=ticket.doc_id)
        if record.result_id not in {None, record.doc_id}:
            return self._finish_elsewhere(record, str(record.result_id))
        if self.options.proof == "none":
            return self._finish_unproven(record, meaning)
        document, shown, proof = self._poll_for_proof(record, patient=patient)
        if proof is None:
            raise self._reject(record, document, shown)
        if shown.md5 not in {None, record.md5}:
            log.warning(
                "The service stores other bytes than were sent (md5 %s); it may have rewritten"
                " them.",
                shown.md5,
            )
        return self._prove(record, record.doc_id, shown, proof)

    def _poll_for_proof(
        self, record: UploadRecord, *, patient: bool
    ) -> tuple[Document, DocumentSnapshot, ProofLevel | None]:
        """Look at the document until it shows what is demanded: it may lag behind its ticket."""
        end = self.clock.monotonic() + (self.options.proof_seconds if patient else 0.0)
        pauses = iter(_PAUSES)
        while True:
            document, shown = observe(self.client, record.doc_id, record.md5)
            proof = proof_reached(record, shown, self.options.proof)
            if proof or self.clock.monotonic() >= end:
                return document, shown, proof
            self.clock.sleep(next(pauses, _PAUSES[-1]))

    def _require_unclaimed(self, record: UploadRecord) -> None:
        """Require that no other document may have resulted; the ticket does not say any more.

        :raises NewDocument: or :raises Uncertain: one may have.
        """
        arrival, resulting = locate(self.client, record)
        if arrival is Arrival.NEW_DOCUMENT:
            # Which upload created it, nothing says any more: with on_new_document="keep" it could
            # be another one's.
            raise unclaimed_document(record, resulting, self.options)

    def report_new_document(self, record: UploadRecord, ticket: Ticket) -> None:
        """Say that an upload led to another document, where that is not wanted.

        :raises NewDocument: it did, and ``on_new_document`` is ``fail``.
        """
        new_id = str(ticket.doc_id)
        elsewhere = interpret_ticket(record.doc_id, ticket) is TicketMeaning.NEW_DOCUMENT
        if elsewhere and self.options.on_new_document == "fail":
            raise NewDocument(
                # Airflow's log view takes an address for a link up to the next space.
                f"The service created document {new_id} instead of replacing the file of document"
                f" {record.doc_id}. Nothing was deleted. Compare {record.url} (old) with"
                f" {self._page_of(new_id)} (new), and decide which of the two to keep;"
                " on_new_document='keep' accepts new documents.",
                new_doc_id=new_id,
                url=record.url,
            )

    def _finish_elsewhere(self, record: UploadRecord, new_id: str) -> Result:
        """Judge an upload that led to another document than the requested one."""
        self.journal.write(record)
        self.report_new_document(record, Ticket(record.ticket or "", "done", doc_id=new_id))
        document, shown = observe(self.client, new_id, record.md5)
        # It was not there before: whatever it shows is new.
        blank = replace(record, before=DocumentSnapshot(None, None, -1))
        proof = proof_reached(blank, shown, self.options.proof)
        if proof is None and self.options.proof != "none":
            raise self._reject(record, document, shown)
        return self._prove(record, new_id, shown, proof)

    def _finish_unproven(self, record: UploadRecord, meaning: TicketMeaning) -> Result:
        if meaning is TicketMeaning.FORGOTTEN:
            raise NotVerified(
                f"The service does not know the ticket {record.ticket} any more, so it does not say"
                f" what the upload to document {record.doc_id} has led to. Look at {record.url}"
                " yourself; any proof but none looks by itself."
            )
        return self._prove(record, record.doc_id, record.before, None)

    def _prove(
        self,
        record: UploadRecord,
        result_id: str,
        shown: DocumentSnapshot,
        proof: ProofLevel | None,
    ) -> Result:
        record = record.with_proof(result_id, shown, proof)
        self.journal.write(record)
        return self.result(record)

    def result(self, record: UploadRecord) -> Result:
        """Return, and log, what a proven record says."""
        result = result_of(record)
        for line in self.describe(record, result):
            log.info("%s", line)
        return result

    def _reject(
        self, record: UploadRecord, document: Document, shown: DocumentSnapshot
    ) -> NotVerified:
        """Remember that the proof is missing, and say what the document shows instead."""
        self.journal.write(replace(record, rejected=True))
        size = "an unknown number of" if shown.bytes is None else shown.bytes
        md5 = shown.md5 or ("another one" if shown.listed is False else "unknown")
        return NotVerified(
            f"Document {document.doc_id} does not show {printable(record.filename)}: sent were"
            f" {record.bytes} bytes with md5 {record.md5}, it shows {size} bytes with md5 {md5}"
            f" (demanded proof: {self.options.proof}). Either the service rewrote the file, or"
            f" somebody else replaced it since. Look at {document.link} first: if it is right,"
            " proof='changed' accepts rewritten files; clearing the task sends again."
        )

    def _page_of(self, doc_id: str) -> str:
        """Return the page of a document, for a sentence; its id if it cannot be seen.

        That a document was created is worth reporting even then.
        """
        try:
            return self.client.get_document(doc_id).link or doc_id
        except IpernityError:
            return doc_id


def result_of(record: UploadRecord) -> Result:
    """Return what a proven record says."""
    new_doc_id = None if record.result_id == record.doc_id else record.result_id
    shows = f"proof: {record.proof}" if record.proof else "not verified"
    reason = f"Document {record.doc_id} carries {printable(record.filename)} ({shows})."
    if new_doc_id:
        reason = (
            f"The service created document {new_doc_id} instead of replacing the file of"
            f" {record.doc_id} ({shows})."
        )
    return Result(
        outcome="new_document" if new_doc_id else "replaced",
        doc_id=record.doc_id,
        ticket=record.ticket,
        new_doc_id=new_doc_id,
        filename=record.filename,
        bytes=record.bytes,
        md5=record.md5,
        proof=record.proof,
        url=record.url,
        backup=record.backup,
        reason=reason,
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
    if result.new_doc_id:
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
    return lines_of("\n".join([ending, *facts]))
