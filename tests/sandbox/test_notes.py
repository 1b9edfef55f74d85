from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.caller import Caller

AREA = {"x": "1", "y": "2", "w": "30", "h": "40"}


def notes(sandbox: Caller, doc_id: str = "5412") -> Any:
    found = sandbox.doc(doc_id, extra="notes")["notes"]
    assert found["total"] == str(len(found.get("note", [])))
    assert found["total"] == sandbox.doc(doc_id)["count"]["notes"]
    return found.get("note", [])


def test_a_note_is_added_edited_and_deleted(sandbox: Caller) -> None:
    note = sandbox.post("doc.notes.add", doc_id="5412", content="Mast", **AREA)["note"]
    shown = {"user_id": "1234", "username": "Superman", **AREA}
    assert note == {"note_id": note["note_id"], "content": "Mast", **shown}
    assert [one["content"] for one in notes(sandbox)] == ["The red sail", "Mast"]
    assert notes(sandbox)[1] == note

    edited = sandbox.post("doc.notes.edit", note_id=note["note_id"], x="7", content="The mast")
    assert edited["note"] == {**note, "x": "7", "content": "The mast"} == notes(sandbox)[1]

    assert list(sandbox.post("doc.notes.delete", note_id=note["note_id"])) == ["api"]
    assert [one["content"] for one in notes(sandbox)] == ["The red sail"]
    assert sandbox.code(sandbox.post("doc.notes.delete", note_id=note["note_id"])) == "1"


def test_a_note_can_show_a_person(sandbox: Caller) -> None:
    note = sandbox.post("doc.notes.add", doc_id="5412", member_id="5678", **AREA)["note"]
    assert (note["member_id"], note["membername"], note["content"]) == ("5678", "Lois", "")


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"doc_id": "7001", "content": "x", **AREA}, "1"),
        ({"doc_id": "5416", "content": "x", **AREA}, "900"),
        ({"doc_id": "5412", **AREA}, "900"),
        ({"doc_id": "5412", "content": "x", **AREA, "w": "-1"}, "900"),
        ({"doc_id": "5412", "content": "x", "x": "1"}, "900"),
        ({"doc_id": "5412", "member_id": "99", **AREA}, "900"),
        ({"doc_id": "5412", "member_id": "5678,1234", **AREA}, "900"),
    ],
)
def test_what_cannot_be_added_is_refused(
    sandbox: Caller, params: dict[str, str], code: str
) -> None:
    assert sandbox.code(sandbox.post("doc.notes.add", **params)) == code
    assert len(notes(sandbox)) == 1


def test_a_note_is_looked_for_on_the_document_that_is_named(sandbox: Caller) -> None:
    wrong = {"doc_id": "5413", "note_id": "501"}
    assert sandbox.code(sandbox.post("doc.notes.edit", **wrong, content="x")) == "1"
    assert sandbox.code(sandbox.post("doc.notes.delete", **wrong)) == "1"
    assert notes(sandbox)[0]["content"] == "The red sail"
