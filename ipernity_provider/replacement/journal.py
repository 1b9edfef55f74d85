"""What is remembered of a replacement across crashes: the intent before the upload, the ticket right after it."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol, Self

from ipernity_provider.api.models import Document
from ipernity_provider.replacement.order import Result, VerifiedBy


@dataclass(frozen=True)
class Shown:
    """What a document showed at a moment: before anything was sent, or when the replacement was proven.

    :param asked_at: that moment, by the service's clock.
    :param title: of the document, and ``filename`` that of its file; empty where the service does not say.
    """

    md5: str | None
    bytes: int | None
    replaced_at: int
    asked_at: int | None = None
    title: str = ""
    filename: str = ""

    @classmethod
    def of(cls, document: Document) -> Shown:
        return cls(
            document.md5,
            document.bytes,
            document.replaced_at,
            document.asked_at,
            document.title,
            document.filename or "",
        )

    def same_as(self, document: Document) -> bool:
        shown = (document.md5, document.bytes, document.replaced_at)
        return shown == (self.md5, self.bytes, self.replaced_at)


@dataclass(frozen=True)
class Entry:
    """One replacement under way.

    :param md5: of the file that is sent.
    :param bytes: its size.
    :param claim: the MD5 that the file's storage claims, right or wrong; None if it claims none.
    :param before: the document as it was.
    :param twins: documents that carried these bytes before: not ours when they show up afterwards.
    :param owner_id: of the document.
    :param url: the document's page.
    :param run: the run that began it.
    :param at: when it began, UTC, for a person who reads it.
    :param alive_at: unix time of the sender's last sign of life.
    :param backup: where the previous original was stored.
    :param ticket: known once the service has answered.
    :param result_id: the document that resulted, where it is known without the ticket.
    :param proven: what that document showed when it was proven to carry the file, and by what.
    """

    doc_id: str
    filename: str
    md5: str
    bytes: int
    before: Shown
    twins: tuple[str, ...]
    owner_id: str
    url: str | None
    run: str
    at: str
    alive_at: float = 0.0
    backup: str | None = None
    claim: str | None = None
    ticket: str | None = None
    result_id: str | None = None
    proven: Shown | None = None
    verified_by: VerifiedBy | None = None

    @property
    def answered(self) -> bool:
        return bool(self.ticket or self.result_id)

    @property
    def waiting_for(self) -> str | None:
        """The ticket to wait for; None where the resulting document is known."""
        return None if self.result_id else self.ticket

    def with_proof(self, result_id: str, document: Document, verified_by: VerifiedBy | None) -> Self:
        return replace(self, result_id=result_id, proven=Shown.of(document), verified_by=verified_by)

    def renewed(self) -> Self:
        return replace(self, alive_at=time.time())

    def with_answer(self, ticket: str | None, result_id: str | None) -> Self:
        return replace(self, ticket=ticket, result_id=result_id)

    def sent(self) -> Result:
        """The result for a caller who does not wait for the service."""
        return Result(
            outcome="sent",
            doc_id=self.doc_id,
            ticket=self.ticket,
            filename=self.filename,
            bytes=self.bytes,
            md5=self.md5,
            url=self.url,
            backup=self.backup,
            reason=f"{self.filename} was sent for document {self.doc_id}; nobody has looked yet what came of it.",
        )

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "twins": list(self.twins)}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        """What another version of this package has stored beyond what is known here is left out."""
        known = {name: value for name, value in stored.items() if name in cls.__dataclass_fields__}
        proven = stored.get("proven")
        return cls(
            **{
                **known,
                "before": Shown(**stored["before"]),
                "twins": tuple(stored["twins"]),
                "proven": Shown(**proven) if proven else None,
            }
        )


class Journal(Protocol):
    """Keeps the last entry of one task safe from crashes."""

    def read(self) -> Entry | None: ...

    def write(self, entry: Entry) -> None: ...

    def forget(self) -> None: ...


class MemoryJournal:
    """Lasts as long as the process: for programs that keep no state."""

    def __init__(self) -> None:
        self._entry: Entry | None = None

    def read(self) -> Entry | None:
        return self._entry

    def write(self, entry: Entry) -> None:
        self._entry = entry

    def forget(self) -> None:
        self._entry = None
