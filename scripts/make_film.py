"""Make the sandbox's film, ``ipernity_provider/sandbox/film.mp4``, from drawn frames.

usage: python -m scripts.make_film     (needs ffmpeg with libx264; what it writes is committed)
"""

from __future__ import annotations

import subprocess
import sys

from ipernity_provider.sandbox.pictures import sunrise
from scripts.rig import ROOT

FILM = ROOT / "ipernity_provider" / "sandbox" / "film.mp4"
SIZE = (480, 320)
SECONDS, FRAMES_PER_SECOND = 2, 25


def main() -> int:
    frames = SECONDS * FRAMES_PER_SECOND
    raw = b"".join(
        sunrise(number / (frames - 1)).resize(SIZE).tobytes() for number in range(frames)
    )
    command = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-y"]
    command += ["-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", f"{SIZE[0]}x{SIZE[1]}"]
    command += ["-framerate", str(FRAMES_PER_SECOND), "-i", "-"]
    # What every browser plays, with the index first, and without the time and place of its making.
    command += [
        "-c:v",
        "libx264",
        "-pix_fmt",
        "yuv420p",
        "-profile:v",
        "main",
        "-crf",
        "24",
        "-preset",
        "veryslow",
    ]
    command += [
        "-movflags",
        "+faststart",
        "-fflags",
        "+bitexact",
        "-flags:v",
        "+bitexact",
        str(FILM),
    ]
    return subprocess.run(command, input=raw, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
