"""Tasks on Ray: on a running cluster, or on this machine for the time of the run."""
# Ray is an extra, and typed in part
# pyright: standard

import logging
import os
import signal
import socket
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tw_corpus._execution_options import RayOptions
from tw_corpus._executors._shipment import pack_stage, run_packed
from tw_corpus._executors._task import (
    Failure,
    Stage,
    TaskRunner,
    ignore_note,
    raise_file_limit,
    redirect_output,
    worker_died,
)
from twllm_types import ConfigError, RunError

_POLL_SECONDS = 0.2
_STOP_SECONDS = 30.0
_KNOCK_SECONDS = 10.0
_STARTS = 2
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Ray else warns that a later version will not hide the GPUs from tasks that ask for none; ours never look
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # where the command was started by `uv run`, Ray else starts every worker by `uv run` too, in a folder of its own;
    # nodes have the environment at the same path
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
}


def run_on_ray(packed: bytes, rank: int, log: str) -> Failure | None:
    """Run a task of a packed stage in a Ray worker, on whatever node."""
    raise_file_limit()
    # a node that does not see the run folder says so in `run_packed`
    if Path(log).parent.is_dir():
        redirect_output(Path(log))
    return run_packed(packed, rank)


class RayTasks:
    """At most `num_workers` Ray tasks at once; a `TaskExecutor`. A Ray that runs in this process already is used."""

    def __init__(self, num_workers: int, options: RayOptions, *, log: Path) -> None:
        """Prepare; Ray is started or joined on entering.

        Args:
            num_workers: tasks in flight, >= 1.
            options: which Ray.
            log: file that takes what the workers print; its folder exists, on every node.
        """
        self._num_workers = num_workers
        self._options = options
        self._log = log.absolute()
        self._in_flight: dict[Any, int] = {}
        self._started = False

    def __enter__(self) -> Self:
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        import ray

        if not ray.is_initialized():
            with _sigterm_kept():
                _start(ray, self._options, self._num_workers)
            self._started = True
        try:
            _check_room(ray.nodes(), self._options)
        except ConfigError:
            self.__exit__(None, None, None)
            raise
        options: dict[str, Any] = {"num_cpus": self._options.cpus_per_task, "max_retries": 0}
        if self._options.memory_bytes is not None:
            options["memory"] = self._options.memory_bytes
        self._remote = ray.remote(run_on_ray).options(**options)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import ray

        try:
            # stopped or failed: what is in progress will be done again, and must not go on beside it
            for reference in self._in_flight:
                ray.cancel(reference, force=True)
            if self._in_flight:
                ray.wait(list(self._in_flight), num_returns=len(self._in_flight), timeout=_STOP_SECONDS)
        finally:
            self._in_flight = {}
            if self._started:
                with _sigterm_kept():
                    ray.shutdown()

    def run(
        self,
        stage: Stage,
        *,
        logging_folder: Path,
        on_wait: Callable[[int], None],
        # Ray does not say what a task waits for
        on_note: Callable[[str], None] = ignore_note,  # noqa: ARG002
    ) -> None:
        """Run the tasks of `stage` that are not yet completed; see `TaskExecutor`.

        Raises:
            RunError: a task failed or a worker died; the other tasks' results are kept.
        """
        import ray

        logging_folder.mkdir(parents=True, exist_ok=True)
        runner = TaskRunner(stage, logging_folder.absolute())
        waiting = runner.incomplete_ranks()
        waiting.reverse()
        num_done = stage.num_tasks - len(waiting)
        packed = ray.put(pack_stage(runner, logging_folder))
        while waiting or self._in_flight:
            while waiting and len(self._in_flight) < self._num_workers:
                rank = waiting.pop()
                self._in_flight[self._remote.remote(packed, rank, str(self._log))] = rank
            done, _ = ray.wait(list(self._in_flight), num_returns=1, timeout=_POLL_SECONDS)
            for reference in done:
                self._check(reference, stage)
                num_done += 1
            on_wait(num_done)
        on_wait(num_done)

    def _check(self, reference: Any, stage: Stage) -> None:
        import ray
        from ray.exceptions import RayError, RayTaskError

        rank = self._in_flight.pop(reference)
        try:
            failure: Failure | None = ray.get(reference)
        except RayTaskError as error:
            # our own errors come back as values, so this one was met before our code ran
            raise RunError(
                f"stage {stage.name!r}, task {rank} could not start on a Ray worker ({type(error.cause).__name__}: "
                f"{error.cause}); install tw-corpus on every node, then run the same command again, it continues"
            ) from error
        except RayError as error:
            raise worker_died(stage.name, log=self._log) from error
        if failure is not None:
            raise failure.error()


def _start(ray: Any, options: RayOptions, num_workers: int) -> None:
    """Join the cluster that is named, else start Ray on this machine.

    Raises:
        ConfigError: there is no cluster at the address, or it refuses us.
        RunError: Ray does not start here.
    """
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    address = options.address or os.environ.get("RAY_ADDRESS")
    if address is None:
        _start_here(ray, include_dashboard=False, num_cpus=num_workers * options.cpus_per_task, **quiet)
        return
    try:
        _knock(address)
        ray.init(address=address, **quiet)
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"no Ray cluster lets us in at {address!r} ({_one_line(error)}); start one with `ray start --head`, set "
            "RAY_AUTH_MODE=token where it asks for a token, or leave execution.ray.address out to start Ray on this "
            "machine"
        ) from error


def _start_here(ray: Any, **options: Any) -> None:
    """Start Ray on this machine; twice, since it gives itself half a minute, which a busy machine may exceed."""
    for attempt in range(_STARTS):
        try:
            ray.init(**options)
        # a time-out of Ray's start is a bare Exception
        except Exception as error:
            ray.shutdown()
            if attempt == _STARTS - 1:
                raise RunError(
                    f"Ray does not start here ({_one_line(error)}); run the same command again when the machine is "
                    "less busy, or with --executor local, it continues"
                ) from error
        else:
            return


def _check_room(nodes: Sequence[dict[str, Any]], options: RayOptions) -> None:
    """Refuse what no node has: Ray would wait for such a node for ever.

    Raises:
        ConfigError: a task reserves more than any node has; the message names the key of the recipe.
    """
    resources: list[dict[str, float]] = [node["Resources"] for node in nodes if node["Alive"]]
    wanted = {"CPU": options.cpus_per_task, "memory": options.memory_bytes or 0}
    for resource, key in (("CPU", "cpus_per_task"), ("memory", "memory_bytes")):
        most = int(max((has.get(resource, 0) for has in resources), default=0))
        if wanted[resource] > most:
            raise ConfigError(
                f"execution.ray.{key} is {wanted[resource]}, and no node of this Ray has more than {most}; lower it, "
                "or start a larger node first"
            )
    if not any(all(has.get(name, 0) >= amount for name, amount in wanted.items()) for has in resources):
        raise ConfigError(
            f"no node of this Ray has both execution.ray.cpus_per_task {options.cpus_per_task} and "
            f"execution.ray.memory_bytes {options.memory_bytes}; lower one, or start a larger node first"
        )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _knock(address: str) -> None:
    """Try whether somebody listens at `host:port`; Ray itself would try for minutes.

    Raises:
        OSError: nobody does.
    """
    host, _, port = address.rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=_KNOCK_SECONDS).close()


@contextmanager
def _sigterm_kept() -> Generator[None]:
    """Undo that Ray replaces the handler of SIGTERM: ours stops the run so that the same command continues it."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        # only the main thread can, and only there Ray does
        with suppress(ValueError):
            signal.signal(signal.SIGTERM, before)
