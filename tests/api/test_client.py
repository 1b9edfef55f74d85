from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import (
    AnswerLost,
    CredentialError,
    DocumentNotFound,
    IpernityError,
    PermanentError,
    TransientError,
    Unreachable,
)
from ipernity_provider.sandbox import running_sandbox
from scripts.rig import free_port
from tests.conftest import API_KEY, API_SECRET, BOAT, CREDENTIALS, SECRETS, TOKEN, Service

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
def test_the_language_is_sent_and_signed_and_can_be_switched_off(service: Service, auth: str) -> None:
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
def test_numbers_may_come_as_numbers(service: Service, auth: str) -> None:
    service.set(numbers_as_numbers=True)
    with service.client(auth) as client:
        assert client.get_document(BOAT).doc_id == BOAT
        assert client.get_quota().is_pro is True
        assert client.check_token().username == "Superman"


def test_a_document_tells_its_owner_checksum_size_and_page(service: Service, client: IpernityClient) -> None:
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


def test_a_document_can_be_deleted_only_with_that_permission(
    service: Service, client: IpernityClient
) -> None:
    with pytest.raises(
        CredentialError, match=r"doc\.delete for document 5412: Insufficient permissions \(code 110\)"
    ):
        client.delete_document(BOAT)
    service.set(permissions={"doc": "delete"})
    client.delete_document(BOAT)
    with pytest.raises(DocumentNotFound):
        client.get_document(BOAT)


@BOTH
@pytest.mark.parametrize("asynchronous", [True, False])
def test_an_upload_replaces_the_file_once(
    service: Service, picture: Path, auth: str, asynchronous: bool
) -> None:
    with service.client(auth) as client:
        upload = client.upload_replace(BOAT, picture, filename="Bötchen.jpg", asynchronous=asynchronous)
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


# -- tickets ---------------------------------------------------------------------------------------------------------


def test_tickets_are_asked_for_fifty_at_a_time_and_come_back_in_order(
    service: Service, client: IpernityClient
) -> None:
    tickets = service.make_tickets(120, (0.0, 0.0))
    states = client.check_tickets(tickets)
    assert [ticket.id for ticket in states] == tickets
    assert {ticket.state for ticket in states} == {"done"}
    assert service.calls()["upload.checkTickets"] == 3


def test_an_unknown_ticket_does_not_spoil_its_batch(service: Service, client: IpernityClient) -> None:
    tickets = [*service.make_tickets(4, (0.0, 0.0)), "99999999-1"]
    assert [ticket.state for ticket in client.check_tickets(tickets)] == [*["done"] * 4, "unknown"]
    assert service.calls()["upload.checkTickets"] == 6


def test_a_ticket_asked_for_twice_is_asked_once(service: Service, client: IpernityClient) -> None:
    (ticket,) = service.make_tickets(1, (60.0, 60.0))
    (state,) = client.check_tickets([ticket, ticket])
    assert state.pending
    assert service.tickets()[-1]["asked"] == 1


# -- trying again ----------------------------------------------------------------------------------------------------


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


# -- the connection --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["doc.get", "upload.replace"])
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("html", "a web page instead of data"),
        ("truncated", "cut off"),
        ("http:500", "failed with HTTP 500"),
        ("drop_before_reading", "broke"),
        ("drop_after_accepting", "broke"),
        ("slow:3", "did not answer in time"),
    ],
)
def test_a_lost_answer_is_one_sentence_and_may_mean_an_accepted_upload(
    service: Service, picture: Path, method: str, kind: str, words: str
) -> None:
    service.fail(kind, method)
    with (
        service.client(attempts=1, timeout=0.5, upload_timeout=0.5) as client,
        pytest.raises(AnswerLost, match=words) as caught,
    ):
        client.get_document(BOAT) if method == "doc.get" else client.upload_replace(BOAT, picture)
    assert caught.value.maybe_accepted
    assert_clean(caught.value)


def test_a_closed_port_is_one_sentence_and_nothing_was_sent(picture: Path) -> None:
    with IpernityClient(
        API_KEY, API_SECRET, token=TOKEN, base_url=f"http://127.0.0.1:{free_port()}", attempts=1
    ) as client:
        for call in (client.echo, lambda: client.upload_replace(BOAT, picture)):
            with pytest.raises(Unreachable, match="refuses connections or cannot be reached") as caught:
                call()
            assert not caught.value.maybe_accepted
            assert_clean(caught.value)


def test_a_name_that_does_not_exist_is_one_sentence(picture: Path) -> None:
    with IpernityClient(API_KEY, API_SECRET, base_url="http://no-such-host.invalid", attempts=1) as client:
        with pytest.raises(Unreachable, match=r"the name no-such-host\.invalid cannot be resolved") as caught:
            client.echo()
    assert_clean(caught.value)


def test_a_proxy_that_is_not_there_is_one_sentence_without_its_password(service: Service) -> None:
    proxy = f"http://user:proxy-password@127.0.0.1:{free_port()}"
    with (
        service.client(attempts=1, proxy=proxy) as client,
        pytest.raises(Unreachable, match="proxy") as caught,
    ):
        client.echo()
    assert "proxy-password" not in str(caught.value)


@BOTH
def test_a_wrong_secret_is_a_credential_error(service: Service, auth: str) -> None:
    wrong = "0000000000000000"
    with IpernityClient(API_KEY, wrong, **CREDENTIALS[auth], base_url=service.url) as client:
        with pytest.raises(CredentialError, match="Check the API secret") as caught:
            client.get_quota()
    assert caught.value.code == 105
    assert_clean(caught.value)
    assert wrong not in str(caught.value)


def test_a_redirect_is_not_followed(service: Service) -> None:
    service.fail("http:302", "test.echo")
    with service.client() as client, pytest.raises(PermanentError, match="another address"):
        client.echo()


def test_a_server_is_trusted_by_its_ca_file_only(tmp_path: Path) -> None:
    ours, other = trustme.CA(), trustme.CA()
    ours.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(
        tmp_path / "server.pem"
    )
    ours.cert_pem.write_to_path(tmp_path / "ca.pem")
    other.cert_pem.write_to_path(tmp_path / "other.pem")
    server = tmp_path / "server.pem"
    ssl.create_default_context(cafile=tmp_path / "ca.pem")
    with running_sandbox(tls_cert=server, tls_key=server) as url:

        def client(verify: bool | str) -> IpernityClient:
            return IpernityClient(API_KEY, API_SECRET, token=TOKEN, base_url=url, verify=verify, attempts=1)

        assert client(str(tmp_path / "ca.pem")).echo() == "hello"
        for wrong in (True, str(tmp_path / "other.pem")):
            with pytest.raises(PermanentError, match=r"certificate.*`verify`") as caught:
                client(wrong).echo()
            assert_clean(caught.value)


def assert_clean(error: IpernityError) -> None:
    """One sentence for a person: no secret, no traceback of a library, no address with parameters."""
    text = str(error)
    assert not any(secret in text for secret in SECRETS)
    assert "\n" not in text
    assert "HTTPConnectionPool" not in text
    assert "api_sig" not in text
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__
