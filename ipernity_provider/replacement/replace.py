"""One replacement from top to bottom: resume, check, back up, send, wait, prove."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from uuid import uuid4

from ipernity_provider import metrics
from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import AnswerLost, DocumentNotFound, TransientError
from ipernity_provider.api.models import Document, Ticket
from ipernity_provider.api.multipart import Progress
from ipernity_provider.files.checksums import SourceFile, with_checksum
from ipernity_provider.files.errors import FileError
from ipernity_provider.replacement.backup import back_up
from ipernity_provider.replacement.decisions import (
    SENDER_TIMEOUT,
    Arrival,
    Resume,
    TicketMeaning,
    decide_resume,
    interpret_ticket,
    is_same_file,
)
from ipernity_provider.replacement.errors import (
    Cancelled,
    NewDocument,
    NotFinished,
    NotVerified,
    OtherUploadPending,
    TicketInvalid,
    about,
    unclaimed_document,
)
from ipernity_provider.replacement.memory import DocumentMemory, Remembered
from ipernity_provider.replacement.preflight import (
    Account,
    Preflight,
    check_before_sending,
    inspect_source,
    locate,
    observe,
    source_error,
)
from ipernity_provider.replacement.prove import prove, require_wanted, result_lines, result_of
from ipernity_provider.replacement.record import (
    DocumentSnapshot,
    Journal,
    MemoryJournal,
    UploadRecord,
)
from ipernity_provider.replacement.request import Intent, ReplaceOptions, ReplaceRequest, Result
from ipernity_provider.replacement.schedule import Clock, next_poll_delay
from ipernity_provider.replacement.succession import Succession, require_memory
from ipernity_provider.replacement.upload import Uploader
from ipernity_provider.text import printable

log = logging.getLogger(__name__)

_SENDS_PER_TRY = 2
_SENDER_POLL_SECONDS = 2.0


def replace_file(
    client: IpernityClient,
    request: ReplaceRequest,
    options: ReplaceOptions | None = None,
    journal: Journal | None = None,
    *,
    progress: Progress | None = None,
    memory: DocumentMemory | None = None,
) -> Result:
    """Replace a document's file and prove it.

    :param journal: lets a later call continue where this one was cut off; by default there is none.
    :param progress: called after each block that is sent, with the bytes sent and the size.
    :param memory: what is known of documents; ``on_new_document="transfer"`` needs it.
    :raises IpernityError: typed by what can be done about it.
    """
    return Replacement(
        client,
        request,
        options or ReplaceOptions(),
        journal or MemoryJournal(),
        progress=progress,
        memory=memory,
    ).run()


@dataclass
class Replacement:
    """One replacement: :meth:`start`, then perhaps :meth:`wait` and :meth:`finish`.

    :param cancelled: once it is set, by a signal handler or another thread, an upload is aborted
        before its last block.
    :param account: as loaded before, for many documents.
    :param describe: makes the lines of the log for a proven replacement.
    :param memory: what is known of documents, for transfers and for services that rewrite files.
    """

    client: IpernityClient
    request: ReplaceRequest
    options: ReplaceOptions
    journal: Journal
    intent: Intent = field(default_factory=Intent)
    progress: Progress | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)
    account: Account | None = None
    clock: Clock = time
    describe: Callable[[UploadRecord, Result], Sequence[str]] = result_lines
    memory: DocumentMemory | None = None
    #: What was in the journal when it was decided to send: it must still be there when the intent
    #: is written.
    _known: UploadRecord | None = field(default=None, init=False)
    #: The upload whose replacement was proven, by this try or an earlier one.
    proven: UploadRecord | None = field(default=None, init=False)

    def run(self, file: SourceFile | None = None) -> Result:
        """Replace the file, wait for the service, and prove it.

        :param file: if it was inspected before.
        """
        while True:
            started = self.start(file)
            if isinstance(started, Result):
                return started
            if result := self.finish(started, self.wait(started)):
                return result

    # -- start -------------------------------------------------------------------------------------

    def start(self, file: SourceFile | None = None) -> Result | UploadRecord:
        """Send the file, or resume what an earlier try has sent.

        :param file: if it was inspected before.
        :return: the result; or the record of an upload that is to be waited for and proven.
        """
        file = file or inspect_source(self.request, self.options)
        self._find_target(file, changes=not self.options.dry_run)
        if not self.options.dry_run and (resumed := self.resume(file)):
            return resumed
        check = self._check(file)
        found = check.result("unchanged" if check.unchanged else "planned")
        log.info("%s", found.reason)
        if self.options.dry_run:
            found = replace(found, outcome="planned")
        if self.options.dry_run or check.unchanged:
            metrics.count(f"outcome.{found.outcome}")
            return found
        with about(found.url):
            return self._send(file, check)

    def _send(self, file: SourceFile, check: Preflight) -> UploadRecord:
        """Back the document up, and send the file; once more if it provably did not arrive."""
        backup = None
        if folder := self.options.backup_to:
            doc_id, account = self.request.target, check.account
            backup = back_up(self.client, folder, doc_id, check.document, account)
        uploader = self._uploader()
        for _ in range(_SENDS_PER_TRY):
            record = self._new_record(file, check.document, check.shown, backup)
            if sent := uploader.send(file, record):
                return sent
        uploader.forget()
        raise AnswerLost(
            f"{printable(file.name)} was sent to document {self.request.target}"
            f" {_SENDS_PER_TRY} times and did not arrive; the document is as before. A retry may"
            " succeed.",
            method="upload.replace",
        )

    def inspect(self, file: SourceFile) -> Result | UploadRecord | Preflight | None:
        """Find out what :meth:`start` will do, and send nothing.

        :return: the result, if the request was fulfilled before; the record of an upload that it
            continues; what was found before sending; None if it first asks what became of an
            earlier upload.
        :raises Refused: the replacement cannot succeed.
        """
        self._find_target(file, changes=False)
        record, step = self._decide(file)
        if record and step is Resume.RETURN:
            return result_of(record)
        if record and step is Resume.CONTINUE:
            return record
        check = self._check(file)
        return check if step is Resume.START else None

    def resume(self, file: SourceFile) -> Result | UploadRecord | None:
        """Settle what an earlier try of this task left behind.

        :return: as for :meth:`start`; None if the file is to be sent.
        """
        record, step = self._decide(file)
        with about(record.url if record else None):
            return self._resume(record, step, file)

    def _resume(
        self, record: UploadRecord | None, step: Resume, file: SourceFile
    ) -> Result | UploadRecord | None:
        if step in {Resume.ASSUME, Resume.LOOK}:
            return self._resume_unrecorded(file, patient=step is Resume.ASSUME)
        if record is None:
            return None
        ticket = record.ticket or "unknown"
        if step is Resume.RETURN:
            return self._report(record)
        if step is Resume.CONTINUE:
            log.info("Continuing with the upload of an earlier try, ticket %s.", ticket)
            return record if record.intent == self.intent.id else self._resume_earlier(record)
        if step is Resume.RECONCILE:
            log.info("An earlier try sent this file; asking the service whether it arrived.")
            return self._uploader().reconcile(record)
        if step is Resume.WAIT_FOR_SENDER:
            log.info("Another process of this task may still be sending; waiting for it.")
            timeout = min(SENDER_TIMEOUT, self.options.resend_grace)
            left = max(0.1, record.heartbeat_at + timeout - self.clock.time())
            self.clock.sleep(min(_SENDER_POLL_SECONDS, left))
            return self.resume(file)
        if step is Resume.WAIT_FOR_OTHER:
            self._require_settled(record)
            self._find_target(file, changes=True)
        return None

    def _check(self, file: SourceFile) -> Preflight:
        return check_before_sending(
            self.client, self.request, self.options, file, self.account, self.memory
        )

    def _find_target(self, file: SourceFile, *, changes: bool) -> None:
        """Replace the file of the document that has taken the place of the requested one."""
        if not self.options.transfers:
            return
        doc_id, record = self.request.doc_id, self.journal.read()
        ours = None  # an upload of which it does not count what came of it: it is continued
        if record and (self._asked_for(record), record.intent) == (doc_id, self.intent.id):
            ours = record if not record.proven or is_same_file(record, file) else None
        target = self._succession().find_target(doc_id, ours, changes=changes)
        self.request = replace(self.request, successor=None if target == doc_id else target)

    @staticmethod
    def _asked_for(record: UploadRecord) -> str:
        return record.asked_for or record.doc_id

    def _succession(self) -> Succession:
        memory = require_memory(self.memory)
        return Succession(self.client, self.options, memory, self.cancelled)

    def _decide(self, file: SourceFile) -> tuple[UploadRecord | None, Resume]:
        """Return the record of an earlier try, and what it means for this one."""
        record = self._known = self.journal.read()
        now, doc_id = self.clock.time(), self.request.target
        if (
            record
            and record.proven
            and record.doc_id != doc_id
            and self._asked_for(record) == self.request.doc_id
        ):
            record = None  # its document has been succeeded by the one that is replaced now
        return record, decide_resume(record, doc_id, file, self.intent, self.options, now)

    def _new_record(
        self,
        file: SourceFile,
        document: Document,
        shown: DocumentSnapshot,
        backup: str | None = None,
    ) -> UploadRecord:
        now = self.clock.time()
        return UploadRecord(
            doc_id=self.request.target,
            asked_for=self.request.doc_id if self.request.successor else "",
            filename=file.name,
            bytes=file.size,
            md5=file.md5,
            marker=file.marker,
            before=shown,
            owner_id=document.owner_id,
            title=document.title,
            old_filename=document.filename or "",
            url=document.link,
            intent=self.intent.id,
            attempt=uuid4().hex,
            started_at=now,
            heartbeat_at=now,
            backup=backup,
        )

    def _uploader(self) -> Uploader:
        return Uploader(
            self.client,
            self.options,
            self.journal,
            self.progress,
            self.cancelled,
            self.clock,
            self._known,
        )

    # -- what an earlier try left behind -----------------------------------------------------------

    def _resume_unrecorded(self, file: SourceFile, *, patient: bool) -> UploadRecord | None:
        """Ask for an upload that no record tells of: the document as it was before it is not known.

        :param patient: whether it has ``resend_grace`` to show up.
        """
        try:
            file = with_checksum(file)
        except FileError as error:
            raise source_error(error) from None
        document, shown = observe(self.client, self.request.target, file.md5)
        if shown.carries(file.md5) and self.options.if_unchanged != "replace":
            return None  # the preflight says so
        since = int(self.intent.since or self.clock.time())
        log.info(
            "The file may have been sent by an earlier try; asking the service whether it arrived."
        )
        # A replacement since then shows as a change; the rest of the document is taken for what it
        # was.
        before = replace(shown, replaced_at=min(shown.replaced_at, since - 1), observed_at=since)
        assumed = replace(self._new_record(file, document, before), complete=True)
        until = self.clock.time() + (self.options.resend_grace if patient else 0.0)
        return self._uploader().reconcile(assumed, until=until)

    def _resume_earlier(self, record: UploadRecord) -> Result | UploadRecord | None:
        """Go on with an upload of an earlier intent, which has an answer."""
        ticket = self.check_ticket(record.ticket) if record.ticket else None
        if ticket and ticket.pending:
            return record
        result = self.finish(record, ticket)
        self._known = self.journal.read()  # the verdict was written there
        if result is None and self._known and self._known.attempt != record.attempt:
            raise Cancelled(
                "Another process of this task has taken over; this one sends nothing more."
            )
        return result

    def _require_settled(self, record: UploadRecord) -> None:
        """Require that an upload of other bytes to this document is settled.

        Otherwise they could come last.

        :raises OtherUploadPending: it is not. It is given ``resend_grace``; what takes longer may
            never end.
        :raises NewDocument: it has led to one, and another would follow.
        """
        name = record.ticket or "unknown"
        if record.ticket:
            ticket = self.check_ticket(record.ticket)
            if interpret_ticket(record.doc_id, ticket) is TicketMeaning.NEW_DOCUMENT:
                require_wanted(self.client, self.options, record, str(ticket.doc_id))
                if self.options.transfers:  # its document gets what this file would miss
                    self.finish(record, ticket)
            settled = not ticket.pending
        else:
            arrival, resulting = locate(self.client, record)
            if arrival is Arrival.NEW_DOCUMENT:
                raise unclaimed_document(record, resulting, self.options)
            settled = arrival is Arrival.ARRIVED
        if settled:
            return
        if self.clock.time() < record.heartbeat_at + self.options.resend_grace:
            raise OtherUploadPending(
                f"An earlier upload of other bytes to document {record.doc_id} (ticket {name}) is"
                " not settled yet; sent now, this file could be overwritten by it. Nothing was"
                " sent. A retry checks again."
            )
        log.warning("Gave up waiting for the earlier upload, ticket %s.", name)

    # -- wait and finish ---------------------------------------------------------------------------

    def wait(self, record: UploadRecord) -> Ticket | None:
        """Wait, through transient errors, until the ticket of an upload is no longer pending.

        :return: None where the resulting document is known without a ticket.
        :raises NotFinished: the time limit passed.
        """
        if not (ticket := record.pending_ticket):
            return None
        end = self.clock.monotonic() + self.options.timeout
        attempts = 0
        while (state := self.check_ticket(ticket)).pending:
            left = end - self.clock.monotonic()
            if left <= 0:
                raise NotFinished.after(f"the timeout of {self.options.timeout:g} s", ticket)
            delay = min(left, next_poll_delay(attempts, state.eta, self.options.poll_interval))
            log.info("Ticket %s is being processed; next check in %.0f s.", ticket, delay)
            self.clock.sleep(delay)
            attempts += 1
        return state

    def check_ticket(self, ticket: str) -> Ticket:
        """Return the ticket as it is now; pending if the service cannot say."""
        try:
            return self.client.check_tickets([ticket])[0]
        except TransientError as error:
            log.warning("%s The upload is safe; still waiting.", error)
            return Ticket(ticket, "pending")

    def finish(self, record: UploadRecord, ticket: Ticket | None) -> Result | None:
        """Prove what was sent, see :func:`~ipernity_provider.replacement.prove.prove`.

        :return: None if it was sent for an earlier intent and ended badly: the file is to be sent
            again.
        """
        earlier = record.intent != self.intent.id
        try:
            with about(record.url):
                proven = prove(
                    self.client,
                    self.options,
                    self.journal,
                    self.clock,
                    record,
                    ticket,
                    patient=not earlier,
                )
        except (NewDocument, NotVerified, TicketInvalid) as error:
            if not earlier or (isinstance(error, NotVerified) and not record.rejected):
                raise
            if isinstance(error, NewDocument):
                with suppress(DocumentNotFound):  # if somebody has deleted it, it was not wanted
                    self.client.get_document(error.new_doc_id)
                    raise
            log.info("The task was cleared: starting again. Its earlier upload ended so: %s", error)
            return None
        if self.options.transfers and proven.result_id != proven.doc_id:
            proven = self._succession().transfer(proven, self.journal)
        if self.memory and self.options.proof == "changed":
            self._remember_bytes(self.memory, proven)
        result = self._report(proven)
        metrics.count(f"outcome.{result.outcome}")
        metrics.count(f"proof.{result.proof or 'none'}")
        return result

    @staticmethod
    def _remember_bytes(memory: DocumentMemory, proven: UploadRecord) -> None:
        """Remember what was sent, if the document shows something else."""
        doc_id = proven.result_id or proven.doc_id
        known = memory.read(doc_id) or Remembered()
        if (now_known := known.with_bytes(proven)) != known:
            memory.write(doc_id, now_known)

    def _report(self, proven: UploadRecord) -> Result:
        """Return, and log, what a proven record says."""
        self.proven = proven
        result = result_of(proven)
        for line in self.describe(proven, result):
            log.info("%s", line)
        return result
