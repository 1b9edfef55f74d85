"""Media files, and which hosts they may be fetched from.

The service names the address, so the address is not trusted. A reply that names
``http://169.254.169.254/latest/meta-data`` would make this program read what only the inside of its
own network may read. So a host must be one of the service's own, and must not lead to an address
inside this network, unless the service itself is there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urljoin, urlsplit

import requests

from ipernity_provider.api.errors import AnswerLost, IpernityError, PermanentError
from ipernity_provider.api.exchange import Answer, HttpClient, Limits, host_of
from ipernity_provider.api.multipart import BLOCK_BYTES
from ipernity_provider.api.parsing import as_int, read_http_url
from ipernity_provider.api.transport import transport_error
from ipernity_provider.text import clean_text

_MOST_REDIRECTS = 5
_DEFAULT_PORTS = {"http": 80, "https": 443}
#: A gateway reaches an IPv4 address through one of these.
_NAT64 = IPv6Network("64:ff9b::/96")


def _refused(what: str) -> PermanentError:
    return PermanentError(f"download: {what}", method="download")


class MediaHosts:
    """Decides whether a media file may be fetched.

    Allowed are the host of the service, all below its domain if its name begins with ``api.`` or
    ``www.``, and what is listed. The ports are the usual ones, or the one that is named.

    :param base_url: the address of the service.
    :param listed: more hosts, ``name`` or ``name:port``.
    :param service_address: the IP address from which the service has answered first: what its name
        leads to later proves nothing. None if it has not answered yet.
    """

    def __init__(
        self, base_url: str, listed: Sequence[str] = (), service_address: str | None = None
    ) -> None:
        self._service = _host_and_port(_parts(base_url))
        self._listed = {_host_and_port(_parts(f"//{host}")) for host in listed}
        name = self._service[0]
        first, _, rest = name.partition(".")
        # Below `api.ipernity.com` is `ipernity.com`; below `api.com` would be half the world.
        below = first in {"api", "www"} and "." in rest and not _is_address(rest)
        self._domain = rest if below else None
        known = name if _is_address(name) else service_address
        self._is_inside = name == "localhost" or (known is not None and not is_public(known))

    def require_allowed(self, url: str, redirected_from: str = "") -> None:
        """Require that a media file may be fetched from an address, as far as the address shows.

        :param url: as it is sent: it must have been normalized, so that all parsers agree about its
            host.
        :param redirected_from: the address that has led to this one.
        :raises PermanentError: it may not. Nothing was fetched from there.
        """
        parts = _parts(url)
        host, port = _host_and_port(parts)
        usual = port == _DEFAULT_PORTS.get(parts.scheme)
        in_domain = self._domain and (host == self._domain or host.endswith(f".{self._domain}"))
        is_listed = (
            (host, port) == self._service
            or (host, port) in self._listed
            or (usual and (in_domain or (host, None) in self._listed))
        )
        shown = clean_text(parts.netloc.rpartition("@")[2], 300)
        if "@" in parts.netloc or not is_listed:
            raise _refused(
                f"{shown} is not a media host of {self._service[0]}, so the file was not fetched."
                " If it is one, add it to `media_hosts` in the connection's extra; else report this"
                " to the service."
            )
        if redirected_from.startswith("https:") and parts.scheme != "https":
            raise _refused(
                f"{shown} was reached by a redirect from https to http, so the file was not"
                " fetched. Report this to the service."
            )
        if _is_address(host):
            self.require_outside(host)

    def require_outside(self, address: str) -> None:
        """Require that an address is not inside this network, unless the service is there, too.

        :raises PermanentError: it is. Nothing was sent to it.
        """
        if not self._is_inside and not is_public(address):
            raise _refused(
                f"{address} is an address inside this network, so the file was not fetched. Check"
                " what the name of the media host leads to here."
            )


def is_public(address: str) -> bool:
    """Return whether an IP address belongs to the public network.

    Loopback, link-local, private, multicast and unspecified addresses do not.

    An IPv4 address within an IPv6 address counts as itself.
    """
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        within = ip.ipv4_mapped or ip.sixtofour or (ip.teredo and ip.teredo[1])
        if within is None and ip in _NAT64:
            within = IPv4Address(int(ip) & 0xFFFFFFFF)
        if within:
            return is_public(str(within))
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def _parts(url: str) -> SplitResult:
    """Return the parts of an address.

    They are empty if it cannot be parsed; another check refuses such an address.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return urlsplit("")
    return parts


def _host_and_port(parts: SplitResult) -> tuple[str, int | None]:
    """Return the host in the form in which it is compared, and the port.

    If no port is named, it is the scheme's default, or None without a scheme.
    """
    host = (parts.hostname or "").rstrip(".")
    return host, parts.port or _DEFAULT_PORTS.get(parts.scheme)


def _is_address(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def download(
    http: HttpClient,
    hosts: MediaHosts,
    url: str,
    timeout: tuple[float, float],
    max_bytes: int,
    total_timeout: float,
) -> Iterator[bytes]:
    """Yield the bytes of a media file, block by block; nothing of the request is signed.

    :param timeout: seconds for connecting, and for each read.
    :param max_bytes: the most that is fetched.
    :param total_timeout: seconds until all of it must be there.
    """
    end = time.monotonic() + total_timeout
    failure: Exception | None = None
    response: requests.Response | None = None
    try:
        response = _open(http, hosts, url, timeout, end)
        announced = as_int(response.headers.get("Content-Length"))
        left = max_bytes if announced is None or announced <= max_bytes else -1
        # One byte more would be the proof that it is larger; it is not handed on.
        while left >= 0 and (
            block := response.raw.read(min(BLOCK_BYTES, left + 1), decode_content=False)
        ):
            left -= len(block)
            if left >= 0:
                yield block
        if left < 0:
            raise _refused(f"the file is larger than {max_bytes} bytes; the rest was not fetched.")
    except IpernityError:
        raise
    except Exception as error:  # noqa: BLE001 - broken answers make these libraries raise anything
        failure = error
    finally:
        if response is not None:
            response.close()
    if failure:
        raise transport_error("download", host_of(url), failure)


def _open(
    http: HttpClient, hosts: MediaHosts, url: str, timeout: tuple[float, float], end: float
) -> requests.Response:
    """Return the response with the file, after a few redirects at most.

    Each address is checked.
    """
    before = ""
    for _ in range(_MOST_REDIRECTS + 1):
        try:
            # A backslash ends the host for some parsers, and not for others.
            address = read_http_url(url.replace("\\", "\n"))
        except ValueError:
            raise _refused(f"{host_of(url)} is not a valid address of a file.") from None
        request = requests.Request("GET", address, {"Accept-Encoding": "identity"}).prepare()
        redirected_from, before = before, request.url or ""
        hosts.require_allowed(before, redirected_from)
        limits = Limits(end - time.monotonic(), None, hosts.require_outside)
        response = http.open(request, timeout, limits)
        if response.status_code == 200:
            return response
        response.close()
        location = response.headers.get("Location", "")
        if not (300 <= response.status_code < 400 and location):
            answer = Answer(response.status_code, b"", response.headers)
            raise (AnswerLost if answer.is_passing else PermanentError)(
                f"download: HTTP {answer.status} instead of the file.",
                method="download",
                retry_after=answer.retry_after,
            )
        try:
            url = urljoin(url, location)
        except ValueError:
            url = ""
    raise _refused(f"more than {_MOST_REDIRECTS} redirects, so the file was not fetched.")
