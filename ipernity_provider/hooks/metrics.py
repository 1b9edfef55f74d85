"""What is measured goes to Airflow's own statistics: to StatsD, OpenTelemetry, or nowhere."""

from __future__ import annotations

from importlib import import_module

from ipernity_provider import metrics

# The task SDK and Airflow's server components have each their own; a process sets up one of them.
_OF_TASKS = ("airflow.sdk.observability.stats", "airflow.stats")
_OF_SERVERS = ("airflow.observability.stats", "airflow.stats")


def measure_task() -> None:
    """Send what this process measures to the statistics of tasks, unless it is sent already."""
    if type(metrics.sink) is metrics.Sink:
        _send_to_first(_OF_TASKS)


def measure_triggerer() -> None:
    """Send what this process measures to the statistics of the triggerer."""
    _send_to_first(_OF_SERVERS)


def _send_to_first(modules: tuple[str, ...]) -> None:
    for name in modules:
        try:
            metrics.sink = import_module(name).Stats
        except ImportError:  # Airflow 3.1 has the last one only
            continue
        return
