"""Ray Data on a real cluster: two raylets on this machine, one of which is killed on the way."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.archives.s3_server import S3Server, serve_s3

from emovox.archives.progress import ArchiveWatcher
from emovox.archives.run import archive
from emovox.archives.settings import ArchiveSettings

LIMIT_S = 600
STORE_BYTES = 80 * 2**20


@pytest.fixture(scope="module")
def s3(clips: Path) -> Iterator[S3Server]:
    with serve_s3(clips) as server:
        yield server


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Start the head of a cluster with one core, and stop all that was started."""
    # A node has half a minute to start, which is not enough on a busy machine.
    from ray._private import services
    from ray.cluster_utils import Cluster

    get_node = services.get_node

    def wait_for_node(*arguments: Any) -> Any:
        deadline = time.monotonic() + LIMIT_S
        while True:
            try:
                return get_node(*arguments)  # type: ignore[no-untyped-call]
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    monkeypatch.setattr(services, "get_node", wait_for_node)
    head = {"num_cpus": 1, "object_store_memory": STORE_BYTES, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        yield cluster
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call]


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for an event."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_two_nodes_one_killed_give_the_bytes_of_one_process(
    s3: S3Server,
    cluster: Any,
    settings: ArchiveSettings,
    tmp_path: Path,
    read_bytes: Callable[[Path], list[bytes]],
) -> None:
    source = f"{s3.address}/clips"
    archive(source, tmp_path / "local", settings, jobs=1)
    expected = read_bytes(tmp_path / "local")

    # One node, and a driver that fails in the middle and is started again.
    class Failing(ArchiveWatcher):
        def end_unit(self, *_: Any) -> None:
            if len([*(tmp_path / "one" / "parts").glob("*.parquet")]) == 5:
                raise RuntimeError("the driver fails")

    def run(name: str, watcher: ArchiveWatcher | None = None) -> None:
        archive(
            source,
            tmp_path / name,
            settings,
            engine="ray",
            address=cluster.address,
            watcher=watcher,
        )

    with pytest.raises(RuntimeError, match="the driver fails"):
        run("one", Failing())
    run("one")
    assert read_bytes(tmp_path / "one") == expected

    node = cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES)
    killed: list[Any] = []

    class Killing(ArchiveWatcher):
        def end_unit(self, *_: Any) -> None:
            if not killed:
                # Both nodes are in the middle of a recording.
                s3.gate.clear()
                wait_until(lambda: s3.n_waiting >= 2)
                cluster.remove_node(node, allow_graceful=False)
                killed.append(node)
                cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES)
                s3.gate.set()

    run("two", Killing())
    assert killed
    assert read_bytes(tmp_path / "two") == expected
