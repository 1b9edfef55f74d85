"""``test.*``"""

from __future__ import annotations

from ipernity_provider.sandbox.gate import Admitted
from ipernity_provider.sandbox.reply import Payload


async def hello(_: Admitted) -> Payload:
    return {"hello": "hello world!"}


async def echo(asked: Admitted) -> Payload:
    """The parameters, without those that serve to authenticate."""
    hidden = {"api_key", "api_sig", "auth_token", "api"}
    return {
        name: value
        for name, value in asked.call.params.items()
        if name not in hidden and not name.startswith("oauth_")
    }
