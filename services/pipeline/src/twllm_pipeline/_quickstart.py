"""The quickstart: the sample corpus through `tw-corpus`, and a small exam of a tiny model through `tmlu-bench`."""
# pyarrow ships no types
# pyright: standard

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from twllm_runs import Progress, RunState, open_run, write_text_atomic
from twllm_types import JsonObject

if TYPE_CHECKING:
    from tmlu_bench.exam import ExamRun
    from tw_corpus.curation import Curation

_SEED = 0
_NUM_SHOTS = 5
_PACKAGES = ("twllm-pipeline", "tw-corpus", "tmlu-bench", "twllm-engines", "torch", "transformers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quickstart:
    """A finished quickstart.

    Attributes:
        folder: holds one run folder per stage (`corpus`, `exam`), the tiny model, and `report.html`.
        state: what was found on opening.
        curation: of the sample corpus.
        exam: of the tiny model.
    """

    folder: Path
    state: RunState
    curation: "Curation"
    exam: "ExamRun"

    @property
    def report(self) -> Path:
        """The page to open."""
        return self.folder / "report.html"

    @property
    def num_faults(self) -> int:
        """Records and questions that failed, in all stages."""
        return self.curation.num_faults + self.exam.num_faults


def quickstart(*, output: Path, workers: int, progress: Progress) -> Quickstart:
    """Run every stage on what ships with this package; a finished stage is read, not done again.

    Args:
        output: run folder, continued where an earlier call was stopped.
        workers: worker processes of the curation, >= 1.
        progress: display.

    Raises:
        TwllmError: as `tw_corpus.curation.curate` and `tmlu_bench.exam.run_exam`.
    """
    from twllm_pipeline._report import render_quickstart

    with open_run(
        output,
        command="taiwan-llm quickstart",
        parameters={"seed": _SEED, "num_shots": _NUM_SHOTS},
        settings={"workers": workers},
        inputs=(),
        seed=_SEED,
        packages=_PACKAGES,
        decisive_packages=("twllm-pipeline",),
    ) as run:
        curation = _curate(output / "corpus", workers, progress)
        exam = _examine(output, progress)
        done = Quickstart(folder=output, state=run.state, curation=curation, exam=exam)
        if run.state is not RunState.FINISHED:
            write_text_atomic(done.report, render_quickstart(run.manifest, curation, exam))
            run.finish(_summary(curation, exam), num_faults=done.num_faults)
        return done


def _curate(output: Path, workers: int, progress: Progress) -> "Curation":
    from tw_corpus.curation import curate, load_curation_recipe

    sample = resources.files("twllm_pipeline") / "sample"
    with resources.as_file(sample / "corpus") as corpus, resources.as_file(sample / "exam") as exam:
        return curate(
            [corpus],
            output=output,
            recipe=load_curation_recipe("web"),
            workers=workers,
            progress=progress,
            decontaminate=[exam],
        )


def _examine(output: Path, progress: Progress) -> "ExamRun":
    from tmlu_bench import load_questions
    from tmlu_bench.exam import ExamSettings, run_exam
    from twllm_engines import TransformersSettings, load_engine
    from twllm_pipeline._tiny_model import make_tiny_model

    model = make_tiny_model(_texts(output / "corpus" / "documents"), output / "model", seed=_SEED)
    with (
        resources.as_file(resources.files("twllm_pipeline") / "sample" / "exam") as exam,
        load_engine(TransformersSettings(model=str(model))) as engine,
    ):
        settings = ExamSettings(num_shots=_NUM_SHOTS, seed=_SEED)
        return run_exam(engine, load_questions(exam), settings, output=output / "exam", progress=progress)


def _texts(documents: Path) -> Iterator[str]:
    import pyarrow.parquet as pq

    for path in sorted(documents.glob("*.parquet")):
        yield from pq.read_table(path, columns=["text"])["text"].to_pylist()


def _summary(curation: "Curation", exam: "ExamRun") -> JsonObject:
    from tmlu_bench.exam import summary_to_json

    return {"corpus": curation.summary["counts"], "exam": summary_to_json(exam.summary)}
