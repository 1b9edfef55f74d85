"""The service's own way to a token, for programs without a website: a frob, the owner's consent, the exchange."""

from __future__ import annotations

import time
from urllib.parse import urlencode

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import AnswerLost, IpernityError, TransientError
from ipernity_provider.api.parsing import as_map, as_text
from ipernity_provider.api.signing import api_sig
from ipernity_provider.cli.permissions import Permissions, link_parameters
from ipernity_provider.cli.service import Application, Service, UserToken

POLL_SECONDS = 3.0

# What the service says before the consent is not known. 2 ("frob invalid or already used") is likely, and these others
# may be meant so; what is wrong with key, secret or address is told by other codes.
_PERHAPS_NOT_YET = frozenset({1, 2, 106, 107, 110})


def new_frob(client: IpernityClient) -> str:
    """What stands for this authorization until it is exchanged; lives for some minutes (``auth.getFrob``)."""
    return _member(client.call("auth.getFrob"), "frob", "auth.getFrob")


def consent_url(service: Service, application: Application, frob: str, permissions: Permissions) -> str:
    """The page on which the owner consents; its signature has no method in it."""
    params = {"api_key": application.api_key, "frob": frob, **link_parameters(permissions)}
    signed = {**params, "api_sig": api_sig(params, "", application.api_secret)}
    return f"{service.website_root}/apps/authorize?{urlencode(signed)}"


def exchange(client: IpernityClient, frob: str) -> UserToken:
    """The token for a frob that was consented to; works once (``auth.getToken``)."""
    return UserToken(_member(client.call("auth.getToken", frob=frob), "token", "auth.getToken"))


def poll(client: IpernityClient, frob: str, seconds: float) -> UserToken | None:
    """Try the exchange every 3 s; None if there was no consent in time.

    :raises TransientError: an answer was lost, which may have held the token, and no other came.
    :raises IpernityError: for what no waiting can mend.
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
            if error.code not in _PERHAPS_NOT_YET:
                raise
    if lost:
        raise lost
    return None


def _member(reply: dict[str, object], name: str, method: str) -> str:
    value = as_text(as_map(reply.get("auth")).get(name))
    if not value:
        raise AnswerLost(f"{method}: the service's answer has no {name}.", method=method)
    return value
