"""``user.get``."""

from __future__ import annotations

from ipernity_provider.sandbox.auth import AuthorizedCall
from ipernity_provider.sandbox.credentials import ACCOUNT, USERS, Token
from ipernity_provider.sandbox.documents import User
from ipernity_provider.sandbox.reply import Payload

_RELATIONS = ("isfamily", "isfriend", "iscontact", "revfamily", "revfriend", "revcontact")
_HOME: Payload = {"country": "FR", "town": "Auray", "lat": 47.67, "lng": -2.98}
"""Where both users live; which form the country has is not known."""


def find_user(user_id: str, token: Token | None) -> User | None:
    """Return the user with this id or alias; without one, the token's owner."""
    if not user_id:
        return ACCOUNT if token is not None else None
    return next((user for user in USERS if user_id in (user.user_id, user.alias)), None)


async def get(call: AuthorizedCall) -> Payload:
    """Answer with a user's profile. The users of the sandbox have no relations."""
    user = find_user(call.request.param("user_id"), call.token)
    if user is None:
        raise call.error(1)
    documents = [doc for doc in call.sandbox.documents.values() if doc.owner == user]
    return {
        "user": {
            "user_id": user.user_id,
            "is_pro": call.sandbox.settings.is_pro if user == ACCOUNT else 1,
            "is_online": 0,
            "is_closed": 0,
            "tmo": 0,
            "username": user.username,
            "realname": user.realname,
            "alias": user.alias,
            "icon": call.request.root + user.icon_path,
            "link": f"{call.request.root}/",
            "relation": dict.fromkeys(_RELATIONS, 0),
            "location": _HOME,
            "count": {"docs": sum(map(call.sees, documents)), "posts": 0, "network": 0},
            "dates": {"member_since": 1228086000},
        }
    }
