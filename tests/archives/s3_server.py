"""An S3 server on this machine (moto), which can fail, cut bodies short, or hold requests."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

import pytest

BUCKET = "archive"


class S3Server:
    """A server with one bucket, in threads of this process.

    Attributes:
        address: Address of the bucket for fsspec.
        endpoint: Where the server listens.
        failing: How many of the next reads of objects are answered by 500.
        cut: How many of the reads after these end in the middle.
        gate: Reads of objects wait while it is not set.
        n_waiting: Reads that wait.
        n_reads: Reads of objects so far, failed ones included.
    """

    def __init__(self) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._respond, threaded=True)
        self._lock = Lock()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self.address = f"s3://{BUCKET}"
        self.failing = self.cut = self.n_waiting = self.n_reads = 0
        self.gate = Event()
        self.gate.set()
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def fill(self, folder: Path) -> None:
        """Create the bucket, with the files of a folder."""
        import boto3

        client = boto3.client("s3", endpoint_url=self.endpoint, region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        for path in sorted(folder.iterdir()):
            client.put_object(Bucket=BUCKET, Key=f"clips/{path.name}", Body=path.read_bytes())

    def stop(self) -> None:
        """Stop the server."""
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _respond(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request, or fail as asked."""
        is_read = environ["REQUEST_METHOD"] == "GET" and environ["PATH_INFO"].endswith(".wav")
        if not is_read:
            return self._app(environ, start)  # type: ignore[no-any-return]
        with self._lock:
            self.n_reads += 1
            self.n_waiting += 1
            fails, cuts = self.failing > 0, self.failing <= 0 < self.cut
            self.failing -= fails
            self.cut -= cuts
        self.gate.wait()
        with self._lock:
            self.n_waiting -= 1
        if fails:
            start("500 Internal Server Error", [("Content-Length", "0")])
            return [b""]
        body: Iterable[bytes] = self._app(environ, start)
        if not cuts:
            return body
        whole = b"".join(body)
        return [whole[: len(whole) // 2]]


@contextmanager
def serve_s3(folder: Path) -> Iterator[S3Server]:
    """Serve the files of a folder, with credentials and address in the environment."""
    from s3fs import S3FileSystem

    server = S3Server()
    # A file system is kept for all who ask for it, with the address of an earlier server.
    S3FileSystem.clear_instance_cache()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ENDPOINT_URL", server.endpoint)
        try:
            server.fill(folder)
            yield server
        finally:
            server.stop()
