"""Send once: the intent is written before, a heartbeat while, the ticket right after.

An upload is not idempotent. Where its answer was lost, the service is asked whether the file
arrived before anything is sent again.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from dataclasses import dataclass, field, replace

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
from ipernity_provider.replacement.clock import Clock, SystemClock
from ipernity_provider.replacement.decisions import SENDER_TIMEOUT, Arrival
from ipernity_provider.replacement.errors import (
    Cancelled,
    TicketNotStored,
    Uncertain,
    UploadAborted,
    unclaimed_document,
)
from ipernity_provider.replacement.observe import locate
from ipernity_provider.replacement.record import Journal, UploadRecord
from ipernity_provider.replacement.request import ReplaceOptions
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

    :param progress: called after each block.
    :param cancelled: once it is set, by a signal handler or another thread, the upload is aborted
        before its last block.
    :param known: what is in the journal when it is decided to send. It must still be there when
        something is written: a process that was overtaken, or thaws, sends nothing.
    """

    client: IpernityClient
    options: ReplaceOptions
    journal: Journal
    progress: Progress | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)
    clock: Clock = field(default_factory=SystemClock)
    known: UploadRecord | None = None

    def send(self, file: SourceFile, intent: UploadRecord) -> UploadRecord | None:
        """Send the file; if its answer is lost, find out whether it arrived.

        :param intent: the record of this upload, not written yet.
        :return: the record with the service's answer; None if the file provably did not arrive.
        :raises Uncertain: the service does not show whether it arrived.
        :raises UploadAborted: by ``cancelled``, or because another process has taken over; nothing
            arrived.
        """
        guard = _SendGuard(self)
        guard.write(intent)
        try:
            upload = self.client.upload_replace(
                intent.doc_id,
                file.source,
                filename=file.name,
                asynchronous=self.options.asynchronous,
                expected_md5=file.md5,
                progress=guard.after_block,
                before_last_block=guard.before_last_block,
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
            return self._after_lost_answer(guard.written, error)
        if not (upload.ticket or upload.doc_id):
            log.warning(
                "The service answered with neither a ticket nor a document. Asking whether the file"
                " arrived."
            )
            return self.reconcile(guard.written)
        # A document that is named beside a ticket is not complete before the ticket is.
        resulting = None if upload.ticket and self.options.asynchronous else upload.doc_id
        return self._store_answer(guard.written.with_answer(upload.ticket, resulting))

    def _after_lost_answer(self, record: UploadRecord, error: IpernityError) -> UploadRecord | None:
        log.warning("%s", error)
        asks_for_patience = isinstance(error, RateLimited | ServiceDown | StaleSignature)
        if asks_for_patience and locate(self.client, record)[0] is not Arrival.ARRIVED:
            raise error  # the record stays: the next try asks again before it sends
        log.warning("Asking whether %s arrived.", printable(record.filename))
        return self.reconcile(record)

    def _store_answer(self, record: UploadRecord) -> UploadRecord:
        """Write the ticket down, at first where nothing can fail."""
        log.info("The service accepted %s (%d bytes).", printable(record.filename), record.bytes)
        log.info("Ticket: %s", record.ticket or f"none, document {record.result_id}")
        try:
            write_patiently(self.journal, record, self.clock, STORE_TICKET_SECONDS)
        except Exception as error:
            raise TicketNotStored(
                f"The service accepted {printable(record.filename)} for document {record.doc_id}"
                f" (ticket {record.ticket}), but the ticket could not be stored"
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
                log.info("Another process of this task has finished the upload.")
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
                return self._store_answer(record.with_answer(None, record.doc_id))
            left = (until or record.heartbeat_at + self.options.resend_grace) - looked_at
            if left <= 0 or arrival is Arrival.NEW_DOCUMENT:
                break
            log.info("No trace of the file yet; waiting %.0f s more for it to show up.", left)
            self.clock.sleep(min(pause, left))
            pause = min(pause * 1.5, _LONGEST_PAUSE)
        send_again = self.options.on_uncertain == "send"
        if arrival is Arrival.NEW_DOCUMENT and not (
            send_again and self.options.on_new_document == "keep"
        ):
            raise unclaimed_document(record, resulting, self.options)
        if arrival is Arrival.ABSENT or send_again:
            log.info(
                "%s did not arrive, as far as the service shows; sending it again.",
                printable(record.filename),
            )
            self.known = record
            return None
        raise Uncertain(
            f"An earlier try sent {printable(record.filename)} to document {record.doc_id}, and the"
            " service does not show whether it arrived. Nothing more was sent. Look at the"
            f" document ({record.url or record.doc_id}) and at your newest uploads; then clear the"
            " task with on_uncertain='send' to send it (again), or mark it as successful."
        )

    def _latest(self, record: UploadRecord) -> UploadRecord:
        """Return the latest record of the upload, and require that this process may go on.

        :raises Cancelled: another process has begun an upload of its own meanwhile, or this one is
            to end.
        """
        if self.cancelled.is_set():
            raise Cancelled("The task was ended while it asked what became of an upload.")
        stored = self.journal.read()
        if stored is None or stored.attempt == record.attempt:
            return stored or record
        if stored.started_at > record.started_at:
            raise Cancelled(
                "Another process of this task has taken over; this one sends nothing more."
            )
        return record

    def forget(self) -> None:
        """Delete this process's record, if it is still there.

        What is known not to have arrived needs no questions.
        """
        with suppress(Exception):  # left behind, it costs a question
            stored = self.journal.read()
            if stored and self.known and stored.attempt == self.known.attempt:
                self.journal.delete()


class _SendGuard:
    """Watches over an upload: heartbeats, cancelling, and a last check of the journal.

    The check comes before the last block is sent.

    A task that counts as dead may live on, or thaw, and send beside the try that took its place.
    That try sees the heartbeats and waits; and an upload whose record is no longer in the journal
    is aborted.
    """

    def __init__(self, uploader: Uploader) -> None:
        self._uploader = uploader
        self._clock = uploader.clock
        self._next_heartbeat = 0.0
        self.written: UploadRecord

    def after_block(self, sent: int, size: int) -> None:
        if sent < size:
            self._require_not_cancelled()
        if self._uploader.progress:
            self._uploader.progress(sent, size)
        if sent < size and self._clock.monotonic() >= self._next_heartbeat:
            self.write(self.written)

    def before_last_block(self, md5: str, size: int) -> None:
        """Write down that the upload is about to be complete, and of which bytes."""
        self._require_not_cancelled()
        self.write(replace(self.written, md5=md5, bytes=size, complete=True))
        self._require_not_cancelled()

    def write(self, record: UploadRecord) -> None:
        """Write a record with a heartbeat in place of what is known to be in the journal.

        :raises UploadAborted: another process has written one, may have done so meanwhile, or
            nothing can be written.
        """
        uploader, began = self._uploader, self._clock.time()
        known = uploader.known
        try:
            stored = uploader.journal.read()
            if (stored and stored.state) != (known and known.state):
                raise UploadAborted(
                    "Another process of this task has taken over; nothing more is sent."
                )
            self.written = uploader.known = record.with_heartbeat(began)
            write_patiently(uploader.journal, self.written, self._clock, STORE_INTENT_SECONDS)
        except UploadAborted:
            raise
        except Exception as error:
            # As it is, it might pass for an error of the connection, which urllib3 treats in its
            # own way.
            raise UploadAborted(
                "The journal cannot be written any more; nothing more is sent."
            ) from error
        if self._clock.time() - began > SENDER_TIMEOUT:
            raise UploadAborted(
                "The process was suspended for too long; another one may have taken over."
            )
        self._next_heartbeat = self._clock.monotonic() + HEARTBEAT_SECONDS

    def _require_not_cancelled(self) -> None:
        if self._uploader.cancelled.is_set():
            raise UploadAborted(
                "The task was ended; the upload was aborted, and nothing was replaced."
            )


def write_patiently(journal: Journal, record: UploadRecord, clock: Clock, seconds: float) -> None:
    """Write a record, and try again for a while where its store cannot be reached.

    :raises Exception: what the last try raised.
    """
    end = clock.monotonic() + seconds
    pause = 0.5
    while True:
        try:
            journal.write(record)
        except Exception as error:
            left = end - clock.monotonic()
            if left <= 0:
                raise
            log.warning("The journal cannot be written (%s); trying again.", type(error).__name__)
            clock.sleep(min(pause, left))
            pause = min(2 * pause, 15.0)
        else:
            return
