"""``account.getQuota`` and ``user.get``."""

from __future__ import annotations

from ipernity_provider.sandbox.auth import AuthorizedCall
from ipernity_provider.sandbox.credentials import ACCOUNT, USERS, Token
from ipernity_provider.sandbox.documents import User
from ipernity_provider.sandbox.reply import Payload


async def get_quota(call: AuthorizedCall) -> Payload:
    """Answer with the monthly volume: also an unlimited one has a ceiling."""
    sandbox = call.sandbox
    largest = _volume(sandbox.settings.max_file_bytes)
    ceiling, used = sandbox.ceiling_bytes, sandbox.used_bytes
    percent = min(100, -(-used * 100 // ceiling))  # rounded up, as in the documented example
    return {
        "quota": {
            "user_id": ACCOUNT.user_id,
            "is_pro": sandbox.settings.is_pro,
            "upload": {
                "unlimited": sandbox.unlimited,
                "max": {**_volume(ceiling), "percent": 100},
                "used": {**_volume(used), "percent": percent},
                "left": {**_volume(sandbox.quota_left()), "percent": 100 - percent},
            },
            "maxfilesize": dict.fromkeys(("photo", "audio", "video", "other"), largest),
            "albums": {"max": 2048, "created": 0, "left": 2048},
        }
    }


def _volume(count: int) -> dict[str, int]:
    return {"bytes": count, "kb": count // 1024, "mb": count // 1024**2}


def find_user(user_id: str, token: Token | None) -> User | None:
    """Return the user with this id or alias; without one, the token's owner."""
    if not user_id:
        return ACCOUNT if token is not None else None
    return next((user for user in USERS if user_id in (user.user_id, user.alias)), None)


async def get_user(call: AuthorizedCall) -> Payload:
    """Answer with a user's profile."""
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
            "username": user.username,
            "realname": user.realname,
            "alias": user.alias,
            "link": f"{call.request.root}/",
            "count": {"docs": sum(map(call.sees, documents)), "posts": 0, "network": 0},
            "dates": {"member_since": 1228086000},
        }
    }
