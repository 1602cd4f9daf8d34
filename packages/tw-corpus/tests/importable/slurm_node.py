"""A real Slurm of one node on this machine, for tests: munge, controller and node daemon in a folder of their own."""

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel")
_START_SECONDS = 60.0
_CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort={controller_port}
SlurmdPort={node_port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
MaxArraySize=5
KillWait=2
MessageTimeout=60
ReturnToService=2
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_min_interval=1,defer_batch
NodeName={host} NodeAddr=127.0.0.1 CPUs=2
PartitionName=all Nodes={host} Default=YES MaxTime=10 State=UP
"""


def why_not() -> str | None:
    """Return why no Slurm can be started here, or None."""
    if os.geteuid() != 0:
        return "Slurm's daemons need root"
    path = os.pathsep.join((os.environ["PATH"], "/usr/sbin", "/sbin"))
    missing = [name for name in DAEMONS if shutil.which(name, path=path) is None]
    return f"not installed: {', '.join(missing)} (apt-get install slurm-wlm munge)" if missing else None


@contextmanager
def slurm_node(folder: Path) -> Generator[Path]:
    """Run the daemons during the with-block and yield the path of `slurm.conf`, to be named by SLURM_CONF."""
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o600)
    conf = folder / "slurm.conf"
    controller_port, node_port = _free_ports(2)
    conf.write_text(
        _CONF.format(
            host=socket.gethostname().split(".")[0],
            folder=folder,
            controller_port=controller_port,
            node_port=node_port,
        ),
        encoding="utf-8",
    )
    munged = ["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={folder}/munge.socket"]
    munged += [f"--{name}-file={folder}/munge.{name}" for name in ("pid", "log", "seed")]
    environment = os.environ | {
        "SLURM_CONF": str(conf),
        "PATH": os.pathsep.join((os.environ["PATH"], "/usr/sbin", "/sbin")),
    }
    with ExitStack() as stack:
        stack.enter_context(_daemon(munged, environment, folder))
        _wait_for(lambda: (folder / "munge.socket").exists(), "munged", folder)
        stack.enter_context(_daemon(["slurmctld", "-D", "-i"], environment, folder))
        stack.enter_context(_daemon(["slurmd", "-D"], environment, folder))
        _wait_for(lambda: _is_idle(environment), "slurmd", folder)
        yield conf


def _is_idle(environment: dict[str, str]) -> bool:
    shown = subprocess.run(
        [shutil.which("sinfo") or "sinfo", "--noheader", "--format=%T"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return shown.stdout.strip() == "idle"


@contextmanager
def _daemon(words: list[str], environment: dict[str, str], folder: Path) -> Generator[None]:
    with (folder / f"{words[0]}.out").open("wb") as printed:
        process = subprocess.Popen(words, env=environment, stdout=printed, stderr=printed)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(is_ready, name: str, folder: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not is_ready():
        if time.monotonic() > deadline:
            logs = "\n".join(path.read_text(errors="replace")[-2000:] for path in folder.glob("*.log"))
            raise RuntimeError(f"{name} did not start:\n{logs}")
        time.sleep(0.1)


def _free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
