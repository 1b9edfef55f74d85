from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from tests.sandbox.caller import Caller, jpeg, signed

NEW = jpeg("olive")


def inject(sandbox: Caller, kind: str, method: str = "upload.replace", **more: Any) -> None:
    sandbox.change(faults=[{"method": method, "kind": kind, **more}])


def upload(sandbox: Caller) -> requests.Response:
    return sandbox.send_raw("upload.replace", NEW, doc_id="5412")


def accepted(sandbox: Caller) -> int:
    return len(sandbox.control("ledger"))


@pytest.mark.parametrize(("after_accepting", "uploads"), [(False, 0), (True, 1)])
@pytest.mark.parametrize(
    ("kind", "status", "content_type", "text"),
    [
        ("code:501", 200, "text/plain", '"code":"501","message":"Maintenance mode"'),
        ("code:3", 200, "text/plain", '"code":"3","message":"User exceeded upload limits"'),
        ("code:999", 200, "text/plain", '"code":"999"'),
        ("http:503", 503, "text/html", "maintenance"),
        ("html", 200, "text/html", "maintenance"),
    ],
)
def test_a_reply_is_replaced_before_or_after_the_upload_was_accepted(
    sandbox: Caller,
    kind: str,
    status: int,
    content_type: str,
    text: str,
    after_accepting: bool,
    uploads: int,
) -> None:
    inject(sandbox, kind, after_accepting=after_accepting)
    response = upload(sandbox)
    assert (response.status_code, response.headers["Content-Type"].partition(";")[0]) == (
        status,
        content_type,
    )
    assert text in response.text
    assert accepted(sandbox) == uploads


@pytest.mark.parametrize(("after_accepting", "uploads"), [(False, 0), (True, 1)])
@pytest.mark.parametrize(
    "status", [302, 307, 400, 408, 409, 413, 421, 423, 425, 429, 499, 500, 502, 503, 504]
)
def test_an_answer_that_is_not_the_services_own_has_any_status_and_headers(
    sandbox: Caller, status: int, after_accepting: bool, uploads: int
) -> None:
    headers = {
        "Retry-After": "120",
        "Location": "http://127.0.0.1:9/login",
        "Content-Type": "text/x",
    }
    inject(sandbox, f"http:{status}", after_accepting=after_accepting, headers=headers)
    response = sandbox.http.post(
        sandbox.url("upload.replace"),
        data=signed("upload.replace", doc_id="5412"),
        files={"file": ("n.jpg", NEW)},
        allow_redirects=False,
    )
    assert response.status_code == status
    assert {name: response.headers[name] for name in headers} == headers
    assert "<h1>" in response.text
    assert accepted(sandbox) == uploads


@pytest.mark.parametrize("status", [204, 205, 304])
def test_a_status_without_a_body_has_none(sandbox: Caller, status: int) -> None:
    inject(sandbox, f"http:{status}", after_accepting=True)
    response = upload(sandbox)
    assert (response.status_code, response.content) == (status, b"")
    assert accepted(sandbox) == 1


@pytest.mark.parametrize("code", [112, 113, 133, 134, 501, 503])
def test_an_upload_is_accepted_and_answered_with_a_code_that_says_try_again(
    sandbox: Caller, code: int
) -> None:
    inject(sandbox, f"code:{code}", after_accepting=True)
    assert upload(sandbox).json()["api"]["code"] == str(code)
    assert accepted(sandbox) == 1
    assert upload(sandbox).json()["api"]["status"] == "ok"
    assert accepted(sandbox) == 2


def test_a_fault_shows_its_headers(sandbox: Caller) -> None:
    fault = {
        "method": "doc.get",
        "kind": "http:429",
        "times": 3,
        "after_accepting": False,
        "headers": {"Retry-After": "7"},
    }
    assert sandbox.change(faults=[fault])["faults"] == [fault]


def test_a_truncated_reply_stops_in_the_middle(sandbox: Caller) -> None:
    inject(sandbox, "truncated")
    response = upload(sandbox)
    assert response.headers["Content-Length"] == str(len(response.content))
    assert response.text.startswith('{"ticket":"712')
    with pytest.raises(requests.JSONDecodeError):
        response.json()
    assert accepted(sandbox) == 1


def test_a_connection_is_dropped_before_anything_was_read(sandbox: Caller) -> None:
    inject(sandbox, "drop_before_reading")
    with pytest.raises(requests.ConnectionError):
        requests.post(sandbox.url("upload.replace"), data=bytes(20_000_000))
    assert accepted(sandbox) == 0
    assert sandbox.control("calls") == {"upload.replace": 1}


def test_a_connection_is_dropped_after_the_upload_was_accepted(sandbox: Caller) -> None:
    inject(sandbox, "drop_after_accepting")
    with pytest.raises(requests.ConnectionError):
        upload(sandbox)
    assert accepted(sandbox) == 1


def test_a_slow_reply_comes_late_but_the_call_was_handled_at_once(sandbox: Caller) -> None:
    inject(sandbox, "slow:0.3")
    with pytest.raises(requests.ReadTimeout):
        requests.post(
            sandbox.url("upload.replace"),
            data=signed("upload.replace", doc_id="5412"),
            files={"file": ("n.jpg", NEW)},
            timeout=0.15,
        )
    assert accepted(sandbox) == 1
    inject(sandbox, "slow:0.3", method="test.hello")
    start = time.monotonic()
    assert sandbox.get("test.hello")["api"]["status"] == "ok"
    assert time.monotonic() - start >= 0.3


def test_a_fault_is_used_up_by_its_method_in_its_times(sandbox: Caller) -> None:
    inject(sandbox, "code:500", method="test.hello", times=2)
    assert sandbox.get("test.echo")["api"]["status"] == "ok"
    assert sandbox.get("test.hello")["api"]["code"] == "500"
    assert sandbox.control("settings")["faults"][0]["times"] == 1
    assert sandbox.get("test.hello")["api"]["code"] == "500"
    assert sandbox.control("settings")["faults"] == []
    assert sandbox.get("test.hello")["api"]["status"] == "ok"


def test_the_first_fault_that_fits_is_the_one(sandbox: Caller) -> None:
    sandbox.change(
        faults=[
            {"method": "doc.get", "kind": "code:112"},
            {"method": "*", "kind": "code:113"},
            {"method": "test.hello", "kind": "code:503"},
        ]
    )
    assert [sandbox.get("test.hello")["api"]["code"] for _ in range(2)] == ["113", "503"]
    assert sandbox.get("doc.get", doc_id="5412")["api"]["code"] == "112"


def test_a_fault_has_the_requested_format(sandbox: Caller) -> None:
    inject(sandbox, "code:500", method="test.hello")
    response = sandbox.http.get(sandbox.url("test.hello", "xml"), params=signed("test.hello"))
    assert response.text == '<api status="error" code="500" message="Service error" />'


@pytest.mark.parametrize("method", ["doc.gett", "folder.create", ""])
def test_a_fault_for_a_name_that_the_sandbox_does_not_have_is_refused(
    sandbox: Caller, method: str
) -> None:
    body = {"faults": [{"method": method, "kind": "html"}]}
    response = sandbox.http.put(f"{sandbox.root}/_sandbox/settings", json=body)
    assert response.status_code == 400
    assert f"the name of an emulated method, not {method!a}" in response.text
    assert sandbox.control("settings")["faults"] == []
