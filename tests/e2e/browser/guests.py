"""Accounts of which one may not read each DAG: Airflow's simple accounts may read all or none."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager


class Guests(SimpleAuthManager):
    """The account ``guest`` may read every DAG but ``private``."""

    def is_authorized_dag(self, *, user: Any, details: Any = None, **rest: Any) -> bool:
        hidden = user.username == "guest" and details is not None and details.id == "private"
        return not hidden and super().is_authorized_dag(user=user, details=details, **rest)
