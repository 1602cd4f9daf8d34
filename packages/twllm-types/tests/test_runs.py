from typing import Any

import pytest

from twllm_types import DataError, GitState, InputFile, ModelIdentity, RunManifest

DIGEST = "0a" * 32


def manifest(**changes: Any) -> RunManifest:
    parts: dict[str, Any] = {
        "schema_version": 1,
        "command": "demo",
        "parameters": {},
        "packages": {},
        "hardware": {},
        "started_at": "2026-01-31T08:00:00+00:00",
    }
    return RunManifest(**{**parts, **changes})


def test_git_state_takes_full_hashes_only() -> None:
    for digits in (40, 64):
        assert not GitState(commit="a" * digits, dirty=False).dirty
    for commit in ("", "abc1234", "A" * 40, "a" * 41):
        with pytest.raises(DataError, match=r"commit is .*full hash"):
            GitState(commit=commit, dirty=False)


def test_input_file_may_be_empty_unhashed_or_of_unknown_size() -> None:
    assert InputFile(name="a/b.txt", num_bytes=0, sha256=DIGEST).sha256 == DIGEST
    assert InputFile(name="a", num_bytes=None).num_bytes is None


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"name": ""}, "input name is ''"),
        ({"name": "/somewhere/a"}, "input name is '/somewhere/a'; give a path relative"),
        ({"num_bytes": -1}, "num_bytes of input 'a' is -1"),
        ({"sha256": "0a"}, "sha256 of input 'a' is '0a'"),
        ({"sha256": DIGEST.upper()}, "lower-case"),
    ],
)
def test_input_file_that_breaks_its_contract_is_refused(changes: dict[str, Any], problem: str) -> None:
    parts: dict[str, Any] = {"name": "a", "num_bytes": 1, **changes}
    with pytest.raises(DataError, match=problem):
        InputFile(**parts)


def test_model_identity_needs_a_spec_and_whole_hashes() -> None:
    assert ModelIdentity(spec="hf:x", sha256={"weights": DIGEST}).sha256 == {"weights": DIGEST}
    with pytest.raises(DataError, match="spec of a model is empty"):
        ModelIdentity(spec=" ")
    with pytest.raises(DataError, match="sha256 of 'weights' of model 'hf:x' is 'no'"):
        ModelIdentity(spec="hf:x", sha256={"weights": "no"})


def test_run_manifest_end_before_the_start_is_kept() -> None:
    assert manifest(ended_at="2026-01-31T07:59:00Z").ended_at == "2026-01-31T07:59:00Z"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"schema_version": 0}, "schema_version is 0"),
        ({"command": ""}, "command is empty"),
        ({"started_at": "yesterday"}, "started_at is 'yesterday'; give a time in UTC"),
        ({"started_at": "2026-01-31T08:00:00"}, "started_at"),
        ({"ended_at": "2026-01-31T08:00:00+08:00"}, "ended_at"),
    ],
)
def test_run_manifest_that_breaks_its_contract_is_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        manifest(**changes)
