"""The service in plain Python: documents, uploads, tickets, a clock, lost and foreign answers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from ipernity_provider.api.errors import (
    AnswerLost,
    BrokenOff,
    DocumentNotFound,
    IpernityError,
    PermanentError,
    RateLimited,
)
from ipernity_provider.api.models import Document, Ticket, Upload
from tests.simulation.details import Details, reply_of

if TYPE_CHECKING:
    from tests.simulation.world import Process, World

OWNER = "1234"
FILE_BYTES = 1000


@cache
def md5_of(content: str) -> str:
    return hashlib.md5(content.encode()).hexdigest()


@dataclass(frozen=True)
class Rules:
    """How the service behaves in one history; what is not known of it is played both ways.

    :param processing: seconds between accepting an upload and its effect.
    :param replaces: whether an upload replaces the file in place, or creates a new document.
    :param rewrites: whether other bytes are stored than were sent.
    :param shows_md5: whether ``doc.get`` shows the checksum.
    :param indexes_md5: whether ``doc.checkMD5`` can be asked.
    :param shows_bytes: whether ``doc.get`` shows the size.
    :param invalid: whether tickets turn out invalid; the document's date moves anyway.
    :param forgets: whether finished tickets are forgotten at once.
    """

    processing: float = 5.0
    replaces: bool = True
    rewrites: bool = False
    shows_md5: bool = True
    indexes_md5: bool = True
    shows_bytes: bool = True
    invalid: bool = False
    forgets: bool = False


#: What can become of an upload whose last block has left; the first is what happens without an
#: accident.
FATES = (
    "accepted",
    "accepted, answer lost",
    "accepted, a front answers with a page of its own",
    "accepted, the service says it is busy",
    "accepted, neither ticket nor document in the answer",
    "lost on the way, no answer",
    "cut off within the last block",
    "refused by the service",
)

#: What can become of another writing call.
CALLS = ("carried out", "carried out, answer lost", "lost on the way")


@dataclass
class StoredDocument:
    doc_id: str
    content: str
    filename: str
    posted_at: int
    replaced_at: int = 0
    details: Details = field(default_factory=Details)


@dataclass
class AcceptedUpload:
    """An upload in the service's ledger."""

    number: int
    task: str
    intent: str
    asked_for: str
    doc_id: str
    content: str
    filename: str
    accepted_at: float
    ready_at: float
    state: Literal["processing", "done", "invalid"] = "processing"
    result_id: str | None = None
    #: Whether the sender slept between its last look at the journal and the last block: the
    #: documented gap.
    slept_before_last_block: bool = False

    @property
    def ticket(self) -> str:
        return f"{self.doc_id}-{self.number}"


class Service:
    """The state of the service."""

    def __init__(self, rules: Rules, documents: Iterable[str]) -> None:
        self.rules = rules
        self.now = 1_000_000.0
        self.documents = {
            doc_id: StoredDocument(
                doc_id, f"old{doc_id}", "old.jpg", 900_000, details=Details.of_old()
            )
            for doc_id in documents
        }
        self.uploads: list[AcceptedUpload] = []
        self._unsettled = 0

    def accept(self, process: Process, doc_id: str, content: str, filename: str) -> AcceptedUpload:
        ready = self.now + self.rules.processing
        task, number = process.task, len(self.uploads) + 1
        upload = AcceptedUpload(
            number,
            task.name,
            process.intent,
            task.doc_id,
            doc_id,
            content,
            filename,
            self.now,
            ready,
        )
        self.uploads.append(upload)
        self._unsettled += 1
        return upload

    def settle(self) -> None:
        """Apply what has been processed by now."""
        if not self._unsettled:
            return
        for upload in self.uploads:
            if upload.state == "processing" and upload.ready_at <= self.now:
                self._unsettled -= 1
                self._apply(upload)

    def _apply(self, upload: AcceptedUpload) -> None:
        document = self.documents[upload.doc_id]
        stored = f"{upload.content}~" if self.rules.rewrites else upload.content
        if self.rules.invalid:
            upload.state = "invalid"
            document.replaced_at = int(upload.ready_at)
            return
        upload.state = "done"
        if self.rules.replaces:
            upload.result_id = upload.doc_id
            self.replace(upload.doc_id, stored, upload.filename, upload.ready_at)
        else:
            upload.result_id = f"9{upload.number}"
            self.documents[upload.result_id] = StoredDocument(
                upload.result_id, stored, upload.filename, int(upload.ready_at)
            )

    def replace(self, doc_id: str, content: str, filename: str, at: float) -> None:
        document = self.documents[doc_id]
        document.content, document.filename = content, filename
        document.replaced_at = int(at)

    def next_event(self) -> float | None:
        return min((u.ready_at for u in self.uploads if u.state == "processing"), default=None)

    def shown(self, doc_id: str) -> Document:
        stored = self.documents.get(doc_id)
        if stored is None:
            raise DocumentNotFound("Document not found.", method="doc.get", code=1)
        rules = self.rules
        return Document(
            doc_id=doc_id,
            media="photo",
            title="",
            owner_id=OWNER,
            link=None,
            md5=md5_of(stored.content) if rules.shows_md5 else None,
            bytes=size_of(stored.content) if rules.shows_bytes else None,
            filename=stored.filename,
            posted_at=stored.posted_at,
            replaced_at=stored.replaced_at,
            asked_at=int(self.now),
        )


