"""Slurm's commands, as functions. Jobs are found by their names, which are unique."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from twllm_types import RunError

COMMANDS = ("sbatch", "squeue", "scontrol", "scancel")
_TIMEOUT_SECONDS = 120
_MAX_ARRAY_SIZE = re.compile(r"^MaxArraySize\s*=\s*(\d+)", re.MULTILINE)


class ControllerError(Exception):
    """Slurm did not answer; it may do so later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRow:
    """A line of `squeue`: a running element, or several waiting ones.

    Attributes:
        job: `12_0`, or `12_[3-9%2]`.
        state: `PENDING`, `RUNNING`, …
        reason: why it waits, or the node.
    """

    job: str
    state: str
    reason: str


def missing_commands() -> tuple[str, ...]:
    """Return those of Slurm's commands that are not on PATH."""
    return tuple(command for command in COMMANDS if shutil.which(command) is None)


def max_array_size() -> int:
    """Return how many elements the cluster allows in one array.

    Raises:
        RunError: Slurm does not answer, or allows no arrays.
    """
    try:
        found = _MAX_ARRAY_SIZE.search(_ask("scontrol", "show", "config"))
    except ControllerError as error:
        raise RunError(f"{error}; run the same command again when Slurm answers") from error
    if found is None or int(found[1]) < 1:
        raise RunError("scontrol show config names no MaxArraySize above 0; ask the cluster's staff for job arrays")
    return int(found[1])


def submit(words: Sequence[str]) -> str:
    """Call `sbatch` and return the job's number.

    Raises:
        RunError: Slurm refuses the job; the message is Slurm's.
    """
    try:
        # "12", or "12;cluster"
        return _ask("sbatch", *words).strip().split(";")[0]
    except ControllerError as error:
        raise RunError(
            f"{error}; correct execution.slurm in the recipe, or wait for Slurm, then run the same command again, it "
            "continues"
        ) from error


def queue(name: str) -> tuple[QueueRow, ...]:
    """Return what the queue holds of the job `name`; nothing once it has ended.

    Raises:
        ControllerError: Slurm did not answer.
    """
    lines = _ask("squeue", "--me", "--noheader", f"--name={name}", "--format=%i|%T|%R").splitlines()
    rows = [line.strip().split("|", 2) for line in lines if line.count("|") >= 2]
    return tuple(QueueRow(job=job, state=state, reason=reason) for job, state, reason in rows)


def cancel(name: str) -> None:
    """Cancel the job `name`; one that has ended is no error.

    Raises:
        ControllerError: Slurm did not answer.
    """
    _ask("scancel", "--me", f"--name={name}")


def _ask(*words: str) -> str:
    """Call one of Slurm's commands.

    Raises:
        ControllerError: it failed, or took too long.
    """
    # inside of a job (salloc) the variables of that job would become options of ours
    environment = {
        name: value for name, value in os.environ.items() if name == "SLURM_CONF" or not name.startswith("SLURM_")
    }
    try:
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_TIMEOUT_SECONDS,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ControllerError(f"{words[0]} does not answer ({error})") from error
    if done.returncode != 0:
        raise ControllerError(f"{words[0]} failed: {' '.join(done.stderr.split()) or f'exit code {done.returncode}'}")
    return done.stdout
