"""The connection that ``authorize`` drafts, completes and prints is one that Airflow reads back."""

from __future__ import annotations

import json
from argparse import Namespace
from typing import Any

import pytest
from airflow.sdk import Connection

from ipernity_provider.cli.authorize import parse_permissions
from ipernity_provider.cli.connection import (
    as_json,
    complete_connection,
    draft_connection,
    read_settings,
)

KEY, SECRET = "0123456789abcdef", "s/e+c@r:e t'"
OAUTH = {"auth": "oauth", "token": "1-2", "token_secret": "t's"}


def saved(**extra: Any) -> Connection:
    """A connection with a host in parts, as a URI gives it, and a token that is to be renewed."""
    kept = {"api_key": KEY, "token_secret": "old", "token": "old", "auth": "oauth"} | extra
    return Connection(
        conn_id="my.conn",
        conn_type="ipernity",
        host="example.org",
        schema="http",
        port=8765,
        password=SECRET,
        extra=json.dumps(kept),
    )


def authorized(connection: Connection | None, token: dict[str, str], **options: Any) -> Connection:
    given = {"conn_id": "my.conn", "api_key": None, "host": None, "proxy": None, "verify": None}
    draft = draft_connection(Namespace(**{**given, **options}), connection)
    return complete_connection(draft, read_settings(draft), token)


@pytest.mark.parametrize("host", [None, "http://127.0.0.1:8765", "https://sandbox.example.org"])
def test_airflow_reads_back_what_is_printed(host: str | None) -> None:
    made = authorized(
        saved(upload_roots=["/data"], lg=None, timeout=9),
        OAUTH,
        host=host,
        proxy="http://proxy:3128",
        verify="false",
    )
    settings = read_settings(Connection.from_json(as_json(made), conn_id="x"))
    assert (settings.api_key, settings.api_secret) == (KEY, SECRET)
    assert (settings.auth, settings.token, settings.token_secret) == ("oauth", "1-2", "t's")
    address = host or "http://example.org:8765"
    assert (settings.base_url, made.port, made.schema) == (address, 0, None)
    assert (settings.proxy, settings.verify) == ("http://proxy:3128", False)
    assert (settings.upload_roots, settings.lg, settings.timeout) == (("/data",), "en", 9.0)


def test_a_new_token_keeps_nothing_of_the_old_one() -> None:
    old = saved(upload_roots=["/data"], lg=None, timeout=9, proxy="")
    made = authorized(old, {"auth": "signature", "token": "3-4"})
    assert made.extra_dejson == {
        "upload_roots": ["/data"],
        "api_key": KEY,
        "timeout": 9,
        "auth": "signature",
        "token": "3-4",
    }


def test_a_secret_is_not_used_with_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPERNITY_API_SECRET", "new secret")
    assert authorized(saved(), OAUTH, api_key="f" * 32).password == "new secret"
    monkeypatch.delenv("IPERNITY_API_SECRET")
    assert authorized(saved(), OAUTH).password == SECRET
    with pytest.raises(Exception, match="API secret is missing and there is no terminal"):
        authorized(saved(), OAUTH, api_key="f" * 32)


@pytest.mark.parametrize(
    ("host", "website"),
    [
        (None, "https://www.ipernity.com"),
        ("https://api.ipernity.com", "https://www.ipernity.com"),
        ("http://127.0.0.1:8765", "http://127.0.0.1:8765"),
    ],
)
def test_the_live_website_has_another_name_than_its_api(host: str | None, website: str) -> None:
    connection = Connection(
        conn_id="x", host=host, password=SECRET, extra=json.dumps({"api_key": KEY})
    )
    assert read_settings(connection).website_url == website


def test_the_only_default_permission_is_writing_documents() -> None:
    assert parse_permissions([]) == {"perm_doc": "write"}
    changed = parse_permissions(["doc=delete", "blog=read"])
    assert changed == {"perm_doc": "delete", "perm_blog": "read"}
