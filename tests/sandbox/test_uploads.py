from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.sandbox.caller import Caller, jpeg, md5_of, poll, signed

NEW = jpeg("orange")


def test_replace_puts_the_new_file_behind_the_requested_document(sandbox: Caller) -> None:
    before = sandbox.doc("5412")
    report = sandbox.wait(sandbox.replace(NEW))
    assert report["doc_id"] == "5412"
    after = sandbox.doc("5412")
    assert after["md5"] == md5_of(NEW) != before["md5"]
    assert after["original"]["bytes"] == str(len(NEW))
    assert after["original"]["filename"] == "new.jpg"
    assert (after["original"]["w"], after["original"]["h"]) == ("320", "200")
    assert "replaced_at" not in before["dates"]
    assert int(after["dates"]["replaced_at"]) >= int(before["dates"]["posted_at"])
    assert after["title"] == before["title"] == "A boat"


def test_nothing_of_the_document_changes_before_the_processing_is_over(sandbox: Caller) -> None:
    sandbox.change(processing_seconds=30)
    before = sandbox.doc("5412")
    ticket = sandbox.replace(NEW)
    assert sandbox.ticket(ticket) == {"id": ticket, "done": "0", "invalid": "0", "eta": "30"}
    assert sandbox.doc("5412") == before


def test_the_stored_bytes_and_thumbnails_are_served(sandbox: Caller) -> None:
    sandbox.wait(sandbox.replace(NEW))
    doc = sandbox.doc("5412")
    assert doc["original"]["url"].endswith(".jpg?r2")
    assert sandbox.http.get(doc["original"]["url"]).content == NEW
    thumb = {thumb["label"]: thumb for thumb in doc["thumbs"]["thumb"]}["240"]
    assert (thumb["w"], thumb["h"]) == ("240", "150")
    response = sandbox.http.get(thumb["url"])
    assert response.headers["Content-Type"] == "image/jpeg"
    assert response.content.startswith(b"\xff\xd8")


def test_a_ticket_of_replace_has_a_dash_and_a_ticket_of_file_has_digits_only(
    sandbox: Caller,
) -> None:
    assert re.fullmatch(r"\d+-\d+", sandbox.replace(NEW))
    assert re.fullmatch(r"\d+", sandbox.send("upload.file", NEW)["ticket"])


def test_replace_mode_new_document_leaves_the_old_document_alone(sandbox: Caller) -> None:
    sandbox.change(replace_mode="new_document")
    before = sandbox.doc("5412")
    report = sandbox.wait(sandbox.replace(NEW))
    assert report["doc_id"] == "10001"
    assert sandbox.doc("5412") == before
    new = sandbox.doc("10001")
    assert (new["md5"], new["title"], new["media"]) == (md5_of(NEW), "", "photo")
    assert sandbox.control("ledger")[0]["new_doc_id"] == "10001"


