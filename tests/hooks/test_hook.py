from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from ipernity_provider.api.errors import PermanentError, Unreachable
from ipernity_provider.api.transport import Timeouts
from ipernity_provider.hooks.connection import ConnectionSettingError
from ipernity_provider.hooks.ipernity import IpernityHook
from scripts.rig import free_port
from tests.conftest import BOAT, CREDENTIALS, OAUTH_SECRET, OAUTH_TOKEN, SECRETS, Connect, Service


def settings(monkeypatch: pytest.MonkeyPatch, connection: dict[str, Any] | str) -> Any:
    stored = (
        connection
        if isinstance(connection, str)
        else json.dumps({"conn_type": "ipernity", **connection})
    )
    monkeypatch.setenv("AIRFLOW_CONN_TRY", stored)
    return IpernityHook("try").settings


def extra(**values: Any) -> dict[str, Any]:
    return {"password": "0a2b3c4d5e6a7b8d", "extra": {"api_key": "0123456789abcdef", **values}}


def test_a_hook_reads_nothing_before_it_is_used() -> None:
    assert IpernityHook("not_there").ipernity_conn_id == "not_there"


def test_what_is_missing_or_null_has_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    timeouts = ("connect_timeout", "timeout", "upload_timeout", "stall_timeout")
    facts = ("check_account", "resend_grace")
    names = (
        "auth",
        "token",
        "token_secret",
        "lg",
        "verify",
        "proxy",
        "upload_roots",
        "media_hosts",
        *timeouts,
        *facts,
    )
    blanks = dict.fromkeys(names, " ") | {"upload_roots": ""}
    for values in ({}, dict.fromkeys(names), dict.fromkeys(names, ""), blanks):
        read = settings(monkeypatch, extra(**values))
        assert (read.auth, read.token, read.lg, read.verify, read.proxy) == (
            "signature",
            None,
            "en",
            True,
            None,
        )
        assert (read.upload_roots, read.media_hosts, read.base_url) == ((), (), None)
        assert (read.check_account, read.resend_grace) == (True, 600.0)
        assert tuple(getattr(read, name) for name in timeouts) == (10.0, 30.0, 300.0, 60.0)


def test_text_stands_for_numbers_and_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    read = settings(
        monkeypatch, extra(timeout="5", verify="False", lg="off", upload_roots="/a\n/b,s3://c")
    )
    assert (read.timeout, read.verify, read.lg, read.upload_roots) == (
        5.0,
        False,
        None,
        ("/a", "/b", "s3://c"),
    )


@pytest.mark.parametrize("word", [" True ", "YES", "on", "1", 1, True])
def test_a_flag_is_written_in_many_ways(monkeypatch: pytest.MonkeyPatch, word: Any) -> None:
    assert settings(monkeypatch, extra(check_account=word, verify=word)).check_account is True


def test_facts_of_the_account_and_the_place_become_options(connect: Connect) -> None:
    conn_id = connect(check_account="no", resend_grace="90", upload_roots="/data")
    options = IpernityHook(conn_id).replace_options(proof="md5", timeout=30.0)
    assert (options.check_account, options.resend_grace, options.upload_roots) == (
        False,
        90.0,
        ("/data",),
    )
    assert (options.proof, options.timeout) == ("md5", 30.0)
    given = IpernityHook(conn_id).replace_options(check_account=True, resend_grace=5)
    assert (given.check_account, given.resend_grace) == (True, 5.0)


def test_a_secret_that_was_pasted_with_its_line_end_is_taken_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (
        settings(monkeypatch, {**extra(), "password": "0a2b3c4d5e6a7b8d\n"}).api_secret
        == "0a2b3c4d5e6a7b8d"
    )


