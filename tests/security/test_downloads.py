"""Originals come from the service's own media hosts, never from this network, never endless."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.download import MediaHosts, is_public
from ipernity_provider.api.errors import IpernityError, PermanentError
from ipernity_provider.api.exchange import HttpClient
from ipernity_provider.replacement.errors import Refused
from tests.api.raw_server import http, is_one_line, reply, speaking
from tests.conftest import API_KEY, API_SECRET
from tests.replacement.support import run
from tests.security.hostile import MEDIA, ORIGINAL, Canary, HostileService

METADATA = "http://169.254.169.254/latest/meta-data"
MIB = 1 << 20

# -- which hosts -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "listed", "url"),
    [
        ("https://api.ipernity.com", [], "https://cdn.ipernity.com/200/5412.jpg?r2"),
        ("https://api.ipernity.com", [], "http://u1.ipernity.com/5412.jpg"),
        ("https://api.ipernity.com", [], "https://a.b.IPERNITY.com./5412.jpg"),
        ("https://api.ipernity.com", [], "https://ipernity.com:443/5412.jpg"),
        ("https://api.ipernity.com", [], "https://api.ipernity.com/5412.jpg"),
        ("https://www.ipernity.com", [], "https://cdn.ipernity.com/5412.jpg"),
        ("https://ipernity.example.org:8443", [], "https://ipernity.example.org:8443/5412.jpg"),
        ("https://api.ipernity.com", ["cdn.example.org"], "https://cdn.example.org/5412.jpg"),
        ("https://api.ipernity.com", ["cdn.example.org:81"], "http://cdn.example.org:81/5412.jpg"),
        ("http://127.0.0.1:8080", [], "http://127.0.0.1:8080/5412.jpg"),
        ("http://localhost:8080", ["127.0.0.1:81"], "http://127.0.0.1:81/5412.jpg"),
        ("http://[::1]:8080", [], "http://[::1]:8080/5412.jpg"),
    ],
)
def test_a_media_host_of_the_service_is_allowed(service: str, listed: list[str], url: str) -> None:
    MediaHosts(service, listed).require_allowed(url)


@pytest.mark.parametrize(
    ("service", "listed", "url"),
    [
        ("https://api.ipernity.com", [], METADATA),
        ("https://api.ipernity.com", [], "https://ipernity.com.example.org/5412.jpg"),
        ("https://api.ipernity.com", [], "https://notipernity.com/5412.jpg"),
        ("https://api.ipernity.com", [], "https://cdn.ipernity.com:8443/5412.jpg"),
        ("https://api.ipernity.com", [], "http://cdn.ipernity.com:443/5412.jpg"),
        ("https://api.ipernity.com", [], "https://cdn.ipernity.com@example.org/5412.jpg"),
        ("https://api.ipernity.com", [], "https://example.org@cdn.ipernity.com/5412.jpg"),
        ("https://api.ipernity.com", [], "https:///5412.jpg"),
        ("https://api.ipernity.com", [], "https://[::1/5412.jpg"),
        # Half the world is below `com`; and who runs `ipernity.example.org` need not run
        # `example.org`.
        ("https://api.com", [], "https://cdn.com/5412.jpg"),
        ("https://ipernity.example.org", [], "https://cdn.example.org/5412.jpg"),
        ("https://ipernity.example.org", [], "https://cdn.ipernity.example.org/5412.jpg"),
        ("http://api.127.0.0.1", [], "http://x.127.0.0.1/5412.jpg"),
        ("https://api.ipernity.com", ["cdn.example.org"], "https://x.cdn.example.org/5412.jpg"),
        ("https://api.ipernity.com", ["cdn.example.org"], "https://cdn.example.org:81/5412.jpg"),
        ("https://api.ipernity.com", ["cdn.example.org:81"], "https://cdn.example.org/5412.jpg"),
        # An address inside is refused also where it is listed.
        ("https://api.ipernity.com", ["10.0.0.7"], "https://10.0.0.7/5412.jpg"),
        ("https://api.ipernity.com", ["[::ffff:127.0.0.1]"], "https://[::ffff:127.0.0.1]/5412.jpg"),
        ("http://127.0.0.1:8080", [], "http://127.0.0.1/5412.jpg"),
        ("http://127.0.0.1:8080", [], "http://127.0.0.1:8081/5412.jpg"),
        ("http://127.0.0.1:8080", [], "http://localhost:8080/5412.jpg"),
    ],
)
def test_any_other_host_is_refused(service: str, listed: list[str], url: str) -> None:
    with pytest.raises(PermanentError, match="so the file was not fetched"):
        MediaHosts(service, listed).require_allowed(url)


def test_a_redirect_does_not_leave_https() -> None:
    hosts = MediaHosts("https://api.ipernity.com")
    hosts.require_allowed("http://cdn.ipernity.com/", "http://cdn.ipernity.com/5412.jpg")
    hosts.require_allowed("https://cdn.ipernity.com/", "http://cdn.ipernity.com/5412.jpg")
    with pytest.raises(PermanentError, match="redirect from https to http"):
        hosts.require_allowed("http://cdn.ipernity.com/", "https://cdn.ipernity.com/5412.jpg")


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "127.1.2.3",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
        ),
        *("169.254.169.254", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "192.0.2.1"),
        *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe"),
        *("64:ff9b::a9fe:a9fe", "2002:7f00:1::1", "2002:a9fe:a9fe::"),
    ],
)
def test_an_address_of_this_machine_or_its_network_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f::1", "::ffff:93.184.215.14"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


def test_where_the_service_has_answered_from_decides_whether_it_is_inside() -> None:
    MediaHosts("http://sandbox:8080", service_address="172.17.0.2").require_outside("172.17.0.3")
    for hosts in (
        MediaHosts("http://sandbox:8080", service_address="93.184.215.14"),
        MediaHosts("http://sandbox:8080"),
    ):
        with pytest.raises(PermanentError, match="inside this network"):
            hosts.require_outside("172.17.0.3")


def test_the_first_answer_of_the_service_decides_where_it_is() -> None:
    """What its name leads to later, when it has named a file, does not count."""
    http_client = HttpClient(verify=True, proxy=None)
    with speaking(reply({})) as server:
        port = server.url.rpartition(":")[2]
        assert http_client.service_address is None
        for host in ("127.0.0.1", "localhost"):
            request = requests.Request("GET", f"http://{host}:{port}/")
            assert http_client.exchange(request, (5.0, 5.0)).status == 200
            assert http_client.service_address == "127.0.0.1"
        http_client.service_address = "93.184.215.14"
        http_client.exchange(requests.Request("GET", f"{server.url}/"), (5.0, 5.0))
        assert http_client.service_address == "93.184.215.14"
    http_client.close()


# -- what is really connected to -------------------------------------------------------------------


def elsewhere(canary: Canary) -> list[str]:
    """Return ways to write the address of the canary, and others."""
    port = canary.port
    hosts = [
        "127.0.0.1",
        "localhost",
        "LOCALHOST.",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "0.0.0.0",
    ]
    hosts += [
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "\uff11\uff12\uff17.0.0.1",
        "127\u30020\u30020\u30021",
    ]
    return [
        METADATA,
        *(f"http://{host}:{port}/5412.jpg" for host in hosts),
        f"http://127.0.0.1:{port}\\@{{service}}/5412.jpg",
        f"http://{{service}}\\@127.0.0.1:{port}/5412.jpg",
        f"http://{{service}}@127.0.0.1:{port}/5412.jpg",
        f"http://127.0.0.1:{port}#@{{service}}/5412.jpg",
        f"http://127.0.0.1:{port}?@{{service}}/5412.jpg",
        f"//127.0.0.1:{port}/5412.jpg",
        f"HTTP://127.0.0.1:{port}",
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "http://[::1",
    ]


@pytest.mark.parametrize("by", ["reply", "redirect", "second redirect"])
def test_no_other_listener_is_reached(
    hostile: HostileService, canary: Canary, new_file: Path, tmp_path: Path, by: str
) -> None:
    """Neither by the address in the reply, nor by a redirect: nothing is fetched or sent."""
    for written in elsewhere(canary):
        url = written.replace("{service}", hostile.url.removeprefix("http://"))
        if by == "reply":
            hostile.change("doc.getMedias", "original", "url", to=url)
        else:
            hostile.answers["/again"] = http(
                302, b"", f"Location: {url.encode().decode('latin-1')}"
            )
            first = "/again" if by == "redirect" else "/first"
            hostile.answers["/first"] = http(307, b"", "Location: /again")
            hostile.answers[MEDIA] = http(301, b"", f"Location: {hostile.url}{first}")
        with hostile.client() as client, pytest.raises(IpernityError) as caught:
            run(client, new_file, backup_to=tmp_path / "backups")
        assert is_one_line(str(caught.value)), url
    assert canary.received == []
    assert "upload.replace" not in hostile.requests
    assert not (tmp_path / "backups").exists() or list((tmp_path / "backups").iterdir()) == []


def test_a_name_that_leads_inside_gets_no_byte(canary: Canary) -> None:
    """What counts is the address of the connection, whatever the name led to before."""
    host = f"localhost:{canary.port}"
    with IpernityClient(
        API_KEY, API_SECRET, base_url="http://api.example.org", media_hosts=[host], attempts=1
    ) as client:
        with pytest.raises(
            PermanentError, match=r"(127\.0\.0\.1|::1) is an address inside this network"
        ):
            list(client.download(f"http://{host}/5412.jpg"))
    assert set(canary.received) <= {b""}


def test_a_listed_host_is_fetched_from_where_the_service_is_inside_too(
    hostile: HostileService, canary: Canary, new_file: Path, tmp_path: Path
) -> None:
    host = f"localhost:{canary.port}"
    hostile.change("doc.getMedias", "original", "url", to=f"http://{host}/5412.jpg")
    with hostile.client(media_hosts=[host]) as client:
        run(client, new_file, backup_to=tmp_path / "backups")
    assert len(canary.received) == 1


def test_behind_a_proxy_the_names_are_checked_and_the_addresses_are_left_to_it() -> None:
    asked: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.wfile.write(http(200, ORIGINAL))

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        proxy = f"http://127.0.0.1:{server.server_port}"
        with IpernityClient(
            API_KEY, API_SECRET, base_url="http://api.example.org", proxy=proxy, attempts=1
        ) as client:
            assert b"".join(client.download("http://cdn.example.org/5412.jpg")) == ORIGINAL
            for url in (METADATA, "http://127.0.0.1/x", "http://evil.example.com/x"):
                with pytest.raises(PermanentError, match="not a media host"):
                    list(client.download(url))
        server.shutdown()
        thread.join()
    assert asked == ["http://cdn.example.org/5412.jpg"]


# -- how much, and how long ------------------------------------------------------------------------


def endless(start: bytes) -> Callable[[], Iterator[bytes]]:
    def blocks() -> Iterator[bytes]:
        yield start
        for _ in range(300):
            yield bytes(MIB)

    return blocks


def chunked() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    for _ in range(300):
        yield b"100000\r\n" + bytes(MIB) + b"\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        endless(b"HTTP/1.1 200 OK\r\n\r\n"),
        endless(b"HTTP/1.1 200 OK\r\nContent-Length: 314572800\r\n\r\n"),
        endless(b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\nContent-Encoding: gzip\r\n\r\n"),
        chunked,
    ],
    ids=["no length", "a length", "another length", "chunked"],
)
@pytest.mark.parametrize(
    "announced", ["by the document", "by the original", "by the account alone"]
)
def test_not_a_byte_more_than_announced_is_written(
    hostile: HostileService,
    new_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    announced: str,
    answer: Callable[[], Iterator[bytes]],
) -> None:
    samples = hostile.samples()
    limit = 15
    original = samples["doc.getMedias"]["original"]
    original["bytes"] = "15"
    if announced != "by the original":
        del original["bytes"]
    del samples["doc.get"]["doc"]["original"]
    if announced == "by the document":
        samples["doc.get"]["doc"]["original"] = {"bytes": "15"}
    if announced == "by the account alone":
        limit = 1000
        samples["account.getQuota"]["quota"]["maxfilesize"]["photo"]["bytes"] = "1000"
    for method in ("doc.get", "doc.getMedias", "account.getQuota"):
        hostile.answers[method] = reply(samples[method])
    hostile.answers[MEDIA] = answer
    fetched = 0
    download = IpernityClient.download

    def counted(client: IpernityClient, url: str, **options: int) -> Iterator[bytes]:
        nonlocal fetched
        for block in download(client, url, **options):
            fetched += len(block)
            yield block

    monkeypatch.setattr(IpernityClient, "download", counted)  # it counts, and changes nothing
    with (
        hostile.client() as client,
        pytest.raises(Refused, match="There is no backup of document 5412"),
    ):
        run(client, new_file, backup_to=tmp_path / "backups")
    assert fetched <= limit
    assert hostile.sent < 32 * MIB  # what the buffers of two sockets hold
    assert list((tmp_path / "backups").iterdir()) == []
    assert "upload.replace" not in hostile.requests


def test_what_is_larger_than_the_account_allows_is_not_fetched(
    hostile: HostileService, new_file: Path, tmp_path: Path
) -> None:
    hostile.change("account.getQuota", "quota", "maxfilesize", "photo", "bytes", to="20")
    with hostile.client() as client, pytest.raises(Refused) as caught:
        run(client, new_file, backup_to=tmp_path / "backups")
    assert str(caught.value) == (
        "There is no backup of document 5412: the service announces 21 bytes for its original, but "
        "the account allows 20 for a file of this kind, so it was not fetched. Nothing was sent."
    )
    assert MEDIA not in hostile.requests


def test_an_original_that_comes_slowly_has_an_end(hostile: HostileService) -> None:
    def drip() -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
        for _ in range(1000):
            yield b"x"
            time.sleep(0.1)

    hostile.answers[MEDIA] = drip
    with hostile.client() as client, pytest.raises(IpernityError, match="in time"):
        list(client.download(f"{hostile.url}{MEDIA}", total_timeout=1.0))
    assert hostile.sent < 500
