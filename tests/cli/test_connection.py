"""What is printed is a connection that Airflow reads back."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest
from airflow.sdk import Connection

from ipernity_provider.cli.connection import ConnectionFields
from ipernity_provider.cli.permissions import asked_permissions
from ipernity_provider.cli.service import Application, Service, UserToken
from ipernity_provider.hooks.settings import ConnectionSettings

APPLICATION = Application("0123456789abcdef", "s/e+c@r:e t'")


def fields(**service: Any) -> ConnectionFields:
    kept = {"token_secret": "old", "upload_roots": ["/data"], "lg": None, "api_key": "old", "timeout": 9}
    return ConnectionFields.of("my.conn", Service(**service), APPLICATION, UserToken("1-2", "t's"), kept)


def added_by(words: list[str]) -> Connection:
    """What Airflow's own command would make of its options."""
    from airflow.cli.cli_parser import get_parser

    assert words[0] == "airflow"
    given = get_parser().parse_args(words[1:])
    assert (given.conn_id, given.conn_port) == ("my.conn", "0")
    return Connection(
        conn_id=given.conn_id,
        conn_type=given.conn_type,
        host=given.conn_host,
        password=given.conn_password,
        port=int(given.conn_port),
        extra=given.conn_extra,
    )


@pytest.mark.parametrize("output", ["json", "uri", "add-command", "env"])
@pytest.mark.parametrize("host", [None, "http://127.0.0.1:8765", "https://sandbox.example.org"])
def test_airflow_reads_back_what_is_printed(output: str, host: str | None) -> None:
    made = fields(host=host, proxy="http://proxy:3128", verify=False)
    text = made.printed(output)
    if output == "uri":
        connection = Connection.from_uri(text, conn_id="x")
    elif output == "add-command":
        connection = added_by(shlex.split(text))
    else:
        if output != "json":
            text = shlex.split(text)[-1].removeprefix("AIRFLOW_CONN_MY.CONN=")
        connection = Connection.from_json(text, conn_id="x")
    settings = ConnectionSettings.of(connection, connection.extra_dejson)
    assert (settings.api_key, settings.api_secret) == (APPLICATION.api_key, APPLICATION.api_secret)
    assert (settings.auth, settings.token, settings.token_secret) == ("oauth", "1-2", "t's")
    assert (settings.base_url, settings.proxy, settings.verify) == (host, "http://proxy:3128", False)
    assert (settings.upload_roots, settings.lg, settings.timeout) == (("/data",), "en", 9.0)


def test_a_new_token_takes_nothing_of_the_old_one() -> None:
    kept = json.loads(fields().as_json())["extra"]
    plain = ConnectionFields.of("x", Service(), APPLICATION, UserToken("3-4"), kept)
    assert dict(plain.extra) == {
        "upload_roots": ["/data"],
        "api_key": APPLICATION.api_key,
        "timeout": 9,
        "auth": "signature",
        "token": "3-4",
    }
    assert not {"3-4", APPLICATION.api_secret} & set(repr(plain).split("'"))


@pytest.mark.parametrize(
    ("host", "website"),
    [
        (None, "https://www.ipernity.com"),
        ("https://api.ipernity.com", "https://www.ipernity.com"),
        ("http://127.0.0.1:8765", "http://127.0.0.1:8765"),
    ],
)
def test_the_live_website_has_another_name_than_its_api(host: str | None, website: str) -> None:
    assert Service(host).website_root == website


def test_no_more_than_writing_documents_is_asked_for_unless_told_so() -> None:
    assert asked_permissions([]) == {"doc": "write"}
    assert asked_permissions(["doc=delete", "blog=read"]) == {"doc": "delete", "blog": "read"}
