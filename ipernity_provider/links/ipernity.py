"""Links from a task to the document's page, to a new document's, and to the report.

A worker works them out when the task ends, in whatever way, from the XComs that it has pushed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


class DocumentLink(BaseOperatorLink):
    """The page of the document that a task replaces; known as soon as the service has named it."""

    name = "Document"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        return _xcom(ti_key, "url")


class NewDocumentLink(BaseOperatorLink):
    """The page of the document that the service has created instead of replacing."""

    name = "New document"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        new_doc_id = _xcom(ti_key, "new_doc_id")
        # Both have one owner: https://www.ipernity.com/doc/<owner>/<number>.
        owner, slash, _ = _xcom(ti_key, "url").rpartition("/")
        return f"{owner}{slash}{new_doc_id}" if new_doc_id and slash else ""


class ReportLink(BaseOperatorLink):
    """The report of a task with many documents, as a table in Airflow's UI."""

    name = "Report"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        from ipernity_provider.airflow_compat import conf

        if not _xcom(ti_key, "report"):
            return ""
        base = conf.get("api", "base_url", fallback="") or ""
        dag_id, run_id, task_id = (
            quote(part, safe="") for part in (ti_key.dag_id, ti_key.run_id, ti_key.task_id)
        )
        page = f"/ipernity/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/{ti_key.map_index}"
        return base.rstrip("/") + page


def _xcom(ti_key: TaskInstanceKey, key: str) -> str:
    from airflow.sdk.execution_time.xcom import XCom

    value: Any = XCom.get_value(ti_key=ti_key, key=key)
    return "" if value is None else str(value)
