from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, urlsplit

import pytest
import requests
from oauthlib.oauth1 import Client
from requests_oauthlib import OAuth1, OAuth1Session

from ipernity_provider.sandbox.oauth import OAuthRequest, signature_is_valid
from tests.sandbox.caller import KEY, OAUTH_TOKEN, OAUTH_TOKEN_SECRET, SECRET, Caller, jpeg

NEW = jpeg("plum")
REPLACE = {"doc_id": "5412", "async": "1", "lg": "en"}


def client(**changes: Any) -> Client:
    values = {
        "client_secret": SECRET,
        "resource_owner_key": OAUTH_TOKEN,
        "resource_owner_secret": OAUTH_TOKEN_SECRET,
        **changes,
    }
    return Client(values.pop("client_key", KEY), **values)


def get(sandbox: Caller, signer: Client, method: str = "account.getQuota") -> Any:
    url, headers, _ = signer.sign(f"{sandbox.url(method)}?lg=en&extra=a%2Bb%20%C3%BC~")
    return requests.get(url, headers=headers).json()


def send_signed_as_form(sandbox: Caller) -> Any:
    """The header is made for the fields as if urlencoded, then they go out as multipart."""
    url = sandbox.url("upload.replace")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    _, headers, _ = client().sign(
        url, "POST", body="&".join(f"{k}={v}" for k, v in REPLACE.items()), headers=form
    )
    authorization = {"Authorization": headers["Authorization"]}
    return requests.post(
        url, data=REPLACE, files={"file": ("n.jpg", NEW)}, headers=authorization
    ).json()


def send_signed_by_the_standard(sandbox: Caller) -> Any:
    """RFC 5849: nothing of a multipart body is signed."""
    url = sandbox.url("upload.replace")
    _, headers, _ = client().sign(url, "POST")
    return requests.post(url, data=REPLACE, files={"file": ("n.jpg", NEW)}, headers=headers).json()


@pytest.mark.parametrize(
    ("verb", "url", "form", "token", "expected"),
    [
        (
            "GET",
            "https://www.ipernity.com/apps/oauth/request",
            {},
            "",
            "iBageXAimNiOdmbYeb4cQvBPXAI=",
        ),
        (
            "GET",
            "https://api.ipernity.com/api/upload.checkTickets/json?tickets=12345445-98829",
            {},
            OAUTH_TOKEN,
            "mq+X5mxzlwJ/ny4Jsr3k0N57JeE=",
        ),
        (
            "POST",
            "https://api.ipernity.com/api/upload.replace/json",
            {"async": "1", "doc_id": "5412"},
            OAUTH_TOKEN,
            "HFaltAalMEnvRMarUafqv6zGXds=",
        ),
        (
            "POST",
            "https://api.ipernity.com/api/upload.replace/json",
            {},
            OAUTH_TOKEN,
            "OHa7SXjnk+FdGjlACZ5DJvDBHuo=",
        ),
    ],
)
def test_the_oauth_signature_is_the_computed_vector(
    verb: str, url: str, form: dict[str, str], token: str, expected: str
) -> None:
    values = {
        "oauth_consumer_key": KEY,
        "oauth_nonce": "0123456789abcdef",
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": "1700000000",
        "oauth_version": "1.0",
    }
    if token:
        values["oauth_token"] = token

    def request(signature: str) -> OAuthRequest:
        named = {**values, "oauth_signature": signature}.items()
        header = "OAuth " + ", ".join(f'{name}="{quote(value, safe="")}"' for name, value in named)
        return OAuthRequest(verb, url, tuple(form.items()), header)

    secrets = {OAUTH_TOKEN: OAUTH_TOKEN_SECRET}
    assert signature_is_valid(request(expected), secrets)
    assert not signature_is_valid(request("A" + expected[1:]), secrets)
    if token:
        assert not signature_is_valid(request(expected), {OAUTH_TOKEN: "another secret"})


@pytest.mark.parametrize("place", ["AUTH_HEADER", "QUERY"])
def test_a_get_may_carry_the_parameters_in_the_header_or_the_query(
    sandbox: Caller, place: str
) -> None:
    assert get(sandbox, client(signature_type=place))["quota"]["user_id"] == "1234"


