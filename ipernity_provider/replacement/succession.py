"""Where the service makes new documents: which one has taken the place of another, and how."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.details import get_details
from ipernity_provider.api.errors import DocumentNotFound
from ipernity_provider.replacement.errors import (
    Cancelled,
    NewDocument,
    Refused,
    TransferPending,
)
from ipernity_provider.replacement.memory import DocumentMemory, Remembered, follow_chain
from ipernity_provider.replacement.record import Journal, Transfer, UploadRecord
from ipernity_provider.replacement.request import ReplaceOptions
from ipernity_provider.replacement.schedule import Clock
from ipernity_provider.replacement.transfer import Transferring

log = logging.getLogger(__name__)


@dataclass
class Succession:
    """Follows documents to their successors, and lets a new document take the place of another.

    A transfer is claimed in the memory, so that two tasks do not take its steps at the same time. A
    claim is renewed while steps are taken, and lasts ``resend_grace``.

    :param cancelled: once it is set, nothing more is transferred.
    :param owner: for whom transfers are claimed: the attempt of the task's last upload.
    """

    client: IpernityClient
    options: ReplaceOptions
    memory: DocumentMemory
    cancelled: threading.Event
    clock: Clock
    owner: str

    def find_target(self, doc_id: str, until: str | None, *, changes: bool) -> str:
        """Return the document that has taken the place of another one; itself, if none has.

        :param until: where to stop: an upload to it goes on, and what comes of it does not count.
        :param changes: whether transfers that an earlier run left unfinished are finished first.
        :raises Refused: what is remembered makes no sense.
        :raises TransferPending: another task has not finished a transfer.
        """
        for old_id, known in follow_chain(self.memory, doc_id):
            if old_id == until:
                break
            doc_id = str(known.successor)
            if changes and not known.transferred:
                self._finish_earlier(old_id, doc_id, known)
        return doc_id

    def _finish_earlier(self, old_id: str, new_id: str, known: Remembered) -> None:
        log.info("Finishing the transfer from document %s to %s.", old_id, new_id)
        known = self._claim(old_id, known)
        try:
            self._transferring(old_id, known).run(Transfer(visibility=known.visibility))
        except DocumentNotFound:
            self.client.get_document(new_id)  # without it there is nothing to go on with
            log.warning("Document %s is gone; nothing more is transferred from it.", old_id)
        self.memory.write(old_id, known.as_transferred())

    def transfer(self, record: UploadRecord, journal: Journal) -> UploadRecord:
        """Let the new document of a proven upload take the place of the old one.

        :return: the record, with the finished transfer.
        :raises NewDocument: another document has taken that place before.
        :raises CredentialError: and :raises TransientError: a later call continues.
        """
        old_id, new_id = record.doc_id, str(record.result_id)
        known = self.memory.read(old_id) or Remembered()
        if known.successor is None:
            # Remembered before the first change: once the old document is private, nothing shows
            # any more who saw it.
            visibility = get_details(self.client, old_id).visibility
            journal.write(record)  # the journal refuses a process that was overtaken
            known = self.memory.read(old_id) or Remembered()
            if known.successor is None:  # else it may have been private by then
                known = replace(known, successor=new_id, visibility=visibility)
        if known.successor != new_id:
            raise NewDocument(
                f"The service created document {new_id} for document {old_id}, whose place document"
                f" {known.successor} has taken before. Nothing was transferred or deleted. Compare"
                " the two new documents, and delete one of them.",
                new_doc_id=new_id,
                url=record.url,
            )
        look_only = known.transferred
        if not look_only:
            known = self._claim(old_id, known)

        def keep(state: Transfer) -> None:
            if state.finished and not look_only:
                self.memory.write(old_id, known.as_transferred())
            journal.write(replace(record, transfer=state))

        state = record.transfer or Transfer(visibility=known.visibility)
        keep(state)
        if not state.finished:
            state = self._transferring(old_id, known, keep).run(state, look_only=look_only)
        return replace(record, transfer=state)

    def _transferring(
        self, old_id: str, known: Remembered, keep: Callable[[Transfer], None] = lambda _: None
    ) -> Transferring:
        """Return what takes the steps of a claimed transfer, for as long as the claim lasts."""

        def keep_and_go_on(state: Transfer) -> None:
            nonlocal known
            keep(state)
            if state.finished:
                return
            if self.cancelled.is_set():
                raise Cancelled("The process was asked to end; a retry continues the transfer.")
            age = self.clock.time() - known.claimed_at
            if age > self.options.resend_grace:
                raise Cancelled(
                    "The process was suspended during a transfer; another one may have taken over."
                )
            if age > self.options.resend_grace / 4:
                known = self._claim(old_id, known)

        hides = self.options.on_new_document == "transfer"
        return Transferring(self.client, old_id, str(known.successor), hides, keep_and_go_on)

    def _claim(self, old_id: str, known: Remembered) -> Remembered:
        """Remember for whom the steps of a transfer are taken.

        :return: what is remembered now.
        :raises TransferPending: another task has claimed it.
        """
        now = self.clock.time()
        lasting = self.options.resend_grace
        if known.is_claimed_by_other(self.owner, now, lasting):
            left = known.claimed_at + lasting - now
            raise TransferPending(
                f"Another process is transferring document {old_id} to {known.successor}, or died"
                " over it. Nothing more is sent or transferred here meanwhile. A retry checks"
                f" again, and after {left:.0f} s it finishes the transfer."
            )
        known = replace(known, owner=self.owner, claimed_at=now)
        self.memory.write(old_id, known)
        return known


def require_memory(memory: DocumentMemory | None) -> DocumentMemory:
    """Require that something remembers which document has taken the place of another one.

    :raises Refused: nothing does.
    """
    if memory is None:
        raise Refused(
            "on_new_document='transfer' needs a memory: without one, the next run would not find"
            " the new document and make another one. Nothing was sent. Give a FileMemory."
        )
    return memory
