"""The pytest fixture for users, as a distribution's plugin."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ipernity_provider.hooks.ipernity import IpernityHook
from ipernity_provider.sandbox import RunningSandbox
from ipernity_provider.testing import IpernitySandbox

pytestmark = pytest.mark.socket


def test_the_connection_of_a_hook_leads_to_the_sandbox(
    ipernity_sandbox: IpernitySandbox, picture: Path
) -> None:
    result = IpernityHook().replace_file("5412", picture)
    assert result["outcome"] == "replaced"
    (upload,) = ipernity_sandbox.ledger()
    assert (upload["doc_id"], upload["filename"]) == ("5412", picture.name)


def test_each_test_finds_the_sandbox_as_it_starts(ipernity_sandbox: IpernitySandbox) -> None:
    assert ipernity_sandbox.ledger() == []
    assert ipernity_sandbox.get("settings")["is_pro"] is True
    assert ipernity_sandbox.change_settings(is_pro=False)["is_pro"] is False
    ipernity_sandbox.reset()
    assert ipernity_sandbox.get("settings")["is_pro"] is True


def test_a_client_has_the_sandboxs_credentials(ipernity_sandbox: IpernitySandbox) -> None:
    with ipernity_sandbox.client() as client:
        assert client.get_document("5412").title == "A boat"
    with ipernity_sandbox.client(token=None) as client:
        assert client.get_document("5413").title == "Blue mountains"


def test_a_wrong_setting_is_refused_with_the_sandboxs_sentence(
    ipernity_sandbox: IpernitySandbox,
) -> None:
    with pytest.raises(ValueError, match="The setting 'is_pro' must be true or false"):
        ipernity_sandbox.change_settings(is_pro="yes")


def test_a_proxy_of_the_environment_is_not_used(
    ipernity_sandbox: IpernitySandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert ipernity_sandbox.get("calls") == {}


def test_what_running_sandbox_yields_is_the_address(
    ipernity_sandbox_server: RunningSandbox,
) -> None:
    assert ipernity_sandbox_server.startswith("http://127.0.0.1:")
    assert f"{ipernity_sandbox_server}/" == ipernity_sandbox_server.url + "/"
    assert type(ipernity_sandbox_server.url) is str


def test_pytest_finds_the_fixture_without_an_import_and_its_settings_can_be_overridden(
    tmp_path: Path,
) -> None:
    (tmp_path / "test_of_a_user.py").write_text(
        "import pytest\n"
        "@pytest.fixture(scope='session')\n"
        "def ipernity_sandbox_settings():\n"
        "    return {'sync_reply': 'ticket'}\n"
        "def test_it(ipernity_sandbox):\n"
        "    assert ipernity_sandbox.get('settings')['sync_reply'] == 'ticket'\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, timeout=100
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_a_test_run_loads_no_server_and_no_client() -> None:
    script = (
        "import sys, ipernity_provider.testing; print(sorted({'aiohttp', 'PIL', 'requests', "
        "'airflow', 'ipernity_provider.api'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "[]\n", done.stderr
