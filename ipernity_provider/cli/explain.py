"""What the service's errors mean to somebody who is being connected: one sentence each."""

from __future__ import annotations

from ipernity_provider.api.errors import IpernityError, TransientError
from ipernity_provider.cli import oauth_flow
from ipernity_provider.cli.ending import one_sentence

KEYS_PAGE = "https://www.ipernity.com/apps/key"

UNKNOWN_KEY = f"The service does not know the API key (code 101): compare it with {KEYS_PAGE}."
WRONG_SECRET = f"The API secret does not belong to the API key (code 105): compare it with {KEYS_PAGE}."
NO_CONSENT_GIVEN = (
    "The service gives no token (code {code}): the consent was refused or not given, or the frob has expired or was used; "
    "run the command again."
)
NO_CONSENT_IN_TIME = "No consent came within {seconds:g} s: it was refused, not given, or given too late; run the command again."


def explain(error: IpernityError) -> str:
    """One sentence: what is wrong and what to do."""
    if error.code == 101:
        return UNKNOWN_KEY
    if error.code == 105:
        return WRONG_SECRET
    if error.method == "auth.getToken" and error.code in {1, 2, 106, 107, 110}:
        return NO_CONSENT_GIVEN.format(code=error.code)
    if error.method == oauth_flow.ACCESS and error.code == 107:
        return NO_CONSENT_GIVEN.format(code=error.code).replace("frob", "request token")
    if error.method == "auth.getToken" and isinstance(error, TransientError) and error.maybe_accepted:
        return f"{one_sentence(str(error)).rstrip('.')}; it may have held the token, which is given once: run the command again."
    return one_sentence(str(error))
