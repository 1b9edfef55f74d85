"""``account.getQuota``"""

from __future__ import annotations

from ipernity_provider.sandbox.credentials import ACCOUNT
from ipernity_provider.sandbox.gate import Admitted
from ipernity_provider.sandbox.reply import Payload


async def get_quota(asked: Admitted) -> Payload:
    """The monthly volume: "unlimited" for PRO accounts still has a ceiling."""
    largest = _volume(asked.sandbox.settings.max_file_bytes)
    ceiling, used = asked.sandbox.ceiling_bytes, asked.sandbox.used_bytes
    percent = min(100, -(-used * 100 // ceiling))  # rounded up, as in the documented example
    return {
        "quota": {
            "user_id": ACCOUNT.user_id,
            "is_pro": asked.sandbox.settings.is_pro,
            "upload": {
                "unlimited": asked.sandbox.unlimited,
                "max": {**_volume(ceiling), "percent": 100},
                "used": {**_volume(used), "percent": percent},
                "left": {**_volume(asked.sandbox.quota_left()), "percent": 100 - percent},
            },
            "maxfilesize": dict.fromkeys(("photo", "audio", "video", "other"), largest),
            "albums": {"max": 2048, "created": 0, "left": 2048},
        }
    }


def _volume(count: int) -> dict[str, int]:
    return {"bytes": count, "kb": count // 1024, "mb": count // 1024**2}
