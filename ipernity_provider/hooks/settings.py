"""An Airflow Connection of type ``ipernity``, read and checked."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from ipaddress import IPv6Address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast
from urllib.parse import unquote, urlsplit

from ipernity_provider.api.errors import CredentialError
from ipernity_provider.files.errors import classify_error
from ipernity_provider.files.paths import require_regular
from ipernity_provider.text import display

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from ipernity_provider.api.client import IpernityClient

T = TypeVar("T")
D = TypeVar("D")

_BRIEF_SECONDS = 3.0
_HOST = re.compile(r"([a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
_TRUE, _FALSE = frozenset({"true", "1", "yes", "on"}), frozenset({"false", "0", "no", "off"})


class ConnectionSettingError(CredentialError):
    """A field of the connection is missing or wrong."""


@dataclass(frozen=True)
class ConnectionSettings:
    """What a connection says, with the defaults for what it leaves out.

    An extra that is null means the same as one that is missing: Airflow's form stores all fields.
    """

    api_key: str
    api_secret: str = field(repr=False)
    auth: Literal["signature", "oauth"]
    token: str | None = field(repr=False)
    token_secret: str | None = field(repr=False)
    base_url: str | None
    lg: str | None
    connect_timeout: float
    timeout: float
    upload_timeout: float
    stall_timeout: float
    verify: bool | str
    proxy: str | None = field(repr=False)
    upload_roots: tuple[str, ...]
    media_hosts: tuple[str, ...]
    check_account: bool
    resend_grace: float

    @classmethod
    def of(cls, connection: Connection, extra_fields: dict[str, Any]) -> ConnectionSettings:
        """Read and check a connection.

        :param extra_fields: its extra, decoded: in an event loop that takes another way than
            elsewhere.
        :raises ConnectionSettingError: one sentence that names the connection and the field.
        """
        if not isinstance(extra_fields, dict):
            raise ConnectionSettingError(
                f"Connection {connection.conn_id!r}: the extra must be a JSON object."
            )
        extra = _Extra(connection.conn_id, extra_fields)
        auth = extra.get("auth", _one_of("signature", "oauth"), "signature")
        token = extra.get("token", _text, None)
        token_secret = extra.get("token_secret", _text, None)
        if auth == "oauth" and not (token and token_secret):
            raise extra.error("auth is oauth, which needs token and token_secret in the extra")
        api_secret = (connection.password or "").strip()
        if not api_secret:
            raise extra.error("the API secret is missing; it belongs in the password")
        return cls(
            api_key=extra.get("api_key", _text, None) or extra.missing("api_key"),
            api_secret=api_secret,
            auth=cast('Literal["signature", "oauth"]', auth),
            token=token,
            token_secret=token_secret,
            base_url=_base_url(extra, connection),
            lg=extra.get("lg", _language, "en") or None,
            connect_timeout=extra.get("connect_timeout", _seconds, 10.0),
            timeout=extra.get("timeout", _seconds, 30.0),
            upload_timeout=extra.get("upload_timeout", _seconds, 300.0),
            stall_timeout=extra.get("stall_timeout", _seconds, 60.0),
            verify=extra.get("verify", _verify, True),
            proxy=extra.get("proxy", _url, None),
            upload_roots=extra.get("upload_roots", read_roots, ()),
            media_hosts=extra.get("media_hosts", _hosts, ()),
            check_account=extra.get("check_account", _flag, True),
            resend_grace=extra.get("resend_grace", _seconds, 600.0),
        )

    @property
    def website_url(self) -> str:
        """The root of the website: of the live service, or of a sandbox."""
        from ipernity_provider.api.client import DEFAULT_BASE_URL

        base_url = self.base_url
        # The live service has two host names: that of its API has no website.
        if base_url is None or urlsplit(base_url).hostname == urlsplit(DEFAULT_BASE_URL).hostname:
            return "https://www.ipernity.com"
        return base_url.rstrip("/").removesuffix("/api")

    @property
    def secrets(self) -> list[str]:
        """What no log may show."""
        proxy = urlsplit(self.proxy or "").password or ""
        found = (self.api_secret, self.token, self.token_secret, proxy, unquote(proxy))
        return [secret for secret in found if secret]

    def client(self, **changes: Any) -> IpernityClient:
        """Return a client with these settings.

        :param changes: other values for some of
            :class:`~ipernity_provider.api.client.IpernityClient`'s parameters.
        """
        from ipernity_provider.api.client import DEFAULT_BASE_URL, IpernityClient

        options: dict[str, Any] = {
            "auth": self.auth,
            "token": self.token,
            "token_secret": self.token_secret,
            "base_url": self.base_url or DEFAULT_BASE_URL,
            "lg": self.lg,
            "connect_timeout": self.connect_timeout,
            "timeout": self.timeout,
            "upload_timeout": self.upload_timeout,
            "stall_timeout": self.stall_timeout,
            "verify": self.verify,
            "proxy": self.proxy,
            "media_hosts": self.media_hosts,
        }
        return IpernityClient(self.api_key, self.api_secret, **{**options, **changes})

    def brief_client(self, **changes: Any) -> IpernityClient:
        """One for somebody who waits in front of it: it tries each call once, and not for long."""
        brief = {
            name: min(getattr(self, name), _BRIEF_SECONDS)
            for name in ("connect_timeout", "timeout")
        }
        return self.client(**brief, attempts=1, **changes)


class _Extra:
    """The extra of a connection; a null or blank value counts as missing."""

    def __init__(self, conn_id: str, values: dict[str, Any]) -> None:
        self._conn_id = conn_id
        self._values = values

    def get(self, name: str, read: Callable[[Any], T], default: D) -> T | D:
        value = self._values.get(name)
        # Blank roots are refused by their reader: they must not come to mean any file.
        if value is None or value == "" or (read is not read_roots and str(value).isspace()):
            return default
        try:
            return read(value)
        except (TypeError, ValueError) as error:
            raise self.error(f"{name} in the extra {error}") from None

    def missing(self, name: str) -> Any:
        raise self.error(f"{name} is missing in the extra")

    def error(self, what: str) -> ConnectionSettingError:
        return ConnectionSettingError(f"Connection {self._conn_id!r}: {what}.")


def _text(value: Any) -> str:
    if not isinstance(value, str | int):
        raise TypeError("must be text")
    return str(value).strip()


def _one_of(*allowed: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return str(value)

    return read


def _language(value: Any) -> str:
    """Two letters; ``off`` sends none."""
    if value is False or str(value).lower() == "off":
        return ""
    if not isinstance(value, str) or len(value) != 2 or not value.isalpha():
        raise ValueError("must be a two-letter language such as en, or off")
    return value.lower()


def _seconds(value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = 0.0
    if isinstance(value, bool) or not 0 < seconds < 86400:
        raise ValueError("must be a number of seconds above 0")
    return seconds


def _flag(value: Any) -> bool:
    word = str(value).strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError("must be true or false")
    return word in _TRUE


def _verify(value: Any) -> bool | str:
    if isinstance(value, bool):
        return value
    text = _text(value)
    if text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    path = Path(text)
    try:
        status = path.stat()
        if not path.is_dir():  # of CA files, which is as good
            require_regular(status)
    except OSError as error:
        words, _ = classify_error(error)
        raise ValueError(
            f"must be true, false or the path of a CA file; {display(text)} {words}"
        ) from None
    return text


def _url(value: Any) -> str:
    text = _text(value)
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:  # whose text can hold a part of the password
        raise ValueError("must be an address such as http://proxy.example.org:3128") from None
    if parts.scheme not in {"http", "https", "socks5", "socks5h"} or not parts.hostname:
        raise ValueError("must be an address such as http://proxy.example.org:3128")
    if parts.scheme.startswith("socks") and not find_spec("socks"):
        raise ValueError("is a SOCKS proxy, which needs the package PySocks to be installed")
    return text


def read_roots(value: Any) -> tuple[str, ...]:
    """Return the roots of a list, or of text with one root a line (or separated by commas)."""
    roots = value.replace(",", "\n").splitlines() if isinstance(value, str) else value
    if not isinstance(roots, list | tuple) or not all(isinstance(root, str) for root in roots):
        raise TypeError("must be a list of folders or URIs")
    named = tuple(root.strip() for root in roots if root.strip())
    if roots and not named:
        raise ValueError("names no folder or URI")  # it must not come to mean: any
    return named


def _hosts(value: Any) -> tuple[str, ...]:
    """Return the hosts of a list, or of text with one host a line (or separated by commas)."""
    hosts = value.replace(",", "\n").splitlines() if isinstance(value, str) else value
    if not isinstance(hosts, list | tuple) or not all(isinstance(host, str) for host in hosts):
        raise TypeError("must be a list of hosts such as cdn.example.org")
    named = tuple(host.strip().lower() for host in hosts if host.strip())
    for host in named:
        if not _HOST.fullmatch(host):
            raise ValueError(
                f"names {display(host)!r}, which is not a host such as cdn.example.org"
            )
    return named


def _is_bare_ipv6(host: str) -> bool:
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True


def _base_url(extra: _Extra, connection: Connection) -> str | None:
    """Return the address in a connection's host.

    It is given as an address (form, JSON) or in parts (URI).
    """
    if not (host := (connection.host or "").strip()):
        return None
    if _is_bare_ipv6(host):  # Airflow takes the brackets of a URI's host away
        host = f"[{host}]"
    url = host if "://" in host else f"{connection.schema or 'https'}://{host}"
    unusable = extra.error("the host must be an address such as https://api.ipernity.com")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise unusable from None
    try:
        port = parts.port or connection.port
    except ValueError:
        raise extra.error("the port in the host is not a number") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or ".." in parts.hostname:
        raise unusable
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{name}{f':{port}' if port else ''}{parts.path}"
