"""Who calls, and may they: everything that is checked before a method runs.

In this order (the service's own is not known): the key or OAuth, the signature, the token, the permission.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ipernity_provider.sandbox.credentials import ACCOUNT, API_KEY, API_SECRET, Token
from ipernity_provider.sandbox.documents import PUBLIC, Document
from ipernity_provider.sandbox.errors import ApiError
from ipernity_provider.sandbox.native import verify_native
from ipernity_provider.sandbox.oauth import OAuthRequest, speaks_oauth, verify_oauth
from ipernity_provider.sandbox.receive import ApiCall
from ipernity_provider.sandbox.state import Sandbox


@dataclass(frozen=True)
class Needs:
    """What a method asks of its caller, as the service's own list of methods has it.

    :param right: the level of the right ``doc`` that the token must carry.
    :param verb: ``POST`` for what writes, ``GET`` for the one method that other clients could only GET.
    """

    token: bool = False
    sign: bool = False
    verb: Literal["any", "POST", "GET"] = "any"
    right: Literal["none", "read", "write", "delete"] = "none"


@dataclass(frozen=True)
class Admitted:
    """A call that passed all checks. ``token`` is None for an anonymous caller."""

    sandbox: Sandbox
    call: ApiCall
    token: Token | None

    def error(self, code: int) -> ApiError:
        """One of the method's own errors."""
        return ApiError(code, self.call.method)

    def visible_document(self) -> Document:
        """The document ``doc_id``; error 1 hides one that the caller may not see as well as a missing one."""
        document = self.sandbox.documents.get(self.call.param("doc_id"))
        if document is None or not self.sees(document):
            raise self.error(1)
        return document

    def own_document(self, code: int = 1) -> Document:
        """The document ``doc_id``, which must be the account's own."""
        document = self.sandbox.documents.get(self.call.param("doc_id"))
        if document is None or document.owner != ACCOUNT:
            raise self.error(code)
        return document

    def sees(self, document: Document) -> bool:
        return document.share == PUBLIC or (
            document.owner == ACCOUNT and self.sandbox.allows(self.token, "doc", "read")
        )

    def owns(self, document: Document) -> bool:
        return self.token is not None and document.owner == ACCOUNT

    def required(self, name: str, code: int) -> str:
        """A parameter that the method cannot do without; ``code`` is its error when it is missing."""
        if not self.call.param(name):
            raise self.error(code)
        return self.call.param(name)


def check_verb(verb: str, needs: Needs) -> None:
    if needs.verb == "POST" and verb != "POST":
        raise ApiError(120)
    if needs.verb == "GET" and verb != "GET":
        # One client saw this refused but did not note the answer: as if the method were not there.
        raise ApiError(103)


def admit(call: ApiCall, needs: Needs, sandbox: Sandbox) -> Admitted:
    """The call together with whom it comes from.

    :raises ApiError: 100, 101, 104 to 107, 110, 130 to 135.
    """
    if speaks_oauth(call):
        token = _token_by_oauth(call, sandbox)
    else:
        token = _token_by_signature(call, needs, sandbox)
    if token is None and needs.token:
        raise ApiError(106)
    if needs.right != "none" and not sandbox.allows(token, "doc", needs.right):
        raise ApiError(110)
    return Admitted(sandbox, call, token)


def _token_by_signature(call: ApiCall, needs: Needs, sandbox: Sandbox) -> Token | None:
    if not call.param("api_key"):
        raise ApiError(100)
    if call.param("api_key") != API_KEY:
        raise ApiError(101)
    if call.param("api_sig"):
        verify_native(call.params, API_SECRET, call.method)
    elif needs.sign:
        raise ApiError(104)
    if not call.param("auth_token"):
        return None
    token = sandbox.credentials.tokens.get(call.param("auth_token"))
    if token is None or token.secret is not None:  # an OAuth token is no good without its signature
        raise ApiError(107)
    return token


def _token_by_oauth(call: ApiCall, sandbox: Sandbox) -> Token | None:
    tokens = sandbox.credentials.tokens
    params = verify_oauth(
        OAuthRequest.of(call, sandbox.settings.oauth_multipart),
        sandbox.credentials,
        sandbox.now(),
        token_secrets={name: token.secret for name, token in tokens.items() if token.secret is not None},
        ordered=sandbox.settings.oauth_timestamp_order,
    )
    return tokens.get(params.get("oauth_token", ""))
