"""``user.get``"""

from __future__ import annotations

from ipernity_provider.sandbox.credentials import ACCOUNT, USERS, Token
from ipernity_provider.sandbox.documents import User
from ipernity_provider.sandbox.gate import Admitted
from ipernity_provider.sandbox.reply import Payload


def find_user(user_id: str, token: Token | None) -> User | None:
    """By id or alias; without one, the token's owner."""
    if not user_id:
        return ACCOUNT if token is not None else None
    return next((user for user in USERS if user_id in (user.user_id, user.alias)), None)


async def get(asked: Admitted) -> Payload:
    user = find_user(asked.call.param("user_id"), asked.token)
    if user is None:
        raise asked.error(1)
    docs = sum(
        asked.sees(document) for document in asked.sandbox.documents.values() if document.owner == user
    )
    return {
        "user": {
            "user_id": user.user_id,
            "is_pro": asked.sandbox.settings.is_pro if user == ACCOUNT else 1,
            "is_online": 0,
            "is_closed": 0,
            "username": user.username,
            "realname": user.realname,
            "alias": user.alias,
            "link": f"{asked.call.root}/",
            "count": {"docs": docs, "posts": 0, "network": 0},
            "dates": {"member_since": 1228086000},
        }
    }
