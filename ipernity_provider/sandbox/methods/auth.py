"""``auth.*``: the native way to a token, and what a token allows."""

from __future__ import annotations

from ipernity_provider.sandbox.auth import AuthorizedCall
from ipernity_provider.sandbox.credentials import ACCOUNT, Token
from ipernity_provider.sandbox.errors import ApiError
from ipernity_provider.sandbox.reply import Payload
from ipernity_provider.sandbox.settings import RIGHTS
from ipernity_provider.sandbox.state import Sandbox


async def get_frob(call: AuthorizedCall) -> Payload:
    """Answer with a new frob, which starts an authorization."""
    return {"auth": {"frob": call.sandbox.credentials.new_frob(call.sandbox.now()).frob}}


async def get_token(call: AuthorizedCall) -> Payload:
    """Exchange a frob for a token.

    Before the owner's consent the answer is error 2 (the service's own answer is not known).
    """
    frob = call.sandbox.credentials.open_frob(call.required("frob", 1), call.sandbox.now())
    if frob is None or frob.rights is None:
        raise call.error(2)
    return _token_info(call.sandbox, call.sandbox.credentials.exchange_frob(frob))


async def check_token(call: AuthorizedCall) -> Payload:
    """Answer with the token's rights and its owner."""
    if call.token is None:
        raise ApiError(106)
    return _token_info(call.sandbox, call.token)


def _token_info(sandbox: Sandbox, token: Token) -> Payload:
    """Describe a token. The documented member ``perms`` is really called ``permissions``."""
    return {
        "auth": {
            "token": token.token,
            "permissions": {right: sandbox.level(token, right) for right in RIGHTS},
            "user": {
                "user_id": ACCOUNT.user_id,
                "username": ACCOUNT.username,
                "realname": ACCOUNT.realname,
                "lg": "en",
                "is_pro": sandbox.settings.is_pro,
            },
        }
    }
