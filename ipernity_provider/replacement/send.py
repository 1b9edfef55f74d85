"""send: once, with the intent written down before and the ticket right after.

An upload is not idempotent. Where its answer was lost, the service is asked whether the file arrived before anything
is sent again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Literal

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import (
    BrokenOff,
    DocumentNotFound,
    IpernityError,
    RateLimited,
    ServiceDown,
    StaleSignature,
)
from ipernity_provider.api.multipart import Progress
from ipernity_provider.replacement.journal import Entry, Journal
from ipernity_provider.replacement.order import Order, Uncertain
from ipernity_provider.replacement.source import Source

log = logging.getLogger(__name__)

SIGN_OF_LIFE_SECONDS = 10.0
_FIRST_LOOK = 2.0
_LONGEST_PAUSE = 10.0


def send(
    client: IpernityClient,
    order: Order,
    source: Source,
    intent: Entry,
    journal: Journal,
    progress: Progress | None = None,
) -> Entry | None:
    """Send the file; if the answer is lost, find out what became of it.

    :return: the entry with the service's answer; None if the file provably did not arrive.
    :raises Uncertain: nobody can tell.
    :raises GivenUp: by ``progress``, or because the journal cannot be written any more.
    """
    journal.write(intent)
    signs = SignsOfLife(journal, intent, progress)
    try:
        upload = client.upload_replace(
            order.doc_id,
            source.path,
            filename=source.name,
            asynchronous=order.asynchronous,
            expected_md5=source.md5,
            progress=signs.after_block,
        )
    except EndedEarly:
        journal.forget()
        raise
    except BrokenOff as error:
        log.warning("%s", error)
        journal.forget()
        return None
    except IpernityError as error:
        if not error.maybe_accepted:
            journal.forget()
            raise
        if isinstance(error, RateLimited | ServiceDown | StaleSignature):
            raise  # the service asks for patience: the next try asks whether the file arrived, for the intent stays
        log.warning("%s Asking whether the file arrived all the same.", error)
        return find(client, order, journal.read() or intent, journal)
    if not (upload.ticket or upload.doc_id):
        log.warning("The service names neither a ticket nor a document. Asking whether the file arrived.")
        return find(client, order, journal.read() or intent, journal)
    # A document that is named beside a ticket is not complete before the ticket is.
    answered = intent.with_answer(
        upload.ticket, None if upload.ticket and order.asynchronous else upload.doc_id
    )
    journal.write(answered)
    log.info(
        "The service has taken %s (%d bytes), ticket %s.", source.name, source.size, upload.ticket or "none"
    )
    return answered


class GivenUp(RuntimeError):
    """A process that is to end, or whose place another one may have taken, sends nothing more."""


class EndedEarly(GivenUp):
    """The upload was broken off by this process before its last byte: it did not arrive."""


class Stoppable:
    """A progress function that breaks the upload off once that is wished for, by another thread or a signal handler."""

    def __init__(self, progress: Progress, given_up: threading.Event) -> None:
        self._progress = progress
        self._given_up = given_up

    def __call__(self, sent: int, size: int) -> None:
        if self._given_up.is_set() and sent < size:
            raise EndedEarly("The task was ended; the upload was broken off, and nothing was replaced.")
        self._progress(sent, size)


class SignsOfLife:
    """Renews the intent while a long upload runs.

    A task that is given up for dead may live on and send beside the try that takes its place. That try sees the signs and
    waits; and where Airflow does not let this process write any more, the upload is broken off by that error.
    """

    def __init__(self, journal: Journal, intent: Entry, progress: Progress | None) -> None:
        self._journal = journal
        self._intent = intent
        self._progress = progress
        self._next = time.monotonic() + SIGN_OF_LIFE_SECONDS

    def after_block(self, sent: int, size: int) -> None:
        if self._progress:
            self._progress(sent, size)
        if time.monotonic() >= self._next:
            self._renew()
            self._next = time.monotonic() + SIGN_OF_LIFE_SECONDS

    def _renew(self) -> None:
        try:
            self._journal.write(self._intent.renewed())
        except Exception as error:
            # As it is, it might pass for an error of the connection, which urllib3 treats in its own way.
            raise GivenUp(
                "This process cannot write its journal any more; the upload was broken off."
            ) from error


def find(
    client: IpernityClient,
    order: Order,
    intent: Entry,
    journal: Journal,
    sleep: Callable[[float], None] = time.sleep,
) -> Entry | None:
    """Ask the service what became of an upload whose answer was lost, for up to ``resend_grace`` seconds.

    :return: the entry with the document that carries the file; None if it did not arrive.
    :raises Uncertain: the answers fit neither, and ``on_uncertain`` is ``fail``.
    """
    end = time.monotonic() + order.resend_grace
    pause = _FIRST_LOOK
    while True:
        entry = journal.read() or intent
        if entry.answered:
            log.info("Another process of this task has finished the upload meanwhile.")
            return entry
        if entry.alive_at != intent.alive_at:
            log.info("Another process of this task is still sending the file.")
            end = time.monotonic() + order.resend_grace
        intent = entry  # others may have come to know meanwhile what is not ours
        sign, doc_id = look(client, intent)
        if sign == "arrived":
            log.info("The file has arrived: document %s carries it. It is not sent again.", doc_id)
            found = intent.with_answer(None, doc_id)
            journal.write(found)
            return found
        if time.monotonic() >= end:
            break
        log.info(
            "No trace of the file yet; it is given %.0f s more to show up.", max(0.0, end - time.monotonic())
        )
        sleep(min(pause, max(0.1, end - time.monotonic())))
        pause = min(pause * 1.5, _LONGEST_PAUSE)
    if sign == "absent" or order.on_uncertain == "send":
        log.info(
            "The file has not arrived%s; it is to be sent again.",
            "" if sign == "absent" else ", or nobody can tell",
        )
        journal.forget()
        return None
    raise Uncertain(
        f"An earlier try began to send {intent.filename} to document {order.doc_id} at {intent.at} (UTC), and the service "
        f"does not tell whether it arrived. Look at {intent.url or order.doc_id} and at your newest uploads; "
        'then clear the task with on_uncertain="send" to send it (again), or mark it as successful.'
    )


def look(client: IpernityClient, intent: Entry) -> tuple[Literal["arrived", "absent", "unclear"], str]:
    """Whether the service shows the file of this intent, and in which document.

    "Absent" is what an upload looks like that never arrived, or that is still being processed.
    """
    document = client.get_document(intent.doc_id)
    before = intent.before
    moved = document.replaced_at > before.replaced_at
    if document.md5 == intent.md5 and (moved or before.md5 != intent.md5):
        return "arrived", intent.doc_id
    if document.md5 is None and document.bytes == intent.bytes and moved:
        return "arrived", intent.doc_id
    stray, sure = _stray(client, intent)
    if stray:
        return ("arrived" if sure else "unclear"), stray
    same = not moved and document.md5 == before.md5 and document.bytes == before.bytes
    telling = document.md5 is not None or document.bytes is not None
    # Times are whole seconds: a replacement in the second of the last one does not show.
    blurred = before.asked_at is not None and before.replaced_at >= before.asked_at
    return ("absent" if same and telling and not blurred else "unclear"), intent.doc_id


def _stray(client: IpernityClient, intent: Entry) -> tuple[str | None, bool]:
    """A document that the service made of the file instead of replacing: posted since the intent, by the same owner.

    :return: its id, and whether it surely is ours: it carries the bytes. A document with the file's name and other bytes
        may be ours, rewritten.
    """
    since = intent.before.asked_at
    if since is None or not intent.owner_id:
        return None, False
    for doc_id in client.check_md5([intent.md5])[intent.md5]:
        if doc_id not in {*intent.twins, intent.doc_id} and _is_ours(client, doc_id, intent, since):
            return doc_id, True
    for recent in client.get_recent_documents(intent.owner_id):
        new = recent.posted_at >= since and recent.doc_id not in {*intent.twins, intent.doc_id}
        if new and recent.filename == intent.filename:
            return recent.doc_id, False
    return None, False


def _is_ours(client: IpernityClient, doc_id: str, intent: Entry, since: int) -> bool:
    try:
        document = client.get_document(doc_id)
    except DocumentNotFound:
        return False  # the service lists other people's and deleted documents too
    return document.owner_id == intent.owner_id and document.posted_at >= since


def known_twins(client: IpernityClient, source: Source) -> list[str]:
    """The documents that carry these bytes already, so that they are not taken for new ones later."""
    return client.check_md5([source.md5])[source.md5]
