"""Which methods and parameters there are: the sandbox against the service's own list."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from ipernity_provider.sandbox.catalog import ANSWERS_103, METHODS
from ipernity_provider.sandbox.methods.registry import HANDLERS
from ipernity_provider.sandbox.parameters import PARAMETERS
from tests.sandbox.caller import KEY, Caller, jpeg, signed

# PyIpernity carries the live service's own answer to api.methods.getList.
SERVICE: dict[str, Any] = json.loads((files("ipernity") / "methods.json").read_text())
LACKING = sorted(METHODS.keys() - PARAMETERS.keys() - ANSWERS_103)


def test_the_list_names_all_102_methods_with_the_services_own_requirements(sandbox: Caller) -> None:
    listed = {one["name"]: one for one in sandbox.get("api.methods.getList")["methods"]["method"]}
    assert len(listed) == 102
    assert listed.keys() == SERVICE.keys()
    for name, method in SERVICE.items():
        assert listed[name]["service"] == method["service"]
        assert listed[name]["authentication"] == method["authentication"], name
        assert listed[name]["permissions"] == (method["permissions"] or []), name
        assert set(listed[name]) == set(method)


def described(sandbox: Caller, name: str) -> Any:
    fields = {"api_key": KEY, "lg": "en", "method": name}
    return sandbox.http.get(sandbox.url("api.methods.get"), params=fields).json()["method"]


def test_one_method_is_described_with_its_parameters_and_errors(sandbox: Caller) -> None:
    method = described(sandbox, "doc.setPerms")
    names = [one["name"] for one in method["parameters"]["parameter"]]
    assert {"doc_id", "share", "is_public", "perm_tagme"} <= set(names)
    assert method["errors"]["error"] == [
        {"code": "1", "message": "Document not found"},
        {"code": "2", "message": "Invalid argument"},
    ]
    assert method.keys() >= SERVICE["doc.setPerms"].keys() | {"response", "notes", "changelog"}


def test_a_method_that_the_sandbox_lacks_is_described_too(sandbox: Caller) -> None:
    method = described(sandbox, "folder.create")
    assert (method["authentication"]["post"], method["permissions"]) == ("1", {"doc": "write"})


def test_a_method_has_attributes_in_xml(sandbox: Caller) -> None:
    fields = signed("api.methods.getList")
    text = sandbox.http.get(sandbox.url("api.methods.getList", "xml"), params=fields).text
    methods = {one.get("name"): one for one in ET.fromstring(text).findall("methods/method")}
    found = methods["doc.setPerms"]
    assert (found.get("service"), found.get("modified_at")) == ("doc", "1228086000")
    authentication, permissions = found.find("authentication"), found.find("permissions")
    assert authentication is not None
    assert permissions is not None
    assert authentication.attrib == {"post": "1", "sign": "1", "token": "1"}
    assert permissions.attrib == {"doc": "write"}


def test_each_method_with_parameters_is_handled() -> None:
    assert HANDLERS.keys() == PARAMETERS.keys() <= METHODS.keys()


@pytest.mark.parametrize("method", [*LACKING, "soap", "xmlrpc"])
def test_a_method_of_the_service_that_the_sandbox_lacks_is_refused_in_words_of_its_own(
    sandbox: Caller, method: str
) -> None:
    error = sandbox.post(method)["api"]
    assert (error["status"], error["code"]) == ("error", "900")
    assert error["message"].startswith("ipernity sandbox: ")
    assert method in error["message"]
    assert "not emulated" in error["message"]


@pytest.mark.parametrize("method", ["doc.gett", "Doc.get", "doc.albums.add"])
def test_a_name_that_is_not_a_method_is_not_found(sandbox: Caller, method: str) -> None:
    error = sandbox.http.post(f"{sandbox.root}/api/{method}", data=signed(method)).json()["api"]
    assert (error["code"], error["message"]) == ("103", "Method not found")


REFUSED = [(method, name) for method, known in PARAMETERS.items() for name in known.refused]
UNKNOWN = [(method, "colour") for method, known in PARAMETERS.items() if not known.documented]


@pytest.mark.parametrize(("method", "name"), [*REFUSED, *UNKNOWN])
def test_a_parameter_that_is_not_applied_is_refused(
    sandbox: Caller, method: str, name: str
) -> None:
    sandbox.change(permissions={"doc": "delete"})
    before = sandbox.control("ledger"), sandbox.get("album.getList")["albums"]
    error = sandbox.send(method, jpeg(), **{name: "1"})["api"]
    assert error["code"] == "900"
    assert f"the parameter {name} of {method} is not emulated" in error["message"]
    assert (sandbox.control("ledger"), sandbox.get("album.getList")["albums"]) == before


@pytest.mark.parametrize("method", ["doc.get", "upload.file", "test.hello"])
def test_a_parameter_that_the_service_does_not_have_is_ignored_where_all_are_known(
    sandbox: Caller, method: str
) -> None:
    reply = sandbox.send(method, jpeg(), doc_id="5412", public="0")
    assert reply["api"]["status"] == "ok"


def test_without_a_token_what_is_private_is_not_found(sandbox: Caller) -> None:
    for method in ("doc.get", "doc.getMedias", "doc.getContainers", "doc.tags.getList"):
        assert sandbox.code(sandbox.get(method, token=None, doc_id="5412")) == "1"
        assert sandbox.get(method, token=None, doc_id="5413")["api"]["status"] == "ok"


@pytest.mark.parametrize(
    "method", [name for name in PARAMETERS if METHODS[name].requires.verb == "POST"]
)
def test_a_writing_method_requires_post_a_signature_a_token_and_the_right(
    sandbox: Caller, method: str
) -> None:
    assert sandbox.code(sandbox.get(method)) == "120"
    unsigned = {"api_key": KEY, "lg": "en"}
    assert sandbox.code(sandbox.http.post(sandbox.url(method), data=unsigned).json()) == "104"
    assert sandbox.code(sandbox.post(method, token=None)) == "106"
    sandbox.change(permissions={"doc": "read"})
    assert sandbox.code(sandbox.post(method)) == "110"
