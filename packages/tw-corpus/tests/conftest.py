"""Executors for the tests: one Ray and one Slurm for the session, a fake Slurm anywhere."""

import os
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

IMPORTABLE = Path(__file__).parent / "importable"
sys.path.insert(0, str(IMPORTABLE))
import fake_slurm  # noqa: E402 - found through the line above
import slurm_node  # noqa: E402 - as above


@pytest.fixture(scope="session")
def ray_here(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    """Start Ray in this process by the executor itself, once: it takes many seconds. Later executors use it."""
    from tw_corpus._execution_options import RayOptions
    from tw_corpus._executors import RayTasks

    with RayTasks(2, RayOptions(), log=tmp_path_factory.mktemp("ray") / "workers.log"):
        yield


@pytest.fixture(scope="session")
def slurm_conf(tmp_path_factory: pytest.TempPathFactory) -> Generator[Path]:
    """Start a real Slurm of one node, or skip with the reason."""
    if reason := slurm_node.why_not():
        pytest.skip(f"no real Slurm: {reason}")
    with slurm_node.slurm_node(tmp_path_factory.mktemp("slurm")) as conf:
        yield conf


@pytest.fixture
def real_slurm(slurm_conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this test's commands talk to the real Slurm."""
    monkeypatch.setenv("SLURM_CONF", str(slurm_conf))


@pytest.fixture
def fake_slurm_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the fake commands on PATH and return the folder whose files change what they do."""
    state = fake_slurm.write_commands(tmp_path / "fake-slurm")
    monkeypatch.setenv("FAKE_SLURM", str(state))
    monkeypatch.setenv("PATH", f"{state.parent}{os.pathsep}{os.environ['PATH']}")
    return state
