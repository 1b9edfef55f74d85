"""The view's HTML: templates, addresses, and how numbers are written."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from ipernity_provider.plugins.entries import TaskKey
from ipernity_provider.plugins.plugin import PREFIX


def path_of(key: TaskKey) -> str:
    dag_id, run_id, task_id = (
        quote(part, safe="") for part in (key.dag_id, key.run_id, key.task_id)
    )
    return f"/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/{key.map_index}"


def _task_address(airflow: str, key: TaskKey) -> str:
    """Return where Airflow's UI shows the task's log."""
    base, _, index = path_of(key).rpartition("/")
    return f"{airflow}{base}" + (f"/mapped/{index}" if key.map_index >= 0 else "")


def _run_address(airflow: str, key: TaskKey) -> str:
    return f"{airflow}{path_of(key).rpartition('/tasks/')[0]}"


def page_address(filters: Mapping[str, str], page: int) -> str:
    return "?" + urlencode(
        {name: value for name, value in filters.items() if value} | {"page": page}
    )


def _moment(when: datetime | None) -> str:
    return f"{when.astimezone(UTC):%d %b %Y, %H:%M} UTC" if when else ""


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _size(size: int | None) -> str:
    if size is None:
        return ""
    for unit, one in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= one:
            return f"{size / one:.1f} {unit}"
    return f"{size} bytes"


_templates = Environment(
    loader=PackageLoader("ipernity_provider.plugins"), autoescape=True, undefined=StrictUndefined
)
_templates.filters |= {
    "moment": _moment,
    "duration": _duration,
    "size": _size,
    "word": lambda outcome: outcome.replace("_", " "),
}


def render(request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
    root = str(request.scope.get("root_path", ""))
    airflow = root.removesuffix(f"/{PREFIX}")
    html = _templates.get_template(template).render(
        root=root,
        airflow=airflow,
        page_of=lambda key: f"{root}{path_of(key)}",
        run_of=lambda key: _run_address(airflow, key),
        log_of=lambda key: _task_address(airflow, key),
        **values,
    )
    return Response(html, status_code=status, media_type="text/html")
