"""The connection in Airflow's web UI: typed in, tested, and its secrets never seen again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from ipernity_provider.get_provider_info import get_provider_info
from scripts.rig import AirflowApi, connection_json
from tests.conftest import (
    API_KEY,
    API_SECRET,
    CREDENTIALS,
    OAUTH_SECRET,
    OAUTH_TOKEN,
    SECRETS,
    TOKEN,
    Service,
)
from tests.e2e.browser.conftest import Snap
from tests.e2e.browser.pages import GREEN, RED, Connections, everything_in

pytestmark = pytest.mark.timeout(900)

CONN_ID = "ipernity_photos"
CONNECTED = (
    "The token belongs to Superman. The token allows doc: write. The account is PRO. "
    "This month's upload volume is unlimited."
)


@pytest.fixture
def connections(page: Page, airflow: AirflowApi, remote: Service) -> Iterator[Connections]:
    yield Connections(page, airflow)
    if any(row["connection_id"] == CONN_ID for row in airflow.get("/connections")["connections"]):
        airflow.send("DELETE", f"/connections/{CONN_ID}")


def test_the_form_has_our_fields_with_their_labels_hints_and_choices(
    connections: Connections, page: Page, snap: Snap
) -> None:
    (declared,) = get_provider_info()["connection-types"]
    behaviour, fields = declared["ui-field-behaviour"], declared["conn-fields"]
    connections.add(CONN_ID)
    form = connections.form
    for name, label in behaviour["relabeling"].items():
        expect(form.get_by_text(label, exact=True)).to_be_visible()
        expect(connections.field(name)).to_be_visible()
    for name, hint in behaviour["placeholders"].items():
        expect(connections.field(name)).to_have_attribute("placeholder", hint)
    for name in behaviour["hidden-fields"]:
        expect(connections.field(name)).to_have_count(0)
    connections.fill(description="The account of our photo club", password=API_SECRET, port="0")
    expect(connections.field("password")).to_have_attribute("type", "password")
    snap(page, "connection-form", height=920)

    in_sections = dict.fromkeys(
        field["schema"].get("section", "Extra Fields") for field in fields.values()
    )
    for section in in_sections:
        connections.open(section)
        for name, field in fields.items():
            if field["schema"].get("section", "Extra Fields") == section:
                expect(connections.label(name)).to_have_text(
                    re.compile(rf"^{re.escape(field['label'])}\s*\*?\s*$")
                )
                expect(form.get_by_text(field["description"], exact=True)).to_be_visible()
    connections.fill_extra(upload_roots="/data/pictures")
    snap(page, "connection-extra-fields", height=1900, part=form)


def test_nothing_is_saved_without_key_and_token(
    connections: Connections, page: Page, snap: Snap
) -> None:
    connections.add(CONN_ID)
    connections.fill(password=API_SECRET, port="0")
    connections.open("API key and token")
    for name in ("token", "token_secret"):
        expect(connections.extra(name)).to_have_attribute("type", "password")
    choices = connections.choices()
    expect(choices).to_have_text(["signature", "oauth"])
    choices.first.click()
    for name in ("api_key", "token"):
        expect(connections.label(name)).to_contain_text("*")
    save = connections.form.get_by_role("button", name="Save")
    expect(save).to_be_disabled()
    connections.fill_extra(api_key=API_KEY)
    expect(save).to_be_disabled()
    connections.fill_extra(token=TOKEN)
    expect(save).to_be_enabled()
    snap(page, "connection-key-and-token", height=1000, part=connections.form)


def test_a_connection_typed_into_the_form_works_and_its_secrets_are_never_shown_again(
    connections: Connections, page: Page, airflow: AirflowApi, remote: Service, snap: Snap
) -> None:
    connections.add(CONN_ID)
    connections.fill(host=remote.url, password=API_SECRET, port="0")
    connections.open("API key and token")
    connections.choices().filter(has_text="oauth").click()
    connections.fill_extra(api_key=API_KEY, token=OAUTH_TOKEN, token_secret=OAUTH_SECRET)
    connections.save()
    icon, sentence = connections.test(CONN_ID)
    expect(sentence).to_contain_text(CONNECTED)
    expect(icon).to_have_css("color", GREEN)
    snap(page, "connection-test", height=600)

    connections.edit(CONN_ID)
    expect(connections.field("password")).to_have_value("***")
    connections.open("API key and token")
    for name in ("token", "token_secret"):
        expect(connections.extra(name)).to_have_value("***")
    shown = everything_in(page)
    connections.open("Extra Fields JSON")
    shown += everything_in(page) + json.dumps(stored(airflow))
    assert CONN_ID in shown
    assert not any(secret in shown for secret in SECRETS)

    connections.open("Standard Fields")
    connections.fill(description="Of the photo club")
    connections.save()
    icon, sentence = connections.test(CONN_ID)
    expect(sentence).to_contain_text(CONNECTED)
    expect(icon).to_have_css("color", GREEN)
    assert stored(airflow)["description"] == "Of the photo club"


def test_a_wrong_secret_turns_the_test_red_with_a_sentence_that_shows_no_secret(
    connections: Connections, page: Page, airflow: AirflowApi, remote: Service
) -> None:
    airflow.store_connection(CONN_ID, connection_json(remote.url, **CREDENTIALS["signature"]))
    connections.edit(CONN_ID)
    connections.fill(password="0123456789abcdef")
    connections.save()
    icon, sentence = connections.test(CONN_ID)
    expect(sentence).to_have_text(
        "The API secret does not belong to the API key (code 105). "
        "Compare it with https://www.ipernity.com/apps/key."
    )
    expect(icon).to_have_css("color", RED)
    shown = everything_in(page)
    assert not any(secret in shown for secret in (*SECRETS, "0123456789abcdef"))


def stored(airflow: AirflowApi) -> dict[str, Any]:
    return dict(airflow.get(f"/connections/{CONN_ID}"))
