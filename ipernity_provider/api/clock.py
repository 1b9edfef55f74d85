"""How far this machine's clock is off, by the time that the service puts into its replies."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ipernity_provider.api.errors import FILE_MAY_HAVE_ARRIVED, StaleSignature
from ipernity_provider.api.parsing import as_int, as_map, http_date

#: Below this a difference says nothing: replies carry whole seconds, and travel.
NEGLIGIBLE_SECONDS = 5.0

_USED_NONCE = 133
_LATEST = 2**33  # in the year 2242: what is later is not a time


def ahead_of_service(reply: Mapping[str, Any], date: str | None = None) -> float | None:
    """Return by how many seconds this clock is ahead of the service's (negative: behind).

    The time is taken from a reply that was received just now.

    :param date: the reply's HTTP header ``Date``, for replies without a time of their own.
    """
    at: float | None = as_int(as_map(reply.get("api")).get("at"))
    if at is None or not 0 < at < _LATEST:
        at = http_date(date)
    return time.time() - at if at is not None and 0 < at < _LATEST else None


def describe_offset(ahead: float | None) -> str:
    """Return half a sentence about the difference."""
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


def explain_stale_signature(error: StaleSignature, ahead: float | None) -> StaleSignature:
    """Return the same refusal, with a sentence that says by how much the clock is off."""
    agrees = ahead is not None and abs(ahead) <= NEGLIGIBLE_SECONDS
    if error.code == _USED_NONCE:
        why = (
            f"The service refuses the OAuth nonce of {error.method} as one that was used before"
            " (code 133): try again"
        )
    elif agrees and error.code == 134:
        why = (
            f"The service refuses the OAuth timestamp of {error.method} (code 134), though this"
            " machine's clock agrees with the service's: a later call with the same token was"
            " there first. A long upload can be overtaken so by other calls; then use the"
            " service's own signature (auth: signature), or a token for each worker. Else the"
            " clock of another program with this token runs ahead"
        )
    else:
        why = (
            f"The service refuses the OAuth timestamp of {error.method} (code {error.code}):"
            f" {describe_offset(ahead)}; set the clock"
        )
    arrived = f" {FILE_MAY_HAVE_ARRIVED}" if error.maybe_accepted else ""
    return StaleSignature(
        f"{why}.{arrived}",
        method=error.method,
        code=error.code,
        title=error.title,
        maybe_accepted=error.maybe_accepted,
        retry_after=error.retry_after,
    )
