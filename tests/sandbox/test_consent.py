from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
import requests

from tests.sandbox.caller import KEY, Caller, signature


def link(sandbox: Caller, **params: str) -> str:
    """A signed link to the consent page: no method in its signature."""
    fields = {"api_key": KEY, **params}
    fields["api_sig"] = signature(fields)
    prepared = requests.Request("GET", f"{sandbox.root}/apps/authorize", params=fields).prepare()
    return str(prepared.url)


def hidden_inputs(page: str) -> dict[str, str]:
    form = re.search(r'<form name="fa" method="post">(.*?)</form>', page, re.DOTALL)
    assert form is not None
    found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', form.group(1))
    return {name: unescape(value) for name, value in found}


def new_frob(sandbox: Caller) -> str:
    return str(sandbox.get("auth.getFrob", token=None)["auth"]["frob"])


def exchange(sandbox: Caller, frob: str) -> Any:
    return sandbox.get("auth.getToken", token=None, frob=frob)


def allow(url: str) -> requests.Response:
    return requests.post(url, data=hidden_inputs(requests.get(url).text), allow_redirects=False)


def test_a_desktop_application_gets_a_token(sandbox: Caller) -> None:
    frob = new_frob(sandbox)
    assert re.fullmatch(r"\d+-[0-9a-f]+", frob)
    url = link(sandbox, frob=frob, perm_doc="delete", perm_blog="read")
    page = requests.get(url).text
    assert "<td>delete</td>" in page
    assert hidden_inputs(page)["frob"] == frob
    answer = allow(url)
    assert (answer.status_code, 'class="ok"' in answer.text) == (200, True)
    auth = exchange(sandbox, frob)["auth"]
    assert auth["permissions"] == {
        "doc": "delete",
        "blog": "read",
        "profile": "none",
        "network": "none",
        "post": "none",
    }
    assert auth["user"]["username"] == "Superman"
    assert sandbox.get("auth.checkToken", token=auth["token"])["auth"] == auth


def test_a_token_has_only_the_rights_consented_to(sandbox: Caller) -> None:
    frob = new_frob(sandbox)
    allow(link(sandbox, frob=frob, perm_doc="read"))
    token = exchange(sandbox, frob)["auth"]["token"]
    assert sandbox.code(sandbox.get("account.getQuota", token=token)) == "110"
    assert sandbox.get("doc.get", token=token, doc_id="5412")["api"]["status"] == "ok"


def test_a_frob_is_exchanged_once_and_only_after_consent(sandbox: Caller) -> None:
    frob = new_frob(sandbox)
    assert sandbox.code(exchange(sandbox, frob)) == "2"
    allow(link(sandbox, frob=frob))
    assert exchange(sandbox, frob)["api"]["status"] == "ok"
    assert sandbox.code(exchange(sandbox, frob)) == "2"
    assert sandbox.code(exchange(sandbox, "")) == "1"


def test_a_frob_expires(sandbox: Caller) -> None:
    frob = new_frob(sandbox)
    url = link(sandbox, frob=frob)
    allow(url)
    sandbox.change(clock_offset_seconds=301)
    assert sandbox.code(exchange(sandbox, frob)) == "2"
    assert requests.get(url).status_code == 400


def test_two_authorizations_give_two_tokens(sandbox: Caller) -> None:
    tokens = set()
    for _ in range(2):
        frob = new_frob(sandbox)
        allow(link(sandbox, frob=frob))
        tokens.add(exchange(sandbox, frob)["auth"]["token"])
    assert len(tokens) == 2


def test_deny_gives_nothing(sandbox: Caller) -> None:
    frob = new_frob(sandbox)
    url = link(sandbox, frob=frob)
    page = requests.post(url, data={**hidden_inputs(requests.get(url).text), "answer": "deny"}).text
    assert 'class="denied"' in page
    assert sandbox.code(exchange(sandbox, frob)) == "2"


def test_a_web_application_is_called_back_with_a_frob(sandbox: Caller) -> None:
    sandbox.change(callback_url="https://app.example/back?from=ipernity")
    answer = allow(link(sandbox, perm_doc="write"))
    assert answer.status_code == 302
    match = re.fullmatch(
        r"https://app\.example/back\?from=ipernity&frob=(\d+-[0-9a-f]+)", answer.headers["Location"]
    )
    assert match is not None
    assert exchange(sandbox, match.group(1))["auth"]["permissions"]["doc"] == "write"


def test_granted_rights_need_no_second_consent(sandbox: Caller) -> None:
    sandbox.change(callback_url="https://app.example/")
    allow(link(sandbox, perm_doc="write"))
    again = requests.get(link(sandbox, perm_doc="read"), allow_redirects=False)
    assert again.headers["Location"].startswith("https://app.example/?frob=")
    assert requests.get(link(sandbox, perm_doc="delete"), allow_redirects=False).status_code == 200


def test_without_a_callback_the_frob_is_on_the_page(sandbox: Caller) -> None:
    page = allow(link(sandbox, perm_doc="write")).text
    match = re.search(r'<p class="ok">.*<code id="frob">([^<]+)</code>', page)
    assert match is not None
    assert exchange(sandbox, match.group(1))["api"]["status"] == "ok"


@pytest.mark.parametrize(
    "change",
    [("api_key=6fa8", "api_key=0fa8"), ("perm_doc=read", "perm_doc=delete"), ("api_sig=", "x=")],
)
def test_a_link_that_was_tampered_with_is_refused(sandbox: Caller, change: tuple[str, str]) -> None:
    url = link(sandbox, frob=new_frob(sandbox), perm_doc="read")
    for verb in ("GET", "POST"):
        response = requests.request(verb, url.replace(*change))
        assert response.status_code == 400
        assert 'class="bad"' in response.text


def test_a_link_with_an_unknown_frob_is_refused(sandbox: Caller) -> None:
    assert requests.get(link(sandbox, frob="1-unknown")).status_code == 400
