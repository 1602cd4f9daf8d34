import errno
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twllm_runs import open_atomic, remove_temporaries, write_json_atomic, write_text_atomic
from twllm_types import DataError, JsonValue, RunError

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@contextmanager
def file_size_limit(num_bytes: int) -> Generator[None]:
    """Let the kernel refuse writes beyond `num_bytes`, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_write_text_atomic_new_file_holds_text_and_nothing_else_stays(tmp_path: Path) -> None:
    write_text_atomic(tmp_path / "a.txt", "臺灣\r\n第二行\n")
    assert (tmp_path / "a.txt").read_bytes() == "臺灣\r\n第二行\n".encode()
    assert names(tmp_path) == ["a.txt"]


def test_write_text_atomic_honours_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text_atomic(tmp_path / "a.txt", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640


def test_write_text_atomic_lone_surrogate_is_refused_and_target_kept(tmp_path: Path) -> None:
    write_text_atomic(tmp_path / "a.txt", "old")
    with pytest.raises(DataError, match=r"a\.txt: character 1 .* surrogate"):
        write_text_atomic(tmp_path / "a.txt", "x\ud800")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "old"


@given(value=json_values)
def test_write_json_atomic_value_comes_back(tmp_path_factory: pytest.TempPathFactory, value: JsonValue) -> None:
    path = tmp_path_factory.mktemp("json") / "a.json"
    write_json_atomic(path, value)
    content = path.read_bytes()
    assert json.loads(content) == value
    assert content.endswith(b"\n")


def test_write_json_atomic_form_is_sorted_indented_unescaped(tmp_path: Path) -> None:
    write_json_atomic(tmp_path / "a.json", {"b": "臺", "a": [1]})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '{\n  "a": [\n    1\n  ],\n  "b": "臺"\n}\n'


def test_write_json_atomic_lone_surrogate_comes_back(tmp_path: Path) -> None:
    write_json_atomic(tmp_path / "a.json", {"x\udc80": "\ud800"})
    assert json.loads((tmp_path / "a.json").read_bytes()) == {"x\udc80": "\ud800"}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Path("x"), {"a": {1, 2}}])
def test_write_json_atomic_not_json_is_refused(tmp_path: Path, value: JsonValue) -> None:
    with pytest.raises(DataError, match=r"a\.json: cannot be written as JSON"):
        write_json_atomic(tmp_path / "a.json", value)
    assert names(tmp_path) == []


def test_open_atomic_exception_keeps_target_and_removes_temporary(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def write_and_fail() -> None:
        with open_atomic(path, "wb") as file:
            file.write(b"new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_open_atomic_target_appears_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with open_atomic(path, "w") as file:
        file.write("new")
        file.flush()
        assert not path.exists()
    assert path.read_text(encoding="utf-8") == "new"


def test_open_atomic_file_closed_by_caller_is_published(tmp_path: Path) -> None:
    with open_atomic(tmp_path / "a.txt", "w") as file:
        file.write("whole\n")
        file.close()
    assert (tmp_path / "a.txt").read_bytes() == b"whole\n"


@pytest.mark.parametrize("mode", ["w", "wb"])
def test_open_atomic_refused_write_is_run_error_with_fix(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "big"
    path.write_bytes(b"old")

    def write_too_much() -> None:
        if mode == "w":
            with open_atomic(path, "w") as text:
                text.write("x" * 3_000_000)
        else:
            with open_atomic(path, "wb") as binary:
                binary.write(b"x" * 500_000)

    message = r"big: cannot be written .*; raise the limit .*, then run the same"
    with file_size_limit(100_000), pytest.raises(RunError, match=message) as caught:
        write_too_much()
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.EFBIG
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["big"]


def test_open_atomic_other_files_error_keeps_its_class(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), open_atomic(tmp_path / "a.txt", "w") as file:
        file.write((tmp_path / "absent").read_text(encoding="utf-8"))
    assert names(tmp_path) == []


def test_open_atomic_missing_folder_is_run_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"absent/a\.txt: cannot be written .*; create the folder"):
        write_text_atomic(tmp_path / "absent" / "a.txt", "x")


def test_open_atomic_target_is_a_folder_is_run_error(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(RunError, match=r"a: cannot be written"):
        write_text_atomic(tmp_path / "a", "x")
    assert names(tmp_path) == ["a"]


def test_open_atomic_kill_in_the_middle_keeps_target(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text_atomic(path, "old")
    program = (
        "import os, signal, sys; from pathlib import Path; from twllm_runs import open_atomic\n"
        "with open_atomic(Path(sys.argv[1]), 'wb') as file:\n"
        "    file.write(b'x' * 3_000_000)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text(encoding="utf-8") == "old"
    assert len(names(tmp_path)) == 2
    assert remove_temporaries(tmp_path) == 1
    assert names(tmp_path) == ["a.txt"]


def test_remove_temporaries_spares_other_files(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("a.twllm-tmp", ".hidden", "deep/.0123.twllm-tmp"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    assert remove_temporaries(tmp_path) == 1
    assert names(tmp_path) == [".hidden", "a.twllm-tmp", "deep"]
    assert remove_temporaries(tmp_path / "absent") == 0
