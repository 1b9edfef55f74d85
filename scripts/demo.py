"""`make demo`: the main job, once, for real, against the sandbox.

Needs no account and no network.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.models import Document
from ipernity_provider.sandbox import running_sandbox
from scripts.rig import (
    EXAMPLES,
    ROOT,
    SANDBOX_ACCOUNT,
    airflow_env,
    connection_json,
    migrate,
    session_of,
)

DAG_ID = "ipernity_replace_file"
DOC_ID = "5412"


def main() -> int:
    with (
        tempfile.TemporaryDirectory(prefix="ipernity-demo-") as folder,
        running_sandbox() as sandbox,
    ):
        home = Path(folder)
        say(f"The sandbox stands in for ipernity.com: {sandbox}")
        picture = draw_picture(home / "boat-at-night.jpg")
        env = airflow_env(home / "airflow", AIRFLOW_CONN_IPERNITY_DEFAULT=connection_json(sandbox))
        say("Airflow makes its database in a home of its own ...")
        migrate(env)
        with client_of(sandbox) as client:
            before = client.get_document(DOC_ID)
            say(f"Airflow runs the DAG {DAG_ID}: document {DOC_ID}, file {picture.name} ...")
            started = time.monotonic()
            result = run_dag(env, home, {"document": DOC_ID, "file": str(picture)})
            seconds = time.monotonic() - started
            tell(before, client.get_document(DOC_ID), result, seconds)
    print(json.dumps(result))
    return 0


def client_of(sandbox: str) -> IpernityClient:
    return IpernityClient(**SANDBOX_ACCOUNT, base_url=sandbox)


def draw_picture(path: Path) -> Path:
    """A picture that differs at each call."""
    picture = Image.new("RGB", (960, 640), "#0b1d3a")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 430, 960, 640), fill="#12345a")
    draw.polygon([(330, 440), (630, 440), (580, 500), (380, 500)], fill="#8a4b2d")
    draw.polygon([(470, 170), (470, 425), (620, 425)], fill="#f2e8cf")
    draw.ellipse((740, 70, 830, 160), fill="#f5f1d6")
    words = f"Replaced by Airflow, {time.strftime('%Y-%m-%d %H:%M:%S')}"
    draw.text((32, 580), words, fill="#dddddd", font=ImageFont.load_default(32))
    picture.save(path, quality=90)
    return path


def run_dag(env: dict[str, str], home: Path, conf: dict[str, str]) -> dict[str, Any]:
    """Run the DAG and return the result of its task.

    :raises SystemExit: the run failed, or one of its tasks needed a second try.
    """
    outcome_file, log = home / "outcome.json", home / "run.log"
    command = [sys.executable, "-m", "scripts.run_dag"]
    command += [
        str(EXAMPLES / f"{DAG_ID}.py"),
        DAG_ID,
        str(outcome_file),
        "--conf",
        json.dumps(conf),
    ]
    with session_of(command, {**env, "PYTHONPATH": str(ROOT)}, log) as run:
        run.wait()
    outcome: dict[str, Any] = {"state": "failed", "tasks": {}}
    if outcome_file.exists():
        outcome = json.loads(outcome_file.read_text())
    if problem := problem_of(outcome):
        raise SystemExit(f"{problem} The end of its log:\n{log.read_text()[-4000:]}")
    return dict(outcome["tasks"]["replace"]["result"])


def problem_of(outcome: dict[str, Any]) -> str:
    """Return what is wrong with the run.

    Empty if it succeeded and each task did so at its first try.
    """
    if outcome["state"] != "success":
        return f"The DAG run is not green: {outcome['state']}."
    tries = {
        task_id: task["tries"] for task_id, task in outcome["tasks"].items() if task["tries"] != 1
    }
    return " ".join(
        f"The task {task_id!r} needed {count} tries." for task_id, count in tries.items()
    )


def tell(before: Document, after: Document, result: dict[str, Any], seconds: float) -> None:
    say("")
    say(f"  document   {after.doc_id} ({after.title})")
    say(f"  old file   {before.filename}, {before.bytes} bytes, md5 {before.md5}")
    say(f"  new file   {after.filename}, {after.bytes} bytes, md5 {after.md5}")
    say(f"  outcome    {result['outcome']}, proven by {result['proof']}")
    say(f"  page       {after.link} (while the sandbox runs: `make ui`)")
    say(f"  time       {seconds:.1f} s for the DAG run, each task at its first try")
    say("")


def say(line: str) -> None:
    print(line, flush=True)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    # Also where a script started us with SIGINT ignored: what was started must be stopped.
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        say("Interrupted; everything that was started is stopped.")
        sys.exit(130)
    except (RuntimeError, OSError, subprocess.SubprocessError) as problem:
        sys.exit(f"The demo could not run: {problem}")
