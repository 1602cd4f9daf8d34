"""Slurm's commands for machines without Slurm: an array job is one process here that does its elements in turn.

Files in the folder $FAKE_SLURM change what happens: `refuse` (sbatch fails), `lose` (a job never starts), `silent`
(squeue fails as often as the file says), `hold` (a job waits, pending), `no_arrays` (scontrol allows none).
"""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

_NAMES = ("sbatch", "squeue", "scontrol", "scancel")


def write_commands(folder: Path) -> Path:
    """Write executables into `folder`, to be put on PATH, and return the folder for $FAKE_SLURM."""
    state = folder / "state"
    state.mkdir(parents=True)
    for name in _NAMES:
        path = folder / name
        path.write_text(f'#!/bin/bash\nexec {sys.executable} -S {__file__} {name} "$@"\n', encoding="utf-8")
        path.chmod(0o755)
    return state


def _option(words: list[str], name: str) -> str:
    return next(word.split("=", 1)[1] for word in words if word.startswith(f"--{name}="))


def _fail(text: str) -> int:
    sys.stderr.write(f"{text}\n")
    return 1


def _sbatch(state: Path, words: list[str]) -> int:
    if (state / "refuse").exists():
        return _fail("sbatch: error: invalid partition specified: nowhere")
    job = len(list(state.glob("*.job"))) + 1
    (state / f"{job}.job").write_text("\n".join(words), encoding="utf-8")
    if (state / "lose").exists():
        (state / f"{job}.ended").touch()
    elif not (state / "hold").exists():
        process = subprocess.Popen(
            [sys.executable, "-S", __file__, "elements", str(job)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        (state / f"{job}.pid").write_text(str(process.pid), encoding="ascii")
    sys.stdout.write(f"{job};cluster\n")
    return 0


def _elements(state: Path, job: str) -> int:
    words = (state / f"{job}.job").read_text(encoding="utf-8").splitlines()
    last = int(_option(words, "array").split("%")[0].removeprefix("0-"))
    for element in range(last + 1):
        log = _option(words, "output").replace("%a", str(element)).replace("%%", "%")
        with Path(log).open("wb") as printed:
            subprocess.run(
                ["/bin/bash", words[-1]],
                env=os.environ | {"SLURM_ARRAY_TASK_ID": str(element)},
                stdout=printed,
                stderr=printed,
                check=False,
            )
    (state / f"{job}.ended").touch()
    return 0


def _named(state: Path, words: list[str]) -> list[str]:
    """Return the numbers of the jobs of that name that have not ended."""
    wanted = f"--job-name={_option(words, 'name')}"
    jobs = [path.stem for path in state.glob("*.job") if wanted in path.read_text(encoding="utf-8").splitlines()]
    return [job for job in jobs if not (state / f"{job}.ended").exists()]


def _squeue(state: Path, words: list[str]) -> int:
    silent = state / "silent"
    if silent.exists() and (times := int(silent.read_text(encoding="ascii"))) > 0:
        silent.write_text(str(times - 1), encoding="ascii")
        return _fail("slurm_load_jobs error: Unable to contact slurm controller (connect failure)")
    for job in _named(state, words):
        running = (state / f"{job}.pid").exists()
        sys.stdout.write(f"{job}_0|RUNNING|node\n" if running else f"{job}_[0]|PENDING|(Priority)\n")
    return 0


def _scancel(state: Path, words: list[str]) -> int:
    for job in _named(state, words):
        with suppress(FileNotFoundError, ProcessLookupError):
            os.killpg(int((state / f"{job}.pid").read_text(encoding="ascii")), signal.SIGKILL)
        (state / f"{job}.ended").touch()
    return 0


def _scontrol(state: Path) -> int:
    sys.stdout.write("Configuration data\n" if (state / "no_arrays").exists() else "MaxArraySize            = 1001\n")
    return 0


def main(name: str, words: list[str]) -> int:
    """Act as the command `name`."""
    state = Path(os.environ["FAKE_SLURM"])
    if name == "sbatch":
        return _sbatch(state, words)
    if name == "squeue":
        return _squeue(state, words)
    if name == "scancel":
        return _scancel(state, words)
    return _elements(state, words[0]) if name == "elements" else _scontrol(state)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
