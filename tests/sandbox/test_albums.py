from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.caller import Caller


def doc_ids(sandbox: Caller, album_id: str, **params: str) -> list[str]:
    docs = sandbox.get("album.docs.getList", album_id=album_id, **params)["album"]["docs"]
    return [doc["doc_id"] for doc in docs.get("doc", [])]


def created(sandbox: Caller) -> Any:
    return sandbox.get("account.getQuota")["quota"]["albums"]


def test_a_users_albums_are_listed_by_pages(sandbox: Caller) -> None:
    albums = sandbox.get("album.getList", per_page="1", page="2")["albums"]
    album = albums.pop("album")
    assert albums == {"total": "2", "per_page": "1", "page": "2", "pages": "2"}
    assert [(one["album_id"], one["owner"]["user_id"]) for one in album] == [("202", "1234")]
    (other,) = sandbox.get("album.getList", user_id="lois")["albums"]["album"]
    assert other["album_id"] == "203"
    assert sandbox.code(sandbox.get("album.getList", user_id="nobody")) == "1"
    assert sandbox.code(sandbox.get("album.getList", token=None)) == "1"


def test_an_album_is_made_filled_changed_and_deleted(sandbox: Caller) -> None:
    sandbox.change(permissions={"doc": "delete"})
    assert created(sandbox) == {"max": "2048", "created": "2", "left": "2046"}
    album_id = sandbox.post("album.create", title="Both")["album"]["album_id"]
    assert created(sandbox)["created"] == "3"

    reply = sandbox.post("album.docs.add", album_id=album_id, doc_id="5413,5412,5413,7001")
    assert reply["album"] == {
        "album_id": album_id,
        "doc": [
            {"doc_id": "5413", "added": "1"},
            {"doc_id": "5412", "added": "1"},
            {"doc_id": "7001", "added": "0"},
        ],
    }
    assert doc_ids(sandbox, album_id) == ["5413", "5412"]

    texts = {"title": "New", "description": "Two pictures"}
    edited = sandbox.post("album.edit", album_id=album_id, cover_id="5412", **texts)["album"]
    assert edited == sandbox.get("album.get", album_id=album_id)["album"]
    assert (edited["title"], edited["description"]) == ("New", "Two pictures")
    assert edited["cover"]["doc_id"] == "5412"

    reply = sandbox.post("album.docs.remove", album_id=album_id, doc_id="5412,5418")
    assert reply["album"] == {"album_id": album_id, "docs": [{"doc_id": "5412"}]}
    assert "cover" not in sandbox.get("album.get", album_id=album_id)["album"]
    assert doc_ids(sandbox, album_id) == ["5413"]

    assert list(sandbox.post("album.delete", album_id=album_id)) == ["api"]
    assert sandbox.code(sandbox.get("album.get", album_id=album_id)) == "1"
    assert sandbox.doc("5413")["doc_id"] == "5413"


def test_what_is_added_twice_is_in_the_album_once(sandbox: Caller) -> None:
    reply = sandbox.post("album.docs.add", album_id="201", doc_id="5412")
    assert reply["album"]["doc"] == [{"doc_id": "5412", "added": "0"}]
    assert doc_ids(sandbox, "201") == ["5412", "5415"]


def test_an_album_shows_a_visitor_what_is_public(sandbox: Caller) -> None:
    docs = sandbox.get("album.docs.getList", token=None, album_id="202")["album"]["docs"]
    assert [doc["doc_id"] for doc in docs["doc"]] == ["5413", "5414"]
    assert docs["total"] == "2"
    assert doc_ids(sandbox, "203") == ["7001"]


def test_the_containers_of_a_document(sandbox: Caller) -> None:
    reply = sandbox.get("doc.getContainers", doc_id="5412")
    assert [album["album_id"] for album in reply["albums"]["album"]] == ["201", "202"]
    assert reply["groups"]["group"] == [{"group_id": "401"}]
    count = sandbox.doc("5412")["count"]
    assert (count["albums"], count["groups"]) == ("2", "1")
    reply = sandbox.get("doc.getContainers", doc_id="5418")
    assert "album" not in reply["albums"]
    assert sandbox.code(sandbox.get("doc.getContainers", doc_id="7002")) == "1"


def test_a_deleted_document_is_in_no_album_and_no_group(sandbox: Caller) -> None:
    sandbox.change(permissions={"doc": "delete"})
    sandbox.post("doc.delete", doc_id="5412")
    assert doc_ids(sandbox, "201") == ["5415"]
    assert "cover" not in sandbox.get("album.get", album_id="201")["album"]
    docs = sandbox.get("group.docs.getList", group_id="401")["group"]["docs"]
    assert [doc["doc_id"] for doc in docs["doc"]] == ["7001"]


@pytest.mark.parametrize("method", ["album.edit", "album.docs.add", "album.docs.remove"])
def test_another_users_album_cannot_be_changed(sandbox: Caller, method: str) -> None:
    for album_id in ("203", "999"):
        reply = sandbox.post(method, album_id=album_id)
        assert (sandbox.code(reply), reply["api"]["message"]) == ("1", "Album not found")


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("album.create", {}),
        ("album.create", {"title": "x", "description": "y"}),
        ("album.edit", {"album_id": "201"}),
        ("album.edit", {"album_id": "201", "cover_id": "5413"}),
        ("album.docs.add", {"album_id": "201"}),
    ],
)
def test_what_the_service_does_is_not_known_and_so_it_is_refused(
    sandbox: Caller, method: str, params: dict[str, str]
) -> None:
    before = sandbox.get("album.getList")["albums"]
    assert sandbox.code(sandbox.post(method, **params)) == "900"
    assert sandbox.get("album.getList")["albums"] == before
