"""A page of another site, opened in a browser on this machine, changes and reads nothing."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlencode

import pytest
import requests

from ipernity_provider.sandbox import running_sandbox
from ipernity_provider.sandbox.web_security import consent_policy, is_loopback
from tests.sandbox.caller import TOKEN, Caller, jpeg, raw, signed
from tests.sandbox.test_consent import allow, exchange, hidden_inputs, link, new_frob
from tests.sandbox.test_oauth import request_token

EVIL = "http://evil.example"
CONTROLS = [
    ("PUT", "settings", {"is_pro": False}),
    ("POST", "reset", {}),
    ("POST", "tickets", {"count": 1, "ready_in": [1, 2]}),
    ("POST", "tickets/finish", {}),
    ("POST", "tokens/revoke", {"token": TOKEN}),
]


def snapshot(sandbox: Caller) -> Any:
    """Everything that a request could change, and whether the token is still valid."""
    names = ("settings", "ledger", "tickets", "calls")
    seen = {name: sandbox.control(name) for name in names}
    tokens = [sandbox.get("auth.checkToken")["api"]["status"]]
    return {**seen, "calls": seen["calls"].get("upload.replace"), "tokens": tokens}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("127.1", False),
        ("10.0.0.1", False),
        ("evil.example", False),
        ("", False),
    ],
)
def test_only_some_host_names_can_mean_this_machine(name: str, expected: bool) -> None:
    assert is_loopback(name) is expected


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.2:1", "localhost", "LocalHost:99", "[::1]", "[::1]:8"]
)
def test_the_host_names_of_loopback_are_answered(sandbox: Caller, host: str) -> None:
    status, _, body = raw(sandbox, f"GET /_sandbox/calls HTTP/1.1\r\nHost: {host}\r\n\r\n")
    assert (status, body) == (200, "{}")


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8765", "10.0.0.1", "[::2]", "127.0.0.1@evil.example", "x\xa0y"],
)
@pytest.mark.parametrize("path", ["/", "/_sandbox/ledger", "/api/test.hello/json", "/no/such/page"])
def test_another_host_name_reads_nothing(sandbox: Caller, host: str, path: str) -> None:
    status, headers, body = raw(sandbox, f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")
    assert status == 421
    assert body.startswith("The sandbox does not answer to the host name '")
    assert "Nothing was done." in body
    assert body.isprintable()
    assert headers["x-content-type-options"] == "nosniff"
    assert sandbox.control("calls") == {}


def test_another_host_name_changes_nothing(sandbox: Caller) -> None:
    before = snapshot(sandbox)
    for verb, name, body in CONTROLS:
        response = sandbox.http.request(
            verb, f"{sandbox.root}/_sandbox/{name}", json=body, headers={"Host": "evil.example"}
        )
        assert response.status_code == 421
    upload = sandbox.http.post(
        sandbox.url("upload.replace"),
        data=signed("upload.replace", doc_id="5412"),
        files={"file": ("a.jpg", jpeg())},
        headers={"Host": "evil.example"},
    )
    assert upload.status_code == 421
    assert snapshot(sandbox) == before


def test_an_absolute_address_needs_a_host_name_of_loopback_as_well(sandbox: Caller) -> None:
    status, _, _ = raw(sandbox, f"GET {EVIL}/_sandbox/calls HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert status == 421
    status, _, _ = raw(
        sandbox, "GET http://localhost/_sandbox/calls HTTP/1.1\r\nHost: evil.example\r\n\r\n"
    )
    assert status == 421


@pytest.mark.parametrize("head", ["", "Host:\r\n", "Host: localhost\r\nHost: localhost\r\n"])
def test_a_request_without_exactly_one_host_is_refused(sandbox: Caller, head: str) -> None:
    status, _, _ = raw(sandbox, f"GET /_sandbox/calls HTTP/1.1\r\n{head}\r\n")
    assert status == 400


def test_a_program_that_speaks_http_1_0_needs_no_host(sandbox: Caller) -> None:
    query = urlencode(signed("doc.get", doc_id="5412"))
    status, _, body = raw(sandbox, f"GET /api/doc.get/json?{query} HTTP/1.0\r\n\r\n")
    doc = json.loads(body)["doc"]
    assert status == 200
    assert doc["thumbs"]["thumb"][0]["url"].startswith(f"{sandbox.root}/cdn/")
    two = "Host: localhost\r\nHost: evil.example\r\n"
    assert raw(sandbox, f"GET /_sandbox/calls HTTP/1.0\r\n{two}\r\n")[0] == 400
    origin = "Origin: http://evil.example\r\n"
    assert raw(sandbox, f"GET /_sandbox/calls HTTP/1.0\r\n{origin}\r\n")[0] == 403


def test_a_host_name_can_be_allowed() -> None:
    with running_sandbox(allow_hosts=["Photos.Example"]) as url:
        for host, status in [("photos.example:1", 200), ("other.example", 421)]:
            assert (
                requests.get(f"{url}/_sandbox/calls", headers={"Host": host}).status_code == status
            )


@pytest.mark.parametrize(
    "header",
    [
        {"Origin": EVIL},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_page_of_another_site_controls_nothing(sandbox: Caller, header: dict[str, str]) -> None:
    before = snapshot(sandbox)
    for verb, name, body in CONTROLS:
        response = sandbox.http.request(
            verb, f"{sandbox.root}/_sandbox/{name}", json=body, headers=header
        )
        assert (response.status_code, "Access-Control-Allow-Origin" in response.headers) == (
            403,
            False,
        )
    assert snapshot(sandbox) == before


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_a_control_call_says_that_its_body_is_json(
    sandbox: Caller, content_type: str | None
) -> None:
    before = snapshot(sandbox)
    headers = {} if content_type is None else {"Content-Type": content_type}
    for verb, name, _ in CONTROLS:
        response = sandbox.http.request(
            verb, f"{sandbox.root}/_sandbox/{name}", data=b'{"token": "x"}', headers=headers
        )
        assert response.status_code == 415
        assert "application/json" in response.text
    assert snapshot(sandbox) == before


@pytest.mark.parametrize("name", ["settings", "ledger", "calls", "tickets"])
def test_a_page_of_another_site_reads_no_control_call(sandbox: Caller, name: str) -> None:
    for header in ({"Origin": EVIL}, {"Sec-Fetch-Site": "cross-site"}):
        response = sandbox.http.get(f"{sandbox.root}/_sandbox/{name}", headers=header)
        assert response.status_code == 403
    own = sandbox.http.get(
        f"{sandbox.root}/_sandbox/{name}", headers={"Sec-Fetch-Site": "same-origin"}
    )
    assert own.status_code == 200
    assert "Access-Control-Allow-Origin" not in own.headers
    assert own.headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_a_page_of_another_site_calls_no_method(sandbox: Caller) -> None:
    upload = sandbox.http.post(
        sandbox.url("upload.replace"),
        data=signed("upload.replace", doc_id="5412"),
        files={"file": ("a.jpg", jpeg())},
        headers={"Origin": EVIL},
    )
    frob = sandbox.http.get(
        sandbox.url("auth.getFrob"),
        params=signed("auth.getFrob", token=None),
        headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    )
    assert (upload.status_code, frob.status_code) == (403, 403)
    assert (sandbox.control("ledger"), sandbox.control("calls")) == ([], {})


def test_a_preflight_is_refused(sandbox: Caller) -> None:
    headers = {"Origin": EVIL, "Access-Control-Request-Method": "PUT"}
    response = requests.options(f"{sandbox.root}/_sandbox/settings", headers=headers)
    assert response.status_code == 403
    assert not [name for name in response.headers if name.lower().startswith("access-control")]


def test_a_link_of_another_site_leads_to_a_page(sandbox: Caller) -> None:
    navigation = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    consent = link(sandbox, frob=new_frob(sandbox), perm_doc="read")
    for address in (sandbox.root, f"{sandbox.root}/doc/1234/5412", consent):
        assert requests.get(address, headers=navigation).status_code == 200


def test_each_answer_has_the_protecting_headers(sandbox: Caller) -> None:
    consent = link(sandbox, frob=new_frob(sandbox))
    original = sandbox.doc("5412")["original"]["url"]
    for address in (
        sandbox.root,
        f"{sandbox.root}/doc/1234/5412",
        f"{sandbox.root}/no/such/page",
        f"{sandbox.root}/_sandbox/ledger",
        sandbox.url("test.hello"),
        original,
        consent,
    ):
        headers = requests.get(address).headers
        assert headers["X-Content-Type-Options"] == "nosniff", address
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "same-origin"
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'; img-src 'self' data:; ")
        assert "script-src" not in policy
        assert "unsafe" not in policy
        own_form = "form-action 'self'" if address == consent else "form-action 'none'"
        assert own_form in policy


def test_the_pages_have_nothing_inline_that_the_policy_forbids(sandbox: Caller) -> None:
    consent = link(sandbox, frob=new_frob(sandbox), perm_doc="write")
    for address in (
        sandbox.root,
        f"{sandbox.root}/doc/1234/5412",
        f"{sandbox.root}/doc/1234/5417",
        consent,
    ):
        page = requests.get(address).text
        assert not re.search(r"<script|<style|\sstyle=|\son[a-z]+=", page), address


@pytest.mark.parametrize(
    ("callback", "allowed"),
    [
        (None, "form-action 'self';"),
        ("oob", "form-action 'self';"),
        ("http://127.0.0.1:5000/back?x=1", "form-action 'self' http://127.0.0.1:5000;"),
        ("https://app.example; script-src *", "form-action 'self' https://app.example;"),
        ("https://a.example'self' *", "form-action 'self' https://a.example;"),
    ],
)
def test_the_answer_of_a_consent_form_may_lead_to_the_callback_only(
    callback: str | None, allowed: str
) -> None:
    policy = consent_policy(callback)
    assert allowed in policy
    assert "script-src" not in policy


def test_a_consent_without_the_form_of_its_page_gives_nothing(sandbox: Caller) -> None:
    frob, other = new_frob(sandbox), new_frob(sandbox)
    url, other_url = (link(sandbox, frob=one, perm_doc="delete") for one in (frob, other))
    inputs = hidden_inputs(requests.get(url).text)
    foreign = hidden_inputs(requests.get(other_url).text)["form_token"]
    without = {name: value for name, value in inputs.items() if name != "form_token"}
    for form in (without, {**inputs, "form_token": foreign}, {**inputs, "form_token": "é"}, {}):
        response = requests.post(url, data=form)
        assert response.status_code == 403
        assert "No access was given." in response.text
    assert sandbox.code(exchange(sandbox, frob)) == "2"
    assert allow(url).status_code == 200
    assert exchange(sandbox, frob)["api"]["status"] == "ok"


def test_an_oauth_consent_without_the_form_of_its_page_gives_nothing(sandbox: Caller) -> None:
    session = request_token(sandbox, "https://app.example/")
    url = session.authorization_url(f"{sandbox.root}/apps/oauth/authorize", perm_doc="delete")
    refused = requests.post(url, data={"answer": "allow"}, allow_redirects=False)
    assert (refused.status_code, "Location" in refused.headers) == (403, False)
    page = requests.get(url)
    assert "form-action 'self' https://app.example;" in page.headers["Content-Security-Policy"]
    answer = requests.post(url, data=hidden_inputs(page.text), allow_redirects=False)
    assert answer.headers["Location"].startswith("https://app.example/?oauth_token=")


def test_a_consent_form_of_another_site_is_refused(sandbox: Caller) -> None:
    frob = new_frob(sandbox)
    url = link(sandbox, frob=frob, perm_doc="delete")
    inputs = hidden_inputs(requests.get(url).text)
    assert requests.post(url, data=inputs, headers={"Origin": EVIL}).status_code == 403
    assert sandbox.code(exchange(sandbox, frob)) == "2"
    assert requests.post(url, data=inputs, headers={"Origin": sandbox.root}).status_code == 200


@pytest.mark.parametrize(
    "filename", ["page.html", "image.svg", "page.xhtml", "script.js", "page.html.xml"]
)
def test_an_uploaded_file_that_could_run_is_a_download(sandbox: Caller, filename: str) -> None:
    content = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    ticket = sandbox.send("upload.file", content, filename)["ticket"]
    doc = sandbox.doc(sandbox.wait(ticket)["doc_id"])
    response = sandbox.http.get(doc["original"]["url"])
    assert response.content == content
    assert response.headers["Content-Type"] == "application/octet-stream"
    assert response.headers["Content-Disposition"] == "attachment"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "script-src" not in response.headers["Content-Security-Policy"]


def test_a_web_page_with_the_name_of_a_picture_stays_a_picture(sandbox: Caller) -> None:
    ticket = sandbox.send("upload.file", b"<script>alert(1)</script>", "photo.jpg")["ticket"]
    doc = sandbox.doc(sandbox.wait(ticket)["doc_id"])
    response = sandbox.http.get(doc["original"]["url"])
    assert response.headers["Content-Type"] == "image/jpeg"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
