from __future__ import annotations

import ast
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests
import trustme
from oauthlib.oauth1 import Client

import ipernity_provider.sandbox
from ipernity_provider.sandbox import SandboxDidNotStart, running_sandbox
from tests.sandbox.caller import (
    KEY,
    OAUTH_TOKEN,
    OAUTH_TOKEN_SECRET,
    SECRET,
    TOKEN,
    Caller,
    jpeg,
    poll,
    signed,
)

PACKAGE = Path(ipernity_provider.sandbox.__file__).parent


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ipernity_provider.sandbox", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=20)


@contextmanager
def started(folder: Path, settings: str = "{}") -> Iterator[tuple[subprocess.Popen[str], Caller]]:
    """A server whose end is looked at; its temporary files are in ``folder``."""
    command = [
        sys.executable,
        "-m",
        "ipernity_provider.sandbox",
        "--port",
        "0",
        "--settings",
        settings,
    ]
    environment = {**os.environ, "TMPDIR": str(folder)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        match = re.fullmatch(r"ipernity sandbox ready: (http://127\.0\.0\.1:\d+)\n", line)
        assert match is not None, line
        try:
            yield process, Caller(match.group(1))
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_at_once_and_leaves_no_files_and_no_output(
    tmp_path: Path, number: signal.Signals
) -> None:
    settings = (
        '{"processing_seconds": 600, "faults": [{"method": "test.hello", "kind": "slow:600"}]}'
    )
    with started(tmp_path, settings) as (process, sandbox):
        assert [entry.name[:17] for entry in tmp_path.iterdir()] == ["ipernity-sandbox-"]
        sandbox.replace(jpeg())
        half_sent = socket.create_connection(sandbox.root.removeprefix("http://").split(":"))  # type: ignore[arg-type]
        half_sent.sendall(
            b"POST /api/upload.replace/json HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Length: 99\r\n\r\nhalf"
        )
        threading.Thread(
            target=_ignoring_the_end, args=(sandbox, "test.hello"), daemon=True
        ).start()
        threading.Thread(
            target=_ignoring_the_end, args=(sandbox, "upload.replace"), daemon=True
        ).start()
        watcher = Caller(sandbox.root)
        poll(lambda: watcher.control("calls") == {"upload.replace": 3, "test.hello": 1})
        start = time.monotonic()
        process.send_signal(number)
        assert process.wait(timeout=10) == 0
        assert time.monotonic() - start < 1
        assert process.stdout is not None
        assert process.stderr is not None
        assert (process.stdout.read(), process.stderr.read()) == ("", "")
        assert list(tmp_path.iterdir()) == []
        half_sent.close()


def _ignoring_the_end(sandbox: Caller, method: str) -> None:
    params = signed(method, **{"doc_id": "5412", "async": "0"})
    with suppress(requests.RequestException):
        requests.post(sandbox.url(method), data=params, files={"file": ("a.jpg", jpeg())})


def test_clients_that_disconnect_and_faults_write_nothing_to_stderr(tmp_path: Path) -> None:
    with started(tmp_path) as (process, sandbox):
        for kind in (
            "drop_before_reading",
            "drop_after_accepting",
            "html",
            "truncated",
            "http:500",
        ):
            sandbox.change(faults=[{"method": "*", "kind": kind}])
            try:
                sandbox.send_raw("upload.replace", jpeg() + bytes(500_000), doc_id="5412")
            except requests.ConnectionError:
                assert kind.startswith("drop")
        host, _, port = sandbox.root.removeprefix("http://").partition(":")
        gone = socket.create_connection((host, int(port)))
        gone.sendall(
            b"POST /api/upload.replace/json HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Length: 9999999\r\nContent-Type: multipart/form-data; boundary=x\r\n\r\n"
            b"--x\r\n"
            b'Content-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\nsome bytes'
        )
        (folder,) = tmp_path.iterdir()
        poll(lambda: [path for path in folder.glob("*.upload") if path.stat().st_size == 0])
        gone.close()
        poll(lambda: all(path.stat().st_size > 0 for path in folder.glob("*.upload")))
        process.terminate()
        process.wait(timeout=10)
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_a_big_upload_keeps_the_memory_flat(tmp_path: Path) -> None:
    size = 300 * 1024**2
    with started(tmp_path) as (process, sandbox):
        sandbox.wait(sandbox.replace(jpeg()))
        before = _peak_kilobytes(process.pid)
        request = requests.Request(
            "POST",
            sandbox.url("upload.replace"),
            data=signed("upload.replace", doc_id="5412"),
            files={"file": ("big.jpg", b"@")},
        ).prepare()
        assert isinstance(request.body, bytes)
        head, tail = request.body.split(b"@")
        block = jpeg() + bytes(1024**2 - len(jpeg()))
        headers = {"Content-Type": request.headers["Content-Type"]}
        chunks = (head, *[block] * (size // len(block)), tail)
        response = requests.post(sandbox.url("upload.replace"), data=iter(chunks), headers=headers)
        assert sandbox.wait(response.json()["ticket"])["done"] == "1"
        assert sandbox.doc("5412")["original"]["bytes"] == str(size)
        assert _peak_kilobytes(process.pid) - before < 20 * 1024


def _peak_kilobytes(pid: int) -> int:
    match = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    if match is None:
        pytest.skip("the system does not tell a process's peak memory")
    return int(match.group(1))


def test_running_sandbox_gives_an_address_and_ends_the_server_also_on_an_error() -> None:
    roots = []

    def use_it_and_fail() -> None:
        with running_sandbox(settings={"sync_reply": "ticket"}) as root:
            roots.append(root)
            raise ZeroDivisionError(Caller(root).control("settings")["sync_reply"])

    with pytest.raises(ZeroDivisionError, match="ticket"):
        use_it_and_fail()
    (root,) = roots
    with pytest.raises(requests.ConnectionError):
        requests.get(root)


def test_running_sandbox_says_why_it_did_not_start() -> None:
    with (
        pytest.raises(SandboxDidNotStart, match="There is no setting 'nonsense'"),
        running_sandbox(settings={"nonsense": 1}),
    ):
        pass
    with (
        pytest.raises(SandboxDidNotStart, match=r"not ready after 0\.01 seconds"),
        running_sandbox(start_seconds=0.01),
    ):
        pass


def test_https_serves_oauth_plaintext(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    with running_sandbox(tls_cert=tmp_path / "server.pem") as root:
        assert root.startswith("https://127.0.0.1:")
        signer = Client(KEY, SECRET, OAUTH_TOKEN, OAUTH_TOKEN_SECRET, signature_method="PLAINTEXT")
        url, headers, _ = signer.sign(f"{root}/api/auth.checkToken/json?lg=en")
        reply = requests.get(url, headers=headers, verify=str(tmp_path / "ca.pem")).json()
        assert reply["auth"]["token"] == OAUTH_TOKEN
        wrong = Client(KEY, "wrong", OAUTH_TOKEN, OAUTH_TOKEN_SECRET, signature_method="PLAINTEXT")
        url, headers, _ = wrong.sign(f"{root}/api/auth.checkToken/json?lg=en")
        reply = requests.get(url, headers=headers, verify=str(tmp_path / "ca.pem")).json()
        assert reply["api"]["code"] == "105"


def test_what_keeps_it_from_starting_is_one_sentence(tmp_path: Path, running: Caller) -> None:
    port = running.root.rpartition(":")[2]
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps({"is_pro": "yes"}))
    for options, said in [
        (("--port", port), "address already in use"),
        (("--port", "70000"), "port 70000"),
        (("--tls-cert", str(broken)), "cannot be used"),
        (("--tls-cert", str(tmp_path / "none.pem")), "No such file"),
        (("--tls-key", str(broken)), "needs --tls-cert"),
        (("--settings", "{"), "not JSON"),
        (("--settings", "[]"), "must be a JSON object"),
        (("--settings", f"@{tmp_path}/none.json"), "cannot be read"),
        (("--settings", f"@{wrong}"), "'is_pro' must be true or false"),
    ]:
        ended = run("--port", "0", *options)
        assert (ended.returncode, ended.stdout) == (2, ""), options
        assert said in ended.stderr
        assert ended.stderr.count("\n") == 1
        assert ended.stderr.endswith(".\n")


def test_settings_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text('{"is_pro": false}')
    with started(tmp_path, f"@{tmp_path}/settings.json") as (_, sandbox):
        assert sandbox.control("settings")["is_pro"] is False
        assert sandbox.control("settings")["processing_seconds"] == 1.0


def test_it_imports_nothing_of_the_other_rooms_and_nothing_of_airflow() -> None:
    modules = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                modules.add(str(node.module))
    ours = {name for name in modules if name.startswith("ipernity_provider")}
    assert "ipernity_provider.sandbox.state" in ours
    assert {name for name in ours if not name.startswith("ipernity_provider.sandbox")} == set()
    assert {name for name in modules if name.split(".")[0] == "airflow"} == set()


def test_importing_the_package_loads_no_server() -> None:
    script = (
        "import sys, ipernity_provider.sandbox; print(sorted({'aiohttp', 'PIL', 'jinja2'} & "
        "sys.modules.keys()))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=20
    )
    assert ended.stdout == "[]\n"


def test_no_secret_is_printed(tmp_path: Path) -> None:
    with started(tmp_path) as (process, sandbox):
        sandbox.get("account.getQuota")
        sandbox.http.get(
            sandbox.url("account.getQuota"), params={**signed("account.getQuota"), "api_sig": "bad"}
        )
        process.terminate()
        out, err = process.communicate(timeout=10)
        assert [secret for secret in (KEY, SECRET, TOKEN) if secret in out + err] == []
        assert tempfile.gettempdir() not in out


def environments_of_children() -> Iterator[bytes]:
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            if f"\nPPid:\t{os.getpid()}\n" in (process / "status").read_text():
                yield (process / "environ").read_bytes()


def test_the_sandbox_inherits_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_IPERNITY_DEFAULT", '{"password": "5ecret"}')
    with running_sandbox():
        environments = list(environments_of_children())
    assert any(b"PATH=" in environment for environment in environments)
    assert not any(b"5ecret" in environment for environment in environments)
