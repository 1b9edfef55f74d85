"""``auth.*``: the native way to a token, and what a token is good for."""

from __future__ import annotations

from ipernity_provider.sandbox.credentials import ACCOUNT, Token
from ipernity_provider.sandbox.errors import ApiError
from ipernity_provider.sandbox.gate import Admitted
from ipernity_provider.sandbox.reply import Payload
from ipernity_provider.sandbox.settings import RIGHTS
from ipernity_provider.sandbox.state import Sandbox


async def get_frob(asked: Admitted) -> Payload:
    return {"auth": {"frob": asked.sandbox.credentials.new_frob(asked.sandbox.now()).frob}}


async def get_token(asked: Admitted) -> Payload:
    """Exchange a frob. Before the owner's consent the answer is error 2 (the service's own is not known)."""
    frob = asked.sandbox.credentials.open_frob(asked.required("frob", 1), asked.sandbox.now())
    if frob is None or frob.rights is None:
        raise asked.error(2)
    return _about(asked.sandbox, asked.sandbox.credentials.exchange_frob(frob))


async def check_token(asked: Admitted) -> Payload:
    if asked.token is None:
        raise ApiError(106)
    return _about(asked.sandbox, asked.token)


def _about(sandbox: Sandbox, token: Token) -> Payload:
    """The member is ``permissions``, as the live service has it, not ``perms`` as its page says."""
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
