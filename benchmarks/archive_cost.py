"""Measure where the time of an archive goes, and estimate what a million hours cost.

    python benchmarks/archive_cost.py FOLDER --price 0.04

Times one thread on a sample of recordings: reading and hashing, decoding to the model's rate,
speech detection, and the model; then ``predict`` and ``timeline`` as a whole. Prints shares, and
core-hours, money and bytes of output for a million hours of such recordings. Times are of the
processor, so that a busy machine changes them little; the network is not in them.
"""

import argparse
import io
import time
from collections.abc import Callable
from pathlib import Path

from emovox.archives.addresses import hash_file
from emovox.archives.settings import ArchiveSettings, make_spec
from emovox.archives.work import Processor, Task
from emovox.audio.load import load_audio

HOURS = 1_000_000


def measure_cpu_s(function: Callable[[], object]) -> float:
    """Return the processor time of a call in seconds."""
    began_s = time.process_time()
    function()
    return time.process_time() - began_s


def main() -> None:
    """Print the shares and the estimate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--price", type=float, default=0.04, help="Price of a core-hour.")
    arguments = parser.parse_args()
    suffixes = (".wav", ".flac", ".opus", ".mp3", ".m4a", ".ogg")
    paths = sorted(p for p in arguments.folder.rglob("*") if p.suffix.lower() in suffixes)
    paths = paths[:: max(1, len(paths) // arguments.clips)][: arguments.clips]
    processor = Processor(make_spec(ArchiveSettings(), ()))
    recognizer = processor.recognizer
    rate_hz = recognizer.info.sample_rate_hz
    recognizer.predict(paths[0])
    waveforms = [load_audio(path, rate_hz) for path in paths]
    audio_h = sum(waveform.duration_s for waveform in waveforms) / 3_600

    stages = {
        "reading, hashing": lambda: [hash_file(io.BytesIO(p.read_bytes())) for p in paths],
        "decoding": lambda: [load_audio(path, rate_hz) for path in paths],
        "speech detection": lambda: [recognizer.has_speech(w) for w in waveforms],
        "the model": lambda: [recognizer.score_waveform(w) for w in waveforms],
    }
    times_s = {name: measure_cpu_s(function) for name, function in stages.items()}
    total_s = sum(times_s.values())
    print(f"{len(paths)} recordings, {3_600 * audio_h / len(paths):.1f} s each\n")
    for name, cpu_s in times_s.items():
        print(f"{name:<20}{1_000 * cpu_s / len(paths):8.2f} ms {cpu_s / total_s:6.0%}")
    items = [
        {"recording": n, "source": str(path), "bytes": None, "start_s": None, "end_s": None,
         "member": None, "offset": None, "speaker": None, "voice": None}
        for n, path in enumerate(paths)
    ]  # fmt: skip
    print(f"\n{'':<12}{'times real time':>16}{'core-hours':>12}{'price':>10}{'GB of rows':>12}")
    for what in ("predict", "timeline"):
        chosen = Processor(make_spec(ArchiveSettings(what=what), ()))
        chosen.process(Task(0, items[:1]))
        contents: list[bytes] = []

        def run(chosen: Processor = chosen, contents: list[bytes] = contents) -> None:
            contents.append(chosen.process(Task(0, items)).content or b"")

        cpu_h = measure_cpu_s(run) / 3_600
        core_hours = HOURS * cpu_h / audio_h
        # Without what a file of no rows has: a million rows share it.
        n_bytes = len(contents[0]) - len(chosen.process(Task(0, [])).content or b"")
        gigabytes = HOURS * n_bytes / audio_h / 1e9
        print(
            f"{what:<12}{audio_h / cpu_h:16,.0f}{core_hours:12,.0f}"
            f"{arguments.price * core_hours:10,.0f}{gigabytes:12.1f}"
        )


if __name__ == "__main__":
    main()
