"""What is remembered of documents in Airflow Variables, as a task reads and writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import ErrorResponse, GetVariable, PutVariable, VariableResult

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.details import get_details
from ipernity_provider.api.errors import TransientError
from ipernity_provider.bulk.manifest import ManifestError
from ipernity_provider.hooks.ipernity import IpernityHook
from ipernity_provider.hooks.memory import VariableMemory
from ipernity_provider.replacement.errors import Refused
from ipernity_provider.replacement.memory import Remembered
from tests.conftest import BOAT, Connect, Service, draw

KEY = "ipernity_api.ipernity.com_5412"


class Supervisor:
    """The process above a task, as far as Variables go.

    :ivar trouble: what it answers instead.
    """

    def __init__(self) -> None:
        self.stored: dict[str, str] = {}
        self.trouble: ErrorType | None = None
        self.asked = 0

    def send(self, message: Any) -> Any:
        if not isinstance(message, GetVariable | PutVariable):
            return None  # what to mask
        self.asked += 1
        if self.trouble:
            raise AirflowRuntimeError(ErrorResponse(error=self.trouble))
        if isinstance(message, PutVariable):
            self.stored[message.key] = str(message.value)
            return None
        if message.key not in self.stored:
            return ErrorResponse(error=ErrorType.VARIABLE_NOT_FOUND)
        return VariableResult(key=message.key, value=self.stored[message.key])


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    supervisor = Supervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    return supervisor


@pytest.fixture
def memory() -> VariableMemory:
    return VariableMemory("https://api.ipernity.com")


def test_a_variable_for_each_document_keeps_what_is_known(
    supervisor: Supervisor, memory: VariableMemory
) -> None:
    assert memory.read("5412") is None
    known = Remembered(successor="10001", visibility=(True, False, False))
    memory.write("5412", known)
    assert memory.read("5412") == known
    assert memory.read("5413") is None
    assert supervisor.stored[KEY] == '{"successor": "10001", "visibility": [true, false, false]}'


def test_the_variables_of_two_services_are_different() -> None:
    assert VariableMemory("http://127.0.0.1:5000").key("5412") == "ipernity_127.0.0.1-5000_5412"


@pytest.mark.parametrize("error", [ErrorType.API_SERVER_ERROR, ErrorType.GENERIC_ERROR])
def test_a_variable_that_cannot_be_read_does_not_count_as_missing(
    supervisor: Supervisor, memory: VariableMemory, error: ErrorType
) -> None:
    supervisor.trouble = error
    with pytest.raises(TransientError, match=rf"{KEY} cannot be read .*Nothing was sent"):
        memory.read("5412")
    with pytest.raises(TransientError, match=f"{KEY} cannot be written"):
        memory.write("5412", Remembered())


def test_a_variable_that_a_person_has_spoilt_is_refused(
    supervisor: Supervisor, memory: VariableMemory
) -> None:
    supervisor.stored[KEY] = "10001"
    with pytest.raises(Refused, match=f"{KEY} should say what is known of document 5412"):
        memory.read("5412")


@pytest.mark.socket
def test_the_hook_follows_what_it_has_remembered(
    service: Service,
    client: IpernityClient,
    connect: Connect,
    supervisor: Supervisor,
    tmp_path: Path,
) -> None:
    service.set(replace_mode="new_document")
    hook = IpernityHook(connect())
    for shade in ("10", "20"):
        file = draw(tmp_path / f"{shade}.jpg", f"#{shade}0000")
        result = hook.replace_file(BOAT, file, on_new_document="transfer", poll_interval=0.1)
        assert (result["outcome"], result["doc_id"]) == ("transferred", BOAT)
        assert isinstance(result["transferred"], list)
        assert get_details(client, result["new_doc_id"]).title == "A boat"
    assert [entry["doc_id"] for entry in service.ledger()] == [BOAT, "10001"]
    assert len(supervisor.stored) == 2


@pytest.mark.socket
def test_nothing_is_asked_of_airflow_where_nothing_can_be_remembered(
    service: Service, connect: Connect, supervisor: Supervisor, picture: Path
) -> None:
    result = IpernityHook(connect()).replace_file(BOAT, picture, poll_interval=0.1)
    assert result["outcome"] == "replaced"
    assert supervisor.asked == 0


@pytest.mark.socket
def test_a_manifest_may_not_name_a_document_and_its_successor(
    service: Service, connect: Connect, supervisor: Supervisor, tmp_path: Path
) -> None:
    hook = IpernityHook(connect())
    key = f"ipernity_{service.url.partition('://')[2].replace(':', '-')}_{BOAT}"
    supervisor.stored[key] = '{"successor": "5413"}'
    rows = [(doc_id, draw(tmp_path / f"{doc_id}.jpg", f"#{doc_id}00")) for doc_id in (BOAT, "5413")]
    with pytest.raises(
        ManifestError, match=f"item 2: .* at item 1, are one by now: {BOAT} -> 5413"
    ):
        hook.replace_files(rows, on_new_document="transfer", dry_run=True)
    assert service.calls() == {}
    foreseen = hook.replace_files(rows[:1], on_new_document="transfer", dry_run=True)
    assert foreseen["planned"] == 1
