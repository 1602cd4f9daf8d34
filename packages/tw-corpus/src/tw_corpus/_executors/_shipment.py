"""A stage on its way to another machine, and the checks that the machine is fit to run it."""
# datatrove's executors carry partial types only
# pyright: standard

import os
import pickle
import socket
import sys
from pathlib import Path
from typing import Any

from tw_corpus._executors._task import Failure, TaskRunner, run_rank
from twllm_runs import installed_versions
from twllm_types import RunError, TwllmError

# another version on a node would decide otherwise, and nobody would see it
_DECISIVE = ("tw-corpus", "datatrove")


def pack_stage(runner: TaskRunner, logging_folder: Path) -> bytes:
    """Return the stage as bytes: what runs, and from which folder, import paths and versions it comes.

    The folder `logging_folder` must exist; whether a node sees it is the test whether it sees the run.
    """
    header = {
        "stage": runner.stage_name,
        "versions": installed_versions(_DECISIVE),
        "folder": str(logging_folder.absolute()),
        "cwd": str(Path.cwd()),
        "paths": _own_import_paths(),
        "runner": pickle.dumps(runner),
    }
    return pickle.dumps(header)


def run_packed(packed: bytes, rank: int) -> Failure | None:
    """Run one task of a packed stage in this process; like `run_rank`, an error becomes a value.

    This changes the process's working folder and import paths to those of the command, so that relative inputs and
    modules beside them mean the same.
    """
    # what the command itself packed a moment ago and, with Slurm, wrote into its own run folder
    header: dict[str, Any] = pickle.loads(packed)  # noqa: S301
    try:
        _check_node(header)
        os.chdir(header["cwd"])
        sys.path.extend(path for path in header["paths"] if path not in sys.path)
        # as above
        runner: TaskRunner = pickle.loads(header["runner"])  # noqa: S301
    except TwllmError as error:
        return Failure.of(error)
    except (ImportError, AttributeError) as error:
        return Failure.of(
            RunError(
                f"stage {header['stage']!r} cannot start on {socket.gethostname()}: {error}; install the same packages "
                "there as here, then run the same command again, it continues"
            )
        )
    return run_rank(runner, rank)


def _own_import_paths() -> list[str]:
    """Return the import paths that do not belong to the environment: a node's environment has its own."""
    environment = {sys.prefix, sys.base_prefix}
    paths = [str(Path(path).absolute()) for path in sys.path]
    return [path for path in paths if not any(Path(path).is_relative_to(prefix) for prefix in environment)]


def _check_node(header: dict[str, Any]) -> None:
    node = socket.gethostname()
    for folder in (header["folder"], header["cwd"]):
        if not Path(folder).is_dir():
            raise RunError(
                f"node {node} does not see {folder}; run folder, inputs and working folder must have the same path on "
                "all nodes (share them, or mount them in the container), then run the same command again, it continues"
            )
    versions = installed_versions(_DECISIVE)
    if versions != header["versions"]:
        raise RunError(
            f"node {node} has {_shown(versions)}, the command {_shown(header['versions'])}; install the same versions, "
            "then run the same command again, it continues"
        )


def _shown(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(versions.items())) or "no tw-corpus"
