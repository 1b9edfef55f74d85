from __future__ import annotations

from tests.sandbox.caller import Caller


def doc_ids(sandbox: Caller, group_id: str) -> list[str]:
    docs = sandbox.get("group.docs.getList", group_id=group_id)["group"]["docs"]
    return [doc["doc_id"] for doc in docs.get("doc", [])]


def test_the_groups_of_the_account(sandbox: Caller) -> None:
    groups = sandbox.get("group.getList")["groups"]
    assert groups["total"] == "2"
    assert [group["group_id"] for group in groups["group"]] == ["401", "402"]
    assert sandbox.code(sandbox.get("group.getList", user_id="nobody")) == "1"


def test_documents_are_added_once_and_removed(sandbox: Caller) -> None:
    for added in ("1", "0"):
        reply = sandbox.post("group.docs.add", group_id="402", doc_id="5412")
        assert reply["group"] == {
            "group_id": "402",
            "doc": [{"doc_id": "5412", "added": added}],
        }
        assert doc_ids(sandbox, "402") == ["5413", "5412"]
    reply = sandbox.post("group.docs.remove", group_id="402", doc_id="5412,5414")
    assert reply["group"] == {"group_id": "402", "docs": [{"doc_id": "5412"}]}
    assert doc_ids(sandbox, "402") == ["5413"]


def test_a_call_adds_at_most_20_documents(sandbox: Caller) -> None:
    many = [str(number) for number in range(5412, 5433)]
    reply = sandbox.post("group.docs.add", group_id="402", doc_id=",".join(many))
    assert sandbox.code(reply) == "900"
    assert doc_ids(sandbox, "402") == ["5413"]
    reply = sandbox.post("group.docs.add", group_id="402", doc_id=",".join(many[:20]))
    assert [doc["added"] for doc in reply["group"]["doc"]] == ["1", "0", *"11111", *"0" * 13]


def test_only_own_documents_can_be_added_and_removed(sandbox: Caller) -> None:
    reply = sandbox.post("group.docs.add", group_id="402", doc_id="7001")
    assert reply["group"]["doc"] == [{"doc_id": "7001", "added": "0"}]
    assert "docs" not in sandbox.post("group.docs.remove", group_id="401", doc_id="7001")["group"]
    assert doc_ids(sandbox, "401") == ["7001", "5412"]


def test_an_unknown_group(sandbox: Caller) -> None:
    for method in ("group.docs.add", "group.docs.remove"):
        assert sandbox.code(sandbox.post(method, group_id="999", doc_id="5412")) == "1"
    assert sandbox.code(sandbox.get("group.docs.getList", group_id="999")) == "1"
