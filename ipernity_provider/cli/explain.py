"""Explain errors of an authorization in one sentence."""

from __future__ import annotations

from ipernity_provider.api.errors import IpernityError, TransientError
from ipernity_provider.cli import oauth_flow
from ipernity_provider.hooks.explain import explain

NO_CONSENT_GIVEN = (
    "The service gives no token (code {code}): the consent was refused or not given, or the frob has expired or was used; "
    "run the command again."
)
NO_CONSENT_IN_TIME = "No consent came within {seconds:g} s: it was refused, not given, or given too late; run the command again."


def explain_authorization(error: IpernityError) -> str:
    """Return one sentence: what is wrong and what to do."""
    if error.method == "auth.getToken" and error.code in {1, 2, 106, 107, 110}:
        return NO_CONSENT_GIVEN.format(code=error.code)
    if error.method == oauth_flow.ACCESS and error.code == 107:
        return NO_CONSENT_GIVEN.format(code=error.code).replace("frob", "request token")
    sentence = explain(error)
    if error.method == "auth.getToken" and isinstance(error, TransientError) and error.maybe_accepted:
        return (
            f"{sentence.rstrip('.')}; it may have held the token, which is given once: run the command again."
        )
    return sentence