def test_upload_file_makes_a_document_with_the_texts_that_were_sent(sandbox: Caller) -> None:
    reply = sandbox.send("upload.file", NEW, title="Überfluß", keywords="a,b", is_public="1")
    doc_id = sandbox.wait(reply["ticket"])["doc_id"]
    doc = sandbox.doc(doc_id, extra="md5,tags")
    assert (doc["title"], doc["md5"], doc["visibility"]["share"]) == ("Überfluß", md5_of(NEW), "4")
    assert [tag["tag"] for tag in doc["tags"]["tag"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("sync_reply", "members"),
    [("both", {"ticket", "doc_id"}), ("ticket", {"ticket"}), ("doc_id", {"doc_id"})],
)
def test_async_0_answers_when_it_is_done(
    sandbox: Caller, sync_reply: str, members: set[str]
) -> None:
    sandbox.change(sync_reply=sync_reply)
    params = {"async": "0", "doc_id": "5412"}
    reply = sandbox.send("upload.replace", NEW, **params)
    assert reply.keys() - {"api"} == members
    assert reply.get("doc_id", "5412") == "5412"
    assert sandbox.doc("5412")["md5"] == md5_of(NEW)


def test_the_file_may_come_before_the_fields(sandbox: Caller) -> None:
    fields = signed("upload.replace", doc_id="5412")
    parts: dict[str, tuple[str | None, bytes]] = {"file": ("new.jpg", NEW)}
    parts.update({name: (None, value.encode()) for name, value in fields.items()})
    reply = sandbox.http.post(sandbox.url("upload.replace"), files=parts).json()
    assert sandbox.wait(reply["ticket"])["done"] == "1"


def test_the_form_may_be_sent_in_chunks_without_a_length(sandbox: Caller) -> None:
    fields = signed("upload.replace", doc_id="5412")
    prepared = sandbox.http.prepare_request(
        requests.Request(
            "POST", sandbox.url("upload.replace"), data=fields, files={"file": ("n.jpg", NEW)}
        )
    )
    body = prepared.body
    assert isinstance(body, bytes)
    chunks = (body[start : start + 1000] for start in range(0, len(body), 1000))
    headers = {"Content-Type": prepared.headers["Content-Type"]}
    reply = sandbox.http.post(sandbox.url("upload.replace"), data=chunks, headers=headers).json()
    assert sandbox.wait(reply["ticket"])["done"] == "1"


@pytest.mark.parametrize("method", ["upload.replace", "upload.file"])
@pytest.mark.parametrize("content", [None, b""])
def test_error_1_a_missing_or_empty_file(
    sandbox: Caller, method: str, content: bytes | None
) -> None:
    reply = sandbox.send(method, content, doc_id="5412")
    assert reply["api"]["code"] == "1"
    assert reply["api"]["message"] == "File is missing or empty"


@pytest.mark.parametrize("method", ["upload.replace", "upload.file"])
def test_error_2_a_file_over_the_limit(sandbox: Caller, method: str) -> None:
    sandbox.change(max_file_bytes=len(NEW))
    assert sandbox.send(method, NEW, doc_id="5412")["api"]["status"] == "ok"
    assert sandbox.code(sandbox.send(method, NEW + b"x", doc_id="5412")) == "2"


def test_error_3_the_monthly_volume_is_used_up(sandbox: Caller) -> None:
    sandbox.change(quota_left_bytes=len(NEW))
    assert sandbox.send("upload.replace", NEW, doc_id="5412")["api"]["status"] == "ok"
    reply = sandbox.send("upload.replace", NEW, doc_id="5412")
    assert (reply["api"]["code"], reply["api"]["message"]) == ("3", "User exceeded upload limits")
    assert sandbox.send("upload.file", NEW)["api"]["code"] == "7"
    assert sandbox.get("account.getQuota")["quota"]["upload"]["left"]["bytes"] == "0"


@pytest.mark.parametrize("method", ["upload.replace", "upload.file"])
def test_uploads_at_the_same_time_do_not_use_the_same_volume(sandbox: Caller, method: str) -> None:
    sandbox.change(quota_left_bytes=2 * len(NEW))
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: sandbox.send(method, NEW, doc_id="5412"), range(16)))
    assert sum(reply["api"]["status"] == "ok" for reply in replies) == 2
    assert [entry["method"] for entry in sandbox.control("ledger")] == [method] * 2


def test_an_unlimited_account_has_a_ceiling_that_is_raised_when_an_upload_needs_it(
    sandbox: Caller,
) -> None:
    sandbox.change(unlimited=True, quota_left_bytes=len(NEW) - 1)
    before = sandbox.get("account.getQuota")["quota"]["upload"]
    assert (before["unlimited"], before["left"]["bytes"]) == ("1", str(len(NEW) - 1))
    assert sandbox.send("upload.replace", NEW, doc_id="5412")["api"]["status"] == "ok"
    after = sandbox.get("account.getQuota")["quota"]["upload"]
    assert (after["max"]["bytes"], after["left"]["bytes"]) == (
        str(20 * 1024**3),
        str(10 * 1024**3 - 1),
    )


@pytest.mark.parametrize(
    "limited", [{"is_pro": False}, {"quota_left_bytes": 7}, {"unlimited": False}]
)
def test_which_accounts_are_limited(sandbox: Caller, limited: dict[str, Any]) -> None:
    sandbox.change(**limited)
    assert sandbox.get("account.getQuota")["quota"]["upload"]["unlimited"] == "0"


@pytest.mark.parametrize("doc_id", ["1", "7001", "", "no-number"])
def test_error_4_a_document_that_is_missing_or_not_ours(sandbox: Caller, doc_id: str) -> None:
    assert sandbox.code(sandbox.send("upload.replace", NEW, doc_id=doc_id)) == "4"


@pytest.mark.parametrize(
    ("doc_id", "content", "filename"),
    [
        ("5416", NEW, "looks-like.pdf"),
        ("5412", b"%PDF-1.7 ...", "looks-like.jpg"),
        ("5412", b"RIFF\0\0\0\0WAVEfmt ", "looks-like.jpg"),
        ("5412", b"\0\0\0\x18ftypisom....", "looks-like.jpg"),
        ("5412", b"just text", "notes.txt"),
    ],
)
def test_error_5_another_media_class_by_content(
    sandbox: Caller, doc_id: str, content: bytes, filename: str
) -> None:
    assert sandbox.code(sandbox.send("upload.replace", content, filename, doc_id=doc_id)) == "5"


