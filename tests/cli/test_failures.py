"""What can go wrong before there is a connection: one sentence and exit code 1 each."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from ipernity_provider.__main__ import main
from ipernity_provider.api.errors import IpernityError
from ipernity_provider.cli import desktop_flow
from ipernity_provider.cli.explain import explain_authorization
from ipernity_provider.cli.service import Application
from ipernity_provider.cli.service import Service as Place
from scripts.rig import free_port
from tests.cli.commandline import assert_no_secret, assert_one_sentence, click
from tests.conftest import API_KEY, API_SECRET, Service

OTHER_SECRET = "0a2b3c4d5e6a7b8d"


class Attempt:
    """Runs ``authorize`` in this process, where nobody consents."""

    def __init__(self, service: Service, env: pytest.MonkeyPatch, shown: pytest.CaptureFixture[str]) -> None:
        self.service, self._env, self._shown = service, env, shown

    def __call__(self, *options: str, key: str = API_KEY, secret: str = API_SECRET, host: str = "") -> str:
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
def attempt(service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Attempt:
    return Attempt(service, monkeypatch, capsys)


@pytest.mark.parametrize("way", [(), ("--oauth",)])
def test_key_secret_and_network(attempt: Attempt, way: tuple[str, ...]) -> None:
    sentences = {
        attempt(*way, key="f" * 32): "The service does not know the API key (code 101)",
        attempt(*way, secret=OTHER_SECRET): "The API secret does not belong to the API key (code 105)",
        attempt(*way, host=f"http://127.0.0.1:{free_port()}"): "refuses connections or cannot be reached",
        attempt(*way, "--proxy", f"http://127.0.0.1:{free_port()}"): "the proxy does not connect",
        attempt(*way, host="http://no-such-name.invalid"): "cannot be resolved",
    }
    for shown, expected in sentences.items():
        assert_one_sentence(shown)
        assert expected in shown


def test_a_web_page_instead_of_an_answer(attempt: Attempt) -> None:
    attempt.service.fail("html")
    shown = attempt()
    assert_one_sentence(shown)
    assert "the answer is a web page instead of data" in shown
    # The website has pages at any address, and none of them is a token.
    shown = attempt("--oauth", host=f"{attempt.service.url}/doc")
    assert_one_sentence(shown)


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        (3 * 3600, "this machine's clock is 3 h behind the service's; set the clock"),
        (-600, "this machine's clock is 10 min ahead of the service's; set the clock"),
    ],
)
def test_a_wrong_clock_is_told_by_how_much(attempt: Attempt, offset: int, expected: str) -> None:
    attempt.service.set(clock_offset_seconds=offset)
    shown = attempt("--oauth")
    assert_one_sentence(shown)
    assert shown == f"The service refuses the OAuth timestamp of oauth/request (code 132): {expected}.\n"


def test_no_consent_in_time(attempt: Attempt) -> None:
    shown = attempt("--poll", "--timeout", "0.2")
    assert shown.endswith(
        "No consent came within 0.2 s: it was refused, not given, or given too late; run the command again.\n"
    )


def test_a_frob_that_was_used_or_has_expired(service: Service) -> None:
    place, application = Place(service.url), Application(API_KEY, API_SECRET)
    with place.client(application) as client:
        used, old = desktop_flow.new_frob(client), desktop_flow.new_frob(client)
        for frob in (used, old):
            click(desktop_flow.consent_url(place, application, frob, {"doc": "write"}))
        desktop_flow.exchange(client, used)
        service.set(clock_offset_seconds=400)
        for frob in (used, old):
            with pytest.raises(IpernityError) as caught:
                desktop_flow.exchange(client, frob)
            sentence = explain_authorization(caught.value)
            assert "the frob has expired or was used; run the command again" in sentence
            assert frob not in sentence


def test_an_answer_lost_while_polling_is_not_the_end(service: Service) -> None:
    place, application = Place(service.url), Application(API_KEY, API_SECRET)
    with place.client(application) as client, pytest.MonkeyPatch.context() as quicker:
        quicker.setattr(desktop_flow, "POLL_SECONDS", 0.05)
        frob = desktop_flow.new_frob(client)
        click(desktop_flow.consent_url(place, application, frob, {"doc": "write"}))
        service.fail("code:503", "auth.getToken", times=3)
        token = desktop_flow.poll(client, frob, 10)
    assert token is not None
    assert service.calls()["auth.getToken"] == 4
    assert token.token not in repr(token)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--permission", "doc=everything"), "--permission doc=everything is not possible"),
        (("--permission", "profile=delete"), "--permission profile=delete is not possible"),
        (("--proxy", "no-address"), "proxy must be an address such as http://proxy.example.org:3128"),
        (("--verify", "/no/ca.pem"), "verify must be true, false or the path of a CA file"),
        (("--host", "ftp://x"), "the host must be an address such as https://api.ipernity.com"),
    ],
)
def test_an_impossible_option_is_refused_before_anything_is_asked(
    attempt: Attempt, options: tuple[str, ...], expected: str
) -> None:
    shown = attempt(*options)
    assert expected in shown
    assert shown.count("\n") == 1
    assert attempt.service.calls() == {}


def test_the_secret_is_no_option(
    service: Service, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit):
        main(["authorize", "--help"])
    assert "--api-secret" not in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["authorize", "--api-secret", "x"])
    assert ended.value.code == 2


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf"])
def test_a_time_that_nobody_can_wait_is_refused(attempt: Attempt, seconds: str) -> None:
    assert attempt("--timeout", seconds) == "--timeout must be above 0 and at most 86400 seconds.\n"
    assert attempt.service.calls() == {}
