from __future__ import annotations

import pytest

from tests.sandbox.caller import Caller


def tags(sandbox: Caller, doc_id: str = "5412") -> list[tuple[str, str]]:
    listed = sandbox.get("doc.tags.getList", doc_id=doc_id)["tags"]
    found = listed.get("tag", [])
    assert listed["total"] == str(len(found))
    return [(tag["type"], tag["tag"]) for tag in found]


BOAT, SEA, LOIS = ("keyword", "boat"), ("keyword", "sea"), ("member", "Lois")


def test_a_tag_has_the_documented_members(sandbox: Caller) -> None:
    assert sandbox.get("doc.tags.getList", doc_id="5412")["tags"]["tag"][2] == {
        "type": "member",
        "id": "5678",
        "user_id": "1234",
        "tag": "Lois",
        "added_at": "1699990000",
    }
    assert (
        sandbox.doc("5412", extra="tags")["tags"]
        == sandbox.get("doc.tags.getList", doc_id="5412")["tags"]
    )


def test_adding_twice_adds_once(sandbox: Caller) -> None:
    for added in ("2", "0"):
        reply = sandbox.post("doc.tags.add", doc_id="5412", keywords="wind,Sea", members="1234")
        assert (reply["tags"]["added"], reply["tags"]["dropped"]) == (added, "0")
        assert len(reply["tags"]["tag"]) == 5
    assert tags(sandbox) == [BOAT, SEA, LOIS, ("keyword", "wind"), ("member", "Superman")]
    assert sandbox.doc("5412")["count"]["tags"] == "5"


def test_editing_replaces_the_tags_of_the_kinds_that_are_named(sandbox: Caller) -> None:
    reply = sandbox.post("doc.tags.edit", doc_id="5412", keywords="sea,calm")["tags"]
    assert (reply["added"], reply["dropped"]) == ("1", "1")
    assert tags(sandbox) == [SEA, LOIS, ("keyword", "calm")]
    sandbox.post("doc.tags.edit", doc_id="5412", members="")
    assert tags(sandbox) == [SEA, ("keyword", "calm")]
    assert sandbox.post("doc.tags.edit", doc_id="5412", keywords="")["tags"]["dropped"] == "2"
    assert tags(sandbox) == []


def test_removing_takes_away_what_is_there(sandbox: Caller) -> None:
    reply = sandbox.post("doc.tags.remove", doc_id="5412", keywords="BOAT,wind", members="5678")
    assert (reply["tags"]["added"], reply["tags"]["dropped"]) == ("0", "2")
    assert tags(sandbox) == [SEA]


@pytest.mark.parametrize("action", ["add", "edit", "remove"])
def test_the_errors(sandbox: Caller, action: str) -> None:
    method = f"doc.tags.{action}"
    assert sandbox.code(sandbox.post(method, doc_id="7002", keywords="x")) == "1"
    assert sandbox.code(sandbox.post(method, doc_id="5412")) == "2"
    assert sandbox.code(sandbox.post(method, doc_id="5412", members="99")) == "900"
    assert tags(sandbox) == [BOAT, SEA, LOIS]


def test_another_users_document_can_be_tagged_but_not_edited(sandbox: Caller) -> None:
    assert sandbox.get("doc.get", doc_id="7001")["doc"]["can"]["tag"] == "1"
    sandbox.post("doc.tags.add", doc_id="7001", keywords="news")
    assert tags(sandbox, "7001") == [("keyword", "news")]
    assert sandbox.code(sandbox.post("doc.tags.edit", doc_id="7001", keywords="x")) == "1"
    sandbox.post("doc.tags.remove", doc_id="7001", keywords="news")
    assert tags(sandbox, "7001") == []
