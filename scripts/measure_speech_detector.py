"""Measure how often the speech detector misses real speech, and its time per recording.

    EMOVOX_DATA=data .venv/bin/python scripts/measure_speech_detector.py [FOLDER ...]

The detector's threshold was chosen on RAVDESS actors 1-12; the second, slower pass for screams on
all 24 actors; songs and most of nEMO were not used. Folders with recordings without speech can be
given as arguments and are measured too. Times are CPU time of one thread, after decoding.
"""

import sys
import time
from pathlib import Path

import numpy as np
import typer

from emovox.audio.folders import list_audio_files
from emovox.audio.load import load_audio
from emovox.corpora.read import load_clips
from emovox.recognition.voice_activity import RATE_HZ, SpeechDetector


def main(folders: list[str]) -> None:
    """Print a line for each set of recordings."""
    speech, nemo, songs = (load_clips(None, [name]) for name in ("ravdess", "nemo", "ravdess-song"))
    sets = {
        "RAVDESS speech, actors 1-12": [c.path for c in speech if int(c.speaker) <= 12],
        "RAVDESS speech, actors 13-24": [c.path for c in speech if int(c.speaker) > 12],
        "nEMO, every fifth clip": [c.path for c in nemo[::5]],
        "RAVDESS song, every fifth clip": [c.path for c in songs[::5]],
        **{folder: list_audio_files(folder) for folder in folders},
    }
    detector = SpeechDetector()
    for name, paths in sets.items():
        typer.echo(f"{name}: {measure_set(detector, paths)}")


def measure_set(detector: SpeechDetector, paths: list[Path]) -> str:
    """Return the number of recordings without detected speech, and the median time."""
    seconds, silent = [], 0
    for path in paths:
        waveform = load_audio(path, RATE_HZ)
        start = time.process_time()
        silent += not detector.has_speech(waveform)
        seconds.append(time.process_time() - start)
    return (
        f"{silent} of {len(paths):,} called no speech ({silent / len(paths):.2%}), "
        f"{1_000 * float(np.median(seconds)):.1f} ms each"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
