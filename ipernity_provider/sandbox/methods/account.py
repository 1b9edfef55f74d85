"""``account.getQuota``"""

from __future__ import annotations

from ipernity_provider.sandbox.credentials import ACCOUNT
from ipernity_provider.sandbox.gate import Admitted
from ipernity_provider.sandbox.reply import Payload
from ipernity_provider.sandbox.settings import QUOTA_BYTES


async def get_quota(asked: Admitted) -> Payload:
    """The monthly volume: "unlimited" for PRO accounts still has a ceiling."""
    largest = _volume(asked.sandbox.settings.max_file_bytes)
    left = asked.sandbox.quota_left()
    return {
        "quota": {
            "user_id": ACCOUNT.user_id,
            "is_pro": asked.sandbox.settings.is_pro,
            "upload": {
                "unlimited": asked.sandbox.settings.is_pro,
                "max": {**_volume(QUOTA_BYTES), "percent": 100},
                "used": {**_volume(asked.sandbox.used_bytes), "percent": _percent(asked.sandbox.used_bytes)},
                "left": {**_volume(left), "percent": 100 - _percent(asked.sandbox.used_bytes)},
            },
            "maxfilesize": dict.fromkeys(("photo", "audio", "video", "other"), largest),
            "albums": {"max": 2048, "created": 0, "left": 2048},
        }
    }


def _volume(count: int) -> dict[str, int]:
    return {"bytes": count, "kb": count // 1024, "mb": count // 1024**2}


def _percent(used: int) -> int:
    """Rounded up, as in the documented example."""
    return min(100, -(-used * 100 // QUOTA_BYTES))
