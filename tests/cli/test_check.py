"""``check``: what it reports of a connection, and how it exits."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
import requests

from ipernity_provider.__main__ import main
from ipernity_provider.cli import check as check_command
from ipernity_provider.cli.check import fill_skipped
from ipernity_provider.hooks.checks import CHECKS, Checks
from ipernity_provider.hooks.ipernity import IpernityHook
from scripts.rig import connection_json, free_port
from tests.cli.commandline import assert_no_secret
from tests.conftest import API_SECRET, CREDENTIALS, TOKEN, Connect, Service

OTHER_SECRET = "0a2b3c4d5e6a7b8d"


class Checked:
    """Runs ``check --json`` in this process and keeps what it found."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.exit_code = 0

    def __call__(self, conn_id: str = "ipernity_default") -> dict[str, tuple[str, str]]:
        self.exit_code = 0
        try:
            main(["check", "--json", "--conn-id", conn_id])
        except SystemExit as ended:
            self.exit_code = int(str(ended.code))
        out, err = self._capsys.readouterr()
        assert_no_secret(out + err, OTHER_SECRET)
        assert err == ""
        shown = json.loads(out)
        assert shown["ok"] == (
            self.exit_code == 0 and all(c["status"] != "skipped" for c in shown["checks"])
        )
        return {one["check"]: (one["status"], one["sentence"]) for one in shown["checks"]}


@pytest.fixture
def checked(capsys: pytest.CaptureFixture[str]) -> Checked:
    return Checked(capsys)


@pytest.mark.parametrize("auth", CREDENTIALS)
@pytest.mark.parametrize("numbers", [True, False])
def test_a_good_connection_passes_each_check(
    service: Service, connect: Connect, checked: Checked, auth: str, numbers: bool
) -> None:
    service.set(numbers_as_numbers=numbers)
    connect(**CREDENTIALS[auth])
    found = checked()
    assert checked.exit_code == 0
    assert tuple(found) == CHECKS
    assert {status for status, _ in found.values()} == {"ok"}, found
    assert all(count == 1 for count in service.calls().values()), service.calls()


