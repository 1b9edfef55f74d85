"""PyIpernity, a client written by others against the live service, meets the sandbox."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import requests
from ipernity import IpernityAPI
from ipernity.exceptions import APIRequestError, UnknownMethod, UploadError

from tests.sandbox.caller import KEY, SECRET, TOKEN, Caller, jpeg, md5_of


@pytest.fixture
def api(sandbox: Caller) -> Any:
    sandbox.change(
        require_lg=False, eta_seconds=0
    )  # it was last changed before lg came up; it sleeps the eta
    return IpernityAPI(
        KEY,
        SECRET,
        TOKEN,
        url=f"{sandbox.root}/api/",
        auth_url_base=f"{sandbox.root}/apps/authorize",
    )


def test_it_says_hello_and_echoes(api: Any) -> None:
    assert api.test.hello()["hello"] == "hello world!"
    assert api.test.echo(echo="Hallo Überfluß")["echo"] == "Hallo Überfluß"


def test_it_uploads_a_file_and_finds_it_by_its_checksum(api: Any, tmp_path: Path) -> None:
    content = jpeg("pink")
    (tmp_path / "pink.jpg").write_bytes(content)
    doc_id = api.upload_file(str(tmp_path / "pink.jpg"), title="Pink")
    docs = api.doc.checkMD5(md5=md5_of(content))["docs"]
    assert [doc["doc_id"] for doc in docs["doc"]] == [doc_id]
    assert api.doc.get(doc_id=doc_id)["doc"]["title"] == "Pink"


def test_it_notices_an_invalid_ticket(api: Any, sandbox: Caller, tmp_path: Path) -> None:
    sandbox.change(invalid_next=1)
    (tmp_path / "pink.jpg").write_bytes(jpeg())
    with pytest.raises(UploadError):
        api.upload_file(str(tmp_path / "pink.jpg"))


def test_it_replaces_a_file(api: Any, sandbox: Caller, tmp_path: Path) -> None:
    (tmp_path / "pink.jpg").write_bytes(jpeg("pink"))
    ticket = api.upload.replace(file=str(tmp_path / "pink.jpg"), doc_id=5412)["ticket"]
    assert sandbox.wait(ticket)["doc_id"] == "5412"


def test_it_walks_through_all_pages(api: Any) -> None:
    assert [doc["doc_id"] for doc in api.walk_docs(per_page=2)] == [
        str(number) for number in range(5412, 5419)
    ]


def test_it_reports_an_api_error(api: Any) -> None:
    with pytest.raises(APIRequestError) as error:
        api.doc.get(doc_id=1)
    assert "Document not found" in str(error.value)


def test_it_gets_a_token_as_a_desktop_application(api: Any) -> None:
    api.token = None
    frob = api.auth.getFrob()["auth"]["frob"]
    url = api.auth.auth_url({"doc": "delete"}, frob)
    page = requests.get(url).text
    form = re.search(r'<form name="fa".*?</form>', page, re.DOTALL)
    assert form is not None
    inputs = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', form.group())
    answer = requests.post(url, data={name: unescape(value) for name, value in inputs})
    assert 'class="ok"' in answer.text
    api.auth.getToken(frob)
    assert api.has_permissions({"doc": "delete"})
    assert api.user_info["username"] == "Superman"


# What follows are the calls of PyIpernity's own tests against the live service, and what they read
# of each answer, as far as one account is enough.


@pytest.fixture
def documents(api: Any, sandbox: Caller, tmp_path: Path) -> list[str]:
    sandbox.change(permissions={"doc": "delete"})
    doc_ids = []
    for number, description in enumerate(("(leer)", "Beschreibung für den Test"), 1):
        path = tmp_path / f"tischdecke{number}.jpg"
        path.write_bytes(jpeg(("pink", "plum")[number - 1]))
        title = f"Tischdecke {number}"
        doc_id = api.upload_file(str(path), public=0, title=title, description=description)
        doc = api.doc.get(doc_id=doc_id)["doc"]
        assert (doc["title"], doc["description"]) == (title, description)
        doc_ids.append(doc_id)
    return doc_ids


def test_the_user_the_token_and_the_quota_belong_together(api: Any) -> None:
    info = api.auth.checkToken(auth_token=TOKEN)["auth"]
    user = api.user.get(user_id=info["user"]["user_id"])["user"]
    assert [user[name] for name in ("user_id", "username")] == [
        info["user"][name] for name in ("user_id", "username")
    ]
    assert api.account.getQuota()["quota"]["user_id"] == user["user_id"]
    assert api.has_permissions({"doc": "read"})
    assert not api.has_permissions({"blog": "write"})


def test_it_reads_the_list_of_methods(api: Any) -> None:
    names = [method["name"] for method in api.api.methods.getList()["methods"]["method"]]
    assert {"user.get", "test.echo", "doc.get"} <= set(names)
    assert api.api.methods.get(method="test.echo")["method"]["name"] == "test.echo"


def test_it_changes_a_document(api: Any, documents: list[str]) -> None:
    texts = {"title": "New Title", "description": "New description"}
    changed = api.doc.set(doc_id=documents[0], **texts)["doc"]
    assert {name: changed[name] for name in ("doc_id", *texts)} == {
        "doc_id": documents[0],
        **texts,
    }
    found = api.doc.get(doc_id=documents[0])["doc"]
    assert {name: found[name] for name in texts} == texts


def test_it_makes_fills_walks_edits_and_deletes_albums(api: Any, documents: list[str]) -> None:
    albums = [api.album.create(title=f"Testalbum {number}")["album"] for number in (1, 2)]
    assert [album["title"] for album in albums] == ["Testalbum 1", "Testalbum 2"]
    album_id = albums[0]["album_id"]

    added = api.album.docs.add(album_id=album_id, doc_id=",".join(documents))["album"]
    assert added["album_id"] == album_id
    assert [doc["doc_id"] for doc in added["doc"]] == documents
    listed = api.album.docs.getList(album_id=album_id)["album"]["docs"]["doc"]
    assert [doc["doc_id"] for doc in listed] == documents
    assert [doc["doc_id"] for doc in api.walk_album_docs(album_id)] == documents
    assert {album["owner"]["user_id"] for album in api.walk_albums()} == {"1234"}

    texts = {"title": "New Title", "description": "New Description"}
    edited = api.album.edit(album_id=album_id, cover_id=documents[0], **texts)["album"]
    for album in (edited, api.album.get(album_id=album_id)["album"]):
        assert {name: album[name] for name in texts} == texts
        assert (album["album_id"], album["cover"]["doc_id"]) == (album_id, documents[0])

    for doc_id in documents:
        api.doc.delete(doc_id=doc_id)
    for album in albums:
        api.album.delete(album_id=album["album_id"])
    with pytest.raises(APIRequestError):
        api.album.get(album_id=album_id)


def test_it_adds_to_a_group_and_removes(api: Any, documents: list[str]) -> None:
    group_id, doc_id = api.group.getList()["groups"]["group"][0]["group_id"], documents[0]

    def groups() -> list[str]:
        found = api.doc.getContainers(doc_id=doc_id)["groups"]
        return [group["group_id"] for group in found.get("group", [])] if found else []

    def in_group() -> list[str]:
        docs = api.group.docs.getList(group_id=group_id)["group"]["docs"]
        return [doc["doc_id"] for doc in docs.get("doc", [])]

    reply = api.group.docs.add(group_id=group_id, doc_id=doc_id)
    assert reply["group"]["doc"][0]["doc_id"] == doc_id
    assert group_id in groups()
    assert doc_id in in_group()
    reply = api.group.docs.remove(group_id=group_id, doc_id=doc_id)
    assert reply["group"]["docs"][0]["doc_id"] == doc_id
    assert group_id not in groups()
    assert doc_id not in in_group()


def test_it_walks_through_a_search(api: Any, documents: list[str]) -> None:
    found = [doc["doc_id"] for doc in api.walk_doc_search(user_id="1234", text="tischdecke")]
    assert sorted(found) == sorted(documents)


def test_the_method_that_exists_in_the_list_only_is_not_found(api: Any) -> None:
    with pytest.raises(APIRequestError) as error:
        api.doc.albums.add(doc_id=5412, album_id=201)
    assert error.value.code == 103
    with pytest.raises(UnknownMethod):
        api.unknown.method()
