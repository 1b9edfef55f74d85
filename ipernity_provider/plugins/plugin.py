"""The view *ipernity replacements*, as Airflow's plugin manager reads it.

Airflow loads this module in each of its processes, workers too, so it imports next to nothing: the
app is made where the API server asks for it.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from airflow.plugins_manager import AirflowPlugin

#: Below it lie the pages. They are named without a slash in front: so they also lead to the right
#: place where Airflow itself lies below a path.
PREFIX = "ipernity"


class IpernityPlugin(AirflowPlugin):
    """A list of all replacements in the navigation, and a tab on each task instance.

    It is found by its entry point alone. With ``plugins`` in the provider's metadata as well,
    Airflow would load it twice where ``lazy_discover_providers`` is off, and report a conflict.
    """

    name = "ipernity"
    external_views: list[Any] = [  # noqa: RUF012 - as Airflow declares it
        {
            "name": "ipernity replacements",
            "href": f"{PREFIX}/replacements",
            "destination": "nav",
            "category": "browse",
            "url_route": "ipernity-replacements",
        },
        {
            "name": "ipernity",
            "href": f"{PREFIX}/dags/{{DAG_ID}}/runs/{{RUN_ID}}/tasks/{{TASK_ID}}/{{MAP_INDEX}}",
            "destination": "task_instance",
            "url_route": "ipernity-replacement",
        },
    ]

    @cached_property
    def fastapi_apps(self) -> list[Any]:  # type: ignore[override]
        from ipernity_provider.plugins.app import make_app

        return [{"app": make_app(), "url_prefix": f"/{PREFIX}", "name": "ipernity replacements"}]
