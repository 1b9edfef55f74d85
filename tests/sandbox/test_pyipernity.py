"""PyIpernity, a client written by others against the live service, meets the sandbox."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import requests
from ipernity import IpernityAPI
from ipernity.exceptions import APIRequestError, UploadError

from tests.sandbox.caller import KEY, SECRET, TOKEN, Caller, jpeg, md5_of


@pytest.fixture
def api(sandbox: Caller) -> Any:
    sandbox.change(
        require_lg=False, eta_seconds=0
    )  # it was last changed before lg came up; it sleeps the eta
    return IpernityAPI(
        KEY,
        SECRET,
        TOKEN,
        url=f"{sandbox.root}/api/",
        auth_url_base=f"{sandbox.root}/apps/authorize",
    )


def test_it_says_hello_and_echoes(api: Any) -> None:
    assert api.test.hello()["hello"] == "hello world!"
    assert api.test.echo(echo="Hallo Überfluß")["echo"] == "Hallo Überfluß"


def test_it_uploads_a_file_and_finds_it_by_its_checksum(api: Any, tmp_path: Path) -> None:
    content = jpeg("pink")
    (tmp_path / "pink.jpg").write_bytes(content)
    doc_id = api.upload_file(str(tmp_path / "pink.jpg"), title="Pink")
    docs = api.doc.checkMD5(md5=md5_of(content))["docs"]
    assert [doc["doc_id"] for doc in docs["doc"]] == [doc_id]
    assert api.doc.get(doc_id=doc_id)["doc"]["title"] == "Pink"


def test_it_notices_an_invalid_ticket(api: Any, sandbox: Caller, tmp_path: Path) -> None:
    sandbox.change(invalid_next=1)
    (tmp_path / "pink.jpg").write_bytes(jpeg())
    with pytest.raises(UploadError):
        api.upload_file(str(tmp_path / "pink.jpg"))


def test_it_replaces_a_file(api: Any, sandbox: Caller, tmp_path: Path) -> None:
    (tmp_path / "pink.jpg").write_bytes(jpeg("pink"))
    ticket = api.upload.replace(file=str(tmp_path / "pink.jpg"), doc_id=5412)["ticket"]
    assert sandbox.wait(ticket)["doc_id"] == "5412"


def test_it_walks_through_all_pages(api: Any) -> None:
    assert [doc["doc_id"] for doc in api.walk_docs(per_page=2)] == [
        str(number) for number in range(5412, 5419)
    ]


def test_it_reports_an_api_error(api: Any) -> None:
    with pytest.raises(APIRequestError) as error:
        api.doc.get(doc_id=1)
    assert "Document not found" in str(error.value)


def test_it_gets_a_token_as_a_desktop_application(api: Any) -> None:
    api.token = None
    frob = api.auth.getFrob()["auth"]["frob"]
    url = api.auth.auth_url({"doc": "delete"}, frob)
    page = requests.get(url).text
    form = re.search(r'<form name="fa".*?</form>', page, re.DOTALL)
    assert form is not None
    inputs = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', form.group())
    answer = requests.post(url, data={name: unescape(value) for name, value in inputs})
    assert 'class="ok"' in answer.text
    api.auth.getToken(frob)
    assert api.has_permissions({"doc": "delete"})
    assert api.user_info["username"] == "Superman"
