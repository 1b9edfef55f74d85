"""Waits for the next month's upload volume: in the triggerer, and by being rescheduled."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from ipernity_provider.sensors.quota import IpernityQuotaSensor

with DAG("quota", schedule=None, catchup=False, params={"min_bytes": 0}) as dag:

    def wait(task_id: str, **options: Any) -> IpernityQuotaSensor:
        return IpernityQuotaSensor(
            task_id=task_id,
            min_bytes="{{ params.min_bytes }}",
            timeout=timedelta(minutes=10),
            # Kept in Airflow's database: a trigger reaches it by another way than one from the
            # environment.
            ipernity_conn_id="ipernity_stored",
            **options,
        )

    wait("deferred", deferrable=True, poke_interval=2.0)
    wait("rescheduled", deferrable=False, poke_interval=8.0)
