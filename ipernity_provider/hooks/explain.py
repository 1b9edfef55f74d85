"""Explain the service's refusals to a person who is setting up a connection: one sentence each.

The Test button, ``airflow ipernity check`` and ``airflow ipernity authorize`` take their sentences from here.
"""

from __future__ import annotations

import re

from ipernity_provider.api.errors import IpernityError

KEYS_PAGE = "https://www.ipernity.com/apps/key"

_REFUSALS = {
    101: f"The service does not know the API key (code 101): compare it with {KEYS_PAGE}.",
    105: f"The API secret does not belong to the API key (code 105): compare it with {KEYS_PAGE}.",
}


def explain(error: IpernityError) -> str:
    """Return one sentence: what is wrong and what to do."""
    return _REFUSALS.get(error.code or 0) or one_sentence(str(error))


def one_sentence(text: str) -> str:
    """Join sentences by semicolons."""
    return re.sub(r"\. ([A-Z])(?![A-Z])", lambda match: f"; {match[1].lower()}", text)
