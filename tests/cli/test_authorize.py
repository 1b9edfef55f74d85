"""From nothing to a connection: each kind of authorization, as a process of its own."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from scripts.rig import migrate
from tests.cli.commandline import (
    assert_no_secret,
    assert_one_line,
    click,
    environment,
    issued_secrets,
    run,
    running,
    service_client_works,
    with_key,
)
from tests.conftest import API_KEY, API_SECRET, Service

CLICKER = """
import sys
from tests.cli.commandline import click
page = click(sys.argv[1])
print(page.url.partition("?")[0], page.status_code, page.text, file=open(sys.argv[2], "w"))
print(open("/proc/self/environ").read(), file=open(sys.argv[2] + ".environ", "w"))
"""


def test_the_frob_flow_prints_a_connection_that_works(service: Service, tmp_path: Path) -> None:
    with running(
        with_key(tmp_path), "authorize", "--host", service.url, "--output", "json"
    ) as command:
        url = command.consent_url()
        asked = parse_qs(urlsplit(url).query)
        assert set(asked) == {"api_key", "frob", "perm_doc", "api_sig"}
        assert asked["perm_doc"] == ["write"]
        assert 'class="ok"' in click(url).text
        code, out, err = command.end("\n")
    connection = service_client_works(service, out)
    assert (code, connection["port"], connection["extra"]["auth"]) == (0, 0, "signature")
    assert "What follows on stdout is secret.\nConnected as Superman (PRO), doc: write.\n" in err
    assert_no_secret(err, *issued_secrets(connection))


def test_without_a_stdin_the_token_is_polled_for(service: Service, tmp_path: Path) -> None:
    options = ("--host", service.url, "--output", "json", "--permission", "doc=delete")
    with running(with_key(tmp_path), "authorize", *options) as command:
        url = command.consent_url()
        assert command.process.stdin is not None
        click(url)
        code, out, err = command.end()  # closes stdin
    assert (code, "Waiting up to 300 s for the consent." in err, "doc: delete." in err) == (
        0,
        True,
        True,
    )
    service_client_works(service, out)
    assert service.calls()["auth.getToken"] == 1


def test_oauth_redirects_to_a_page_on_this_machine(service: Service, tmp_path: Path) -> None:
    script, seen = tmp_path / "browser.py", tmp_path / "seen"
    script.write_text(CLICKER)
    # `&`: this browser runs in the background, as real ones do.
    browser = f"{sys.executable} {script} %s {seen} &"
    env = with_key(tmp_path, BROWSER=browser, PYTHONPATH=str(Path(__file__).parents[2]))
    env["AIRFLOW_CONN_OTHER"] = json.dumps({"conn_type": "http", "password": "an0ther-secret"})
    done = run(
        env, "authorize", "--oauth", "--host", service.url, "--output", "env", "--timeout", "20"
    )
    assert done.returncode == 0, done.stderr
    name, _, value = done.stdout.partition("=")
    connection = service_client_works(service, shlex.split(value)[0])
    assert (name, connection["extra"]["auth"]) == ("AIRFLOW_CONN_IPERNITY_DEFAULT", "oauth")
    assert_no_secret(done.stderr, *issued_secrets(connection))
    page = seen.read_text()
    assert page.startswith("http://127.0.0.1:")
    assert "You can close this page" in page
    # A browser, and what it starts in turn, inherits no key and no connection.
    inherited = (tmp_path / "seen.environ").read_text()
    assert "PYTHONPATH=" in inherited
    assert_no_secret(inherited, "an0ther-secret", "IPERNITY_", *issued_secrets(connection))


def test_oauth_without_a_browser_waits_for_enter_and_logs_nothing(
    service: Service, tmp_path: Path
) -> None:
    # At this level the OAuth library logs tokens, and Airflow its own start and end.
    env = with_key(tmp_path, AIRFLOW__LOGGING__LOGGING_LEVEL="DEBUG")
    options = ("--oauth", "--no-browser", "--host", service.url, "--output", "json")
    with running(env, "authorize", *options) as command:
        assert 'class="ok"' in click(command.consent_url()).text
        code, out, err = command.end("\n")
    (printed,) = [line for line in out.splitlines() if line.startswith("{")]
    connection = service_client_works(service, printed)
    assert code == 0
    assert_no_secret(err + out.replace(printed, ""), *issued_secrets(connection))


@pytest.mark.parametrize("flow", [(), ("--oauth", "--no-browser")])
def test_a_refused_consent_is_one_line(
    service: Service, tmp_path: Path, flow: tuple[str, ...]
) -> None:
    with running(
        with_key(tmp_path), "authorize", *flow, "--host", service.url, "--output", "json"
    ) as command:
        click(command.consent_url(), answer="deny")
        code, out, err = command.end("\n")
    assert (code, out) == (1, "")
    assert_one_line(err.rpartition("consented.\n")[2])
    assert "the consent was refused or not given" in err
    assert_no_secret(err)


@pytest.mark.timeout(300)  # it starts Airflow seven times
def test_a_connection_is_stored_once_and_renewed_with_overwrite(
    service: Service, tmp_path: Path
) -> None:
    env = environment(tmp_path)
    key = {"IPERNITY_API_KEY": API_KEY, "IPERNITY_API_SECRET": API_SECRET}
    early = run(env | key, "authorize", "--host", service.url)
    assert (early.returncode, "needs `airflow db migrate`" in early.stderr) == (1, True)
    assert_one_line(early.stderr)
    migrate(env)

    with running(env | key, "authorize", "--host", service.url, "--verify", "false") as command:
        click(command.consent_url())
        code, out, err = command.end("\n")
    assert (code, out) == (0, "Connection 'ipernity_default' is stored.\n"), err
    assert_no_secret(out + err)

    again = run(env | key, "authorize", "--host", service.url)
    assert again.returncode == 1
    assert_one_line(again.stderr)
    assert "already exists and was not changed. --overwrite renews its token" in again.stderr

    # Key, secret and address come from the connection now.
    with running(env, "authorize", "--overwrite") as command:
        click(command.consent_url())
        assert command.end("\n")[0] == 0

    # Another process can read the secrets: the key that encrypts them was kept.
    get = ["airflow", "connections", "get", "ipernity_default", "--output", "json"]
    shown = subprocess.run(get, env=env, capture_output=True, text=True, timeout=60, check=True)
    (row,) = json.loads(shown.stdout[shown.stdout.index("[{") :])
    connection = {**row, "extra": row["extra_dejson"]}
    service_client_works(service, json.dumps(connection))
    assert (connection["password"], connection["port"]) == (API_SECRET, "0")
    assert connection["extra"]["verify"] == "False"


def test_a_connection_that_would_be_hidden_is_not_stored(service: Service, tmp_path: Path) -> None:
    done = run(
        with_key(tmp_path, AIRFLOW_CONN_IPERNITY_DEFAULT="{}"), "authorize", "--host", service.url
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert_one_line(done.stderr)
    assert "AIRFLOW_CONN_IPERNITY_DEFAULT would hide" in done.stderr
    assert service.calls() == {}
