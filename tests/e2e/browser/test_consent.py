"""From the address that `authorize` prints, by the owner's clicks, to a good connection."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from scripts.rig import migrate
from tests.cli.commandline import assert_no_secret, assert_one_line, environment, run, running
from tests.conftest import API_KEY, API_SECRET, Service
from tests.e2e.browser.conftest import Snap

pytestmark = pytest.mark.timeout(300)

KEY = {"IPERNITY_API_KEY": API_KEY, "IPERNITY_API_SECRET": API_SECRET}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of an Airflow that has a database and runs not."""
    env = environment(tmp_path_factory.mktemp("airflow"))
    migrate(env)
    return env


def test_a_click_on_allow_leads_the_frob_flow_to_a_connection_that_works(
    home: dict[str, str], remote: Service, page: Page, snap: Snap
) -> None:
    options = ("--host", remote.url, "--conn-id", "ipernity_desktop")
    with running(home | KEY, "authorize", *options) as command:
        page.goto(command.consent_url())
        expect(page.get_by_role("row", name="doc write")).to_be_visible()
        snap(page, "consent-desktop", height=420)
        page.get_by_role("button", name="Allow").click()
        expect(
            page.get_by_text("You can close this page and go back to the application.")
        ).to_be_visible()
        code, out, err = command.end("\n")
    assert (code, out) == (0, "Connection 'ipernity_desktop' is stored.\n"), err
    assert_no_secret(out + err)
    checked = run(home, "check", "--conn-id", "ipernity_desktop")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_click_on_allow_leads_oauth_back_to_this_machine_and_to_a_connection_that_works(
    home: dict[str, str], remote: Service, page: Page, snap: Snap
) -> None:
    options = ("--oauth", "--host", remote.url, "--conn-id", "ipernity_oauth", "--timeout", "60")
    with running(home | KEY, "authorize", *options) as command:
        page.goto(command.consent_url())
        expect(page.get_by_role("row", name="doc write")).to_be_visible()
        page.get_by_role("button", name="Allow").click()
        expect(
            page.get_by_text("You can close this page and go back to the terminal.")
        ).to_be_visible()
        assert page.url.startswith("http://127.0.0.1:")
        assert not page.url.startswith(remote.url)
        snap(page, "consent-back", height=300)
        code, out, err = command.end()
    assert (code, out) == (0, "Connection 'ipernity_oauth' is stored.\n"), err
    assert_no_secret(out + err)
    checked = run(home, "check", "--conn-id", "ipernity_oauth")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_click_on_deny_ends_the_command_with_one_line(
    home: dict[str, str], remote: Service, page: Page
) -> None:
    options = ("--host", remote.url, "--conn-id", "ipernity_denied")
    with running(home | KEY, "authorize", *options) as command:
        page.goto(command.consent_url())
        page.get_by_role("button", name="Deny").click()
        expect(page.get_by_text("The application was given no access.")).to_be_visible()
        code, out, err = command.end("\n")
    assert (code, out) == (1, "")
    sentence = err.rpartition("consented.\n")[2]
    assert_one_line(sentence)
    assert "the consent was refused or not given" in sentence
    checked = run(home, "check", "--conn-id", "ipernity_denied")
    assert checked.returncode == 2, checked.stdout + checked.stderr
