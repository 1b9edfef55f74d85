"""What is remembered of documents, in Airflow Variables: all tasks share them, people see them.

They exist in every version of Airflow, outlive runs, and can be written by a task. Asset state
(3.3) belongs to an asset that the task must name as its outlet.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ipernity_provider.airflow_compat import SUPERVISOR_LOCK
from ipernity_provider.api.errors import TransientError
from ipernity_provider.replacement.memory import Remembered, unreadable

_RUNNER = "airflow.sdk.execution_time.task_runner"


@dataclass(frozen=True)
class VariableMemory:
    """Keeps a Variable for each document of which there is something to remember.

    :param base_url: the service's address: ids are those of one service, whoever asks.
    """

    base_url: str

    def key(self, doc_id: str) -> str:
        """Return the name of a document's Variable, e.g. ``ipernity_api.ipernity.com_5412``."""
        place = re.sub(r"[^a-z0-9.-]", "-", urlsplit(self.base_url).netloc.lower())
        return f"ipernity_{place}_{doc_id}"

    def read(self, doc_id: str) -> Remembered | None:
        """Return what is known of a document.

        :raises Refused: the Variable cannot be read as such.
        :raises TransientError: Airflow does not answer.
        """
        key = self.key(doc_id)
        with SUPERVISOR_LOCK:
            text = _ask_supervisor(key) if _in_task() else _ask_backends(key)
        try:
            return Remembered.from_json(text) if text else None
        except (ValueError, TypeError, AttributeError):
            raise unreadable(f"Airflow's Variable {key}", doc_id) from None

    def write(self, doc_id: str, remembered: Remembered) -> None:
        """Store what is known of a document.

        :raises TransientError: Airflow does not store it.
        """
        about = f"What airflow-provider-ipernity knows of document {doc_id}."
        put = _put_by_supervisor if _in_task() else _put_in_database
        try:
            with SUPERVISOR_LOCK:
                put(self.key(doc_id), remembered.to_json(), about)
        except Exception as error:
            raise TransientError(
                f"Airflow's Variable {self.key(doc_id)} cannot be written"
                f" ({type(error).__name__}). A retry continues."
            ) from error


def _in_task() -> bool:
    return hasattr(sys.modules.get(_RUNNER), "SUPERVISOR_COMMS")


def _put_by_supervisor(key: str, value: str, description: str) -> None:
    """Store a Variable; before Airflow 3.3 ``Variable.set`` only logs that it could not."""
    from airflow.sdk.execution_time.comms import PutVariable
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    SUPERVISOR_COMMS.send(PutVariable(key=key, value=value, description=description))


def _put_in_database(key: str, value: str, description: str) -> None:
    """Store a Variable from a command, which has the database, and no supervisor."""
    from airflow.models import Variable

    Variable.set(key, value, description=description)  # noqa: AIR311


def _ask_supervisor(key: str) -> str | None:
    """Return a Variable.

    ``Variable.get`` reports one that could not be read as missing, and a missing successor would
    mean another new document.
    """
    from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
    from airflow.sdk.execution_time.comms import ErrorResponse, GetVariable
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    try:
        answer: Any = SUPERVISOR_COMMS.send(GetVariable(key=key))
    except AirflowRuntimeError as error:
        answer = error.error
    if isinstance(answer, ErrorResponse):
        if answer.error == ErrorType.VARIABLE_NOT_FOUND:
            return None
        raise TransientError(
            f"Airflow's Variable {key} cannot be read ({answer.error.value}). Nothing was sent. A"
            " retry may succeed."
        )
    value: str | None = answer.value
    return value


def _ask_backends(key: str) -> str | None:
    """Return a Variable from wherever a command finds it; for the reason above, one by one."""
    from airflow.configuration import ensure_secrets_loaded

    for backend in ensure_secrets_loaded():
        try:
            value: str | None = backend.get_variable(key=key)
        except Exception as error:
            place = type(backend).__name__
            raise TransientError(
                f"Airflow's Variable {key} cannot be read ({type(error).__name__}, {place})."
                " Nothing was sent. A retry may succeed."
            ) from error
        if value is not None:
            return value
    return None
