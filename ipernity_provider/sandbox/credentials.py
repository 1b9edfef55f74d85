"""The one key and account of the sandbox, its tokens, frobs and request tokens.

The values are examples from the service's documentation, or made up in the same form. None of them
gives access to anything else.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from ipernity_provider.sandbox.documents import User

API_KEY = "6fa87ba500002712bd4eed6020f3bd72"
API_SECRET = "e9a599f0cf6ce193"  # nosec B105  # noqa: S105 - a documented example
TOKEN = "12345-a0b1c2d3e4f5"  # nosec B105  # noqa: S105 - made up
OAUTH_TOKEN = "98765-0a1b2c3d4e5f"  # nosec B105  # noqa: S105 - made up
OAUTH_TOKEN_SECRET = "feedc0ffee012345"  # nosec B105  # noqa: S105 - made up

ACCOUNT = User("1234", "Superman", "superman", "Kal-El")
OTHER_USER = User("5678", "Lois", "lois", "Lois Lane")
USERS = (ACCOUNT, OTHER_USER)

FROB_SECONDS = 300
"""The documentation says "a few minutes"."""


@dataclass(frozen=True)
class Token:
    """A permission for an application to act for the account.

    :param secret: the token secret of an OAuth token; None makes it a native token.
    :param rights: what the owner consented to; None follows the setting ``permissions``.
    """

    token: str
    secret: str | None = None
    rights: Mapping[str, str] | None = None


@dataclass
class Frob:
    """A native authorization in progress; ``rights`` are set when the owner consents."""

    frob: str
    made_at: float
    rights: Mapping[str, str] | None = None


@dataclass
class RequestToken:
    """An OAuth authorization in progress; ``rights`` are set when the owner consents."""

    token: str
    secret: str
    callback: str | None
    rights: Mapping[str, str] | None = None


@dataclass
class Credentials:
    """Everything issued, and the OAuth nonces seen.

    :param form_key: signs the consent forms.
    """

    tokens: dict[str, Token] = field(default_factory=dict)
    frobs: dict[str, Frob] = field(default_factory=dict)
    request_tokens: dict[str, RequestToken] = field(default_factory=dict)
    granted_on_the_web: Mapping[str, str] = field(default_factory=dict)
    nonces: dict[str, int] = field(default_factory=dict)
    latest_timestamps: dict[str, int] = field(default_factory=dict)
    form_key: bytes = field(default_factory=partial(secrets.token_bytes, 32))

    def __post_init__(self) -> None:
        self.tokens[TOKEN] = Token(TOKEN)
        self.tokens[OAUTH_TOKEN] = Token(OAUTH_TOKEN, OAUTH_TOKEN_SECRET)

    def secret_texts(self) -> set[str]:
        """Return everything that gives access, which no log may show."""
        texts = {API_KEY, API_SECRET, *self.tokens, *self.frobs, *self.request_tokens}
        texts |= {token.secret for token in self.tokens.values() if token.secret is not None}
        return texts | {token.secret for token in self.request_tokens.values()}

    def new_frob(self, now: float) -> Frob:
        frob = Frob(_digits_dash_hex(), now)
        self.frobs[frob.frob] = frob
        return frob

    def open_frob(self, frob: str, now: float) -> Frob | None:
        """Return a frob that was not used and has not expired, or None."""
        known = self.frobs.get(frob)
        return known if known and now - known.made_at <= FROB_SECONDS else None

    def exchange_frob(self, frob: Frob) -> Token:
        """Return the token that the owner consented to; the frob is used up."""
        del self.frobs[frob.frob]
        token = Token(_digits_dash_hex(), rights=frob.rights)
        self.tokens[token.token] = token
        return token

    def new_request_token(self, callback: str | None) -> RequestToken:
        token = RequestToken(_digits_dash_hex(), secrets.token_hex(8), callback)
        self.request_tokens[token.token] = token
        return token

    def exchange_request_token(self, request_token: RequestToken) -> Token:
        """Return the token that the owner consented to; the request token is used up."""
        del self.request_tokens[request_token.token]
        token = Token(_digits_dash_hex(), secrets.token_hex(8), request_token.rights)
        self.tokens[token.token] = token
        return token


def _digits_dash_hex() -> str:
    return f"{secrets.randbelow(90000) + 10000}-{secrets.token_hex(6)}"
