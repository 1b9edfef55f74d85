"""Where the service is and how to get there; who calls it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from ipernity_provider.api.client import DEFAULT_BASE_URL, IpernityClient

WEBSITE_URL = "https://www.ipernity.com"


@dataclass(frozen=True)
class Application:
    """An API key with its secret."""

    api_key: str
    api_secret: str = field(repr=False)


@dataclass(frozen=True)
class UserToken:
    """What an owner's consent leads to; only an OAuth token has a secret."""

    token: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)

    @property
    def auth(self) -> Literal["signature", "oauth"]:
        return "oauth" if self.secret else "signature"


@dataclass(frozen=True)
class Service:
    """The service's two roots and the settings for calling it.

    :param host: another root of API and website alike, such as a sandbox's; None means ipernity.com.
    """

    host: str | None = None
    proxy: str | None = field(default=None, repr=False)
    verify: bool | str = True
    lg: str | None = "en"
    connect_timeout: float = 10.0
    timeout: float = 30.0

    @property
    def api_root(self) -> str:
        return self.host or DEFAULT_BASE_URL

    @property
    def website_root(self) -> str:
        # The live service has two names: its API's is no website.
        if self.host is None or urlsplit(self.host).hostname == urlsplit(DEFAULT_BASE_URL).hostname:
            return WEBSITE_URL
        return self.host.rstrip("/").removesuffix("/api")

    def client(self, application: Application, token: UserToken | None = None) -> IpernityClient:
        """A client that tries each call once: somebody is waiting in front of it."""
        return IpernityClient(
            application.api_key,
            application.api_secret,
            auth=token.auth if token else "signature",
            token=token.token if token else None,
            token_secret=token.secret if token else None,
            base_url=self.api_root,
            lg=self.lg,
            connect_timeout=self.connect_timeout,
            timeout=self.timeout,
            verify=self.verify,
            proxy=self.proxy,
            attempts=1,
        )

    def request_options(self) -> dict[str, Any]:
        """The same for a call by requests."""
        options: dict[str, Any] = {
            "timeout": (self.connect_timeout, self.timeout),
            "verify": self.verify,
            "allow_redirects": False,
        }
        return options | ({"proxies": {"http": self.proxy, "https": self.proxy}} if self.proxy else {})
