"""The Ray engine: Ray Data hands tasks to actors that hold one recogniser each.

Ray Data schedules, holds back, starts actors on nodes that join, and repeats the tasks of actors
and nodes that die. What is repeated gives the same part, so nothing else has to be remembered; its
own checkpoints are not used, since they would be a second record of the parts that are done.
"""

import logging
import pickle
import shutil
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Any

from emovox.archives.settings import WorkSpec
from emovox.archives.work import Processor, Task, TaskResult
from emovox.errors import EmovoxError
from emovox.experiments.jobs import ONE_THREAD

TASKS_PER_CORE = 64
"""Tasks of a dataset for each core of the cluster: few enough for the object store, and enough
that starting and ending it costs little."""

STORE_BYTES = 192 * 2**20
"""Object store of a Ray that is started here: tasks and parts are small."""


class TaskActor:
    """Processes tasks with one recogniser, in an actor of Ray Data.

    Args:
        spec: What to do, and with which model.
    """

    def __init__(self, spec: WorkSpec) -> None:
        self.processor = Processor(spec)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return a row with the result of the row's task."""
        task: Task = pickle.loads(row["task"])  # noqa: S301 - our own bytes
        return {"result": pickle.dumps(self.processor.process(task))}


class RayEngine:
    """Processes tasks on a Ray cluster.

    Args:
        jobs: Number of cores to use on this machine, if Ray is started here.
        address: Address of a running cluster; ``None`` starts Ray on this machine.
        processor: What the actors do.
        stopping: When set, the work is left: the tasks in progress are lost, and repeated later.

    Raises:
        EmovoxError: Ray is missing, or there is no cluster at the address.
    """

    def __init__(
        self, jobs: int, address: str | None, processor: Processor, stopping: Event
    ) -> None:
        import ray

        self.spec = processor.spec
        self.stopping = stopping
        self.folder: Path | None = None
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        # Threads are counted by Ray, or by these on nodes that were started by hand.
        variables = {"env_vars": {**ONE_THREAD, "RAY_USAGE_STATS_ENABLED": "0"}}
        try:
            if address is not None:
                ray.init(address=address, runtime_env=variables, **quiet)
            else:
                # A short name: sockets in it have paths of at most 107 bytes.
                self.folder = Path(tempfile.mkdtemp(prefix="ray-"))
                ray.init(
                    num_cpus=jobs,
                    object_store_memory=STORE_BYTES,
                    include_dashboard=False,
                    _temp_dir=str(self.folder),
                    runtime_env=variables,
                    **quiet,
                )
        except Exception as error:  # Ray's have no other class in common
            raise EmovoxError(
                f"no Ray cluster answers at {address or 'this machine'} "
                f"({' '.join(str(error).split())[:200]}); start one with 'ray start --head', or "
                "name another --address",
                code="cluster.unreachable",
            ) from error
        # Also what is said on stderr about every dataset.
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.execution_options.preserve_order = False

    def run(self, tasks: Iterator[Task]) -> Iterator[TaskResult]:
        """Yield the results of tasks as they finish.

        Args:
            tasks: Consumed in groups, for each of which a dataset is executed.
        """
        import ray

        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        n_cores = max(1, int(resources.get("CPU", 1)))
        while group := list(islice(tasks, TASKS_PER_CORE * n_cores)):
            rows = [{"task": pickle.dumps(task)} for task in group]
            # One block for each task: a block is what Ray Data hands out, and repeats.
            dataset = ray.data.from_items(rows, override_num_blocks=len(rows))
            results = dataset.map(
                TaskActor,  # type: ignore[arg-type]  # a class, which Ray Data makes actors of
                fn_constructor_args=(self.spec,),
                compute=ray.data.ActorPoolStrategy(
                    min_size=1, max_size=len(group), initial_size=min(n_cores, len(group))
                ),
                num_cpus=1,
            )
            for row in results.iter_rows():
                result: TaskResult = pickle.loads(row["result"])  # noqa: S301 - our own bytes
                yield result
                if self.stopping.is_set():
                    return

    def close(self) -> None:
        """Leave the cluster, and stop Ray if it was started here."""
        import ray

        ray.shutdown()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