def test_the_table_is_aligned(connect: Connect, capsys: pytest.CaptureFixture[str]) -> None:
    connect()
    main(["check"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(CHECKS)
    assert lines[2] == "token       ok       The token belongs to Superman."
    assert {line.index(line.split(maxsplit=2)[2]) for line in lines} == {lines[2].index("The")}


WRONG_SECRET = "The API secret does not belong to the API key (code 105)"
BAD_CONNECTIONS: list[tuple[dict[str, Any], str, str]] = [
    ({"api_key": "f" * 32}, "service", "does not know the API key (code 101)"),
    ({"password": OTHER_SECRET}, "token", WRONG_SECRET),
    ({"password": OTHER_SECRET, **CREDENTIALS["oauth"]}, "token", WRONG_SECRET),
    (
        {**CREDENTIALS["oauth"], "token_secret": OTHER_SECRET},
        "token",
        "The token secret does not belong",
    ),
    ({"token": "1-unknown"}, "token", "The token is wrong or was revoked (code 107)"),
    ({"token": None}, "token", "The connection has no token. Run `airflow ipernity authorize"),
    ({"lg": "off"}, "service", "The service refuses calls without `lg`"),
]


@pytest.mark.parametrize(("change", "check", "sentence"), BAD_CONNECTIONS)
def test_a_wrong_field_of_the_connection_is_found(
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    checked: Checked,
    change: dict[str, Any],
    check: str,
    sentence: str,
) -> None:
    extra = dict(change)
    password = extra.pop("password", API_SECRET)
    connection = json.loads(connection_json(service.url, **extra)) | {"password": password}
    monkeypatch.setenv("AIRFLOW_CONN_IPERNITY_DEFAULT", json.dumps(connection))
    found = checked()
    assert checked.exit_code == 1
    assert (found[check][0], sentence in found[check][1]) == ("failed", True), found
    assert [name for name, (status, _) in found.items() if status == "failed"] == [check]
    assert found["answers"][0] == "skipped"
    # The Test button says the same, but does not know the connection's id.
    works, message = IpernityHook().test_connection()
    assert not works
    assert message == found[check][1].replace(
        "--conn-id ipernity_default", "--conn-id CONNECTION_ID"
    )


def test_a_revoked_token(service: Service, connect: Connect, checked: Checked) -> None:
    connect()
    requests.post(f"{service.url}/_sandbox/tokens/revoke", json={"token": TOKEN}, timeout=10)
    status, sentence = checked()["token"]
    assert status == "failed"
    assert sentence == (
        "The token is wrong or was revoked (code 107). "
        "Run `airflow ipernity authorize --conn-id ipernity_default --overwrite`."
    )


def test_a_token_that_may_only_read(service: Service, connect: Connect, checked: Checked) -> None:
    connect()
    service.set(permissions={"doc": "read"})
    found = checked()
    assert checked.exit_code == 1
    assert "The token allows doc: read, but replacing needs doc: write" in found["permission"][1]
    assert found["quota"] == ("skipped", "Not checked, because that needs doc: write.")
    assert found["answers"][0] == "ok"


def test_an_account_that_is_not_pro_is_a_warning(
    service: Service, connect: Connect, checked: Checked
) -> None:
    connect()
    service.set(is_pro=False)
    found = checked()
    assert checked.exit_code == 0
    assert found["account"] == ("warning", "The account is not PRO: replacing may be refused.")


def test_a_used_up_volume(service: Service, connect: Connect, checked: Checked) -> None:
    connect()
    service.set(quota_left_bytes=0)
    assert "upload volume is used up" in checked()["quota"][1]
    assert checked.exit_code == 1


def test_the_volume_left_is_reported(service: Service, connect: Connect, checked: Checked) -> None:
    connect()
    service.set(quota_left_bytes=3 << 30)
    assert checked()["quota"] == ("ok", "3,072 MiB are left of this month's upload volume.")


def test_an_unlimited_volume_is_never_used_up(
    service: Service, connect: Connect, checked: Checked
) -> None:
    connect()
    service.set(unlimited=True, quota_left_bytes=0)
    assert checked()["quota"] == ("ok", "This month's upload volume is unlimited.")
    assert checked.exit_code == 0


def test_an_address_without_a_server(monkeypatch: pytest.MonkeyPatch, checked: Checked) -> None:
    port = free_port()
    monkeypatch.setenv("AIRFLOW_CONN_IPERNITY_DEFAULT", connection_json(f"http://127.0.0.1:{port}"))
    found = checked()
    assert checked.exit_code == 1
    assert f"127.0.0.1:{port} refuses connections" in found["service"][1]


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("html", "the answer is a web page instead of data (HTTP 200)"),
        ("http:503", "the service failed with HTTP 503"),
        ("truncated", "the answer is something unreadable or cut off instead of data"),
        ("code:501", "Maintenance mode (code 501). The service is being maintained"),
    ],
)
def test_a_failing_service_is_called_once(
    service: Service, connect: Connect, checked: Checked, kind: str, sentence: str
) -> None:
    connect()
    service.fail(kind, times=9)
    found = checked()
    assert (found["service"][0], sentence in found["service"][1]) == ("failed", True), found
    assert service.calls() == {"test.echo": 1}


def test_a_service_that_does_not_answer_is_not_waited_for(
    service: Service, connect: Connect, checked: Checked
) -> None:
    connect(timeout=1)
    service.fail("slow:30")
    start = time.monotonic()
    assert "did not answer in time" in checked()["service"][1]
    assert time.monotonic() - start < 4


def test_all_checks_together_end_in_time(service: Service, connect: Connect) -> None:
    settings = IpernityHook(connect()).settings
    service.fail("slow:1.5", times=9)
    found = list(fill_skipped(Checks(settings, "ipernity_default").run(0.5)))
    assert (found[0].check, found[0].sentence) == (
        "service",
        "There was no answer within 0.5 s in all.",
    )
    assert [finding.status for finding in found] == ["failed"] + ["skipped"] * (len(CHECKS) - 1)
    assert check_command.MAX_SECONDS < 15
    time.sleep(2.5)  # the answer comes, and nobody asks on
    assert service.calls() == {"test.echo": 1}


@pytest.mark.parametrize(("offset", "words"), [(3600, "60 min behind"), (-600, "10 min ahead of")])
def test_a_wrong_clock_is_reported_in_minutes(
    service: Service, connect: Connect, checked: Checked, offset: int, words: str
) -> None:
    service.set(clock_offset_seconds=offset)
    connect(**CREDENTIALS["oauth"])
    found = checked()
    assert checked.exit_code == 1
    assert found["clock"][0] == "warning"
    expected = (
        f"The service refuses the OAuth timestamp of auth.checkToken (code 132): "
        f"this machine's clock is {words} the service's; set the clock."
    )
    assert found["token"] == ("failed", expected)
    connect()
    assert checked()["token"][0] == "ok"
    assert checked.exit_code == 0


