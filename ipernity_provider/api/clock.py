"""How far this machine's clock is off, by the time that the service puts into its replies."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from ipernity_provider.api.errors import StaleSignature
from ipernity_provider.api.reply import as_int, as_map

#: Below this a difference says nothing: replies carry whole seconds, and travel.
NEGLIGIBLE_SECONDS = 5.0

_USED_NONCE = 133


def ahead_of_service(reply: Mapping[str, Any], date: str | None = None) -> float | None:
    """Seconds by which this clock is ahead of the service's (negative: behind), by a reply that came just now.

    :param date: the reply's HTTP header ``Date``, for replies without a time of their own.
    """
    at = as_int(as_map(reply.get("api")).get("at"))
    if at is None and (parsed := _parsed(date)):
        at = int(parsed.timestamp())
    return None if at is None else time.time() - at


def _parsed(date: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(date) if date else None
    except ValueError:
        return None


def in_words(ahead: float | None) -> str:
    """Half a sentence."""
    if ahead is None:
        return "the service does not say what time it has"
    if abs(ahead) <= NEGLIGIBLE_SECONDS:
        return "this machine's clock agrees with the service's"
    direction = "ahead of" if ahead > 0 else "behind"
    return f"this machine's clock is {_duration(abs(ahead))} {direction} the service's"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 2 * 86400 else f"{seconds / 86400:.0f} days"


def with_clock(error: StaleSignature, ahead: float | None) -> StaleSignature:
    """The same refusal, with a sentence that says by how much the clock is off."""
    agrees = ahead is not None and abs(ahead) <= NEGLIGIBLE_SECONDS
    if error.code == _USED_NONCE:
        why = f"The service refuses the OAuth nonce of {error.method} as one that was used before (code 133): try again"
    elif agrees and error.code == 134:
        why = (
            f"The service refuses the OAuth timestamp of {error.method} (code 134), though this machine's clock agrees with "
            "the service's: a later call with the same token was there first. A long upload can be overtaken so by other calls; "
            "then use the service's own signature (auth: signature), or a token for each worker. Else the clock of another "
            "program with this token runs ahead"
        )
    else:
        why = (
            f"The service refuses the OAuth timestamp of {error.method} (code {error.code}): {in_words(ahead)}; "
            "set the clock"
        )
    return StaleSignature(f"{why}.", method=error.method, code=error.code, title=error.title)
