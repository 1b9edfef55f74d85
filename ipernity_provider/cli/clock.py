"""How far this machine's clock is off, by the time that the service puts into its replies."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import IpernityError
from ipernity_provider.api.reply import as_int, as_map

#: Below this a difference says nothing: replies carry whole seconds, and travel.
NEGLIGIBLE_SECONDS = 5.0


def ahead_of_service(reply: Mapping[str, Any]) -> float | None:
    """Seconds by which this clock is ahead of the service's (negative: behind), by a reply that came just now."""
    at = as_int(as_map(reply.get("api")).get("at"))
    return None if at is None else time.time() - at


def ask_service(client: IpernityClient) -> float | None:
    """The same, asked for. The client must sign with the service's own signature, which has no time in it."""
    try:
        return ahead_of_service(client.call("test.hello"))
    except IpernityError:
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


def refusal_in_words(code: int | None, ahead: float | None) -> str:
    """Why the service refused an OAuth timestamp (132, 134) or nonce (133), and what to do, in one sentence."""
    agrees = ahead is not None and abs(ahead) <= NEGLIGIBLE_SECONDS
    if code == 133:
        return "The service refuses the OAuth nonce as one that was used before (code 133): try again."
    if agrees and code == 134:
        return (
            "The service refuses the OAuth timestamp (code 134), though this machine's clock agrees with the service's: "
            "another program with the same token has a clock that runs ahead, set that one and try again later."
        )
    return f"The service refuses the OAuth timestamp (code {code}): {in_words(ahead)}; set the clock."
