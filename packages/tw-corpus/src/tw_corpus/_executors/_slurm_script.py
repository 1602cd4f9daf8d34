"""What is told to Slurm: the options of an array job and the script that its elements run."""

import shlex
from math import ceil
from pathlib import Path

from tw_corpus._execution_options import SlurmOptions


def ranks_per_element(num_ranks: int, *, max_elements: int) -> int:
    """Return how many tasks one array element does, so that at most `max_elements` are needed; 1 for no task."""
    return max(1, ceil(num_ranks / max_elements))


def sbatch_words(options: SlurmOptions, *, name: str, num_elements: int, workers: int, folder: Path) -> list[str]:
    """Return the words after `sbatch`, one option each; as words they need no quoting.

    Args:
        options: of the recipe.
        name: of the job, by which it is found again.
        num_elements: of the array, >= 1.
        workers: most elements at once.
        folder: of the submission; holds `script.sh` and `logs/`.
    """
    named = {
        "account": options.account,
        "partition": options.partition,
        "qos": options.qos,
        "time": options.time,
        "mem": options.mem,
    }
    # in a file name of sbatch, % begins a field
    log = str(folder / "logs").replace("%", "%%") + "/%a.txt"
    words = [
        "--parsable",
        f"--job-name={name}",
        f"--array=0-{num_elements - 1}%{workers}",
        "--ntasks=1",
        f"--cpus-per-task={options.cpus_per_task}",
        f"--output={log}",
        *(f"--{key}={value}" for key, value in named.items() if value is not None),
    ]
    if "requeue" not in options.sbatch:
        # an element that Slurm starts again might write beside one that a lost node still runs
        words.append("--no-requeue")
    words += [f"--{key}" if value is None else f"--{key}={value}" for key, value in sorted(options.sbatch.items())]
    return [*words, str(folder / "script.sh")]


def render_script(options: SlurmOptions, *, folder: Path, python: str) -> str:
    """Return the script of an array element.

    The last command replaces the shell, so that it is the task itself that Slurm signals and whose exit code counts.

    Args:
        options: of the recipe.
        folder: of the submission.
        python: interpreter, where the recipe names none.
    """
    command = [
        *_container_words(options),
        *options.command_prefix,
        options.python or python,
        "-m",
        "tw_corpus._executors._slurm_task",
        str(folder),
    ]
    lines = ["#!/bin/bash", *options.setup, f'exec {shlex.join(command)} "$SLURM_ARRAY_TASK_ID"']
    return "\n".join(lines) + "\n"


def _container_words(options: SlurmOptions) -> list[str]:
    """Return the words before the command that start it in a pyxis container."""
    if options.container is None:
        return []
    # since Slurm 22.05 srun does not take over the cores of sbatch
    words = ["srun", "--ntasks=1", f"--cpus-per-task={options.cpus_per_task}"]
    words.append(f"--container-image={options.container.image}")
    if options.container.mounts:
        words.append(f"--container-mounts={','.join(options.container.mounts)}")
    return words
