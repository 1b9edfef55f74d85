"""`make ui`: the sandbox and Airflow with its web UI, until Ctrl-C."""

from __future__ import annotations

import signal
import sys
import tempfile
from pathlib import Path

from ipernity_provider.sandbox import running_sandbox
from scripts.demo import draw_picture, interrupt, say
from scripts.rig import airflow_env, connection_json, running_airflow


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="ipernity-ui-") as folder, running_sandbox() as sandbox:
        home = Path(folder)
        picture = draw_picture(home / "boat-at-night.jpg")
        say("Starting Airflow, half a minute ...")
        env = airflow_env(home / "airflow", AIRFLOW_CONN_IPERNITY_DEFAULT=connection_json(sandbox))
        with running_airflow(env) as airflow:
            say(f"  sandbox  {sandbox}")
            say(f"  Airflow  {airflow.base}/dags/ipernity_replace_file  (no login)")
            say(f"Press Trigger there, with document 5412 and the file {picture}. Ctrl-C ends both.")
            try:
                signal.pause()
            finally:
                say("Stopping, some seconds ...")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    try:
        main()
    except KeyboardInterrupt:
        say("Stopped.")
        sys.exit(0)
    except (RuntimeError, OSError) as problem:
        sys.exit(f"Airflow or the sandbox could not start: {problem}")
