"""Tasks as array jobs of Slurm, one job per stage."""

import sys
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tw_corpus._execution_options import SlurmOptions
from tw_corpus._executors._shipment import pack_stage
from tw_corpus._executors._slurm_commands import ControllerError, QueueRow, cancel, max_array_size, queue, submit
from tw_corpus._executors._slurm_script import ranks_per_element, render_script, sbatch_words
from tw_corpus._executors._slurm_submission import JobState, Submission, open_submissions, submission_folder
from tw_corpus._executors._task import Stage, TaskRunner, ignore_note, worker_died
from twllm_runs import write_text_atomic
from twllm_types import RunError

# completions are files in the run folder, cheap to look at; the controller is asked as often as the recipe says
_LOOK_SECONDS = 0.5
_STOP_SECONDS = 60.0


class SlurmSilentError(RunError):
    """Slurm has not answered for too long; its job goes on."""


class SlurmArrays:
    """At most `num_workers` array elements at once; a `TaskExecutor`.

    A job that an earlier command left behind is waited for in its stage, and only what it does not do is submitted.
    """

    def __init__(self, num_workers: int, options: SlurmOptions, *, work: Path) -> None:
        """Prepare; nothing is submitted yet.

        Args:
            num_workers: array elements that run at once, >= 1.
            options: of the jobs.
            work: the run's folder of intermediate files, which every node sees.
        """
        self._num_workers = num_workers
        self._options = options
        self._work = work
        self._active: Submission | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # the job of a Slurm that does not answer may work for hours to come; the next command finds it
        if self._active is not None and not isinstance(error, SlurmSilentError):
            self._stop(self._active)
        self._active = None

    def run(
        self,
        stage: Stage,
        *,
        logging_folder: Path,
        on_wait: Callable[[int], None],
        on_note: Callable[[str], None] = ignore_note,
    ) -> None:
        """Run the tasks of `stage` that are not yet completed; see `TaskExecutor`.

        Raises:
            RunError: a task failed, Slurm refuses the job, or the job ended without doing its tasks.
            SlurmSilentError: Slurm has not answered for too long; the job is not cancelled.
        """
        logging_folder.mkdir(parents=True, exist_ok=True)
        runner = TaskRunner(stage, logging_folder.absolute())
        for earlier in open_submissions(self._work):
            on_note(f"waits for Slurm job {earlier.job or earlier.name} of an earlier start")
            self._watch(earlier, runner, on_wait, on_note, is_earlier=True)
        ranks = runner.incomplete_ranks()
        if ranks:
            submission = self._submit(runner, ranks, logging_folder)
            self._watch(submission, runner, on_wait, on_note, is_earlier=False)
        on_wait(stage.num_tasks)

    def _submit(self, runner: TaskRunner, ranks: Sequence[int], logging_folder: Path) -> Submission:
        limits = [max_array_size(), self._options.max_array_size or sys.maxsize]
        per_element = ranks_per_element(len(ranks), max_elements=min(limits))
        folder = submission_folder(self._work, runner.stage_name)
        name = f"tw-corpus-{runner.stage_name}-{uuid.uuid4().hex[:16]}"
        num_elements = -(-len(ranks) // per_element)
        words = sbatch_words(
            self._options, name=name, num_elements=num_elements, workers=self._num_workers, folder=folder
        )
        submission = Submission(
            folder=folder,
            stage=runner.stage_name,
            name=name,
            job="",
            ranks=tuple(ranks),
            per_element=per_element,
            words=tuple(words),
            state=JobState.ACTIVE,
        )
        submission.packed.write_bytes(pack_stage(runner, logging_folder))
        write_text_atomic(folder / "script.sh", render_script(self._options, folder=folder, python=sys.executable))
        # before sbatch: a command that is killed here finds the job by its name
        self._active = submission.store()
        self._active = submission.store(job=submit(words))
        return self._active

    def _watch(
        self,
        submission: Submission,
        runner: TaskRunner,
        on_wait: Callable[[int], None],
        on_note: Callable[[str], None],
        *,
        is_earlier: bool,
    ) -> None:
        """Wait until the job has done its tasks, or has ended."""
        self._active = submission
        view = _QueueView(submission, self._options, on_note)
        while True:
            has_ended = view.has_ended()
            # after the queue was asked: what the job did before its end is seen
            missing = set(runner.incomplete_ranks())
            on_wait(runner.world_size - len(missing))
            # the failure of a job that an earlier command cancelled was reported then
            failure = submission.failure() if submission.state is JobState.ACTIVE else None
            if failure is not None:
                raise failure.error()
            left = sorted(missing.intersection(submission.ranks)) if submission.stage == runner.stage_name else []
            if has_ended and left and not is_earlier:
                submission.store(state=JobState.ENDED)
                self._active = None
                raise _vanished(submission, left[0])
            if has_ended or (not left and not is_earlier):
                break
            time.sleep(_LOOK_SECONDS)
        submission.store(state=JobState.ENDED)
        self._active = None

    def _stop(self, submission: Submission) -> None:
        """Cancel the job and wait until its elements are gone: what they do would be done beside the next command's."""
        # noted first: should the rest fail, the next command waits for the job and does not report its failures again
        submission = submission.store(state=JobState.CANCELLED)
        deadline = time.monotonic() + _STOP_SECONDS
        while time.monotonic() < deadline:
            try:
                cancel(submission.name)
                if not queue(submission.name):
                    submission.store(state=JobState.ENDED)
                    return
            except ControllerError:
                # the next command asks again
                return
            time.sleep(_LOOK_SECONDS)


class _QueueView:
    """What the queue says of a job, asked now and then."""

    def __init__(self, submission: Submission, options: SlurmOptions, on_note: Callable[[str], None]) -> None:
        self._submission = submission
        self._options = options
        self._on_note = on_note
        self._next = 0.0
        self._answered = time.monotonic()
        self._times_absent = 0
        self._said = ""

    def has_ended(self) -> bool:
        """Tell whether the job has left the queue.

        Twice in a row, since a shared file system may show the last completions late.

        Raises:
            SlurmSilentError: Slurm has not answered for too long; the job goes on, and the same command finds it.
        """
        now = time.monotonic()
        if now < self._next:
            return self._times_absent > 1
        self._next = now + self._options.poll_seconds
        try:
            rows = queue(self._submission.name)
        except ControllerError as error:
            if now - self._answered > self._options.controller_patience_seconds:
                raise SlurmSilentError(
                    f"{error}, for {now - self._answered:.0f} s now; run the same command again when Slurm answers, it "
                    f"finds job {self._submission.job}, which goes on"
                ) from error
            self._say(f"waits for Slurm: {error}")
            return False
        self._answered = now
        self._times_absent = 0 if rows else self._times_absent + 1
        if rows:
            self._say(f"Slurm job {self._submission.job}: {_describe(rows)}")
        return self._times_absent > 1

    def _say(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self._on_note(text)


def _describe(rows: Sequence[QueueRow]) -> str:
    """Return what the elements do, without how many: "running, pending (Priority)"."""
    states = {row.state.lower() if row.state == "RUNNING" else f"{row.state.lower()} {row.reason}" for row in rows}
    return ", ".join(sorted(states, reverse=True))


def _vanished(submission: Submission, rank: int) -> RunError:
    log = submission.log_of(rank)
    if not log.exists():
        return RunError(
            f"Slurm job {submission.job} of stage {submission.stage!r} ended without doing its tasks, and left no log "
            f"{log}; see `scontrol show job {submission.job}`, whether the run folder has the same path on all nodes, "
            "and run the same command again, it continues"
        )
    return worker_died(
        submission.stage,
        log=log,
        fix=f"see `scontrol show job {submission.job}`, give more execution.slurm.mem or time",
    )