def size_of(content: str) -> int:
    """All files have one size, the worst case; rewritten ones have another."""
    return FILE_BYTES + (7 if content.endswith("~") else 0)


class ModelClient:
    """What one process sees of the service; at each call it can die or be overtaken."""

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self._process = process

    def _call(self, name: str) -> Service:
        self._world.goes_on(self._process)
        self._world.boundary(self._process, name)
        if self._world.scenario.flaky_reads and self._world.choose(2, f"{name} gets no answer"):
            raise AnswerLost(f"{name}: no answer.", method=name)
        service = self._world.service
        service.settle()
        return service

    def call(self, method: str, /, **params: Any) -> dict[str, Any]:
        """Make a call of a transfer."""
        world, doc_id = self._world, str(params["doc_id"])
        if method in {"doc.get", "doc.getContainers"}:
            service = self._call(method)
            service.shown(doc_id)
            return reply_of(method, doc_id, OWNER, service.documents[doc_id].details)
        world.goes_on(self._process)
        world.boundary(self._process, method)
        lost = world.choose(3, f"{method} is") if world.scenario.lost_answers else 0
        if CALLS[lost] != "lost on the way":
            world.changed(self._process, method, params, answered=not lost)
        if lost:
            raise AnswerLost(f"{method}: {CALLS[lost]}.", method=method)
        return {}

    def get_document(self, doc_id: str) -> Document:
        service = self._call("doc.get")
        shown = service.shown(doc_id)
        self._process.looked_at[doc_id] = service.documents[doc_id].content
        return shown

    def check_md5(self, sums: Iterable[str]) -> dict[str, list[str]]:
        service = self._call("doc.checkMD5")
        if not service.rules.indexes_md5:
            raise PermanentError("Method not found.", method="doc.checkMD5", code=103)
        for doc_id in self._process.looked_at:
            self._process.looked_at[doc_id] = service.documents[doc_id].content
        return {
            md5: [d.doc_id for d in service.documents.values() if md5_of(d.content) == md5]
            for md5 in sums
        }

    def get_recent_documents(self, user_id: str) -> list[Document]:
        service = self._call("doc.getList")
        assert user_id == OWNER
        # As the service does, it does not name the owner of each.
        return [replace(service.shown(doc_id), owner_id="") for doc_id in service.documents]

    def check_tickets(self, tickets: Iterable[str]) -> list[Ticket]:
        service = self._call("upload.checkTickets")
        known = {upload.ticket: upload for upload in service.uploads}
        states = []
        for ticket in tickets:
            upload = known.get(ticket)
            if upload is None or (service.rules.forgets and upload.state != "processing"):
                states.append(Ticket(ticket, "unknown"))
            elif upload.state == "done":
                states.append(Ticket(ticket, "done", None, upload.result_id))
            else:
                states.append(Ticket(ticket, "invalid" if upload.state == "invalid" else "pending"))
        return states

    def upload_replace(
        self,
        doc_id: str,
        file: Any,
        *,
        filename: str,
        asynchronous: bool,
        expected_md5: str | None,
        progress: Any,
        before_last_block: Any,
    ) -> Upload:
        world, process = self._world, self._process
        world.boundary(process, "upload begins")
        accidents = world.scenario.lost_answers
        if accidents and world.choose(2, "connection breaks before the last block"):
            raise BrokenOff("The connection broke.", method="upload.replace")
        progress(FILE_BYTES // 2, FILE_BYTES)
        before_last_block(md5_of(file), FILE_BYTES)
        checked_at = world.service.now
        world.boundary(process, "last block leaves")
        service = world.service
        fate = FATES[world.choose(len(FATES), "the upload is") if accidents else 0]
        if fate == "refused by the service":
            raise PermanentError("File media type differs.", method="upload.replace", code=5)
        if fate == "cut off within the last block":
            raise BrokenOff("The connection broke.", method="upload.replace")
        if fate == "lost on the way, no answer":
            raise lost_answer(fate)
        upload = service.accept(process, doc_id, file, filename)
        upload.slept_before_last_block = service.now > checked_at
        world.accepted(process, upload)
        world.boundary(process, "answer arrives")
        if fate == "accepted":
            return Upload(upload.ticket, None)
        if fate == "accepted, neither ticket nor document in the answer":
            return Upload(None, None)
        raise lost_answer(fate)


def lost_answer(fate: str) -> IpernityError:
    """The error of the client for an answer that does not say what became of the upload."""
    kind = RateLimited if fate == "accepted, the service says it is busy" else AnswerLost
    error = kind(f"{fate}.", method="upload.replace")
    error.maybe_accepted = True
    return error
