"""The oldest declared versions, with the DAG of all deferrable classes; `make matrix` runs more."""

from __future__ import annotations

import pytest

from scripts.matrix import run_oldest


@pytest.mark.timeout(900)  # Airflow is downloaded
def test_on_the_oldest_versions_each_class_that_defers_is_green_at_the_first_try() -> None:
    airflow, outcome = run_oldest()
    assert airflow.startswith("3.2.")
    assert outcome == "1 passed"