def test_a_post_may_carry_the_parameters_in_its_body(sandbox: Caller) -> None:
    auth = OAuth1(KEY, SECRET, OAUTH_TOKEN, OAUTH_TOKEN_SECRET, signature_type="body")
    reply = requests.post(
        sandbox.url("doc.set"), data={"doc_id": "5412", "title": "ü & +", "lg": "en"}, auth=auth
    )
    assert reply.json()["doc"]["title"] == "ü & +"


def test_a_multipart_upload_is_signed_with_its_fields(sandbox: Caller) -> None:
    reply = send_signed_as_form(sandbox)
    assert sandbox.wait(reply["ticket"])["doc_id"] == "5412"
    assert sandbox.code(send_signed_by_the_standard(sandbox)) == "105"


def test_oauth_multipart_rfc5849_signs_by_the_standard(sandbox: Caller) -> None:
    sandbox.change(oauth_multipart="rfc5849")
    reply = send_signed_by_the_standard(sandbox)
    assert sandbox.wait(reply["ticket"])["doc_id"] == "5412"
    assert sandbox.code(send_signed_as_form(sandbox)) == "105"


def test_check_token_knows_the_oauth_token(sandbox: Caller) -> None:
    assert get(sandbox, client(), "auth.checkToken")["auth"]["token"] == OAUTH_TOKEN


def test_wrong_secrets_and_tokens_are_refused_by_number(sandbox: Caller) -> None:
    assert sandbox.code(get(sandbox, client(client_secret="wrong"))) == "105"
    assert sandbox.code(get(sandbox, client(resource_owner_secret="wrong"))) == "105"
    assert sandbox.code(get(sandbox, client(client_key="f" * 32))) == "101"
    assert sandbox.code(get(sandbox, client(resource_owner_key="1-unknown"))) == "107"
    assert (
        sandbox.code(get(sandbox, client(resource_owner_key=None, resource_owner_secret=None)))
        == "106"
    )


def test_the_permission_of_an_oauth_token_is_checked(sandbox: Caller) -> None:
    sandbox.change(permissions={"doc": "read"})
    assert sandbox.code(get(sandbox, client())) == "110"


def test_missing_parameters_are_131(sandbox: Caller) -> None:
    for header in ('OAuth oauth_consumer_key="x"', "OAuth "):
        reply = requests.get(
            sandbox.url("test.hello"), params={"lg": "en"}, headers={"Authorization": header}
        )
        assert sandbox.code(reply.json()) == "131"


def test_another_version_is_130(sandbox: Caller) -> None:
    url, headers, _ = client().sign(f"{sandbox.url('test.hello')}?lg=en")
    headers["Authorization"] = headers["Authorization"].replace(
        'oauth_version="1.0"', 'oauth_version="2.0"'
    )
    assert sandbox.code(requests.get(url, headers=headers).json()) == "130"


@pytest.mark.parametrize("method", ["PLAINTEXT", "HMAC-SHA256"])
def test_another_signature_method_is_135_on_http(sandbox: Caller, method: str) -> None:
    assert sandbox.code(get(sandbox, client(signature_method=method))) == "135"


@pytest.mark.parametrize("seconds", [-310, 310])
def test_a_clock_that_is_off_is_132(sandbox: Caller, seconds: int) -> None:
    assert sandbox.code(get(sandbox, client(timestamp=str(int(time.time()) + seconds)))) == "132"


def test_clock_offset_seconds_moves_the_clock_of_the_service(sandbox: Caller) -> None:
    sandbox.change(clock_offset_seconds=-1000)
    assert sandbox.code(get(sandbox, client())) == "132"
    assert get(sandbox, client(timestamp=str(int(time.time()) - 1000)))["api"]["status"] == "ok"
    assert abs(int(sandbox.get("test.hello")["api"]["at"]) - time.time() + 1000) < 5


def test_a_nonce_is_accepted_once(sandbox: Caller) -> None:
    first = get(sandbox, client(nonce="again"))
    assert first["api"]["status"] == "ok"
    assert sandbox.code(get(sandbox, client(nonce="again"))) == "133"


def test_a_nonce_with_a_wrong_signature_is_not_used_up(sandbox: Caller) -> None:
    assert sandbox.code(get(sandbox, client(nonce="fresh", client_secret="wrong"))) == "105"
    assert get(sandbox, client(nonce="fresh"))["api"]["status"] == "ok"


