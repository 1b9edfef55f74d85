"""An Airflow Connection of type ``ipernity``, read and checked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from ipaddress import IPv6Address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
)

from ipernity_provider.api.errors import CredentialError
from ipernity_provider.files.errors import classify_error
from ipernity_provider.files.paths import require_regular
from ipernity_provider.probe.findings import Findings
from ipernity_provider.text import display

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from ipernity_provider.api.client import IpernityClient

_BRIEF_SECONDS = 3.0
_LONGEST_QUOTE = 60
_HOST = re.compile(r"([a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
_TRUE, _FALSE = frozenset({"true", "1", "yes", "on"}), frozenset({"false", "0", "no", "off"})


class ConnectionSettingError(CredentialError):
    """A field of the connection is missing or wrong."""


def _language(value: Any) -> str | None:
    if str(value).lower() in {"off", "false"}:
        return None
    if not isinstance(value, str) or len(value) != 2 or not value.isalpha():
        raise ValueError
    return value.lower()


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError  # noqa: TRY004 - it would pass for 1
    return value


def _verify(value: Any) -> bool | str:
    text = str(value).strip()
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


def _proxy(value: Any) -> str:
    text = str(value).strip()
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:  # whose text can hold a part of the password
        raise ValueError from None
    if parts.scheme not in {"http", "https", "socks5", "socks5h"} or not parts.hostname:
        raise ValueError
    if parts.scheme.startswith("socks") and not find_spec("socks"):
        raise ValueError("is a SOCKS proxy, which needs the package PySocks to be installed")
    return text


def read_list(value: Any) -> tuple[str, ...]:
    """Return the items of a list, or of text with one item a line (or separated by commas)."""
    items = value.replace(",", "\n").splitlines() if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise ValueError
    return tuple(item.strip() for item in items if item.strip())


def _roots(value: Any) -> tuple[str, ...]:
    roots = read_list(value)
    if value and not roots:
        raise ValueError("names no folder or URI")  # it must not come to mean: any
    return roots


def _hosts(value: Any) -> tuple[str, ...]:
    hosts = tuple(host.lower() for host in read_list(value))
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise ValueError(
                f"names {display(host)!r}, which is not a host such as cdn.example.org"
            )
    return hosts


def _findings(value: Any) -> Findings:
    """Return what ``airflow ipernity probe --store`` has stored.

    Airflow's form may have made text of it.
    """
    try:
        decoded = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        decoded = None  # which is not valid, either
    return Findings.from_json(decoded)


# A description ends the sentence about a wrong value.
_Flag = Annotated[bool, Field(description="must be true or false")]
_Seconds = Annotated[
    float,
    BeforeValidator(_no_bool),
    Field(gt=0, lt=86400, description="must be a number of seconds above 0"),
]


class ConnectionSettings(BaseModel):
    """What a connection says, with the defaults for what it leaves out.

    An extra that is null or blank means the same as one that is missing: Airflow's form stores all
    fields.
    """

    model_config = ConfigDict(frozen=True, str_strip_whitespace=True, coerce_numbers_to_str=True)

    api_key: str = Field(repr=False, description="must be text")
    api_secret: str = Field(repr=False, description="must be text")
    auth: Literal["signature", "oauth"] = Field(
        "signature", description="must be one of signature, oauth"
    )
    token: str | None = Field(None, repr=False, description="must be text")
    token_secret: str | None = Field(None, repr=False, description="must be text")
    base_url: str | None = None
    lg: Annotated[str | None, BeforeValidator(_language)] = Field(
        "en", description="must be a two-letter language such as en, or off"
    )
    connect_timeout: _Seconds = 10.0
    timeout: _Seconds = 30.0
    upload_timeout: _Seconds = 300.0
    stall_timeout: _Seconds = 60.0
    verify: Annotated[bool | str, BeforeValidator(_verify)] = True
    proxy: Annotated[str | None, BeforeValidator(_proxy)] = Field(
        None, repr=False, description="must be an address such as http://proxy.example.org:3128"
    )
    upload_roots: Annotated[tuple[str, ...], BeforeValidator(_roots)] = Field(
        (), description="must be a list of folders or URIs"
    )
    media_hosts: Annotated[tuple[str, ...], BeforeValidator(_hosts)] = Field(
        (), description="must be a list of hosts such as cdn.example.org"
    )
    check_account: _Flag = True
    resend_grace: _Seconds = 600.0
    findings: Annotated[Findings | None, PlainValidator(_findings)] = None

    @classmethod
    def of(cls, connection: Connection, extra: Mapping[str, Any]) -> ConnectionSettings:
        """Read and check a connection.

        :param extra: its extra, decoded: in an event loop that takes another way than elsewhere.
        :raises ConnectionSettingError: one sentence that names the connection and the field.
        """
        try:
            if not isinstance(extra, Mapping):
                raise ValueError("the extra must be a JSON object")  # noqa: TRY004
            given = {
                # Blank roots are refused: they must not come to mean any file.
                name: value.strip() if isinstance(value, str) and name != "upload_roots" else value
                for name, value in extra.items()
                if value not in (None, "") and (name == "upload_roots" or str(value).strip())
            }
            secret = (connection.password or "").strip()
            if not secret:
                raise ValueError("the API secret is missing; it belongs in the password")
            if not given.get("api_key"):
                raise ValueError("api_key is missing in the extra")
            settings = cls.model_validate(
                {**given, "api_secret": secret, "base_url": _base_url(connection)}
            )
            if settings.auth == "oauth" and not (settings.token and settings.token_secret):
                raise ValueError("auth is oauth, which needs token and token_secret in the extra")
        except ValidationError as error:
            wrong = f"Connection {connection.conn_id!r}: {cls._describe(error)}."
        except ValueError as error:
            wrong = f"Connection {connection.conn_id!r}: {error}."
        else:
            return settings
        raise ConnectionSettingError(wrong)

    @classmethod
    def _describe(cls, error: ValidationError) -> str:
        """Return what is wrong with a field, and its value unless that is secret."""
        first = error.errors()[0]
        name = str(first["loc"][0])
        field = cls.model_fields[name]
        if said := str(first.get("ctx", {}).get("error", "")):  # by a function above
            return f"{name} in the extra {said}"
        value = f"is {repr(first['input'])[:_LONGEST_QUOTE]}; it " if field.repr else ""
        return f"{name} in the extra {value}{field.description}"

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
        from ipernity_provider.api.client import IpernityClient
        from ipernity_provider.hooks.metrics import measure_task

        measure_task()
        others = {"upload_roots", "check_account", "resend_grace", "findings"}
        options = self.model_dump(exclude=others if self.base_url else {*others, "base_url"})
        if self.findings and self.findings.facts.get("oauth_multipart") == "rfc5849":
            options["oauth_multipart"] = "rfc5849"
        return IpernityClient(**{**options, **changes})

    def brief_client(self, **changes: Any) -> IpernityClient:
        """Return a client for a person who waits: it tries each call once, and not for long."""
        brief = {
            name: min(getattr(self, name), _BRIEF_SECONDS)
            for name in ("connect_timeout", "timeout")
        }
        return self.client(**brief, attempts=1, **changes)


def _base_url(connection: Connection) -> str | None:
    """Return the address in a connection's host.

    It is given as an address (form, JSON) or in parts (URI).

    :raises ValueError: it is not an address.
    """
    if not (host := (connection.host or "").strip()):
        return None
    with suppress(ValueError):
        host = f"[{IPv6Address(host)}]"  # Airflow takes the brackets of a URI's host away
    url = host if "://" in host else f"{connection.schema or 'https'}://{host}"
    wrong = "the host must be an address such as https://api.ipernity.com"
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(wrong) from None
    try:
        port = parts.port or connection.port
    except ValueError:
        raise ValueError("the port in the host is not a number") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or ".." in parts.hostname:
        raise ValueError(wrong)
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{name}{f':{port}' if port else ''}{parts.path}"
