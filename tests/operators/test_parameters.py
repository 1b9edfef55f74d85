"""The parameters of all operators and sensors: refused by name, when parsed or once rendered."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.bases.operator import BaseOperator

from ipernity_provider.hooks.ipernity import IpernityHook
from ipernity_provider.hooks.parameters import ParameterError
from ipernity_provider.operators.ipernity import ReplaceFileOperator, ReplaceFilesOperator
from ipernity_provider.sensors.ipernity import IpernityQuotaSensor, TicketSensor
from tests.airflow_exceptions import AirflowFailException, AirflowSkipException
from tests.conftest import BOAT, Connect, Service
from tests.operators.test_operator import context

MAKERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "file": (ReplaceFileOperator, {"doc_id": BOAT, "file": "/data/boat.jpg"}),
    "files": (ReplaceFilesOperator, {"manifest": [{"doc_id": BOAT, "file": "/data/boat.jpg"}]}),
    "tickets": (TicketSensor, {"tickets": "12345-1"}),
    "volume": (IpernityQuotaSensor, {"min_bytes": 1}),
}
OPERATORS, SENSORS, ALL = ("file", "files"), ("tickets", "volume"), tuple(MAKERS)


def make(kind: str, **options: Any) -> Any:
    cls, needed = MAKERS[kind]
    return cls(task_id="task", **{**needed, **options})


@pytest.fixture(autouse=True)
def connection(connect: Connect) -> None:
    connect()


@pytest.mark.parametrize(
    ("kinds", "name", "wrong"),
    [
        (ALL, "deferrable", ("no", None, 1, "{{ params.x }}")),
        (ALL, "timeout", (-1, "soon", True, float("nan"), timedelta(seconds=-1), [])),
        (OPERATORS, "poll_interval", (0, -1, "nan", False, None, "{{ params.x }}")),
        (SENSORS, "poke_interval", (-1, "often", True, float("inf"))),
        (("file",), "wait_for_completion", ("false", None)),
        (OPERATORS, "dry_run", ("perhaps", None, 3, [True])),
        (OPERATORS, "if_unchanged", (None, True)),
        (OPERATORS, "proof", (None, 5)),
        (OPERATORS, "on_new_document", (None, False)),
        (OPERATORS, "on_uncertain", (None, False)),
        (("files",), "on_error", (None, False)),
        (("files",), "max_parallel_uploads", (0, 17, 2.5, True, "two", None)),
        (("volume",), "min_bytes", (-1, "2 GiB", True, None)),
    ],
)
def test_what_cannot_be_right_is_refused_by_name_and_value_when_the_dag_is_parsed(
    kinds: tuple[str, ...], name: str, wrong: tuple[Any, ...]
) -> None:
    for kind in kinds:
        for value in wrong:
            if (kind, name, value) == ("tickets", "timeout", None):
                continue
            with pytest.raises(ParameterError) as caught:
                make(kind, **{name: value})
            assert str(caught.value).startswith(f"{name} is {value!r}: give ")


@pytest.mark.parametrize("kind", ALL)
def test_durations_are_seconds_as_number_as_text_or_as_timedelta(kind: str) -> None:
    interval = "poke_interval" if kind in SENSORS else "poll_interval"
    for value in (90, 90.0, "90", timedelta(seconds=90)):
        task = make(kind, timeout=value, **{interval: value})
        assert (task.timeout, getattr(task, interval)) == (90.0, 90.0)


@pytest.mark.parametrize("kind", OPERATORS)
def test_a_default_of_the_dag_is_checked_as_well(kind: str) -> None:
    with (
        DAG("any", schedule=None, default_args={"dry_run": "perhaps"}),
        pytest.raises(ParameterError, match=r"^dry_run is 'perhaps'"),
    ):
        make(kind)


@pytest.mark.parametrize("kind", OPERATORS)
def test_the_output_of_another_task_is_taken_where_a_template_is(kind: str) -> None:
    with DAG("any", schedule=None):
        other = BaseOperator(task_id="other")
        task = make(kind, dry_run=other.output, if_unchanged=other.output, proof=other.output)
    assert task.upstream_task_ids == {"other"}
    with (
        DAG("any", schedule=None),
        pytest.raises(ParameterError, match=r"^poll_interval is .*Templates are not rendered"),
    ):
        make(kind, poll_interval=BaseOperator(task_id="other").output)


@pytest.mark.parametrize("name", ["dry_run", "if_unchanged", "proof", "backup_to"])
def test_a_mapped_task_comes_after_the_task_that_a_parameter_is_the_output_of(name: str) -> None:
    with DAG("any", schedule=None):
        output: Any = BaseOperator(task_id="other").output
        shared: dict[str, Any] = {"doc_id": BOAT, name: output}
        mapped = ReplaceFileOperator.partial(task_id="mapped", **shared).expand(file=["a", "b"])
    assert mapped.upstream_task_ids == {"other"}


def test_a_wrong_option_is_reported_before_the_manifest_is_read(service: Service) -> None:
    task = make("files", manifest="/not/there.csv", proof="{{ params.word }}")
    with pytest.raises(AirflowFailException, match=r"^proof is 'perhaps'; it must be one of"):
        rendered(task, word="perhaps").execute(context())


def rendered(task: Any, **params: Any) -> Any:
    task.render_template_fields({"params": params})
    return task


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        ("false", "replaced"), (False, "replaced"), ("No", "replaced"), ("0", "replaced"),
        (True, "planned"), (1, "planned"),
    ],
)  # fmt: skip
def test_a_rehearsal_is_what_the_template_says(
    service: Service, picture: Path, given: Any, outcome: str
) -> None:
    task = make("file", file=str(picture), dry_run="{{ params.rehearse }}", poll_interval=0.1)
    assert rendered(task, rehearse=given).execute(context())["outcome"] == outcome
    rows = [{"doc_id": BOAT, "file": str(picture)}]
    many = make(
        "files",
        manifest=rows,
        dry_run="{{ params.rehearse }}",
        if_unchanged="replace",
        poll_interval=0.1,
    )
    assert rendered(many, rehearse=given).execute(context())[outcome] == 1
    assert len(service.ledger()) == (2 if outcome == "replaced" else 0)


@pytest.mark.parametrize("kind", OPERATORS)
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("dry_run", "^dry_run is 'perhaps': give True or False"),
        ("if_unchanged", "^if_unchanged is 'perhaps'; it must be one of"),
        ("proof", "^proof is 'perhaps'; it must be one of"),
        ("on_new_document", "^on_new_document is 'perhaps'; it must be one of"),
        ("on_uncertain", "^on_uncertain is 'perhaps'; it must be one of"),
    ],
)
def test_what_a_template_makes_wrong_fails_the_task_before_a_call(
    service: Service, picture: Path, kind: str, name: str, sentence: str
) -> None:
    task = make(kind, **{name: "{{ params.word }}"})
    with pytest.raises(AirflowFailException, match=sentence):
        rendered(task, word="perhaps").execute(context())
    assert service.calls() == {}


def test_a_choice_is_what_the_template_says(service: Service, picture: Path) -> None:
    again = {"file": str(picture), "if_unchanged": "{{ params.word }}", "poll_interval": 0.1}
    assert (
        rendered(make("file", **again), word="succeed").execute(context())["outcome"] == "replaced"
    )
    with pytest.raises(AirflowSkipException):
        rendered(make("file", **again), word="skip").execute(context())
    assert len(service.ledger()) == 1


def test_the_hook_names_a_wrong_option_as_well(service: Service, picture: Path) -> None:
    hook = IpernityHook()
    for wrong in (
        {"dry_run": "false"},
        {"check_account": None},
        {"timeout": "soon"},
        {"poll_interval": 0},
        {"resend_grace": True},
    ):
        ((name, value),) = wrong.items()
        with pytest.raises(ParameterError) as caught:
            hook.replace_file(BOAT, str(picture), **wrong)
        assert str(caught.value).startswith(f"{name} is {value!r}: give ")
    assert service.calls() == {}
    result = hook.replace_file(
        BOAT, str(picture), timeout="20", poll_interval=timedelta(seconds=0.1)
    )
    assert result["outcome"] == "replaced"


def test_parsing_a_dag_loads_no_http_library_of_the_package() -> None:
    """Measured against Airflow's own modules, which load one of their own."""
    script = (
        "import sys, airflow.sdk, airflow.sdk.bases.sensor, airflow.sdk.exceptions;"
        " before = set(sys.modules);"
        "from ipernity_provider.operators.ipernity import *;"
        " from ipernity_provider.sensors.ipernity import *;"
        "ReplaceFileOperator(task_id='a', doc_id='1', file='x',"
        " dry_run='{{ params.x }}', timeout='30');"
        "ReplaceFilesOperator(task_id='b', manifest='x.csv');"
        " TicketSensor(task_id='c', tickets='1-2');"
        "IpernityQuotaSensor(task_id='d', min_bytes=1); print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = done.stdout.splitlines()[-1].split()
    assert "ipernity_provider.hooks.parameters" in loaded
    ours = {
        "requests",
        "requests_oauthlib",
        "urllib3",
        "ipernity_provider.api.client",
        "ipernity_provider.replacement",
    }
    assert not ours & set(loaded)
