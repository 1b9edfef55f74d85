"""The names that Airflow has moved or added since 3.1, wherever the installed version has them."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from airflow.sdk import conf
    from airflow.sdk.exceptions import (
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSensorTimeout,
        AirflowSkipException,
        AirflowTaskTimeout,
    )
    from airflow.sdk.execution_time.context import NEVER_EXPIRE
else:
    try:
        from airflow.sdk import conf
        from airflow.sdk.exceptions import (
            AirflowFailException,
            AirflowNotFoundException,
            AirflowSensorTimeout,
            AirflowSkipException,
            AirflowTaskTimeout,
        )
    except ImportError:  # Airflow 3.1
        from airflow.configuration import conf
        from airflow.exceptions import (
            AirflowFailException,
            AirflowNotFoundException,
            AirflowSensorTimeout,
            AirflowSkipException,
            AirflowTaskTimeout,
        )
    try:
        from airflow.sdk.execution_time.context import NEVER_EXPIRE
    except ImportError:  # before Airflow 3.3, which has a task state store
        NEVER_EXPIRE = timedelta.max


#: Held for each call to the supervisor of a task, where threads make some: `dag.test()` (Airflow
#: 3.3.2) takes the way to its supervisor away from the process while it serves a request, and
#: another thread would meet an ImportError.
SUPERVISOR_LOCK = threading.RLock()


def conn_id_of(path: Any) -> str | None:
    """Return the connection of an ``ObjectStoragePath``; before Airflow 3.2 it is an option."""
    if hasattr(path, "conn_id"):
        return cast("str | None", path.conn_id)
    return cast("str | None", path.storage_options.get("conn_id"))


__all__ = [
    "NEVER_EXPIRE",
    "SUPERVISOR_LOCK",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "AirflowTaskTimeout",
    "conf",
    "conn_id_of",
]
