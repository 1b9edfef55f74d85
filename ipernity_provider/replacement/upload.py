"""Send once: the intent is written before, a heartbeat while, the ticket right after.

An upload is not idempotent. Where its answer was lost, the service is asked whether the file
arrived before anything is sent again.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from dataclasses import dataclass, field, replace

from ipernity_provider import metrics
from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import (
    BrokenOff,
    IpernityError,
    RateLimited,
    ServiceDown,
    SourceChanged,
    SourceUnreadable,
    StaleSignature,
)
from ipernity_provider.api.multipart import Progress
from ipernity_provider.files.checksums import SourceFile
from ipernity_provider.replacement.decisions import SENDER_TIMEOUT, Arrival
from ipernity_provider.replacement.errors import (
    Cancelled,
    TicketNotStored,
    Uncertain,
    UploadAborted,
    unclaimed_document,
)
from ipernity_provider.replacement.preflight import locate
from ipernity_provider.replacement.record import Journal, UploadRecord
from ipernity_provider.replacement.request import ReplaceOptions
from ipernity_provider.replacement.schedule import Clock
from ipernity_provider.text import printable

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 10.0
#: How long to try to write down a ticket that is in hand, and to write anything while an upload is
#: open.
STORE_TICKET_SECONDS = 300.0
STORE_INTENT_SECONDS = 30.0
_FIRST_PAUSE = 2.0
_LONGEST_PAUSE = 10.0


@dataclass
class Uploader:
    """Sends one file to one document.

    A task that counts as dead may live on, or thaw, and send beside the try that took its place.
    That try sees the heartbeats and waits; and an upload whose record is no longer in the journal
    is aborted before its last block.

    :param progress: called after each block.
    :param cancelled: once it is set, by a signal handler or another thread, the upload is aborted
        before its last block.
    :param known: what is in the journal when it is decided to send. It must still be there when
        something is written: a process that was overtaken, or thaws, sends nothing.
    """

    client: IpernityClient
    options: ReplaceOptions
    journal: Journal
    progress: Progress | None
    cancelled: threading.Event
    clock: Clock
    known: UploadRecord | None
    _written: UploadRecord = field(init=False)
    _next_heartbeat: float = field(default=0.0, init=False)

    def send(self, file: SourceFile, intent: UploadRecord) -> UploadRecord | None:
        """Send the file; if its answer is lost, find out whether it arrived.

        :param intent: the record of this upload, not written yet.
        :return: the record with the service's answer; None if the file provably did not arrive.
        :raises Uncertain: the service does not show whether it arrived.
        :raises UploadAborted: by ``cancelled``, or because another process has taken over; nothing
            arrived.
        """
        self._write(intent)
        try:
            upload = self.client.upload_replace(
                intent.doc_id,
                file.source,
                filename=file.name,
                asynchronous=self.options.asynchronous,
                expected_md5=file.md5,
                progress=self._after_block,
                before_last_block=self._before_last_block,
            )
        except (UploadAborted, SourceChanged, SourceUnreadable):
            self.forget()
            raise
        except BrokenOff as error:
            log.warning("%s", error)
            return None
        except IpernityError as error:
            if not error.maybe_accepted:
                self.forget()
                raise
            log.warning("%s", error)
            asks_for_patience = isinstance(error, RateLimited | ServiceDown | StaleSignature)
            if asks_for_patience and locate(self.client, self._written)[0] is not Arrival.ARRIVED:
                raise  # the record stays: the next try asks again before it sends
            log.warning("Asking whether %s arrived.", printable(intent.filename))
            return self.reconcile(self._written)
        if not (upload.ticket or upload.doc_id):
            log.warning(
                "The service answered with neither a ticket nor a document. Asking whether the file"
                " arrived."
            )
            return self.reconcile(self._written)
        # A document that is named beside a ticket is not complete before the ticket is.
        resulting = None if upload.ticket and self.options.asynchronous else upload.doc_id
        return self._store_answer(self._written, upload.ticket, resulting)

    def _after_block(self, sent: int, size: int) -> None:
        if sent < size:
            self._require_not_cancelled()
        if self.progress:
            self.progress(sent, size)
        if sent < size and self.clock.monotonic() >= self._next_heartbeat:
            self._write(self._written)

    def _before_last_block(self, md5: str, size: int) -> None:
        """Write down that the upload is about to be complete, and of which bytes."""
        self._require_not_cancelled()
        self._write(replace(self._written, md5=md5, bytes=size, complete=True))
        self._require_not_cancelled()

    def _require_not_cancelled(self) -> None:
        if self.cancelled.is_set():
            raise UploadAborted(
                "The process was asked to end; the upload was aborted, and nothing was replaced."
            )

    def _write(self, record: UploadRecord) -> None:
        """Write a record with a heartbeat in place of what is known to be in the journal.

        :raises UploadAborted: another process has written one, may have done so meanwhile, or
            nothing can be written.
        """
        began = self.clock.time()
        try:
            stored = self.journal.read()
            if (stored and stored.state) != (self.known and self.known.state):
                raise UploadAborted("Another process has taken over; nothing more is sent.")
            self._written = self.known = replace(record, heartbeat_at=began)
            self._write_patiently(self._written, STORE_INTENT_SECONDS)
        except UploadAborted:
            raise
        except Exception as error:
            # As it is, it might pass for an error of the connection, which urllib3 treats in its
            # own way.
            raise UploadAborted(
                "The journal cannot be written any more; nothing more is sent."
            ) from error
        if self.clock.time() - began > SENDER_TIMEOUT:
            raise UploadAborted(
                "The process was suspended for too long; another one may have taken over."
            )
        self._next_heartbeat = self.clock.monotonic() + HEARTBEAT_SECONDS

    def _write_patiently(self, record: UploadRecord, seconds: float) -> None:
        """Write a record, and try again for a while where its store cannot be reached.

        :raises Exception: what the last try raised.
        """
        end = self.clock.monotonic() + seconds
        pause = 0.5
        while True:
            try:
                return self.journal.write(record)
            except Exception as error:
                left = end - self.clock.monotonic()
                if left <= 0:
                    raise
                kind = type(error).__name__
                log.warning("The journal cannot be written (%s); trying again.", kind)
                self.clock.sleep(min(pause, left))
                pause = min(2 * pause, 15.0)

    def _store_answer(
        self, record: UploadRecord, ticket: str | None, result_id: str | None
    ) -> UploadRecord:
        """Write the ticket down, at first where nothing can fail."""
        record = replace(record, ticket=ticket, result_id=result_id, complete=True)
        metrics.sink.incr("ipernity.upload_bytes", record.bytes)
        log.info("The service accepted %s (%d bytes).", printable(record.filename), record.bytes)
        log.info("Ticket: %s", ticket or f"none, document {result_id}")
        try:
            self._write_patiently(record, STORE_TICKET_SECONDS)
        except Exception as error:
            raise TicketNotStored(
                f"The service accepted {printable(record.filename)} for document {record.doc_id}"
                f" (ticket {ticket}), but the ticket could not be stored"
                f" ({type(error).__name__}). A retry asks the service whether the file arrived."
            ) from error
        return record

    def reconcile(self, record: UploadRecord, *, until: float | None = None) -> UploadRecord | None:
        """Ask the service what became of an upload whose answer is not known.

        The upload has ``resend_grace`` to show up.

        :param until: unix time until when it may show up; by default counted from the sender's last
            sign of life.
        :return: the record with the document that carries the file; None if the file did not
            arrive.
        :raises NewDocument: a document with these bytes was created, and ``on_new_document`` is
            ``fail``.
        :raises Uncertain: the answers fit neither, and ``on_uncertain`` is ``fail``.
        """
        pause = _FIRST_PAUSE
        while True:
            record = self._latest(record)
            if record.answered:
                log.info("Another process has finished the upload.")
                return record
            # Absent counts only if the look began when the time was over: a process may freeze in
            # the middle of it.
            looked_at = self.clock.time()
            arrival, resulting = locate(self.client, record)
            if arrival is Arrival.ARRIVED:
                log.info(
                    "The file has arrived: document %s carries it. It is not sent again.",
                    record.doc_id,
                )
                return self._store_answer(record, None, record.doc_id)
            left = (until or record.heartbeat_at + self.options.resend_grace) - looked_at
            if left <= 0 or arrival is Arrival.NEW_DOCUMENT:
                break
            log.info("No trace of the file yet; waiting %.0f s more for it to show up.", left)
            self.clock.sleep(min(pause, left))
            pause = min(pause * 1.5, _LONGEST_PAUSE)
        send_again = self.options.on_uncertain == "send"
        if arrival is Arrival.NEW_DOCUMENT and not (
            send_again and self.options.on_new_document != "fail"
        ):
            raise unclaimed_document(record, resulting, self.options)
        name = printable(record.filename)
        if arrival is Arrival.ABSENT or send_again:
            log.info("%s did not arrive, as far as the service shows; sending it again.", name)
            self.known = record
            return None
        raise Uncertain(
            f"An earlier try sent {name} to document {record.doc_id}, and the service does not show"
            " whether it arrived. Nothing more was sent. Look at the document"
            f" ({record.url or record.doc_id}) and at your newest uploads; on_uncertain='send'"
            " sends the file (again)."
        )

    def _latest(self, record: UploadRecord) -> UploadRecord:
        """Return the latest record of the upload, and require that this process may go on.

        :raises Cancelled: another process has begun an upload of its own meanwhile, or this one is
            to end.
        """
        if self.cancelled.is_set():
            raise Cancelled("The process was asked to end; what became of an upload is not known.")
        stored = self.journal.read()
        if stored is None or stored.attempt == record.attempt:
            return stored or record
        if stored.started_at > record.started_at:
            raise Cancelled("Another process has taken over; this one sends nothing more.")
        return record

    def forget(self) -> None:
        """Delete this process's record, if it is still there.

        What is known not to have arrived needs no questions.
        """
        with suppress(Exception):  # left behind, it costs a question
            stored = self.journal.read()
            if stored and self.known and stored.attempt == self.known.attempt:
                self.journal.delete()
