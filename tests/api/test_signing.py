from __future__ import annotations

import pytest
from oauthlib.oauth1 import rfc5849

from ipernity_provider.api.signing import ApiSignature, HttpMethod, OAuthSignature, api_sig

KEY_A, SECRET_A = "6fa87ba500002712bd4eed6020f3bd72", "e9a599f0cf6ce193"
TOKEN = "12345-a0b1c2d3e4f5"
API = "https://api.ipernity.com/api"


@pytest.mark.parametrize(
    ("method", "params", "documented"),
    [
        (
            "doc.tags.add",
            {"doc_id": "1234", "keywords": "easy"},
            "a269b218feb341ef03bc093a0f2c8078",
        ),
        ("", {"perm_network": "read"}, "da183021cd39461108770b822fcd9398"),
    ],
)
def test_the_documented_examples_of_the_md5_signature_are_reproduced(
    method: str, params: dict[str, str], documented: str
) -> None:
    assert api_sig({"api_key": KEY_A, **params}, method, SECRET_A) == documented


@pytest.mark.parametrize(
    ("method", "params", "token", "expected"),
    [
        ("auth.getFrob", {}, None, "302693cca51f35c48d656cb3338a994a"),
        ("test.echo", {"echo": "Hallo Überfluß"}, None, "5f3b1ce5d79eea1070925efa2c451705"),
        (
            "upload.replace",
            {"doc_id": "5412", "async": "1"},
            TOKEN,
            "e1cc6305068556b6546d13550320d233",
        ),
        (
            "upload.replace",
            {"doc_id": "5412", "async": "0"},
            TOKEN,
            "3bfa55c580f8035dbd901571945fd744",
        ),
        (
            "upload.replace",
            {"doc_id": "5412", "async": "1", "lg": "en"},
            TOKEN,
            "b2c262d0fd973f2d781d71ad5f9884d4",
        ),
        (
            "upload.checkTickets",
            {"tickets": "12345445-98829,712311"},
            TOKEN,
            "5581d37eb45a7d7a90fa805e3c63f78e",
        ),
        ("doc.set", {"doc_id": "5412", "title": ""}, TOKEN, "55103b62fc985e5a13f584b9af489d48"),
    ],
)
def test_a_call_carries_key_token_and_md5_signature(
    method: str, params: dict[str, str], token: str | None, expected: str
) -> None:
    call = ApiSignature(KEY_A, SECRET_A, token).sign("POST", f"{API}/{method}/json", method, params)
    assert call.fields["api_sig"] == expected
    assert call.fields["api_key"] == KEY_A
    assert call.fields.get("auth_token") == token
    assert call.headers == {}


def test_the_file_is_not_signed() -> None:
    assert api_sig({"a": "1", "file": "bytes"}, "upload.replace", SECRET_A) == api_sig(
        {"a": "1"}, "upload.replace", SECRET_A
    )


@pytest.mark.parametrize(
    ("http", "url", "params", "token", "signature"),
    [
        (
            "GET",
            "https://www.ipernity.com/apps/oauth/request",
            {},
            False,
            "iBageXAimNiOdmbYeb4cQvBPXAI%3D",
        ),
        (
            "GET",
            f"{API}/upload.checkTickets/json",
            {"tickets": "12345445-98829"},
            True,
            "mq%2BX5mxzlwJ%2Fny4Jsr3k0N57JeE%3D",
        ),
        (
            "POST",
            f"{API}/upload.replace/json",
            {"async": "1", "doc_id": "5412"},
            True,
            "HFaltAalMEnvRMarUafqv6zGXds%3D",
        ),
    ],
)
def test_the_oauth_vectors_are_reproduced_with_the_form_fields_of_an_upload_signed(
    http: HttpMethod,
    url: str,
    params: dict[str, str],
    token: bool,
    signature: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rfc5849, "generate_nonce", lambda: "0123456789abcdef")
    monkeypatch.setattr(rfc5849, "generate_timestamp", lambda: "1700000000")
    credentials = ("98765-0a1b2c3d4e5f", "feedc0ffee012345") if token else (None, None)
    call = OAuthSignature(KEY_A, SECRET_A, *credentials).sign(http, url, "any", params)
    assert f'oauth_signature="{signature}"' in call.headers["Authorization"]
    assert call.fields == params


def test_no_secret_shows_in_the_text_of_a_signature() -> None:
    shown = repr(ApiSignature(KEY_A, SECRET_A, TOKEN)) + repr(
        OAuthSignature(KEY_A, SECRET_A, TOKEN, "token-secret")
    )
    shown += repr(ApiSignature(KEY_A, SECRET_A).sign("POST", API, "m", {}).headers)
    assert not any(secret in shown for secret in (SECRET_A, TOKEN, "token-secret"))