def test_a_timestamp_below_the_last_one_is_134_if_the_order_counts(sandbox: Caller) -> None:
    now = int(time.time())
    assert get(sandbox, client(timestamp=str(now)))["api"]["status"] == "ok"
    assert get(sandbox, client(timestamp=str(now)))["api"]["status"] == "ok"
    assert sandbox.code(get(sandbox, client(timestamp=str(now - 1)))) == "134"
    sandbox.change(oauth_timestamp_order=False)
    assert get(sandbox, client(timestamp=str(now - 1)))["api"]["status"] == "ok"
    assert sandbox.code(get(sandbox, client(timestamp="soon"))) == "134"


def consent(url: str, page: str, **answer: str) -> requests.Response:
    """Post the form named ``fa`` with its hidden inputs back to where it came from."""
    assert '<form name="fa" method="post">' in page
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page))
    return requests.post(url, data={**hidden, **answer}, allow_redirects=False)


def request_token(sandbox: Caller, callback: str) -> OAuth1Session:
    session = OAuth1Session(KEY, SECRET, callback_uri=callback)
    session.fetch_request_token(f"{sandbox.root}/apps/oauth/request")
    return session


def exchange_without_verifier(sandbox: Caller, request_token: dict[str, str]) -> requests.Response:
    signer = Client(KEY, SECRET, request_token["oauth_token"], request_token["oauth_token_secret"])
    url, headers, _ = signer.sign(f"{sandbox.root}/apps/oauth/access")
    return requests.get(url, headers=headers)


def test_an_application_gets_an_oauth_token(sandbox: Caller) -> None:
    session = request_token(sandbox, "https://app.example/back?x=1")
    link = session.authorization_url(f"{sandbox.root}/apps/oauth/authorize", perm_doc="delete")
    answer = consent(link, requests.get(link).text)
    assert answer.status_code == 302
    back = urlsplit(answer.headers["Location"])
    assert back.netloc == "app.example"
    assert sorted(parse_qs(back.query)) == ["oauth_token", "x"]
    token = session.fetch_access_token(
        f"{sandbox.root}/apps/oauth/access", verifier="not looked at"
    )
    mine = OAuth1Session(KEY, SECRET, token["oauth_token"], token["oauth_token_secret"])
    reply = mine.get(sandbox.url("auth.checkToken"), params={"lg": "en"}).json()
    assert reply["auth"]["permissions"]["doc"] == "delete"
    assert reply["auth"]["permissions"]["blog"] == "none"


def test_the_callback_may_come_with_the_authorize_link(sandbox: Caller) -> None:
    session = request_token(sandbox, "oob")
    link = session.authorization_url(
        f"{sandbox.root}/apps/oauth/authorize", oauth_callback="https://late.example/"
    )
    assert (
        consent(link, requests.get(link).text)
        .headers["Location"]
        .startswith("https://late.example/?oauth_token=")
    )


def test_without_a_callback_the_page_says_ok(sandbox: Caller) -> None:
    link = request_token(sandbox, "oob").authorization_url(f"{sandbox.root}/apps/oauth/authorize")
    assert 'class="ok"' in consent(link, requests.get(link).text).text


def test_a_request_token_is_exchanged_once_and_only_after_consent(sandbox: Caller) -> None:
    session = OAuth1Session(KEY, SECRET, callback_uri="oob")
    token = dict(session.fetch_request_token(f"{sandbox.root}/apps/oauth/request"))
    link = session.authorization_url(f"{sandbox.root}/apps/oauth/authorize", perm_doc="write")
    page = requests.get(link).text
    assert exchange_without_verifier(sandbox, token).status_code == 401
    assert 'class="denied"' in consent(link, page, answer="deny").text
    refused = exchange_without_verifier(sandbox, token)
    assert (refused.status_code, dict(parse_qsl(refused.text))["error"]) == (401, "107")
    consent(link, page, answer="allow")
    assert "oauth_token_secret=" in exchange_without_verifier(sandbox, token).text
    assert exchange_without_verifier(sandbox, token).status_code == 401


def test_a_request_token_requires_the_right_secret(sandbox: Caller) -> None:
    url, headers, _ = Client(KEY, "wrong").sign(f"{sandbox.root}/apps/oauth/request")
    response = requests.get(url, headers=headers)
    assert (response.status_code, dict(parse_qsl(response.text))["error"]) == (401, "105")


def test_an_unknown_request_token_has_no_consent_page(sandbox: Caller) -> None:
    response = requests.get(
        f"{sandbox.root}/apps/oauth/authorize", params={"oauth_token": "1-unknown"}
    )
    assert response.status_code == 400
    assert "<form" not in response.text
