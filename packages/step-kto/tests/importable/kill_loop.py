"""Kills a loop at every stage and goes on each time; run as a program, which forks so that torch is imported once.

python kill_loop.py START_MODEL FOLDER prints a JSON object: how each start ended, and the hashes of the last one.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import transformers  # noqa: F401 - imported once, before the forks

import step_kto._stage_build as stage_build
import step_kto._stage_evaluate as stage_evaluate
import step_kto._stage_label as stage_label
import step_kto._stage_sample as stage_sample
import step_kto._stage_train as stage_train
import step_kto.training  # noqa: F401 - likewise
from step_kto._iterate import run_iterate

sys.path.insert(0, str(Path(__file__).parent))

from step_fakes import SilentProgress, make_start_model, tiny_recipe


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def at(name: str, count: int) -> Callable[[], SilentProgress]:
    """Dies when a task of this name has counted so far."""

    def progress() -> SilentProgress:
        return SilentProgress(lambda task, done: die() if (task, done) == (name, count) else None)

    return progress


def around(module: ModuleType, name: str, *, before: bool) -> Callable[[], SilentProgress]:
    """Dies before or behind the first call of a function of a stage."""

    def progress() -> SilentProgress:
        real = getattr(module, name)

        def deadly(*args: Any, **kwargs: Any) -> Any:
            if not before:
                real(*args, **kwargs)
            die()

        setattr(module, name, deadly)
        return SilentProgress()

    return progress


KILLS: dict[str, Callable[[], SilentProgress]] = {
    "evaluate the start: sampling": at("sampling", 3),
    "evaluate the start: labelling": at("labelling", 5),
    "evaluate the start: figures": around(stage_evaluate, "evaluation_figures", before=False),
    "sample": at("sampling", 21),
    "sample: before the summary": around(stage_sample, "_failures", before=True),
    "label": at("labelling", 21),
    "label: before the summary": around(stage_label, "label_summary", before=True),
    "build: before the set": around(stage_build, "write_solutions", before=True),
    "build: behind the set": around(stage_build, "write_solutions", before=False),
    "train: first update": at("training", 1),
    "train: third update": at("training", 3),
    "train: before the model": around(stage_train, "write_folder", before=True),
    "train: behind the model": around(stage_train, "write_folder", before=False),
}


def start(model: Path, folder: Path, kill: Callable[[], SilentProgress]) -> int:
    """Run the loop in a child and return how it ended: a signal as a negative number."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            run_iterate(tiny_recipe(model), output=folder, progress=kill())
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> None:
    model, folder = Path(sys.argv[1]), Path(sys.argv[2])
    if not model.exists():
        make_start_model(model)
    ends = {name: start(model, folder / "parts", kill) for name, kill in KILLS.items()}
    ends["undisturbed"] = start(model, folder / "parts", SilentProgress)
    whole = run_iterate(tiny_recipe(model), output=folder / "whole", progress=SilentProgress())
    parts = run_iterate(tiny_recipe(model), output=folder / "parts", progress=SilentProgress())
    json.dump({"ends": ends, "whole": whole.hashes(), "parts": parts.hashes()}, sys.stdout)


if __name__ == "__main__":
    main()
