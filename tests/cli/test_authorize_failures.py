"""What can go wrong before there is a connection: one line on stderr and exit code 1 each."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from airflow.sdk import Connection

from ipernity_provider.__main__ import main
from ipernity_provider.api.errors import IpernityError
from ipernity_provider.cli import desktop_flow
from ipernity_provider.cli.authorize import explain_authorization
from ipernity_provider.cli.connection import read_settings
from ipernity_provider.hooks.connection import ConnectionSettings
from scripts.rig import free_port
from tests.cli.commandline import assert_no_secret, assert_one_line, click
from tests.conftest import API_KEY, API_SECRET, Service

OTHER_SECRET = "0a2b3c4d5e6a7b8d"


class Attempt:
    """Runs ``authorize`` in this process, without a consent."""

    def __init__(
        self, service: Service, env: pytest.MonkeyPatch, shown: pytest.CaptureFixture[str]
    ) -> None:
        self.service, self._env, self._shown = service, env, shown

    def __call__(
        self, *options: str, key: str = API_KEY, secret: str = API_SECRET, host: str = ""
    ) -> str:
        self._env.setenv("IPERNITY_API_KEY", key)
        self._env.setenv("IPERNITY_API_SECRET", secret)
        self._env.setattr("sys.stdin", io.StringIO())
        place = ("--host", host or self.service.url, "--output", "json", "--no-browser")
        with pytest.raises(SystemExit) as ended:
            main(["authorize", *place, *options])
        out, err = self._shown.readouterr()
        assert (ended.value.code, out) == (1, "")
        assert_no_secret(err, secret)
        return str(err)


@pytest.fixture
def settings(service: Service) -> ConnectionSettings:
    extra = json.dumps({"api_key": API_KEY})
    return read_settings(
        Connection(conn_id="x", host=service.url, password=API_SECRET, extra=extra)
    )


@pytest.fixture
def attempt(
    service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Attempt:
    return Attempt(service, monkeypatch, capsys)


@pytest.mark.parametrize("flow", [(), ("--oauth",)])
def test_a_wrong_key_secret_or_address(attempt: Attempt, flow: tuple[str, ...]) -> None:
    lines = {
        attempt(*flow, key="f" * 32): "The service does not know the API key (code 101)",
        attempt(
            *flow, secret=OTHER_SECRET
        ): "The API secret does not belong to the API key (code 105)",
        attempt(
            *flow, host=f"http://127.0.0.1:{free_port()}"
        ): "refuses connections or cannot be reached",
        attempt(*flow, "--proxy", f"http://127.0.0.1:{free_port()}"): "the proxy does not connect",
        attempt(*flow, host="http://no-such-name.invalid"): "cannot be resolved",
    }
    for shown, expected in lines.items():
        assert_one_line(shown)
        assert expected in shown


def test_a_web_page_instead_of_an_answer(attempt: Attempt) -> None:
    attempt.service.fail("html")
    shown = attempt()
    assert_one_line(shown)
    assert "the answer is a web page instead of data" in shown
    # The website has pages at any address, and none of them is a token.
    shown = attempt("--oauth", host=f"{attempt.service.url}/doc")
    assert_one_line(shown)


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        (3 * 3600, "this machine's clock is 3 h behind the service's; set the clock"),
        (-600, "this machine's clock is 10 min ahead of the service's; set the clock"),
    ],
)
def test_a_wrong_clock_is_reported_in_minutes_or_hours(
    attempt: Attempt, offset: int, expected: str
) -> None:
    attempt.service.set(clock_offset_seconds=offset)
    shown = attempt("--oauth")
    assert_one_line(shown)
    assert (
        shown
        == f"The service refuses the OAuth timestamp of oauth/request (code 132): {expected}.\n"
    )


def test_no_consent_in_time(attempt: Attempt) -> None:
    shown = attempt("--poll", "--timeout", "0.2")
    assert shown.endswith(
        "There was no consent within 0.2 s: it was refused, not given, or given too late. "
        "Run the command again.\n"
    )


def test_a_frob_that_was_used_or_has_expired(
    service: Service, settings: ConnectionSettings
) -> None:
    with settings.client(attempts=1) as client:
        used, old = desktop_flow.fetch_frob(client), desktop_flow.fetch_frob(client)
        for frob in (used, old):
            click(desktop_flow.consent_url(settings, frob, {"perm_doc": "write"}))
        desktop_flow.exchange(client, used)
        service.set(clock_offset_seconds=400)
        for frob in (used, old):
            with pytest.raises(IpernityError) as caught:
                desktop_flow.exchange(client, frob)
            sentence = explain_authorization(caught.value)
            assert "the frob has expired or was used. Run the command again" in sentence
            assert frob not in sentence


def test_polling_continues_after_a_lost_answer(
    service: Service, settings: ConnectionSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desktop_flow, "POLL_SECONDS", 0.05)
    with settings.client(attempts=1) as client:
        frob = desktop_flow.fetch_frob(client)
        click(desktop_flow.consent_url(settings, frob, {"perm_doc": "write"}))
        service.fail("code:503", "auth.getToken", times=3)
        token = desktop_flow.poll(client, frob, 10)
    assert token is not None
    assert service.calls()["auth.getToken"] == 4


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--permission", "doc=everything"), "--permission doc=everything is not valid"),
        (("--permission", "profile=delete"), "--permission profile=delete is not valid"),
        (
            ("--proxy", "no-address"),
            "proxy must be an address such as http://proxy.example.org:3128",
        ),
        (("--verify", "/no/ca.pem"), "verify must be true, false or the path of a CA file"),
        (("--host", "ftp://x"), "the host must be an address such as https://api.ipernity.com"),
    ],
)
def test_an_invalid_option_is_refused_before_the_service_is_called(
    attempt: Attempt, options: tuple[str, ...], expected: str
) -> None:
    shown = attempt(*options)
    assert expected in shown
    assert shown.count("\n") == 1
    assert attempt.service.calls() == {}


def test_the_secret_is_not_an_option(
    service: Service, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit):
        main(["authorize", "--help"])
    assert "--api-secret" not in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["authorize", "--api-secret", "x"])
    assert ended.value.code == 2


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf"])
def test_a_timeout_out_of_range_is_refused(attempt: Attempt, seconds: str) -> None:
    assert attempt("--timeout", seconds) == "--timeout must be above 0 and at most 86400 seconds.\n"
    assert attempt.service.calls() == {}
