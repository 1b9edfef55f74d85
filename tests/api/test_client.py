from __future__ import annotations

import json
from pathlib import Path

import pytest

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import (
    IpernityError,
    PermanentError,
    TransientError,
)
from tests.conftest import BOAT, Service

BOTH = pytest.mark.parametrize("auth", ["signature", "oauth"])


@BOTH
def test_text_arrives_as_it_was_sent(service: Service, auth: str) -> None:
    with service.client(auth) as client:
        assert client.echo("Hallo Überfluß & co = 100 % ?") == "Hallo Überfluß & co = 100 % ?"


@BOTH
def test_values_are_sent_as_the_service_wants_them(service: Service, auth: str) -> None:
    with service.client(auth) as client:
        reply = client.call(
            "test.echo", echo="x", flag=True, off=False, several=["a", "b"], number=5, nothing=None
        )
    assert {name: reply[name] for name in ("flag", "off", "several", "number")} == {
        "flag": "1",
        "off": "0",
        "several": "a,b",
        "number": "5",
    }
    assert "nothing" not in reply


@BOTH
def test_the_language_is_sent_and_signed_and_can_be_switched_off(
    service: Service, auth: str
) -> None:
    with service.client(auth, lg="de") as client:
        assert client.call("test.echo", echo="x")["lg"] == "de"
    with service.client(auth, lg=None) as client:
        with pytest.raises(PermanentError, match="`lg`"):
            client.echo()
        service.set(require_lg=False)
        assert client.echo() == "hello"


@BOTH
def test_a_method_that_refuses_post_is_called_with_get(service: Service, auth: str) -> None:
    with service.client(auth) as client:
        assert client.call("api.methods.get", method="upload.replace")["api"]["status"] == "ok"


@BOTH
def test_an_answer_can_be_had_as_it_came(service: Service, auth: str) -> None:
    with service.client(auth) as client:
        answer = client.exchange("doc.get", doc_id="1")
        assert (answer.status, answer.headers["Content-Type"].partition(";")[0]) == (
            200,
            "text/plain",
        )
        assert json.loads(answer.body)["api"]["code"] == "1"
        assert json.loads(client.exchange("test.echo", echo="x").body)["echo"] == "x"
        service.fail("http:503", "test.echo")
        assert client.exchange("test.echo").status == 503
        assert service.calls()["test.echo"] == 2  # it is not tried again
    with (
        service.client(auth, base_url="http://127.0.0.1:1") as nobody,
        pytest.raises(TransientError),
    ):
        nobody.exchange("test.echo")


@pytest.mark.parametrize("rule", ["form_fields", "rfc5849"])
def test_an_upload_signed_by_one_oauth_rule_is_refused_by_the_other(
    service: Service, picture: Path, rule: str
) -> None:
    service.set(oauth_multipart=rule)
    other = {"form_fields": "rfc5849", "rfc5849": "form_fields"}[rule]
    with service.client("oauth", oauth_multipart=other) as client:
        assert client.check_token().allows("doc", "write")  # only multipart differs
        with pytest.raises(IpernityError, match="105"):
            client.upload_replace(BOAT, picture)
    with service.client("oauth", oauth_multipart=rule) as client:
        assert client.upload_replace(BOAT, picture).ticket
    assert len(service.ledger()) == 1


@BOTH
def test_numbers_may_come_as_numbers(service: Service, auth: str) -> None:
    service.set(numbers_as_numbers=True)
    with service.client(auth) as client:
        assert client.get_document(BOAT).doc_id == BOAT
        assert client.get_quota().is_pro is True
        assert client.check_token().username == "Superman"


def test_a_document_tells_its_owner_checksum_size_and_page(
    service: Service, client: IpernityClient
) -> None:
    document = client.get_document(BOAT)
    assert (document.media, document.owner_id, document.filename, document.replaced_at) == (
        "photo",
        "1234",
        "boat.jpg",
        0,
    )
    assert document.link == f"{service.url}/doc/1234/{BOAT}"
    original = client.get_medias(BOAT).original
    assert original is not None
    assert original.url is not None
    assert len(b"".join(client.download(original.url))) == document.bytes == original.bytes


