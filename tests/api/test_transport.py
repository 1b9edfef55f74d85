"""The connection to the service: what breaks it, and what is said then."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
import trustme

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import (
    AnswerLost,
    BrokenOff,
    CredentialError,
    IpernityError,
    PermanentError,
    Unreachable,
)
from ipernity_provider.sandbox import running_sandbox
from scripts.rig import free_port
from tests.api.raw_server import http, speaking
from tests.conftest import API_KEY, API_SECRET, BOAT, CREDENTIALS, SECRETS, TOKEN, Service

pytestmark = pytest.mark.socket

BOTH = pytest.mark.parametrize("auth", ["signature", "oauth"])


@pytest.mark.parametrize("method", ["doc.get", "upload.replace"])
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("html", "a web page instead of"),
        ("truncated", "cut off"),
        ("http:500", "HTTP 500"),
        ("drop_before_reading", "broke"),
        ("drop_after_accepting", "broke"),
        ("slow:3", "did not answer in time"),
    ],
)
def test_a_lost_answer_is_one_sentence_and_may_mean_an_accepted_upload(
    service: Service, picture: Path, method: str, kind: str, words: str
) -> None:
    service.fail(kind, method)
    # Cut off before it is read, an upload may be through on our side or not.
    cut = (
        (AnswerLost, BrokenOff)
        if (kind, method) == ("drop_before_reading", "upload.replace")
        else AnswerLost
    )
    with (
        service.client(attempts=1, timeout=0.5, upload_timeout=0.5) as client,
        pytest.raises(cut, match=words) as caught,
    ):
        client.get_document(BOAT) if method == "doc.get" else client.upload_replace(BOAT, picture)
    assert caught.value.maybe_accepted is isinstance(caught.value, AnswerLost)
    assert_clean(caught.value)


def test_a_closed_port_is_one_sentence_and_nothing_was_sent(picture: Path) -> None:
    with IpernityClient(
        API_KEY, API_SECRET, token=TOKEN, base_url=f"http://127.0.0.1:{free_port()}", attempts=1
    ) as client:
        for call in (client.echo, lambda: client.upload_replace(BOAT, picture)):
            with pytest.raises(
                Unreachable, match="refuses connections or cannot be reached"
            ) as caught:
                call()
            assert not caught.value.maybe_accepted
            assert_clean(caught.value)


def test_a_name_that_does_not_exist_is_one_sentence(picture: Path) -> None:
    with IpernityClient(
        API_KEY, API_SECRET, base_url="http://no-such-host.invalid", attempts=1
    ) as client:
        with pytest.raises(
            Unreachable, match=r"the name no-such-host\.invalid cannot be resolved"
        ) as caught:
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


def test_a_redirect_is_not_followed() -> None:
    moved = http(301, b"", "Location: /api/test.echo/json")
    with speaking(moved) as server:
        client = IpernityClient(API_KEY, API_SECRET, base_url=server.url)
        with client, pytest.raises(PermanentError, match="another address; it was not followed"):
            client.echo()
    assert len(server.requests) == 1


def test_a_socks_proxy_of_the_environment_is_named_as_what_is_missing(
    service: Service, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_spec("socks") is None
    monkeypatch.setenv("ALL_PROXY", "socks5://user:proxy-password@127.0.0.1:1080")
    with service.client(attempts=1) as client:
        for call in (client.echo, lambda: client.upload_replace(BOAT, picture)):
            with pytest.raises(
                PermanentError, match=r"SOCKS proxy, which needs the package PySocks"
            ) as caught:
                call()
            assert "ALL_PROXY" in str(caught.value)
            assert "proxy-password" not in str(caught.value)
            assert_clean(caught.value)


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
            return IpernityClient(
                API_KEY, API_SECRET, token=TOKEN, base_url=url, verify=verify, attempts=1
            )

        assert client(str(tmp_path / "ca.pem")).echo() == "hello"
        for wrong in (True, str(tmp_path / "other.pem")):
            with pytest.raises(PermanentError, match=r"certificate.*`verify`") as caught:
                client(wrong).echo()
            assert_clean(caught.value)


@pytest.mark.parametrize("kind", ["no PEM", "missing"])
def test_a_ca_file_that_cannot_be_used_is_said_and_nothing_was_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    ours, ca_file = trustme.CA(), tmp_path / "ca.pem"
    server = tmp_path / "server.pem"
    ours.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(server)
    verify: bool | str = str(ca_file)
    if kind == "no PEM":
        ca_file.write_text("these are no certificates\n")
    else:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca_file))
        verify = True
    with (
        running_sandbox(tls_cert=server, tls_key=server) as url,
        IpernityClient(
            API_KEY, API_SECRET, token=TOKEN, base_url=url, verify=verify, attempts=1
        ) as client,
    ):
        for call in (client.echo, lambda: client.upload_replace(BOAT, server)):
            with pytest.raises(
                PermanentError, match=r"the CA file cannot be used\. Check `verify`"
            ) as caught:
                call()
            assert not caught.value.maybe_accepted


def test_a_host_that_is_not_a_name_is_not_a_valid_address() -> None:
    with (
        IpernityClient(
            API_KEY, API_SECRET, base_url="https://api..ipernity.com", attempts=1
        ) as client,
        pytest.raises(PermanentError, match="is not a valid address"),
    ):
        client.echo()


@contextmanager
def listening(backlog: int, *, take_bytes: int = 0) -> Iterator[str]:
    """A server that takes some bytes of the first connection, and then nothing more."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        server.bind(("127.0.0.1", 0))
        server.listen(backlog)
        over = threading.Event()

        def take() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(take_bytes)
                over.wait(30)

        taking = threading.Thread(target=take if take_bytes else over.wait)
        taking.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            over.set()
            taking.join()


def test_an_upload_that_stalls_is_broken_off_and_cannot_have_arrived(tmp_path: Path) -> None:
    big = tmp_path / "big.jpg"
    big.write_bytes(bytes(64 << 20))
    with (
        listening(1, take_bytes=1 << 16) as url,
        IpernityClient(API_KEY, API_SECRET, base_url=url, stall_timeout=0.5) as client,
        pytest.raises(BrokenOff, match="stopped taking the file; nothing was replaced") as caught,
    ):
        client.upload_replace(BOAT, big)
    assert not caught.value.maybe_accepted
    assert_clean(caught.value)


def test_a_server_that_does_not_take_connections_is_given_up_in_time() -> None:
    with listening(0) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        # A queue of none holds one; the others must wait.
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex((host, int(port)))
        started = time.monotonic()
        with (
            IpernityClient(
                API_KEY, API_SECRET, base_url=url, connect_timeout=0.5, attempts=1
            ) as client,
            pytest.raises(Unreachable, match="connecting timed out"),
        ):
            client.echo()
        assert time.monotonic() - started < 5
        for one in waiting:
            one.close()


@BOTH
def test_a_log_at_debug_shows_no_signature_and_no_token(
    service: Service, auth: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), service.client(auth) as client:
        client.call("api.methods.get", method="doc.get")
        client.get_document(BOAT)
    assert "/api/doc.get/json" in caplog.text
    assert not any(secret in caplog.text for secret in SECRETS)
    assert "oauth_signature" not in caplog.text
    assert "api_sig=***" in caplog.text or auth == "oauth"


def assert_clean(error: IpernityError) -> None:
    """One sentence for a person: no secret, no library's traceback, no address with parameters."""
    text = str(error)
    assert not any(secret in text for secret in SECRETS)
    assert "\n" not in text
    assert "HTTPConnectionPool" not in text
    assert "api_sig" not in text
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__
