"""What documents have besides their files, in the model, and who has taken whose place.

Tags, notes and albums are lists: what is added twice is there twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ipernity_provider.api.details import PRIVATE, Visibility
from ipernity_provider.replacement.memory import Remembered

if TYPE_CHECKING:
    from tests.simulation.world import Process, World

#: Who sees the old documents; new ones are public until something is changed.
FAMILY: Visibility = (False, True, False)
FLAGS = ("is_public", "is_family", "is_friend")

Fact = tuple[str, str]


@dataclass
class Details:
    """Of one document.

    :param facts: its tags, notes and albums.
    """

    title: str = ""
    visibility: Visibility = (True, False, False)
    perm_comment: int = 5
    facts: list[Fact] = field(default_factory=list)

    @classmethod
    def of_old(cls) -> Details:
        facts = [("tag", "summer"), ("tag", "sea"), ("note", "a sail"), ("album", "7")]
        return cls("A boat", FAMILY, 3, facts)

    def all_of(self, kind: str) -> list[str]:
        return [text for one, text in self.facts if one == kind]


def reply_of(method: str, doc_id: str, owner_id: str, details: Details) -> dict[str, Any]:
    """Return the payload of a reading call, as the service sends it."""
    if method == "doc.getContainers":
        albums = [{"album_id": album} for album in details.all_of("album")]
        return {"albums": {"album": albums}}
    area = {"x": 1, "y": 2, "w": 3, "h": 4}
    notes = [
        {"note_id": number, "user_id": owner_id, "content": text, **area}
        for number, text in enumerate(details.all_of("note"), 1)
    ]
    is_public, is_family, is_friend = map(int, details.visibility)
    return {
        "doc": {
            "doc_id": doc_id,
            "owner": {"user_id": owner_id},
            "title": details.title,
            "visibility": {"ispublic": is_public, "isfamily": is_family, "isfriend": is_friend},
            "permissions": {"comment": details.perm_comment},
            "tags": {"tag": [{"type": "keyword", "tag": t} for t in details.all_of("tag")]},
            "notes": {"note": notes},
        }
    }


def change(details: Details, method: str, params: dict[str, Any]) -> list[Fact]:
    """Carry a writing call out; return what it adds.

    :raises LookupError: it is none of those that a transfer may make.
    """
    if method == "doc.set":
        details.title = params["title"]
        return []
    if method == "doc.setPerms":
        details.visibility = tuple(bool(params[name]) for name in FLAGS)  # type: ignore[assignment]
        details.perm_comment = params.get("perm_comment", details.perm_comment)
        return []
    added: dict[str, list[Fact]] = {
        "doc.tags.add": [("tag", word) for word in params.get("keywords", ())],
        "doc.notes.add": [("note", str(params.get("content")))],
        "album.docs.add": [("album", str(params.get("album_id")))],
    }
    details.facts += added[method]
    return added[method]


def what_is_wrong(old: Details, new: Details, removed: set[Fact]) -> str:
    """Return what a finished transfer has left undone; empty if nothing.

    :param removed: what somebody has taken away from the new document since.
    """
    if missing := set(old.facts) - set(new.facts) - removed:
        return f"misses {missing}"
    if (new.title, new.perm_comment) != (old.title, old.perm_comment):
        return "has another title, or other permissions"
    return ""


def wrongly_seen(memory: dict[str, Remembered], shown: dict[str, Visibility]) -> str:
    """Return which document is seen by others than before the transfers; empty if none is.

    Those whose place has been taken are private, the last ones are seen as the first ones were.
    """
    for doc_id, known in memory.items():
        if not known.transferred:
            continue
        new_id = str(known.successor)
        if shown[doc_id] != PRIVATE:
            return f"document {doc_id} is seen by {shown[doc_id]}"
        if new_id not in memory and shown[new_id] != FAMILY:
            return f"document {new_id}, in place of {doc_id}, is seen by {shown[new_id]}"
    return ""


class ModelMemory:
    """What is remembered of documents, as all processes of a history find it."""

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self._process = process
        #: What this process has last read or written.
        self._seen: dict[str, Remembered | None] = {}

    def read(self, doc_id: str) -> Remembered | None:
        self._world.boundary(self._process, "memory read")
        self._seen[doc_id] = self._world.memory.get(doc_id)
        return self._seen[doc_id]

    def write(self, doc_id: str, remembered: Remembered) -> None:
        world = self._world
        world.boundary(self._process, "memory write")
        # The documented gap: another process has written between the look and this.
        world.raced = world.raced or world.memory.get(doc_id) is not self._seen.get(doc_id)
        world.memory[doc_id] = self._seen[doc_id] = remembered


def chain_of(memory: dict[str, Remembered], doc_id: str) -> list[str]:
    """Return a document and those that have taken its place, one after the other."""
    chain = [doc_id]
    while (known := memory.get(chain[-1])) and known.successor:
        chain.append(known.successor)
    return chain