def test_another_program_with_the_same_token_whose_clock_is_ahead(
    service: Service, connect: Connect, checked: Checked
) -> None:
    service.set(clock_offset_seconds=200)
    with pytest.MonkeyPatch.context() as ahead, service.client("oauth") as client:
        now = time.time()
        ahead.setattr(time, "time", lambda: now + 200)
        client.check_token()
    connect(**CREDENTIALS["oauth"])
    assert (
        "this machine's clock is 3 min behind the service's; set the clock" in checked()["token"][1]
    )
    service.set(clock_offset_seconds=0)
    found = checked()
    assert "(code 134), though this machine's clock agrees with the service's" in found["token"][1]
    assert found["clock"][0] == "ok"


@pytest.mark.parametrize(
    ("variable", "sentence"),
    [
        (
            None,
            "(OperationalError): it is unreachable, locked, or needs `airflow db migrate`.",
        ),
        (
            '{"conn_type": "http"}',
            "is of the type http, not ipernity. Choose another one with --conn-id.",
        ),
        ('{"conn_type": "ipernity"}', "the API secret is missing; it belongs in the password."),
        ("{nothing", "is not a connection that Airflow can read. Set it to JSON or a URI."),
    ],
)
def test_a_connection_that_is_missing_or_wrong_is_exit_code_2(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    checked: Checked,
    variable: str | None,
    sentence: str,
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_IPERNITY_DEFAULT", raising=False)
    if variable is not None:
        monkeypatch.setenv("AIRFLOW_CONN_IPERNITY_DEFAULT", variable)
    assert sentence in checked()["connection"][1]
    assert checked.exit_code == 2
    with pytest.raises(SystemExit) as ended:
        main(["check"])
    out, err = capsys.readouterr()
    assert (ended.value.code, out, err.endswith(f"{sentence}\n")) == (2, "", True), err


@contextmanager
def changed_service(service: Service, change: Any) -> Iterator[str]:
    """Yield the address of a proxy that changes each answer of the sandbox."""

    class Between(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kind = {"Content-Type": self.headers["Content-Type"]}
            answer = requests.post(
                service.url + self.path, data=body, headers=kind, timeout=10
            ).json()
            change(answer)
            changed = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(changed)))
            self.end_headers()
            self.wfile.write(changed)

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Between) as server:
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_changed_answers_are_reported_member_by_member(
    service: Service, monkeypatch: pytest.MonkeyPatch, checked: Checked
) -> None:
    def change(answer: dict[str, Any]) -> None:
        if "quota" in answer:
            del answer["quota"]["upload"]["left"]
        if "docs" in answer:
            answer["docs"]["total"] = "many"
            answer["docs"]["doc"][0]["thumb"] = "a.jpg"
        if "auth" in answer:
            answer["auth"]["perms"] = answer["auth"].pop("permissions")
            del answer["auth"]["user"]["is_pro"]

    service.set(quota_left_bytes=7)
    with changed_service(service, change) as url:
        monkeypatch.setenv("AIRFLOW_CONN_IPERNITY_DEFAULT", connection_json(url))
        found = checked()
    assert found["quota"][0] == "warning"
    assert found["permission"][0] == "ok"
    assert found["answers"][0] == "warning"
    assert found["answers"][1] == (
        "The service's answers have changed: auth.checkToken has no auth.user.is_pro; "
        "account.getQuota has no quota.upload.left.bytes; docs.total of doc.getList is not a "
        "number; thumb of a document of doc.getList is not an object. Please report this."
    )


@pytest.mark.parametrize(
    ("part", "check", "member"),
    [("auth", "token", "auth.user.is_pro"), ("quota", "quota", "quota.is_pro")],
)
def test_a_member_that_cannot_be_read_is_a_failed_check_that_names_it(
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    checked: Checked,
    part: str,
    check: str,
    member: str,
) -> None:
    def change(answer: dict[str, Any]) -> None:
        if part in answer:
            (answer[part]["user"] if part == "auth" else answer[part])["is_pro"] = ["yes"]

    with changed_service(service, change) as url:
        monkeypatch.setenv("AIRFLOW_CONN_IPERNITY_DEFAULT", connection_json(url))
        found = checked()
    assert found[check][0] == "failed"
    assert f"the member {member} of the answer is a list" in found[check][1]
