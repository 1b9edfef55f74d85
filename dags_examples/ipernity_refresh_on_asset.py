"""Refresh a document when its file is written, and each night in any case."""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, CronTriggerTimetable

from ipernity_provider.operators.ipernity import ReplaceFileOperator

# Where the files of the examples are. The DAG processor's environment decides.
FOLDER = os.environ.get("IPERNITY_FOLDER", "/data/ipernity")
CHART = Asset("ipernity_chart", uri=f"file://{FOLDER}/chart.png")

with DAG(
    "ipernity_refresh_on_asset",
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("30 3 * * *", timezone="UTC"), assets=[CHART]
    ),
    catchup=False,
    is_paused_upon_creation=True,  # try it by hand first
    max_active_runs=1,
    dag_display_name="ipernity: refresh by asset or time",
    tags=["ipernity", "example"],
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    doc_md="""
Runs after each event of the asset `ipernity_chart`, and at 03:30 UTC, for the night on which the
event was missed. A run that finds nothing new costs one question.
""",
) as dag:
    ReplaceFileOperator(
        task_id="replace",
        doc_id="5412",
        file=f"{FOLDER}/chart.png",
        deferrable=True,
    )
