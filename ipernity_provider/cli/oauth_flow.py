"""OAuth 1.0a: a request token, the owner's consent, the access token."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import requests
from requests_oauthlib import OAuth1Session
from requests_oauthlib.oauth1_session import TokenRequestDenied

from ipernity_provider.api.clock import ahead_of_service, explain_stale_signature
from ipernity_provider.api.errors import AnswerLost, IpernityError, PermanentError, StaleSignature, api_error
from ipernity_provider.api.network_errors import host_of, transport_error
from ipernity_provider.cli.permissions import Permissions, link_parameters
from ipernity_provider.cli.service import Application, Service, UserToken

OUT_OF_BAND = "oob"
REQUEST, ACCESS = "oauth/request", "oauth/access"


class OAuthFlow:
    """One authorization, from the request token to the access token.

    :param callback: where the browser is sent after the consent; ``oob`` for nowhere.
    """

    def __init__(self, service: Service, application: Application, callback: str) -> None:
        self._service = service
        self._session = OAuth1Session(application.api_key, application.api_secret, callback_uri=callback)
        self.request_token = ""

    def start(self, permissions: Permissions) -> str:
        """Fetch a request token and return the address of the page on which the owner consents; it is not signed."""
        self.request_token = self._fetch(REQUEST, self._session.fetch_request_token)["oauth_token"]
        page = f"{self._service.website_root}/apps/oauth/authorize"
        return str(self._session.authorization_url(page, **link_parameters(permissions)))

    def finish(self) -> UserToken:
        """The access token; once, and after the consent."""

        def fetch(url: str, **options: Any) -> Any:
            # The service knows no verifier, but the library insists on one: the request token stands in for it, as it
            # did for another client that worked.
            return self._session.fetch_access_token(url, verifier=self.request_token, **options)

        answer = self._fetch(ACCESS, fetch)
        if not answer.get("oauth_token_secret"):
            raise AnswerLost(f"{ACCESS}: the service's answer has no token secret.", method=ACCESS)
        return UserToken(answer["oauth_token"], answer["oauth_token_secret"])

    def _fetch(self, method: str, fetch: Callable[..., Any]) -> dict[str, str]:
        # The texts of all these errors can hold tokens: nothing of them is kept.
        url = f"{self._service.website_root}/apps/{method}"
        try:
            return dict(fetch(url, **self._service.request_options()))
        except TokenRequestDenied as denied:
            raise _refusal(method, denied.response) from None
        except (requests.RequestException, OSError) as error:
            raise transport_error(method, host_of(url), error) from None
        except ValueError:  # TokenMissing is one
            raise AnswerLost(
                f"{method}: the answer is no token: maintenance, or a proxy in between?", method=method
            ) from None


def _refusal(method: str, response: requests.Response) -> IpernityError:
    """How the service tells errors here is not known: a number is looked for where others have it."""
    found = re.search(r"""(?:error|code)["']?\s*[=:]\s*["']?(\d{1,3})\b""", response.text[:2000])
    if found:
        error = api_error(method, int(found[1]))
        if isinstance(error, StaleSignature):
            return explain_stale_signature(error, ahead_of_service({}, response.headers.get("Date")))
        return error
    if response.status_code >= 500:
        return AnswerLost(f"{method}: the service failed with HTTP {response.status_code}.", method=method)
    return PermanentError(
        f"{method}: refused with HTTP {response.status_code}: a wrong key or secret, a wrong clock, or no consent.",
        method=method,
    )
