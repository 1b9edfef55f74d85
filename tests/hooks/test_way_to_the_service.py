"""An own proxy and authority: settings that hold in task, trigger and commands alike."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

from ipernity_provider.__main__ import main
from ipernity_provider.api.errors import PermanentError, TicketNotFound
from ipernity_provider.hooks.ipernity import IpernityHook
from ipernity_provider.sandbox import running_sandbox
from ipernity_provider.triggers.events import read_event
from ipernity_provider.triggers.ipernity import TicketTrigger
from scripts.rig import connection_json
from tests.conftest import BOAT, Service

CONN_ID = "ipernity_default"


class Tunnels:
    """An HTTP proxy that knows CONNECT alone, and notes who asked it to connect to where."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self.asked: list[tuple[str, bool]] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._tunnel, args=(client,), daemon=True).start()

    def _tunnel(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(4096)
        method, target, _ = head.split(b" ", 2)
        self.asked.append((target.decode(), b"Proxy-Authorization: Basic " in head))
        assert method == b"CONNECT"
        host, _, port = target.decode().partition(":")
        service = socket.create_connection((host, int(port)))
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        back = threading.Thread(target=_pour, args=(service, client), daemon=True)
        back.start()
        _pour(client, service)
        back.join()


def _pour(source: socket.socket, drain: socket.socket) -> None:
    try:
        while block := source.recv(1 << 16):
            drain.sendall(block)
        drain.shutdown(socket.SHUT_WR)
    except OSError:
        drain.close()


@contextmanager
def tunnels() -> Iterator[Tunnels]:
    proxy = Tunnels()
    try:
        yield proxy
    finally:
        proxy.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("authority")
    ours = trustme.CA()
    ours.cert_pem.write_to_path(folder / "ca.pem")
    ours.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    return folder


@pytest.fixture(scope="module")
def secure_service(authority: Path) -> Iterator[Service]:
    server = authority / "server.pem"
    with running_sandbox(
        tls_cert=server, tls_key=server, settings={"processing_seconds": 0}
    ) as url:
        yield Service(url)


def task(picture: Path) -> None:
    assert IpernityHook(CONN_ID).call("doc.get", doc_id=BOAT)


def upload(picture: Path) -> None:
    with IpernityHook(CONN_ID).get_conn() as client:
        assert client.upload_replace(BOAT, picture).ticket


def trigger(picture: Path) -> None:
    waiting = TicketTrigger(
        tickets={"12345-1": BOAT},
        ipernity_conn_id=CONN_ID,
        poll_interval=0.1,
        deadline=time.time() + 20,
    )

    async def first_event() -> Any:
        return await anext(waiting.run())

    event = asyncio.run(first_event())
    with suppress(TicketNotFound):  # the service's own answer: that is far enough
        read_event(event.payload)


def button(picture: Path) -> None:
    works, sentence = IpernityHook(CONN_ID).test_connection()
    if not works:
        raise PermanentError(sentence)


def command(picture: Path) -> None:
    main(["check", "--conn-id", CONN_ID])


USERS: list[Callable[[Path], None]] = [task, upload, trigger, button, command]


@pytest.mark.parametrize("use", USERS)
def test_proxy_and_own_authority_hold_everywhere(
    secure_service: Service,
    authority: Path,
    picture: Path,
    monkeypatch: pytest.MonkeyPatch,
    use: Callable[[Path], None],
) -> None:
    with tunnels() as proxy:
        settings = {
            "verify": str(authority / "ca.pem"),
            "proxy": f"http://somebody:password@{proxy.address}",
        }
        monkeypatch.setenv(
            "AIRFLOW_CONN_IPERNITY_DEFAULT", connection_json(secure_service.url, **settings)
        )
        use(picture)
        assert set(proxy.asked) == {(secure_service.url.removeprefix("https://"), True)}


@pytest.mark.parametrize("use", USERS)
def test_an_authority_that_is_not_known_is_said_everywhere(
    secure_service: Service,
    picture: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    use: Callable[[Path], None],
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_IPERNITY_DEFAULT", connection_json(secure_service.url))
    with pytest.raises((PermanentError, SystemExit)) as caught:
        use(picture)
    said = str(caught.value) + capsys.readouterr().out
    assert "give the CA file as `verify` in the connection's extra" in said
