import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twllm_runs import (
    describe_inputs,
    git_state,
    hardware,
    hash_file,
    installed_versions,
    manifest_from_json,
    manifest_to_json,
)
from twllm_types import (
    ArtifactError,
    ConfigError,
    DataError,
    GitState,
    InputFile,
    JsonObject,
    ModelIdentity,
    RunManifest,
)

numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
objects = st.dictionaries(st.text(), st.none() | st.booleans() | numbers | st.text() | st.lists(st.text()), max_size=3)
texts = st.dictionaries(st.text(), st.text(), max_size=3)
optional_text = st.none() | st.text()
manifests = st.builds(
    RunManifest,
    schema_version=st.integers(),
    command=st.text(),
    parameters=objects,
    packages=texts,
    hardware=objects,
    started_at=st.text(),
    settings=objects,
    git=st.none() | st.builds(GitState, commit=st.text(), dirty=st.booleans()),
    seed=st.none() | st.integers(),
    inputs=st.lists(st.builds(InputFile, name=st.text(), num_bytes=st.integers(), sha256=optional_text)).map(tuple),
    models=st.lists(
        st.builds(ModelIdentity, spec=st.text(), revision=optional_text, sha256=texts, reported_id=optional_text)
    ).map(tuple),
    engine_settings=objects,
    ended_at=optional_text,
)
SMALL = RunManifest(
    schema_version=1,
    command="demo",
    parameters={},
    packages={"a": "1"},
    hardware={},
    started_at="2024-05-01T08:00:00+00:00",
    inputs=(InputFile(name="a", num_bytes=1),),
)


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Invented Person", "-c", "user.email=invented@example.org")
    command = ["git", "-C", str(folder), *identity, *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "tracked.txt").write_text("one", encoding="utf-8")
    git(folder, "add", "tracked.txt")
    git(folder, "commit", "-q", "--no-gpg-sign", "-m", "first")
    return folder


@given(manifest=manifests)
def test_manifest_json_round_trip_is_identity(manifest: RunManifest) -> None:
    assert manifest_from_json(manifest_to_json(manifest)) == manifest


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"command": 3}, "here: 'command' is int"),
        ({"packages": {"a": 1}}, "here: 'packages' holds something that is no string"),
        ({"inputs": {}}, "here: 'inputs' is dict"),
        ({"inputs": [{"name": "a", "num_bytes": 1}]}, "here: inputs: 'sha256' is missing"),
        ({"git": {"commit": "0", "dirty": 1}}, "here: git: 'dirty' is int"),
        ({"seed": True}, "here: 'seed' is bool"),
    ],
)
def test_manifest_from_json_bad_field_is_named(changes: JsonObject, message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        manifest_from_json(manifest_to_json(SMALL) | changes, source="here")


def test_hash_file_is_sha256_and_reports_every_byte(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10_000
    (tmp_path / "a").write_bytes(content)
    seen: list[int] = []
    assert hash_file(tmp_path / "a", on_bytes=seen.append) == hashlib.sha256(content).hexdigest()
    assert sum(seen) == len(content)
    assert len(seen) > 1


def test_hash_file_empty_file_has_the_known_hash(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    assert hash_file(tmp_path / "a") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_hash_file_unreadable_is_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent: cannot be read \(No such file"):
        hash_file(tmp_path / "absent")


def test_describe_inputs_names_are_relative_and_in_order(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "b").write_bytes(b"bb")
    (tmp_path / "sub" / "a").write_bytes(b"")
    files = [tmp_path / "sub" / "a", tmp_path / "b"]
    seen: list[int] = []
    assert describe_inputs(files, root=tmp_path, on_bytes=seen.append) == (
        InputFile(name="sub/a", num_bytes=0, sha256=hashlib.sha256(b"").hexdigest()),
        InputFile(name="b", num_bytes=2, sha256=hashlib.sha256(b"bb").hexdigest()),
    )
    assert seen == [2]
    assert [file.sha256 for file in describe_inputs(files, root=tmp_path, hash_contents=False)] == [None, None]
    assert describe_inputs([], root=tmp_path) == ()


def test_describe_inputs_bad_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="absent: cannot be read"):
        describe_inputs([tmp_path / "absent"], root=tmp_path)
    with pytest.raises(DataError, match="is not a regular file"):
        describe_inputs([tmp_path], root=tmp_path)
    with pytest.raises(ConfigError, match="lies outside of"):
        describe_inputs([tmp_path], root=tmp_path / "other")


def test_git_state_clean_then_dirty(checkout: Path) -> None:
    commit = git(checkout, "rev-parse", "HEAD")
    (checkout / "untracked.txt").write_text("x", encoding="utf-8")
    assert git_state(checkout) == GitState(commit=commit, dirty=False)
    (checkout / "tracked.txt").write_text("two", encoding="utf-8")
    assert git_state(checkout) == GitState(commit=commit, dirty=True)


def test_git_state_untracked_folder_of_a_checkout_is_none(checkout: Path) -> None:
    (checkout / "environment").mkdir()
    (checkout / "environment" / "installed.py").write_text("x", encoding="utf-8")
    assert git_state(checkout / "environment") is None


def test_git_state_outside_of_a_checkout_or_without_git_is_none(
    tmp_path: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert git_state(tmp_path) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(checkout) is None


def test_git_state_ignores_a_hooks_environment(tmp_path: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", str(checkout / ".git"))
    assert git_state(tmp_path) is None


def test_installed_versions_absent_package_is_left_out() -> None:
    versions = installed_versions(["pytest", "surely-not-installed", "pytest"])
    assert versions == {"pytest": pytest.__version__}


def test_hardware_names_the_kind_of_machine_not_the_machine() -> None:
    found = hardware()
    assert set(found) == {"cores", "processor", "memory_bytes", "python", "platform"}
    assert found["cores"] == len(os.sched_getaffinity(0))
    assert isinstance(found["memory_bytes"], int)
    assert found["memory_bytes"] > 0
    assert os.uname().nodename not in str(found["platform"]).split()
