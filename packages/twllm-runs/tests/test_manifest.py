import hashlib
import os
import subprocess
from datetime import UTC, datetime
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
filled = st.text(min_size=1).filter(str.strip)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
names = st.text(min_size=1).filter(lambda name: not name.startswith("/"))
times = st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat)
optional_text = st.none() | st.text()
manifests = st.builds(
    RunManifest,
    schema_version=st.integers(min_value=1),
    command=filled,
    parameters=objects,
    packages=texts,
    hardware=objects,
    started_at=times,
    settings=objects,
    git=st.none() | st.builds(GitState, commit=st.binary(min_size=20, max_size=20).map(bytes.hex), dirty=st.booleans()),
    seed=st.none() | st.integers(),
    inputs=st.lists(
        st.builds(InputFile, name=names, num_bytes=st.none() | st.integers(min_value=0), sha256=st.none() | digests)
    ).map(tuple),
    models=st.lists(
        st.builds(
            ModelIdentity,
            spec=filled,
            revision=optional_text,
            sha256=st.dictionaries(st.text(), digests, max_size=3),
            reported_id=optional_text,
        )
    ).map(tuple),
    engine_settings=objects,
    ended_at=st.none() | times,
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
        ({"started_at": "yesterday"}, "here: started_at is 'yesterday'.*; the file was changed"),
        ({"inputs": [{"name": "a", "num_bytes": -1, "sha256": None}]}, "here: num_bytes of input 'a' is -1"),
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


def test_describe_inputs_keeps_names_and_order(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "b").write_bytes(b"bb")
    (tmp_path / "sub" / "a").write_bytes(b"")
    files = [("sub/a", tmp_path / "sub" / "a"), ("second/b", tmp_path / "b")]
    seen: list[int] = []
    assert describe_inputs(files, on_bytes=seen.append) == (
        InputFile(name="sub/a", num_bytes=0, sha256=hashlib.sha256(b"").hexdigest()),
        InputFile(name="second/b", num_bytes=2, sha256=hashlib.sha256(b"bb").hexdigest()),
    )
    assert seen == [2]
    assert [file.sha256 for file in describe_inputs(files, hash_contents=False)] == [None, None]
    assert describe_inputs([]) == ()


def test_describe_inputs_bad_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="absent: cannot be read"):
        describe_inputs([("absent", tmp_path / "absent")])
    with pytest.raises(DataError, match="is not a regular file"):
        describe_inputs([("folder", tmp_path)])
    (tmp_path / "a").touch()
    with pytest.raises(DataError, match=r"input name is '/.*'; give a path relative"):
        describe_inputs([(str(tmp_path / "a"), tmp_path / "a")], unreadable="none")


def test_describe_inputs_unreadable_none_describes_what_can_be_known(tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(b"bb")
    # A file that has a size and fails on reading, whoever asks: a process may not read its own unmapped memory.
    memory = Path("/proc/self/mem")
    os.mkfifo(tmp_path / "pipe")
    files = [(name, tmp_path / name) for name in ("absent", "pipe", "good")]
    assert describe_inputs([("memory", memory), *files], unreadable="none") == (
        InputFile(name="memory", num_bytes=0),
        InputFile(name="absent", num_bytes=None),
        InputFile(name="pipe", num_bytes=None),
        InputFile(name="good", num_bytes=2, sha256=hashlib.sha256(b"bb").hexdigest()),
    )
    assert [file.num_bytes for file in describe_inputs(files, hash_contents=False, unreadable="none")] == [
        None,
        None,
        2,
    ]


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
