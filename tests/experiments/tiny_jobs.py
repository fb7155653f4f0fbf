"""Jobs for worker processes, which import this module, and a program that is killed."""

import os
import signal
import sys
from functools import partial

from emovox.errors import AudioError
from emovox.experiments.jobs import ONE_THREAD, Job, Workers
from emovox.progress import Watcher


def multiply(number: int, context: int, watcher: Watcher) -> int:
    watcher.start_clips("numbers", number)
    watcher.end_clip()
    return number * context


def describe_process(_: int, __: Watcher) -> tuple[int, list[str | None]]:
    return os.getpid(), [os.environ.get(name) for name in ONE_THREAD]


def fail(_: int, __: Watcher) -> None:
    raise AudioError("is empty", code="audio.empty", source="a.wav")


class OddError(Exception):
    """An error that cannot be unpickled."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(one + other)


def fail_oddly(_: int, __: Watcher) -> None:
    raise OddError("o", "dd")


def die(_: int, __: Watcher) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def go_on(_: int, watcher: Watcher) -> None:
    while True:
        watcher.end_clip()


class Announcer(Watcher):
    """Prints a line for the first update of each job."""

    def start_job(self, title: str) -> Watcher:
        self.title = title
        return Announcer()

    def end_clip(self) -> None:
        if not hasattr(self, "heard"):
            self.heard = True
            sys.stdout.write("running\n")
            sys.stdout.flush()


def work_until_killed() -> None:
    # Ignored otherwise if the tests were started in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with Workers(2, 0) as workers:
        for _ in workers.run([Job("endless", partial(go_on)) for _ in range(2)], Announcer()):
            pass


if __name__ == "__main__":
    work_until_killed()
