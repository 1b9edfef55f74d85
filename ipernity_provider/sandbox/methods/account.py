"""``account.getQuota``."""

from __future__ import annotations

from ipernity_provider.sandbox.auth import AuthorizedCall
from ipernity_provider.sandbox.credentials import ACCOUNT
from ipernity_provider.sandbox.methods.albums import MAX_ALBUMS, albums_created
from ipernity_provider.sandbox.reply import Payload

USED_SECONDS, LEFT_SECONDS = 125, 7075
"""The documented example. Of what these are seconds is not known: no upload changes them."""


async def get_quota(call: AuthorizedCall) -> Payload:
    """Answer with the monthly volume: also an unlimited one has a ceiling."""
    sandbox = call.sandbox
    largest = _volume(sandbox.settings.max_file_bytes)
    ceiling, used, left = sandbox.ceiling_bytes, sandbox.used_bytes, sandbox.quota_left()
    percent = min(100, -(-used * 100 // ceiling))  # rounded up, as in the documented example
    created = albums_created(call)
    return {
        "quota": {
            "user_id": ACCOUNT.user_id,
            "is_pro": sandbox.settings.is_pro,
            "upload": {
                "unlimited": sandbox.unlimited,
                "max": {**_volume(ceiling), "percent": 100},
                "used": {**_volume(used), "percent": percent, "seconds": USED_SECONDS},
                "left": {**_volume(left), "percent": 100 - percent, "seconds": LEFT_SECONDS},
            },
            "maxfilesize": dict.fromkeys(("photo", "audio", "video", "other"), largest),
            "albums": {"max": MAX_ALBUMS, "created": created, "left": MAX_ALBUMS - created},
        }
    }


def _volume(count: int) -> dict[str, int]:
    return {"bytes": count, "kb": count // 1024, "mb": count // 1024**2}
