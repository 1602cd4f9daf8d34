from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tw_corpus._plan import input_of, plan_tasks
from tw_corpus.readers import FileFormat, FoundFile
from twllm_types import ConfigError

sizes = st.lists(st.integers(min_value=0, max_value=1_000), max_size=60)


def files(num_bytes: list[int]) -> list[FoundFile]:
    return [
        FoundFile(path=Path(str(number)), name=str(number), format=FileFormat.TEXT, num_bytes=size)
        for number, size in enumerate(num_bytes)
    ]


@given(sizes, st.integers(1, 1_500), st.integers(1, 10))
def test_plan_keeps_every_file_once_and_in_order(num_bytes: list[int], target_bytes: int, max_files: int) -> None:
    planned = files(num_bytes)
    tasks = plan_tasks(planned, target_bytes=target_bytes, max_files=max_files)
    assert [file for task in tasks for file in task] == planned
    assert all(task for task in tasks)


@given(sizes, st.integers(1, 1_500), st.integers(1, 10))
def test_plan_stays_within_its_limits_unless_one_file_is_larger(
    num_bytes: list[int], target_bytes: int, max_files: int
) -> None:
    for task in plan_tasks(files(num_bytes), target_bytes=target_bytes, max_files=max_files):
        assert len(task) <= max_files
        assert len(task) == 1 or sum(file.num_bytes for file in task) <= target_bytes


def test_plan_of_nothing_is_empty() -> None:
    assert plan_tasks([], target_bytes=1, max_files=1) == ()


@pytest.mark.parametrize(("target_bytes", "max_files"), [(0, 1), (1, 0), (-1, 1)])
def test_plan_with_an_impossible_limit_is_refused(target_bytes: int, max_files: int) -> None:
    with pytest.raises(ConfigError, match="numbers > 0"):
        plan_tasks([], target_bytes=target_bytes, max_files=max_files)


def test_input_is_the_first_folder_or_the_file_itself() -> None:
    assert [input_of(name) for name in ("news.jsonl", "big5/a/b.html")] == ["news.jsonl", "big5"]
