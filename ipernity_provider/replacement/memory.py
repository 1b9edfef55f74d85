"""What is remembered of a document from one run to the next, beyond the journal of one task."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol, Self

from ipernity_provider.api.details import Visibility
from ipernity_provider.files.writing import write_private
from ipernity_provider.replacement.errors import Refused
from ipernity_provider.replacement.record import DocumentSnapshot, UploadRecord
from ipernity_provider.text import display

#: How many times the place of a document may have been taken by another one.
LONGEST_CHAIN = 1000


@dataclass(frozen=True, kw_only=True)
class Remembered:
    """What is known of one document.

    :param successor: the document that has taken its place.
    :param visibility: who saw it before it became private.
    :param transferred: whether everything that can be is transferred to the successor.
    :param owner: who takes the steps of that transfer, and ``claimed_at`` since when, unix time;
        empty and 0 where none are taken.
    :param sent_md5: of the bytes that were last sent, where the document then showed other ones.
    :param shown_md5: what it showed; also ``shown_bytes`` and ``replaced_at``.
    """

    successor: str | None = None
    visibility: Visibility | None = None
    transferred: bool = False
    owner: str = ""
    claimed_at: float = 0.0
    sent_md5: str | None = None
    shown_md5: str | None = None
    shown_bytes: int | None = None
    replaced_at: int = 0

    def as_transferred(self) -> Self:
        """Return it with its transfer finished."""
        return replace(self, transferred=True, owner="", claimed_at=0.0)

    def is_claimed_by_other(self, owner: str, now: float, lasting: float) -> bool:
        """Whether somebody else takes the steps of the transfer: a claim lasts so many seconds."""
        return self.owner not in {"", owner} and now < self.claimed_at + lasting

    def says_carried(self, md5: str | None, shown: DocumentSnapshot) -> bool:
        """Whether the document shows what it showed when the bytes with this checksum were sent."""
        if md5 is None or md5 != self.sent_md5 or self.replaced_at != shown.replaced_at:
            return False
        if shown.md5 is None and not shown.replaced_at:  # an equal size alone tells nothing
            return False
        return (self.shown_md5, self.shown_bytes) == (shown.md5, shown.bytes)

    def with_bytes(self, record: UploadRecord) -> Self:
        """Return it with what a proven upload has sent, and what the document shows of it."""
        shown = record.proven
        if shown is None or shown.carries(record.md5) or (shown.md5, shown.bytes) == (None, None):
            return replace(self, sent_md5=None, shown_md5=None, shown_bytes=None, replaced_at=0)
        return replace(
            self,
            sent_md5=record.md5,
            shown_md5=shown.md5,
            shown_bytes=shown.bytes,
            replaced_at=shown.replaced_at,
        )

    def to_json(self) -> str:
        """Return it as JSON, without what is empty."""
        return json.dumps({name: value for name, value in asdict(self).items() if value})

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read it; members that are not known to this version are left out.

        :raises ValueError: and :raises TypeError: it is not such JSON.
        """
        stored = json.loads(text)
        known = {field.name for field in fields(cls)}
        values: dict[str, Any] = {name: stored[name] for name in known & stored.keys()}
        if flags := values.get("visibility"):
            is_public, is_family, is_friend = map(bool, flags)
            values["visibility"] = (is_public, is_family, is_friend)
        if (successor := values.get("successor")) and not str(successor).isdecimal():
            raise ValueError
        return cls(**values)


class DocumentMemory(Protocol):
    """Keeps what is known of documents where all later runs find it."""

    def read(self, doc_id: str) -> Remembered | None: ...

    def write(self, doc_id: str, remembered: Remembered) -> None: ...


@dataclass(frozen=True)
class FileMemory:
    """Keeps a JSON file for each document, mode 0600, in a folder for one service."""

    folder: Path

    def read(self, doc_id: str) -> Remembered | None:
        """Return what is known of a document.

        :raises Refused: its file cannot be read.
        """
        path = self.folder / f"{doc_id}.json"
        try:
            return Remembered.from_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, AttributeError):
            raise unreadable(display(path), doc_id) from None

    def write(self, doc_id: str, remembered: Remembered) -> None:
        with write_private(self.folder) as file:
            file.stream.write(remembered.to_json().encode())
            file.name = f"{doc_id}.json"


def unreadable(place: str, doc_id: str) -> Refused:
    """Make the error for something that does not say which document took another one's place."""
    return Refused(
        f"{place} should say what is known of document {doc_id}, and cannot be read. Without it,"
        " the file could go to the wrong document. Nothing was sent. Correct or delete it."
    )


def follow_chain(memory: DocumentMemory, doc_id: str) -> list[tuple[str, Remembered]]:
    """Return the documents whose place was taken, from a document on, each with its successor.

    :raises Refused: they lead in a circle, or to too many.
    """
    chain: list[tuple[str, Remembered]] = []
    passed = {doc_id}
    while (known := memory.read(doc_id)) and known.successor:
        chain.append((doc_id, known))
        doc_id = known.successor
        if doc_id in passed or len(chain) > LONGEST_CHAIN:
            first = chain[0][0]
            raise Refused(
                f"The successors that are remembered of document {first} lead back to document"
                f" {doc_id}. Nothing was sent. Correct what is remembered of document {first}."
            )
        passed.add(doc_id)
    return chain


def remember_bytes(memory: DocumentMemory, proven: UploadRecord) -> None:
    """Remember what a proven upload has sent, if the document shows something else."""
    doc_id = proven.result_id or proven.doc_id
    known = memory.read(doc_id) or Remembered()
    if (now_known := known.with_bytes(proven)) != known:
        memory.write(doc_id, now_known)
