"""Where tasks run: settings of a recipe that never change the result, and are therefore no part of a run's identity."""

import re
from dataclasses import dataclass, field
from enum import StrEnum

from twllm_types import ConfigError

_OPTION_NAME = re.compile(r"[a-z][a-z0-9-]*")
# what the driver decides itself; another value would make it wait for the wrong tasks
_RESERVED_OPTIONS = ("array", "chdir", "error", "input", "job-name", "output", "parsable", "wait", "wrap")
# with these no job starts, or one that squeue and scancel, which ask this cluster only, do not find
_UNSUITABLE_OPTIONS = ("M", "cluster", "clusters", "help", "test-only", "usage", "version")


class ExecutorName(StrEnum):
    """Where the tasks of a run are worked on."""

    LOCAL = "local"
    RAY = "ray"
    SLURM = "slurm"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerOptions:
    """A container by Slurm's plug-in pyxis, in which a task runs (`srun --container-image=…`).

    Attributes:
        image: registry image or squashfs file, as pyxis takes it.
        mounts: `SRC:DST[:FLAGS]`, one each; the run folder, the inputs and the working folder must be among them under
            the same path.

    Raises:
        ConfigError: a value is empty or holds a line break.
    """

    image: str
    mounts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_lines("image", self.image)
        _check_lines("mounts", *self.mounts)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmOptions:
    """How the array job of a stage is submitted; None leaves the choice to the cluster.

    Attributes:
        account: that pays.
        partition: queue.
        qos: quality of service.
        time: limit for one array element, as Slurm writes it (`02:00:00`).
        cpus_per_task: of one array element, >= 1. A task uses one core; more bring more memory on some clusters.
        mem: memory of one array element, as Slurm writes it (`4G`).
        sbatch: further options by their long names without dashes (`constraint: cpu`); a value of null is a flag.
        setup: shell lines that run on the node before the task, as they stand (`module load python`).
        python: interpreter on the node; None takes the one that runs the command.
        command_prefix: words before the interpreter, each one word (`[apptainer, exec, image.sif]`).
        container: container by pyxis; None uses none.
        max_array_size: most array elements of a job, where a limit of the account is lower than the cluster's; None
            takes the cluster's `MaxArraySize`. Where there are more tasks, an element does several.
        poll_seconds: between two questions to `squeue`, > 0.
        controller_patience_seconds: how long `squeue` may fail before the run stops, >= 0.

    Raises:
        ConfigError: a number is out of range, a text is empty or holds a line break, an option is reserved.
    """

    account: str | None = None
    partition: str | None = None
    qos: str | None = None
    time: str | None = None
    cpus_per_task: int = 1
    mem: str | None = None
    sbatch: dict[str, str | int | None] = field(default_factory=dict[str, str | int | None])
    setup: tuple[str, ...] = ()
    python: str | None = None
    command_prefix: tuple[str, ...] = ()
    container: ContainerOptions | None = None
    max_array_size: int | None = None
    poll_seconds: float = 10.0
    controller_patience_seconds: float = 600.0

    def __post_init__(self) -> None:
        for name in ("account", "partition", "qos", "time", "mem", "python"):
            if (value := getattr(self, name)) is not None:
                _check_lines(name, value)
        _check_lines("setup", *self.setup)
        _check_lines("command_prefix", *self.command_prefix)
        for name, value in self.sbatch.items():
            _check_option(name, value)
        if self.cpus_per_task < 1:
            raise ConfigError(f"cpus_per_task is {self.cpus_per_task}; give a number >= 1")
        if self.max_array_size is not None and self.max_array_size < 1:
            raise ConfigError(f"max_array_size is {self.max_array_size}; give a number >= 1, or null")
        if self.poll_seconds <= 0:
            raise ConfigError(f"poll_seconds is {self.poll_seconds}; give a number > 0")
        if self.controller_patience_seconds < 0:
            raise ConfigError(f"controller_patience_seconds is {self.controller_patience_seconds}; give a number >= 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class RayOptions:
    """Which Ray runs the tasks, and what a task reserves there.

    Attributes:
        address: of a running cluster (`auto`, `host:6379`); None takes the environment's RAY_ADDRESS, else starts Ray
            on this machine for the time of the run.
        cpus_per_task: cores that a task reserves, >= 1.
        memory_bytes: memory that a task reserves, > 0; None reserves none. Some node must have both at the start.

    Raises:
        ConfigError: a number is out of range, or the address is empty or that of a Ray client (`ray://`).
    """

    address: str | None = None
    cpus_per_task: int = 1
    memory_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.address is not None:
            _check_lines("address", self.address)
            if self.address.startswith("ray://"):
                raise ConfigError(f"address is {self.address!r}; give the cluster's own host:port (6379 by default)")
        if self.cpus_per_task < 1:
            raise ConfigError(f"cpus_per_task is {self.cpus_per_task}; give a number >= 1")
        if self.memory_bytes is not None and self.memory_bytes < 1:
            raise ConfigError(f"memory_bytes is {self.memory_bytes}; give a number > 0, or null")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionOptions:
    """Settings of the executors; only those of the chosen one are used.

    Attributes:
        slurm: of `--executor slurm`.
        ray: of `--executor ray`.
    """

    slurm: SlurmOptions = field(default_factory=SlurmOptions)
    ray: RayOptions = field(default_factory=RayOptions)


def _check_option(name: str, value: str | int | None) -> None:
    # sbatch also takes the beginning of a name
    if name and any(option.startswith(name) for option in _UNSUITABLE_OPTIONS):
        raise ConfigError(f"sbatch holds {name!r}, with which the command could not follow its job; remove it")
    if not _OPTION_NAME.fullmatch(name):
        raise ConfigError(f"sbatch holds {name!r}; write the long name of an option without dashes before it")
    if any(option.startswith(name) for option in _RESERVED_OPTIONS):
        raise ConfigError(f"sbatch holds {name!r}, which the command sets itself; remove it")
    if isinstance(value, str):
        _check_lines(f"sbatch.{name}", value)


def _check_lines(name: str, *values: str) -> None:
    for value in values:
        if not value.strip():
            raise ConfigError(f"{name} holds an empty text; remove it")
        if len(value.splitlines()) > 1 or "\0" in value or value.endswith(("\n", "\r")):
            raise ConfigError(f"{name} holds a line break; write it on one line")
