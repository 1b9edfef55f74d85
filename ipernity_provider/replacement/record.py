"""What is remembered of one upload across crashes, and the journal that keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Protocol, Self

from ipernity_provider.api.details import Visibility
from ipernity_provider.replacement.request import ProofLevel, Result
from ipernity_provider.text import printable


@dataclass(frozen=True)
class DocumentSnapshot:
    """What a document showed at a moment.

    :param md5: checksum of the stored bytes, lower-case hex; None where the service does not show
        it.
    :param bytes: their number; None where the service does not show it.
    :param replaced_at: unix time of the last replacement; 0 if there was none.
    :param observed_at: that moment, unix time by the service's clock; None where it does not say.
    :param listed: whether ``doc.checkMD5`` named the document for the checksum of the file that is
        sent; None where it was not asked, or cannot be asked.
    """

    md5: str | None
    bytes: int | None
    replaced_at: int
    observed_at: int | None = None
    listed: bool | None = None

    def carries(self, md5: str | None) -> bool:
        """Whether the service showed that the document carries the bytes with this checksum."""
        return md5 is not None and (self.md5 == md5 if self.md5 else bool(self.listed))


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """How far a new document has taken the place of the old one.

    :param visibility: who saw the old document before the transfer began; None where the service
        does not show it.
    :param done: the names of the steps that were taken.
    :param refused: what could not be transferred, each with its reason.
    :param finished: whether nothing is left to do.
    :param hidden: whether the old document is private now.
    :param new_url: the page of the new document.
    """

    visibility: Visibility | None = None
    done: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    finished: bool = False
    hidden: bool = False
    new_url: str | None = None

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        flags = stored.get("visibility")
        return cls(
            visibility=(bool(flags[0]), bool(flags[1]), bool(flags[2])) if flags else None,
            done=tuple(stored.get("done", ())),
            refused=dict(stored.get("refused", {})),
            finished=bool(stored.get("finished")),
            hidden=bool(stored.get("hidden")),
            new_url=stored.get("new_url"),
        )


@dataclass(frozen=True, kw_only=True)
class UploadRecord:
    """One upload: what was to be sent where, and how far it came.

    :param bytes: size of the file.
    :param md5: its checksum, lower-case hex; None until it is known: a file on object storage is
        read while it is sent.
    :param marker: tells cheaply whether the file is still the same; empty where nothing tells.
    :param before: the document before anything was sent.
    :param owner_id: of the document.
    :param title: of the document, and ``old_filename`` that of its file; empty where the service
        does not say.
    :param url: the document's page.
    :param intent: the intent on whose behalf it was sent, or proven.
    :param attempt: tells this upload from every other one, also of the same file to the same
        document.
    :param started_at: unix time.
    :param heartbeat_at: unix time of the sender's last sign of life.
    :param complete: whether the last block may have left; before that the upload cannot have
        arrived.
    :param backup: where the previous original was stored.
    :param ticket: the service's answer.
    :param result_id: the document that resulted, once it is known.
    :param proven: what that document showed when the replacement was proven; ``proof`` says by
        what.
    :param rejected: whether it was reported that the document does not show the proof.
    :param asked_for: the document that was asked for, where ``doc_id`` has taken its place; empty
        where that is the same.
    :param transfer: of the old document's details to a new one; None where there is none.
    """

    doc_id: str
    filename: str
    bytes: int
    md5: str | None
    marker: str = ""
    before: DocumentSnapshot
    owner_id: str
    title: str = ""
    old_filename: str = ""
    url: str | None
    intent: str
    attempt: str
    started_at: float
    heartbeat_at: float
    complete: bool = False
    backup: str | None = None
    ticket: str | None = None
    result_id: str | None = None
    proven: DocumentSnapshot | None = None
    proof: ProofLevel | None = None
    rejected: bool = False
    asked_for: str = ""
    transfer: Transfer | None = None

    @property
    def settled(self) -> bool:
        """Whether it is proven, and no transfer has begun that is still to be finished."""
        return self.proven is not None and (self.transfer is None or self.transfer.finished)

    @property
    def answered(self) -> bool:
        """Whether the service's answer is known, or was found out."""
        return bool(self.ticket or self.result_id)

    @property
    def pending_ticket(self) -> str | None:
        """The ticket to wait for; None where the resulting document is known without."""
        return None if self.result_id else self.ticket

    @property
    def state(self) -> tuple[object, ...]:
        """What changes while the upload goes on, except for heartbeats.

        A process that finds it changed was overtaken.
        """
        return self.attempt, self.complete, self.ticket, self.result_id, self.proof

    def sent(self) -> Result:
        """Return the result for a caller that does not wait for the service."""
        return Result(
            outcome="sent",
            doc_id=self.asked_for or self.doc_id,
            ticket=self.ticket,
            filename=self.filename,
            bytes=self.bytes,
            md5=self.md5,
            url=self.url,
            backup=self.backup,
            reason=(
                f"{printable(self.filename)} was sent to document {self.doc_id}; the result is not"
                " verified yet."
            ),
        )

    def to_json(self) -> dict[str, Any]:
        """Return JSON-simple values: Airflow's stores take no tuples."""
        stored: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return stored

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        """Read a stored record; members that are not known to this version are left out."""
        if "alive_at" in stored:
            stored = _of_first_edition(stored)
        known = {field.name for field in fields(cls)}
        values = {name: value for name, value in stored.items() if name in known}
        for name in ("before", "proven"):
            if values.get(name):
                values[name] = DocumentSnapshot(**values[name])
        if values.get("transfer"):
            values["transfer"] = Transfer.from_json(values["transfer"])
        return cls(**values)


def _of_first_edition(stored: dict[str, Any]) -> dict[str, Any]:
    """Translate what the first edition of this package stored: a task may have begun under it."""

    def snapshot(shown: dict[str, Any] | None) -> dict[str, Any] | None:
        if not shown:
            return None
        return {name: shown.get(name) for name in ("md5", "bytes", "replaced_at")} | {
            "observed_at": shown.get("asked_at")
        }

    renamed = {"bytes": "bytes", "changed": "changed", "md5": "md5", "replaced_at": "changed"}
    return {
        **stored,
        "before": snapshot(stored["before"]),
        "proven": snapshot(stored.get("proven")),
        "proof": renamed.get(stored.get("verified_by") or ""),
        "intent": stored.get("run", ""),
        "attempt": str(stored.get("at", "")),
        "started_at": stored["alive_at"],
        "heartbeat_at": stored["alive_at"],
        "complete": True,  # it did not say
    }


class Journal(Protocol):
    """Keeps the last record of one task safe from crashes."""

    def read(self) -> UploadRecord | None: ...

    def write(self, record: UploadRecord) -> None: ...

    def delete(self) -> None: ...


class MemoryJournal:
    """A journal that lasts as long as the process, for programs that keep no state."""

    def __init__(self) -> None:
        self._record: UploadRecord | None = None

    def read(self) -> UploadRecord | None:
        return self._record

    def write(self, record: UploadRecord) -> None:
        self._record = record

    def delete(self) -> None:
        self._record = None
