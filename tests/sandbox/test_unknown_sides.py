"""Both sides of what is not known of the service: each setting changes what a client sees."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.caller import Caller, jpeg, md5_of

NEW = jpeg("orange")
REWRITTEN = NEW + b"\n<!-- stored by the ipernity sandbox -->\n"


def addresses(doc: dict[str, Any]) -> list[str]:
    return [doc["original"]["url"], *(thumb["url"] for thumb in doc["thumbs"]["thumb"])]


def test_replacing_can_differ_by_media_class(sandbox: Caller) -> None:
    sandbox.change(replace_mode={"photo": "new_document"}, new_document_share=4)
    assert sandbox.wait(sandbox.replace(NEW))["doc_id"] == "10001"
    assert sandbox.doc("10001")["visibility"]["ispublic"] == "1"
    page = b"%PDF-1.4\n%%EOF\n"
    ticket = sandbox.send("upload.replace", page, "page.pdf", doc_id="5416")["ticket"]
    assert sandbox.wait(ticket)["doc_id"] == "5416"


def test_a_ticket_of_replace_can_be_of_digits_alone(sandbox: Caller) -> None:
    sandbox.change(replace_ticket="plain")
    ticket = sandbox.replace(NEW)
    assert ticket.isdigit()
    assert sandbox.wait(ticket)["doc_id"] == "5412"


def test_a_ticket_can_be_without_the_time_left(sandbox: Caller) -> None:
    sandbox.change(show_eta=False)
    ticket = sandbox.replace(NEW)
    tickets = sandbox.get("upload.checkTickets", tickets=ticket)["tickets"]
    assert "eta" not in tickets
    assert "eta" not in tickets["ticket"][0]


@pytest.mark.parametrize(("refusal", "status"), [("http:451", 451), ("code:105", 200)])
def test_a_call_without_language_is_refused_in_either_way(
    sandbox: Caller, refusal: str, status: int
) -> None:
    sandbox.change(lg_refusal=refusal)
    answer = sandbox.http.get(sandbox.url("test.echo"))
    assert answer.status_code == status
    if refusal == "code:105":
        assert sandbox.code(answer.json()) == "105"


@pytest.mark.parametrize(
    ("shown", "of", "expected"),
    [
        ("original", "stored", (None, REWRITTEN)),
        ("both", "sent", (NEW, NEW)),
        ("doc", "sent", (NEW, None)),
    ],
)
def test_the_checksum_can_be_shown_in_different_places_and_of_different_bytes(
    sandbox: Caller, shown: str, of: str, expected: tuple[bytes | None, ...]
) -> None:
    sandbox.change(rewrite_bytes=True, md5_member=shown, md5_of=of)
    sandbox.wait(sandbox.replace(NEW))
    doc = sandbox.doc("5412")
    found = (doc.get("md5"), doc["original"].get("md5"))
    assert found == tuple(content and md5_of(content) for content in expected)


@pytest.mark.parametrize(
    ("setting", "found"), [("stored", ["0", "1"]), ("sent", ["1", "0"]), ("nothing", ["0", "0"])]
)
def test_checksums_are_found_as_set(sandbox: Caller, setting: str, found: list[str]) -> None:
    sandbox.change(rewrite_bytes=True, check_md5=setting)
    sandbox.wait(sandbox.replace(NEW))
    sums = f"{md5_of(NEW)},{md5_of(REWRITTEN)}"
    assert [hit["found"] for hit in sandbox.get("doc.checkMD5", md5=sums)["docs"]["doc"]] == found


def test_the_date_of_a_replacement_can_be_hidden(sandbox: Caller) -> None:
    sandbox.change(show_replaced_at=False)
    sandbox.wait(sandbox.replace(NEW))
    assert "replaced_at" not in sandbox.doc("5412")["dates"]


@pytest.mark.parametrize("change", ["marker", "path", "none"])
def test_addresses_change_as_set_and_lead_to_the_new_file(sandbox: Caller, change: str) -> None:
    sandbox.change(address_change=change)
    before = addresses(sandbox.doc("5412"))
    sandbox.wait(sandbox.replace(NEW))
    after = addresses(sandbox.doc("5412"))
    paths = [[url.partition("?")[0] for url in urls] for urls in (before, after)]
    assert (set(before) & set(after) != set()) == (change == "none")
    assert (set(paths[0]) & set(paths[1]) != set()) == (change != "path")
    assert sandbox.http.get(after[0]).content == NEW


def test_errors_can_have_a_status_of_http_and_no_time(sandbox: Caller) -> None:
    sandbox.change(error_http_status=404, error_at=False, reply_content_type="application/json")
    answer = sandbox.http.get(sandbox.url("doc.get"), params={"lg": "en"})
    assert answer.status_code == 404
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.json()["api"].keys() == {"status", "code", "message"}
    assert sandbox.http.get(sandbox.url("doc.get"), params={"lg": "en"}).status_code == 404
    hello = sandbox.http.get(
        sandbox.url("test.hello"),
        params={"lg": "en", "api_key": "6fa87ba500002712bd4eed6020f3bd72"},
    )
    assert hello.status_code == 200
    assert hello.headers["Content-Type"].startswith("application/json")