def test_a_connection_may_be_a_uri(monkeypatch: pytest.MonkeyPatch) -> None:
    read = settings(
        monkeypatch, "ipernity://:s3cret-s3cret@127.0.0.1:8765/http?api_key=abc&token=1-2&timeout=7"
    )
    assert (read.base_url, read.api_key, read.api_secret) == (
        "http://127.0.0.1:8765",
        "abc",
        "s3cret-s3cret",
    )
    assert (read.token, read.timeout) == ("1-2", 7.0)


def test_an_ipv6_address_in_a_uri_gets_the_brackets_back_that_airflow_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = settings(monkeypatch, "ipernity://:s3cret-s3cret@[::1]:8765/http?api_key=abc")
    assert read.base_url == "http://[::1]:8765"


@pytest.mark.parametrize(
    ("parts", "url"),
    [
        ({"host": "http://127.0.0.1:8765", "port": 0}, "http://127.0.0.1:8765"),
        ({"host": "http://127.0.0.1:8765"}, "http://127.0.0.1:8765"),
        ({"host": "http://127.0.0.1", "port": 8765}, "http://127.0.0.1:8765"),
        ({"host": "localhost", "port": 8765, "schema": "http"}, "http://localhost:8765"),
        ({"host": "api.ipernity.com"}, "https://api.ipernity.com"),
        ({"host": "http://[::1]:8765"}, "http://[::1]:8765"),
        ({"host": "::1", "port": 8765, "schema": "http"}, "http://[::1]:8765"),
        ({"host": "[2001:db8::2]", "port": 8765}, "https://[2001:db8::2]:8765"),
        ({"host": " "}, None),
    ],
)
def test_the_host_is_an_address_or_its_parts(
    monkeypatch: pytest.MonkeyPatch, parts: dict[str, Any], url: str | None
) -> None:
    assert settings(monkeypatch, {**extra(), **parts}).base_url == url


def test_what_leads_to_no_ca_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "pem").symlink_to("pipe")
    (tmp_path / "circle").symlink_to("circle")
    for name, words in {
        "pem": "is a named pipe (FIFO); only",
        "/dev/zero": "is a device; only a regular file can be read",
        "circle": "is a link that leads in a circle",
        "x" * 256: "has too long a name: 255",
    }.items():
        with pytest.raises(ConnectionSettingError) as caught:
            settings(monkeypatch, extra(verify=str(tmp_path / name)))
        assert f"{tmp_path / name} {words}" in str(caught.value)
    assert settings(monkeypatch, extra(verify=str(tmp_path))).verify == str(tmp_path)


