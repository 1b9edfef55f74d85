"""`make ui`: the sandbox and Airflow with its web UI, until Ctrl-C.

Every example runs with its form as it is.
"""

from __future__ import annotations

import csv
import signal
import sys
import tempfile
import time
from pathlib import Path

from PIL import ImageDraw, ImageFont, ImageOps

from ipernity_provider.sandbox import running_sandbox
from ipernity_provider.sandbox.pictures import PICTURES
from scripts.demo import client_of, draw_picture, interrupt, say
from scripts.rig import AirflowApi, airflow_env, connection_json, running_airflow

#: The documents and their new files; the manifest lists the last two.
NEW_FILES = {"5413": "mountains.jpg", "5414": "meadow.png", "5415": "night_city.jpg"}
MANIFEST = ("5414", "5415")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="ipernity-ui-") as place, running_sandbox() as sandbox:
        folder = Path(place, "pictures")
        prepare(folder, sandbox)
        say("Starting Airflow, half a minute ...")
        env = airflow_env(
            Path(place, "airflow"),
            IPERNITY_FOLDER=str(folder),
            AIRFLOW__IPERNITY__VIEW_ROOTS=str(folder),
        )
        with running_airflow(env) as airflow:
            set_up(airflow, sandbox, folder)
            say(f"  sandbox  {sandbox}")
            say(f"  Airflow  {airflow.base}/dags  (no login)")
            say(f"  files    {folder}")
            say("Press Trigger at any of the DAGs: its form is filled in. Ctrl-C ends both.")
            try:
                signal.pause()
            finally:
                say("Stopping, some seconds ...")


def prepare(folder: Path, sandbox: str) -> None:
    """Make the files that the examples' forms name.

    These are pictures, a manifest, and the backup of an earlier run.
    """
    (folder / "backups").mkdir(parents=True)
    draw_picture(folder / "boat.jpg")
    draw_picture(folder / "chart.png")
    for name in NEW_FILES.values():
        picture = ImageOps.mirror(PICTURES[Path(name).stem]())
        words = f"Replaced by Airflow, {time.strftime('%Y-%m-%d %H:%M:%S')}"
        ImageDraw.Draw(picture).text(
            (40, 930), words, fill="#eeeeee", font=ImageFont.load_default(40)
        )
        picture.save(folder / name)
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows(
            [("doc_id", "file"), *((doc_id, NEW_FILES[doc_id]) for doc_id in MANIFEST)]
        )
    with client_of(sandbox) as client:
        document = client.get_document("5413")
        original = client.get_medias(document.doc_id).original
        if original is None or original.url is None:
            raise RuntimeError("the sandbox shows no original of document 5413")
        backup = (
            folder / "backups" / f"{document.doc_id}-{document.md5}-20260101T030000Z.{original.ext}"
        )
        backup.write_bytes(b"".join(client.download(original.url)))


def set_up(airflow: AirflowApi, sandbox: str, folder: Path) -> None:
    """Give Airflow what the examples need: the connection and the pool.

    The connection lets files be sent from one folder.
    """
    airflow.store_connection(
        "ipernity_default", connection_json(sandbox, upload_roots=[str(folder)])
    )
    pool = {"name": "ipernity_uploads", "slots": 2, "description": "Uploads to ipernity at a time"}
    airflow.send("POST", "/pools", pool)


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
