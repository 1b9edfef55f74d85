"""A chart is drawn, its document on ipernity.com follows, and people hear of it if it changed.

Three DAGs, joined by assets: none knows when the others run.
"""

from __future__ import annotations

import os
import struct
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Asset, task

from ipernity_provider.assets.ipernity import ipernity_document
from ipernity_provider.operators.ipernity import ReplaceFileOperator

# Where the files of the examples are. The DAG processor's environment decides.
FOLDER = os.environ.get("IPERNITY_FOLDER", "/data/ipernity")
CHART = Asset("ipernity_chart", uri=f"file://{FOLDER}/chart.png")
DOCUMENT = ipernity_document("5412")
DEFAULTS = {"retries": 2, "retry_delay": timedelta(minutes=1)}


@task(outlets=[CHART])
def draw_chart() -> None:
    """Draw today's chart; your plotting library does this better."""
    height = datetime.now(UTC).day
    rows = [b"\x00" + bytes([200 if 31 - y <= height else 40]) * 320 for y in range(32)]
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", 320, 32, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"".join(rows))),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    Path(FOLDER, "chart.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


@task
def tell_people(triggering_asset_events: Any = None) -> list[str]:
    """Say what has changed; a notifier of yours goes here."""
    events = (triggering_asset_events or {}).get(DOCUMENT, [])
    changes = [event.extra for event in events]
    lines = [f"{change['url']} shows a new chart: md5 {change['md5_after']}" for change in changes]
    print(*lines, sep="\n")
    return lines


with DAG(
    "ipernity_chart_draw",
    schedule="0 6 * * *",
    catchup=False,
    is_paused_upon_creation=True,  # try it by hand first
    dag_display_name="ipernity: draw a chart",
    tags=["ipernity", "example"],
    default_args=DEFAULTS,
    doc_md="Draws a chart each morning. Its asset event starts `ipernity_chart_replace`.",
) as draw:
    draw_chart()

with DAG(
    "ipernity_chart_replace",
    schedule=[CHART],
    catchup=False,
    is_paused_upon_creation=True,
    dag_display_name="ipernity: replace the chart",
    tags=["ipernity", "example"],
    default_args=DEFAULTS,
    doc_md="Runs after each drawing. Where the chart looks as before, nothing is sent.",
) as replace:
    ReplaceFileOperator(
        task_id="replace",
        doc_id="5412",
        file=f"{FOLDER}/chart.png",
        deferrable=True,
        # Not needed for the event: it shows the document in Airflow's graph of assets.
        outlets=[DOCUMENT],
    )

with DAG(
    "ipernity_chart_notify",
    schedule=[DOCUMENT],
    catchup=False,
    is_paused_upon_creation=True,
    dag_display_name="ipernity: tell about a new chart",
    tags=["ipernity", "example"],
    default_args=DEFAULTS,
    doc_md="Runs only when the document has changed: an unchanged one sends no asset event.",
) as notify:
    tell_people()
