"""Where the service makes new documents: which one has taken the place of another, and how."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.details import get_details
from ipernity_provider.api.errors import DocumentNotFound
from ipernity_provider.replacement.errors import Cancelled, NewDocument, Refused
from ipernity_provider.replacement.memory import DocumentMemory, Remembered, follow_chain
from ipernity_provider.replacement.record import Journal, Transfer, UploadRecord
from ipernity_provider.replacement.request import ReplaceOptions
from ipernity_provider.replacement.transfer import Transferring

log = logging.getLogger(__name__)


@dataclass
class Succession:
    """Follows documents to their successors, and lets a new document take the place of another.

    :param cancelled: once it is set, nothing more is transferred.
    """

    client: IpernityClient
    options: ReplaceOptions
    memory: DocumentMemory
    cancelled: threading.Event

    def find_target(self, doc_id: str, ours: UploadRecord | None, *, changes: bool) -> str:
        """Return the document that has taken the place of another one; itself, if none has.

        :param ours: an upload that is to be continued: what came of it does not count.
        :param changes: whether transfers that an earlier run left unfinished are finished first.
        :raises Refused: what is remembered makes no sense.
        """
        for old_id, known in follow_chain(self.memory, doc_id):
            if ours and ours.doc_id == old_id:
                break
            doc_id = str(known.successor)
            if changes and not known.transferred:
                self._finish_earlier(old_id, doc_id, known)
        return doc_id

    def _finish_earlier(self, old_id: str, new_id: str, known: Remembered) -> None:
        log.info("Finishing the transfer from document %s to %s.", old_id, new_id)
        try:
            self._transferring(old_id, new_id).run(Transfer(visibility=known.visibility))
        except DocumentNotFound:
            self.client.get_document(new_id)  # without it there is nothing to go on with
            log.warning("Document %s is gone; nothing more is transferred from it.", old_id)
        self.memory.write(old_id, replace(known, transferred=True))

    def transfer(self, record: UploadRecord, journal: Journal) -> UploadRecord:
        """Let the new document of a proven upload take the place of the old one.

        :return: the record, with the finished transfer.
        :raises NewDocument: another document has taken that place before.
        :raises CredentialError: and :raises TransientError: a later call continues.
        """
        old_id, new_id = record.doc_id, str(record.result_id)
        known = self.memory.read(old_id) or Remembered()
        if known.successor not in {None, new_id}:
            raise NewDocument(
                f"The service created document {new_id} for document {old_id}, whose place document"
                f" {known.successor} has taken before. Nothing was transferred or deleted. Compare"
                " the two new documents, and delete one of them.",
                new_doc_id=new_id,
                url=record.url,
            )
        if known.successor is None:
            # Written before the first change: once the old document is private, nothing shows any
            # more who saw it.
            visibility = get_details(self.client, old_id).visibility
            known = replace(known, successor=new_id, visibility=visibility)
            self.memory.write(old_id, known)
        state = record.transfer or Transfer(visibility=known.visibility)

        def keep(state: Transfer) -> None:
            if state.finished:
                self.memory.write(old_id, replace(known, transferred=True))
            journal.write(replace(record, transfer=state))

        keep(state)
        if not state.finished:
            state = self._transferring(old_id, new_id, keep).run(state)
        return replace(record, transfer=state)

    def _transferring(
        self, old_id: str, new_id: str, keep: Callable[[Transfer], None] = lambda _: None
    ) -> Transferring:
        def keep_unless_cancelled(state: Transfer) -> None:
            keep(state)
            if self.cancelled.is_set() and not state.finished:
                raise Cancelled("The process was asked to end; a retry continues the transfer.")

        hides = self.options.on_new_document == "transfer"
        return Transferring(self.client, old_id, new_id, hides, keep_unless_cancelled)


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
