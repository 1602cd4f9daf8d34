"""Runs of other code: which versions continue a run, and which are told that the result is not theirs."""

import json
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path

import pytest

from twllm_runs import Run, RunState, open_run, read_run
from twllm_types import ArtifactError, ConfigError, JsonValue


def start(
    output: Path,
    *,
    parameters: Mapping[str, JsonValue] | None = None,
    decisive_packages: tuple[str, ...] = (),
) -> AbstractContextManager[Run]:
    return open_run(
        output,
        command="demo work",
        parameters={"min": 1} if parameters is None else parameters,
        packages=["twllm-types"],
        decisive_packages=decisive_packages,
    )


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def set_version(folder: Path, package: str, version: str | None) -> None:
    """Make the run look as if another version of `package`, or none that was recorded, had begun it."""
    row = json.loads((folder / "run.json").read_bytes())
    del row["manifest"]["packages"][package]
    if version is not None:
        row["manifest"]["packages"][package] = version
    (folder / "run.json").write_text(json.dumps(row), encoding="utf-8")


@pytest.mark.parametrize(("finish", "held"), [(False, "an unfinished run"), (True, "the result of a run")])
def test_open_run_other_version_of_a_decisive_package_is_refused_untouched(
    tmp_path: Path, finish: bool, held: str
) -> None:
    with start(tmp_path, decisive_packages=("twllm-types",)) as run:
        if finish:
            run.finish({})
    set_version(tmp_path, "twllm-types", "0.0.9")
    before = contents(tmp_path)
    now = version("twllm-types")
    message = (
        f"{tmp_path}: holds {held} by twllm-types 0.0.9, this is twllm-types {now}; "
        "use twllm-types 0.0.9, give another --output, or delete the folder"
    )
    with pytest.raises(ArtifactError, match=f"^{re.escape(message)}$"):
        start(tmp_path, decisive_packages=("twllm-types",)).__enter__()
    assert contents(tmp_path) == before


def test_open_run_other_version_is_named_before_other_parameters_and_after_another_command(tmp_path: Path) -> None:
    with start(tmp_path, decisive_packages=("twllm-types",)):
        pass
    set_version(tmp_path, "twllm-types", "0.0.9")
    with pytest.raises(ArtifactError, match=r"by twllm-types 0\.0\.9"):
        start(tmp_path, parameters={}, decisive_packages=("twllm-types",)).__enter__()
    with pytest.raises(ArtifactError, match='command = "demo work", asked is "other"'):
        open_run(tmp_path, command="other", parameters={}, decisive_packages=("twllm-types",)).__enter__()


def test_open_run_unrecorded_version_of_a_decisive_package_is_refused(tmp_path: Path) -> None:
    with start(tmp_path):
        pass
    set_version(tmp_path, "twllm-types", None)
    with pytest.raises(ArtifactError, match=r"by an unknown version of twllm-types, this is .*; give another --output"):
        start(tmp_path, decisive_packages=("twllm-types",)).__enter__()


def test_open_run_other_version_of_another_package_is_recorded_as_a_continuation(tmp_path: Path) -> None:
    with start(tmp_path, decisive_packages=("twllm-types",)):
        pass
    set_version(tmp_path, "twllm-runs", "0.0.9")
    with start(tmp_path, decisive_packages=("twllm-types",)) as run:
        assert run.state is RunState.CONTINUED
    stored = read_run(tmp_path)
    assert stored.manifest.packages["twllm-runs"] == "0.0.9"
    (continuation,) = stored.continuations
    assert continuation["packages"] == {name: version(name) for name in ("twllm-runs", "twllm-types")}


def test_open_run_decisive_package_that_is_not_installed_is_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="decisive package 'surely-not-installed' is not installed"):
        start(tmp_path / "out", decisive_packages=("surely-not-installed",)).__enter__()
    assert not (tmp_path / "out").exists()
