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
from ipernity_provider.files.checksums import SourceFile
from ipernity_provider.replacement.backup import back_up
from ipernity_provider.replacement.decisions import Resume
from ipernity_provider.replacement.errors import (
    NewDocument,
    NotFinished,
    NotVerified,
    TicketInvalid,
    about,
)
from ipernity_provider.replacement.memory import DocumentMemory, remember_bytes
from ipernity_provider.replacement.preflight import (
    Account,
    Preflight,
    check_before_sending,
    inspect_source,
)
from ipernity_provider.replacement.prove import prove, result_lines, result_of
from ipernity_provider.replacement.record import (
    DocumentSnapshot,
    Journal,
    MemoryJournal,
    UploadRecord,
)
from ipernity_provider.replacement.request import Intent, ReplaceOptions, ReplaceRequest, Result
from ipernity_provider.replacement.resume import find_earlier, resume
from ipernity_provider.replacement.schedule import Clock, next_poll_delay
from ipernity_provider.replacement.succession import Succession, require_memory
from ipernity_provider.replacement.upload import Uploader
from ipernity_provider.text import printable

log = logging.getLogger(__name__)

_SENDS_PER_TRY = 2


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
    :ivar known: what was in the journal when it was decided to send: it must still be there when
        the intent is written.
    :ivar proven: the upload whose replacement was proven, by this try or an earlier one.
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
    known: UploadRecord | None = field(default=None, init=False)
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
        dry_run = self.options.dry_run
        if dry_run:
            find_earlier(self, file, changes=False)  # the document may have a successor
        elif resumed := resume(self, file):
            return resumed
        check = check_before_sending(
            self.client, self.request, self.options, file, self.account, self.memory
        )
        found = check.result("unchanged" if check.unchanged else "planned")
        log.info("%s", found.reason)
        if dry_run or check.unchanged:
            found = replace(found, outcome="planned" if dry_run else "unchanged")
            metrics.sink.incr(f"ipernity.outcome.{found.outcome}")
            return found
        with about(found.url):
            return self._send(file, check)

    def inspect(self, file: SourceFile) -> Result | UploadRecord | Preflight | None:
        """Find out what :meth:`start` will do, and send nothing.

        :return: the result, if the request was fulfilled before; the record of an upload that it
            continues; what was found before sending; None if it first asks what became of an
            earlier upload.
        :raises Refused: the replacement cannot succeed.
        """
        record, step = find_earlier(self, file, changes=False)
        if record and step is Resume.RETURN:
            return result_of(record)
        if record and step is Resume.CONTINUE:
            return record
        check = check_before_sending(
            self.client, self.request, self.options, file, self.account, self.memory
        )
        return check if step is Resume.START else None

    def _send(self, file: SourceFile, check: Preflight) -> UploadRecord:
        """Back the document up, and send the file; once more if it provably did not arrive."""
        backup, doc_id = None, self.request.target
        if folder := self.options.backup_to:
            backup = back_up(self.client, folder, doc_id, check.document, check.account)
        uploader = self.uploader()
        for _ in range(_SENDS_PER_TRY):
            record = self.new_record(file, check.document, check.shown, backup)
            if sent := uploader.send(file, record):
                return sent
        uploader.forget()
        raise AnswerLost(
            f"{printable(file.name)} was sent to document {doc_id} {_SENDS_PER_TRY} times and did"
            " not arrive; the document is as before. A retry may succeed.",
            method="upload.replace",
        )

    def new_record(
        self,
        file: SourceFile,
        document: Document,
        shown: DocumentSnapshot,
        backup: str | None = None,
    ) -> UploadRecord:
        """Return the record of an upload that begins now."""
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

    def uploader(self) -> Uploader:
        """Return what sends the file, as long as the journal says what is known of it."""
        return Uploader(
            self.client,
            self.options,
            self.journal,
            self.progress,
            self.cancelled,
            self.clock,
            self.known,
        )

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
                    self.intent.id,
                )
        except (NewDocument, NotVerified, TicketInvalid) as error:
            if not earlier or (isinstance(error, NotVerified) and not record.rejected):
                raise
            if isinstance(error, NewDocument):
                with suppress(DocumentNotFound):  # if somebody has deleted it, it was not wanted
                    self.client.get_document(error.new_doc_id)
                    raise
            log.info("Starting again; the upload of an earlier run ended so: %s", error)
            return None
        if self.options.transfers and proven.result_id != proven.doc_id:
            proven = self.succession(proven.attempt).transfer(proven, self.journal)
        if self.memory and self.options.proof == "changed":
            remember_bytes(self.memory, proven)
        result = self.report(proven)
        metrics.sink.incr(f"ipernity.outcome.{result.outcome}")
        metrics.sink.incr(f"ipernity.proof.{result.proof or 'none'}")
        return result

    def succession(self, owner: str) -> Succession:
        """Return what follows documents to their successors, and transfers for an attempt."""
        memory = require_memory(self.memory)
        return Succession(self.client, self.options, memory, self.cancelled, self.clock, owner)

    def report(self, proven: UploadRecord) -> Result:
        """Return, and log, what a proven record says."""
        self.proven = proven
        result = result_of(proven)
        for line in self.describe(proven, result):
            log.info("%s", line)
        return result