def test_checksums_are_looked_up_twenty_at_a_time(service: Service, client: IpernityClient) -> None:
    boat = client.get_document(BOAT).md5
    assert boat is not None
    unknown = [f"{number:032x}" for number in range(45)]
    hits = client.check_md5([*unknown, boat.upper()])
    assert hits[boat] == [BOAT]
    assert all(hits[checksum] == [] for checksum in unknown)
    assert service.calls()["doc.checkMD5"] == 3


@BOTH
@pytest.mark.parametrize("asynchronous", [True, False])
def test_an_upload_replaces_the_file_once(
    service: Service, picture: Path, auth: str, asynchronous: bool
) -> None:
    with service.client(auth) as client:
        upload = client.upload_replace(
            BOAT, picture, filename="Bötchen.jpg", asynchronous=asynchronous
        )
    (accepted,) = service.ledger()
    assert (accepted["doc_id"], accepted["bytes"]) == (BOAT, picture.stat().st_size)
    assert accepted["filename"] == "Bötchen.jpg"
    assert upload.ticket == accepted["ticket"]
    assert upload.doc_id == (None if asynchronous else BOAT)


def test_a_file_can_be_sent_as_a_new_document(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    upload = client.upload_file(picture, title="A new boat", asynchronous=False)
    assert upload.doc_id is not None
    assert client.get_document(upload.doc_id).title == "A new boat"
    assert [accepted["method"] for accepted in service.ledger()] == ["upload.file"]


# -- tickets ---------------------------------------------------------------------------------------


def test_tickets_are_asked_for_fifty_at_a_time_and_come_back_in_order(
    service: Service, client: IpernityClient
) -> None:
    tickets = service.make_tickets(120, (0.0, 0.0))
    states = client.check_tickets(tickets)
    assert [ticket.id for ticket in states] == tickets
    assert {ticket.state for ticket in states} == {"done"}
    assert service.calls()["upload.checkTickets"] == 3


def test_an_unknown_ticket_does_not_spoil_its_batch(
    service: Service, client: IpernityClient
) -> None:
    tickets = [*service.make_tickets(4, (0.0, 0.0)), "99999999-1"]
    assert [ticket.state for ticket in client.check_tickets(tickets)] == [*["done"] * 4, "unknown"]
    assert service.calls()["upload.checkTickets"] == 6


def test_a_ticket_asked_for_twice_is_asked_once(service: Service, client: IpernityClient) -> None:
    (ticket,) = service.make_tickets(1, (60.0, 60.0))
    (state,) = client.check_tickets([ticket, ticket])
    assert state.pending
    assert service.tickets()[-1]["checks"] == 1


# -- trying again ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["code:500", "code:503", "http:502", "html", "truncated", "drop_before_reading"]
)
def test_a_reading_call_is_tried_again_after_a_transient_error(
    service: Service, client: IpernityClient, kind: str
) -> None:
    service.fail(kind, "doc.get", times=2)
    assert client.get_document(BOAT).doc_id == BOAT
    assert service.calls()["doc.get"] == 3


def test_trying_again_has_an_end(service: Service) -> None:
    service.fail("code:503", "doc.get", times=9)
    with service.client(attempts=2) as client, pytest.raises(TransientError):
        client.get_document(BOAT)
    assert service.calls()["doc.get"] == 2


@pytest.mark.parametrize("kind", ["code:107", "code:112", "code:132", "code:1"])
def test_what_a_moment_cannot_mend_is_not_tried_again(
    service: Service, client: IpernityClient, kind: str
) -> None:
    service.fail(kind, "doc.get", times=9)
    with pytest.raises(IpernityError):
        client.get_document(BOAT)
    assert service.calls()["doc.get"] == 1


@pytest.mark.parametrize(
    "kind", ["code:500", "code:503", "http:502", "html", "truncated", "drop_before_reading"]
)
def test_an_upload_is_never_tried_again_here(
    service: Service, client: IpernityClient, picture: Path, kind: str
) -> None:
    service.fail(kind, "upload.replace", times=9)
    with pytest.raises(TransientError):
        client.upload_replace(BOAT, picture)
    assert service.calls()["upload.replace"] == 1