@pytest.mark.parametrize(
    ("connection", "sentence"),
    [
        ({"password": "s"}, "api_key is missing in the extra."),
        ({"extra": {"api_key": "k"}}, "the API secret is missing; it belongs in the password."),
        (extra(api_key=["k"]), "api_key in the extra must be text."),
        (extra(auth="basic"), "auth in the extra is 'basic'; it must be one of signature, oauth."),
        (
            extra(auth="oauth", token="t"),
            "auth is oauth, which needs token and token_secret in the extra.",
        ),
        (
            extra(lg="english"),
            "lg in the extra is 'english'; it must be a two-letter language such as en, or off.",
        ),
        (
            extra(timeout="soon"),
            "timeout in the extra is 'soon'; it must be a number of seconds above 0.",
        ),
        (extra(timeout=0), "timeout in the extra is 0; it must be a number of seconds above 0."),
        (
            extra(timeout=True),
            "timeout in the extra is True; it must be a number of seconds above 0.",
        ),
        (
            extra(verify="/no/ca.pem"),
            (
                "verify in the extra must be true, false or the path of a CA file; /no/ca.pem does "
                "not exist."
            ),
        ),
        (
            extra(check_account="perhaps"),
            "check_account in the extra is 'perhaps'; it must be true or false.",
        ),
        (
            extra(resend_grace=0),
            "resend_grace in the extra is 0; it must be a number of seconds above 0.",
        ),
        (
            extra(proxy="proxy:3128"),
            "proxy in the extra must be an address such as http://proxy.example.org:3128.",
        ),
        (
            extra(upload_roots={"a": 1}),
            "upload_roots in the extra is {'a': 1}; it must be a list of folders or URIs.",
        ),
        (
            extra(media_hosts=7),
            "media_hosts in the extra is 7; it must be a list of hosts such as cdn.example.org.",
        ),
        (
            extra(media_hosts=["https://cdn.example.org/"]),
            (
                "media_hosts in the extra names 'https://cdn.example.org/', which is not a host "
                "such as cdn.example.org."
            ),
        ),
        (
            extra(media_hosts="*.example.org"),
            (
                "media_hosts in the extra names '*.example.org', which is not a host such as "
                "cdn.example.org."
            ),
        ),
        (extra(upload_roots=" "), "upload_roots in the extra names no folder or URI."),
        (extra(upload_roots=[""]), "upload_roots in the extra names no folder or URI."),
        (
            {**extra(), "host": "ftp://ipernity.com"},
            "the host must be an address such as https://api.ipernity.com.",
        ),
        ({**extra(), "host": "http://x:port"}, "the port in the host is not a number."),
        (
            {**extra(), "host": "http://[::1"},
            "the host must be an address such as https://api.ipernity.com.",
        ),
        (
            {**extra(), "host": "https://api..ipernity.com"},
            "the host must be an address such as https://api.ipernity.com.",
        ),
        (
            extra(proxy="http://u:p[se]cret@proxy:3128"),
            "proxy in the extra must be an address such as http://proxy.example.org:3128.",
        ),
        ({**extra(), "password": " \n"}, "the API secret is missing; it belongs in the password."),
        ({"password": "s", "extra": "[1]"}, "the extra must be a JSON object."),
    ],
)
def test_a_missing_or_wrong_setting_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, connection: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConnectionSettingError) as caught:
        settings(monkeypatch, connection)
    assert str(caught.value) == f"Connection 'try': {sentence}"
    assert caught.value.kind == "credential"


def test_settings_do_not_show_their_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = repr(
        settings(
            monkeypatch,
            extra(token="the-token", token_secret="the-token-secret", proxy="http://u:pw@p:1"),
        )
    )
    assert not any(secret in shown for secret in ("0a2b3c4d5e6a7b8d", "the-token", "pw@"))


def test_secrets_are_masked_in_logs_also_those_that_airflow_does_not_know(
    service: Service, connect: Connect
) -> None:
    from airflow.sdk._shared.secrets_masker import redact

    proxy = "http://user:proxy%2Dpassword@127.0.0.1:1"
    settings = IpernityHook(connect(proxy=proxy, **CREDENTIALS["oauth"])).settings
    assert len(settings.secrets) == 5
    shown = redact(" ".join((*settings.secrets, "proxy-password", proxy)))
    assert not any(secret in shown for secret in (*settings.secrets, OAUTH_SECRET))
    assert redact("a boat") == "a boat"


def test_each_timeout_of_the_connection_reaches_the_client(connect: Connect) -> None:
    conn_id = connect(connect_timeout=1, timeout="2", upload_timeout=3.0, stall_timeout=4)
    with IpernityHook(conn_id).get_conn() as client:
        assert client._transport._timeouts == Timeouts(
            connect=1.0, answer=2.0, upload=3.0, stall=4.0
        )


def test_a_connection_becomes_a_client(connect: Connect) -> None:
    hook = IpernityHook(connect())
    with hook.get_conn() as client:
        assert client.get_document(BOAT).doc_id == BOAT
    assert hook.call("doc.get", doc_id=BOAT)["doc"]["title"] == "A boat"


def test_oauth_is_a_matter_of_the_connection(connect: Connect) -> None:
    hook = IpernityHook(connect(auth="oauth", token=OAUTH_TOKEN, token_secret=OAUTH_SECRET))
    assert hook.call("account.getQuota")["quota"]["user_id"] == "1234"


