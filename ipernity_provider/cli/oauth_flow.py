"""OAuth 1.0a: a request token, the owner's consent, the access token."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import requests
from requests_oauthlib import OAuth1Session
from requests_oauthlib.oauth1_session import TokenRequestDenied

from ipernity_provider.api.errors import (
    AnswerLost,
    IpernityError,
    PermanentError,
    StaleSignature,
    api_error,
)
from ipernity_provider.api.exchange import host_of
from ipernity_provider.api.signing import ahead_of_service, explain_stale_signature
from ipernity_provider.api.transport import transport_error
from ipernity_provider.hooks.connection import ConnectionSettings

OUT_OF_BAND = "oob"
REQUEST, ACCESS = "oauth/request", "oauth/access"


class OAuthFlow:
    """One authorization, from the request token to the access token.

    :param callback: where the browser goes after the consent; ``oob`` for nowhere.
    """

    def __init__(self, settings: ConnectionSettings, callback: str) -> None:
        self._settings = settings
        self._website = settings.website_url
        self._session = OAuth1Session(settings.api_key, settings.api_secret, callback_uri=callback)
        self.request_token = ""  # nosec B105  # not fetched yet

    def start(self, permissions: dict[str, str]) -> str:
        """Fetch a request token and return the address of the consent page, which is not signed.

        :param permissions: the link's parameters, such as ``perm_doc``.
        """
        answer = self._fetch(REQUEST, self._session.fetch_request_token)
        self.request_token = answer["oauth_token"]
        page = f"{self._website}/apps/oauth/authorize"
        return str(self._session.authorization_url(page, **permissions))

    def finish(self) -> dict[str, str]:
        """Fetch the access token, which works once and after the consent.

        :return: the fields of a connection's extra.
        """

        def fetch(url: str, **options: Any) -> Any:
            # The service has no verifier, but the library requires one. Another client that worked
            # sent the request token, too.
            return self._session.fetch_access_token(url, verifier=self.request_token, **options)

        answer = self._fetch(ACCESS, fetch)
        secret = answer.get("oauth_token_secret")
        if not secret:
            raise AnswerLost(f"{ACCESS}: the service's answer has no token secret.", method=ACCESS)
        return {"auth": "oauth", "token": answer["oauth_token"], "token_secret": secret}

    def _fetch(self, method: str, fetch: Callable[..., Any]) -> dict[str, str]:
        # The texts of these exceptions can hold tokens, so none of them is passed on.
        url = f"{self._website}/apps/{method}"
        settings = self._settings
        options: dict[str, Any] = {
            "timeout": (settings.connect_timeout, settings.timeout),
            "verify": settings.verify,
            "allow_redirects": False,
        }
        if settings.proxy:
            options["proxies"] = {"http": settings.proxy, "https": settings.proxy}
        try:
            return dict(fetch(url, **options))
        except TokenRequestDenied as denied:
            raise _read_refusal(method, denied.response) from None
        except (requests.RequestException, OSError) as error:
            raise transport_error(method, host_of(url), error) from None
        except ValueError:  # TokenMissing is one
            raise AnswerLost(
                f"{method}: the answer is not a token: maintenance, or a proxy in between?",
                method=method,
            ) from None


def _read_refusal(method: str, response: requests.Response) -> IpernityError:
    """Return the error that a refusal stands for.

    How the service reports errors here is not known, so a number is looked for in the usual places.
    """
    found = re.search(r"""(?:error|code)["']?\s*[=:]\s*["']?(\d{1,3})\b""", response.text[:2000])
    if found:
        error = api_error(method, int(found[1]))
        if isinstance(error, StaleSignature):
            ahead = ahead_of_service({}, response.headers.get("Date"))
            return explain_stale_signature(error, ahead)
        return error
    if response.status_code >= 500:
        return AnswerLost(
            f"{method}: the service failed with HTTP {response.status_code}.",
            method=method,
        )
    return PermanentError(
        f"{method}: refused with HTTP {response.status_code}: a wrong key or secret, "
        "a wrong clock, or no consent.",
        method=method,
    )
