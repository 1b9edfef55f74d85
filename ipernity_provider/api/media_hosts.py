"""Which hosts media files may be fetched from.

The service names the address, so the address is not trusted.

A reply that names ``http://169.254.169.254/latest/meta-data`` would make this program read what
only the inside of its own network may read. So a host must be one of the service's own, and must
not lead to an address inside this network, unless the service itself is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

from ipernity_provider.api.errors import PermanentError
from ipernity_provider.text import clean_text

_DEFAULT_PORTS = {"http": 80, "https": 443}
#: A gateway reaches an IPv4 address through one of these.
_NAT64 = IPv6Network("64:ff9b::/96")


class MediaHosts:
    """Decides whether a media file may be fetched.

    Allowed are the host of the service, all below its domain if its name begins with ``api.`` or
    ``www.``, and what is listed. The ports are the usual ones, or the one that is named.

    :param base_url: the address of the service.
    :param listed: more hosts, ``name`` or ``name:port``.
    """

    def __init__(self, base_url: str, listed: Sequence[str] = ()) -> None:
        service = _parts(base_url)
        self._service = _host_and_port(service)
        self._listed = {_host_and_port(_parts(f"//{host}")) for host in listed}
        first, _, rest = self._service[0].partition(".")
        # Below `api.ipernity.com` is `ipernity.com`; below `api.com` would be half the world.
        self._domain = (
            rest if first in {"api", "www"} and "." in rest and not _is_address(rest) else None
        )
        # None until the service has answered. What its name leads to later proves nothing.
        name = self._service[0]
        self._is_inside = (
            True if name == "localhost" or (_is_address(name) and not is_public(name)) else None
        )

    def require_allowed(self, url: str, redirected_from: str = "") -> None:
        """Require that a media file may be fetched from an address, as far as the address shows.

        :param url: as it is sent: it must have been normalized, so that all parsers agree about its
            host.
        :param redirected_from: the address that has led to this one.
        :raises PermanentError: it may not. Nothing was fetched from there.
        """
        parts = _parts(url)
        host, port = _host_and_port(parts)
        shown = clean_text(parts.netloc.rpartition("@")[2], 300)
        if "@" in parts.netloc or not self._is_listed(host, port, parts.scheme):
            raise PermanentError(
                f"download: {shown} is not a media host of {self._service[0]}, so the file was not"
                " fetched. If it is one, add it to `media_hosts` in the connection's extra; else"
                " report this to the service.",
                method="download",
            )
        if redirected_from.startswith("https:") and parts.scheme != "https":
            raise PermanentError(
                f"download: {shown} was reached by a redirect from https to http, so the file was"
                " not fetched. Report this to the service.",
                method="download",
            )
        if _is_address(host):
            self.require_outside(host)

    def _is_listed(self, host: str, port: int | None, scheme: str) -> bool:
        usual = port == _DEFAULT_PORTS.get(scheme)
        in_domain = self._domain and (host == self._domain or host.endswith(f".{self._domain}"))
        return bool(
            (host, port) == self._service
            or (host, port) in self._listed
            or (usual and (in_domain or (host, None) in self._listed))
        )

    def require_outside(self, address: str) -> None:
        """Require that an address is not inside this network, unless the service is there, too.

        :raises PermanentError: it is. Nothing was sent to it.
        """
        if not self._is_inside and not is_public(address):
            raise PermanentError(
                f"download: {address} is an address inside this network, so the file was not"
                " fetched. Check what the name of the media host leads to here.",
                method="download",
            )

    def note_service(self, address: str) -> None:
        """Remember where the service is, by the address from which it has answered first."""
        if self._is_inside is None:
            self._is_inside = not is_public(address)


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