def test_a_task_function_can_replace_a_file(
    connect: Connect, service: Service, picture: Path, tmp_path: Path
) -> None:
    hook = IpernityHook(connect(upload_roots=[str(tmp_path)]))
    result = hook.replace_file(
        BOAT, str(picture), poll_interval=0.1, backup_to=str(tmp_path / "backups")
    )
    assert (result["outcome"], result["proof"]) == ("replaced", "md5")
    assert Path(result["backup"]).exists()
    (ticket,) = hook.check_tickets([result["ticket"]])
    assert ticket.doc_id == BOAT
    assert len(service.ledger()) == 1


def test_the_connection_test_says_what_it_found(connect: Connect, service: Service) -> None:
    assert IpernityHook(connect()).test_connection() == (
        True,
        (
            "The token belongs to Superman. The token allows doc: write. The account is PRO. "
            "This month's upload volume is unlimited."
        ),
    )
    service.set(quota_left_bytes=3 << 30, is_pro=False)
    assert IpernityHook(connect()).test_connection() == (
        True,
        (
            "The token belongs to Superman. The token allows doc: write. The account is not PRO: "
            "replacing may be refused. 3,072 MiB are left of this month's upload volume."
        ),
    )


def test_the_connection_test_fails_where_nothing_can_be_replaced(
    connect: Connect, service: Service
) -> None:
    service.set(permissions={"doc": "read"})
    assert IpernityHook(connect()).test_connection() == (
        False,
        (
            "The token allows doc: read, but replacing needs doc: write. "
            "Run `airflow ipernity authorize --conn-id CONNECTION_ID --overwrite`."
        ),
    )


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"token": "00000-000000000000"}, "The token is wrong or was revoked (code 107)"),
        ({"api_key": "00000000000000000000000000000000"}, "does not know the API key (code 101)"),
        ({"timeout": "never"}, "This connection: timeout in the extra"),
        ({"lg": "off"}, "The service refuses calls without `lg`"),
        ({"proxy": f"http://127.0.0.1:{free_port()}"}, "proxy"),
    ],
)
def test_a_connection_that_does_not_work_is_one_sentence(
    connect: Connect, wrong: dict[str, Any], words: str
) -> None:
    works, sentence = IpernityHook(connect(**wrong)).test_connection()
    assert not works
    assert words in sentence
    assert not any(secret in sentence for secret in SECRETS)
    assert "\n" not in sentence


def test_the_connection_test_ends_within_ten_seconds(connect: Connect, service: Service) -> None:
    service.fail("slow:30", times=9)
    started = time.monotonic()
    works, sentence = IpernityHook(connect()).test_connection()
    assert not works
    assert "did not answer in time" in sentence
    assert time.monotonic() - started < 10


def test_a_connection_that_is_not_there_is_a_failed_test_and_not_an_exception() -> None:
    works, sentence = IpernityHook("not_there").test_connection()
    assert not works
    assert sentence


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("cdn.example.org", ("cdn.example.org",)),
        (
            "CDN.example.org:8443\n\n [::1]:80 ,10.0.0.7",
            ("cdn.example.org:8443", "[::1]:80", "10.0.0.7"),
        ),
        (["cdn.example.org"], ("cdn.example.org",)),
        ([], ()),
        (None, ()),
        ("", ()),
    ],
)
def test_media_hosts_are_names_with_or_without_a_port(
    monkeypatch: pytest.MonkeyPatch, given: Any, read: tuple[str, ...]
) -> None:
    assert settings(monkeypatch, extra(media_hosts=given)).media_hosts == read


def test_media_hosts_reach_the_client(connect: Connect) -> None:
    listed = f"localhost:{free_port()}"
    with IpernityHook(connect(media_hosts=[listed])).get_conn() as client:
        with pytest.raises(PermanentError, match="is not a media host of 127"):
            list(client.download("http://cdn.example.org/"))
        with pytest.raises(Unreachable, match="refuses connections"):
            list(client.download(f"http://{listed}/"))
