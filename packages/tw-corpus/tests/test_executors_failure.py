"""What a failed task may say."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from tw_corpus._executors import Stage
from tw_corpus._executors._task import TaskRunner, run_rank


class QuotesItsDocument(PipelineStep):
    """Fails as foreign code does: with the text in its message."""

    # the arguments belong to datatrove's signature
    def run(self, data: Iterable[Document] | None = None, *_: object, **__: object) -> Iterator[Document]:
        yield from data or ()
        raise ValueError("cannot parse '請電0940-000-118'")


def test_failure_of_a_task_masks_personal_data_that_a_foreign_exception_quotes(tmp_path: Path) -> None:
    stage = Stage(name="quotes", steps=[QuotesItsDocument()], num_tasks=1)
    failure = run_rank(TaskRunner(stage, tmp_path), 0)
    assert failure is not None
    assert "ValueError: cannot parse '請電[遮蔽:手機號碼]'; see " in failure.message
    assert "0940-000-118" not in str(failure.error())


class Exits(PipelineStep):
    """Ends the process, as a command-line library does on bad arguments."""

    def run(self, data: Iterable[Document] | None = None, *_: object, **__: object) -> Iterator[Document]:
        yield from data or ()
        sys.exit(0)


def test_task_that_exits_is_a_failure_and_not_the_end_of_the_command(tmp_path: Path) -> None:
    failure = run_rank(TaskRunner(Stage(name="exits", steps=[Exits()], num_tasks=1), tmp_path), 0)
    assert failure is not None
    assert "stage 'exits', task 0 failed with SystemExit: 0" in failure.message
