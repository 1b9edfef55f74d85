"""The service's own authorization, for programs without a website: frob, consent, exchange."""

from __future__ import annotations

import time
from urllib.parse import urlencode

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import AnswerLost, IpernityError, TransientError
from ipernity_provider.api.parsing import as_map, as_text
from ipernity_provider.api.signing import api_sig
from ipernity_provider.hooks.connection import ConnectionSettings

POLL_SECONDS = 3.0

# What the service answers before the consent is not known. 2 ("frob invalid or already used") is
# likely, the others are possible; a wrong key, secret or address has other codes.
NO_CONSENT_CODES = frozenset({1, 2, 106, 107, 110})


def fetch_frob(client: IpernityClient) -> str:
    """Return the id of a new authorization, valid for some minutes (``auth.getFrob``)."""
    return _read_member(client.call("auth.getFrob"), "frob", "auth.getFrob")


def consent_url(settings: ConnectionSettings, frob: str, permissions: dict[str, str]) -> str:
    """Return the address of the consent page.

    :param permissions: the link's parameters, such as ``perm_doc``.
    """
    parameters = {"api_key": settings.api_key, "frob": frob, **permissions}
    # Unlike a call's signature, this one has no method in it.
    query = {**parameters, "api_sig": api_sig(parameters, "", settings.api_secret)}
    return f"{settings.website_url}/apps/authorize?{urlencode(query)}"


def exchange(client: IpernityClient, frob: str) -> dict[str, str]:
    """Exchange a frob for a token, which works once and after the consent (``auth.getToken``).

    :return: the fields of a connection's extra.
    """
    token = _read_member(client.call("auth.getToken", frob=frob), "token", "auth.getToken")
    return {"auth": "signature", "token": token}


def poll(client: IpernityClient, frob: str, seconds: float) -> dict[str, str] | None:
    """Try the exchange every 3 s.

    :return: the fields of a connection's extra; None if there was no consent in time.
    :raises TransientError: an answer that may have held the token was lost, and no other arrived.
    :raises IpernityError: the service refuses for a reason that waiting does not change.
    """
    lost: TransientError | None = None
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(min(POLL_SECONDS, max(0.0, end - time.monotonic())))
        try:
            return exchange(client, frob)
        except TransientError as error:
            lost = error if error.maybe_accepted else lost
        except IpernityError as error:
            if error.code not in NO_CONSENT_CODES:
                raise
    if lost:
        raise lost
    return None


def _read_member(reply: dict[str, object], name: str, method: str) -> str:
    value = as_text(as_map(reply.get("auth")).get(name))
    if not value:
        raise AnswerLost(f"{method}: the service's answer has no {name}.", method=method)
    return value