def test_a_file_of_unknown_content_is_classified_by_its_name(sandbox: Caller) -> None:
    reply = sandbox.send("upload.replace", b"no real picture", "scan.jpg", doc_id="5412")
    assert sandbox.wait(reply["ticket"])["done"] == "1"
    assert "thumbs" not in sandbox.doc("5412")


@pytest.mark.parametrize(
    ("doc_id", "content", "filename"),
    [
        ("5416", b"%PDF-1.7", "a.pdf"),
        ("5417", b"ID3 ...", "a.mp3"),
        ("5418", b"\0\0\0\x18ftypmp42", "a.mp4"),
    ],
)
def test_documents_sounds_and_films_are_replaced_like_photos(
    sandbox: Caller, doc_id: str, content: bytes, filename: str
) -> None:
    reply = sandbox.send("upload.replace", content, filename, doc_id=doc_id)
    assert sandbox.wait(reply["ticket"])["done"] == "1"
    assert sandbox.doc(doc_id)["md5"] == md5_of(content)


def test_error_6_replacing_needs_a_pro_account_but_a_new_document_does_not(sandbox: Caller) -> None:
    sandbox.change(is_pro=False)
    assert sandbox.code(sandbox.send("upload.replace", NEW, doc_id="5412")) == "6"
    assert sandbox.send("upload.file", NEW)["api"]["status"] == "ok"


def test_a_refused_upload_is_not_in_the_ledger(sandbox: Caller) -> None:
    sandbox.send("upload.replace", NEW, doc_id="1")
    assert sandbox.control("ledger") == []


def test_the_ledger_lists_accepted_uploads_in_order(sandbox: Caller) -> None:
    first = sandbox.replace(NEW)
    second = sandbox.send("upload.file", NEW + b"!", "second.jpg")["ticket"]
    sandbox.wait(second)
    entries = sandbox.control("ledger")
    assert [entry["ticket"] for entry in entries] == [first, second]
    assert isinstance(entries[0].pop("at"), float)
    assert entries[0] == {
        "method": "upload.replace",
        "doc_id": "5412",
        "new_doc_id": None,
        "ticket": first,
        "md5": md5_of(NEW),
        "bytes": len(NEW),
        "filename": "new.jpg",
    }
    assert (entries[1]["doc_id"], entries[1]["new_doc_id"], entries[1]["bytes"]) == (
        None,
        "10001",
        len(NEW) + 1,
    )


def test_invalid_next_ends_so_many_uploads_as_invalid_and_changes_nothing(sandbox: Caller) -> None:
    sandbox.change(invalid_next=1)
    before = sandbox.doc("5412")
    report = sandbox.wait(sandbox.replace(NEW))
    assert (report["done"], report["invalid"], report["eta"]) == ("0", "1", "0")
    assert "doc_id" not in report
    assert sandbox.doc("5412") == before
    assert sandbox.control("settings")["invalid_next"] == 0
    assert sandbox.wait(sandbox.replace(NEW))["done"] == "1"


def test_rewrite_bytes_stores_other_bytes_than_were_sent(sandbox: Caller) -> None:
    sandbox.change(rewrite_bytes=True)
    sandbox.wait(sandbox.replace(NEW))
    doc = sandbox.doc("5412")
    stored = sandbox.http.get(doc["original"]["url"]).content
    assert doc["md5"] == md5_of(stored) != md5_of(NEW)
    assert doc["original"]["bytes"] == str(len(stored)) != str(len(NEW))
    assert sandbox.control("ledger")[0]["md5"] == md5_of(NEW)


def test_receive_bytes_per_second_slows_an_upload_down(sandbox: Caller) -> None:
    sandbox.change(receive_bytes_per_second=1_000_000)
    response = sandbox.send_raw("upload.replace", NEW + bytes(300_000), doc_id="5412")
    assert response.json()["api"]["status"] == "ok"
    assert response.elapsed.total_seconds() >= 0.29


def test_an_upload_to_a_document_deleted_meanwhile_becomes_invalid(sandbox: Caller) -> None:
    sandbox.change(permissions={"doc": "delete"}, processing_seconds=0.3)
    ticket = sandbox.replace(NEW)
    assert sandbox.post("doc.delete", doc_id="5412")["api"]["status"] == "ok"
    assert sandbox.wait(ticket)["invalid"] == "1"


def test_each_replacement_raises_the_marker_in_the_address(sandbox: Caller) -> None:
    for number in (2, 3):
        sandbox.wait(sandbox.replace(jpeg(("red", "blue")[number % 2])))
        assert poll(lambda: sandbox.doc("5412")["original"]["url"]).endswith(f"?r{number}")
