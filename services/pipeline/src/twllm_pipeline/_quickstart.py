"""The quickstart, a stage per package.

A corpus (`tw-corpus`), an exam (`tmlu-bench`), judgements (`llm-eval`), arithmetic (`step-kto`), intents (`icda`).
"""
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
    from llm_eval.jobs import JudgeRun
    from tmlu_bench.exam import ExamRun
    from tw_corpus.curation import Curation
    from twllm_pipeline._arithmetic import ArithmeticRun
    from twllm_pipeline._intents import IntentsRun

_SEED = 0
_NUM_SHOTS = 5
_PACKAGES = (
    "twllm-pipeline",
    "tw-corpus",
    "tmlu-bench",
    "llm-eval",
    "step-kto",
    "icda",
    "twllm-engines",
    "scikit-learn",
    "torch",
    "transformers",
    "trl",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quickstart:
    """A finished quickstart.

    Attributes:
        folder: holds one run folder per stage (`corpus`, `exam`, `judge`; several in `arithmetic` and `intents`), the
            tiny model, and `report.html`.
        state: what was found on opening.
        curation: of the sample corpus.
        exam: of the tiny model.
        judgements: of the sample's answers, served from a recording.
        arithmetic: a small model before and after one iteration of Step-KTO.
        intents: of the sample's help desk, with generations served from a recording.
    """

    folder: Path
    state: RunState
    curation: "Curation"
    exam: "ExamRun"
    judgements: "JudgeRun"
    arithmetic: "ArithmeticRun"
    intents: "IntentsRun"

    @property
    def report(self) -> Path:
        """The page to open."""
        return self.folder / "report.html"

    @property
    def num_faults(self) -> int:
        """Records, questions, judgements and requests that failed, in all stages."""
        stages = (self.curation, self.exam, self.judgements, self.arithmetic.loop, self.intents)
        return sum(stage.num_faults for stage in stages)


def quickstart(*, output: Path, workers: int, progress: Progress) -> Quickstart:
    """Run every stage on what ships with this package; a finished stage is read, not done again.

    Args:
        output: run folder, continued where an earlier call was stopped.
        workers: worker processes of the curation, >= 1.
        progress: display.

    Raises:
        TwllmError: as `tw_corpus.curation.curate`, `tmlu_bench.exam.run_exam`, `llm_eval.jobs.run_judge`,
            `step_kto.jobs.run_iterate` and `icda.jobs.run_icda`.
    """
    from twllm_pipeline._arithmetic import run_arithmetic
    from twllm_pipeline._intents import run_intents
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
        judgements = _judge(output / "judge", progress)
        done = Quickstart(
            folder=output,
            state=run.state,
            curation=curation,
            exam=exam,
            judgements=judgements,
            arithmetic=run_arithmetic(output / "arithmetic", seed=_SEED, progress=progress),
            intents=run_intents(output / "intents", progress=progress),
        )
        if run.state is not RunState.FINISHED:
            write_text_atomic(done.report, render_quickstart(run.manifest, done))
            run.finish(_summary(done), num_faults=done.num_faults)
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


def _judge(output: Path, progress: Progress) -> "JudgeRun":
    from llm_eval import load_items
    from llm_eval.jobs import run_judge
    from twllm_engines import ReplaySettings, load_engine
    from twllm_pipeline._judge_sample import judge_settings

    with resources.as_file(resources.files("twllm_pipeline") / "sample" / "judge") as sample:
        items_file = sample / "items.jsonl"
        with load_engine(ReplaySettings(file=sample / "recorded.jsonl")) as engine:
            return run_judge(
                engine,
                load_items(items_file),
                judge_settings(),
                output=output,
                progress=progress,
                items_file=items_file,
            )


def _texts(documents: Path) -> Iterator[str]:
    import pyarrow.parquet as pq

    for path in sorted(documents.glob("*.parquet")):
        yield from pq.read_table(path, columns=["text"])["text"].to_pylist()


def _summary(done: Quickstart) -> JsonObject:
    from llm_eval.jobs import judge_summary_to_json
    from step_kto.jobs import estimate_to_json
    from tmlu_bench.exam import summary_to_json

    return {
        "corpus": done.curation.summary["counts"],
        "exam": summary_to_json(done.exam.summary),
        "judge": judge_summary_to_json(done.judgements.summary),
        "arithmetic": {
            moment: {name: estimate_to_json(one) for name, one in estimates.items()}
            for moment, estimates in (("before", done.arithmetic.before), ("after", done.arithmetic.after))
        },
        "intents": {
            "num_lines": sum(one.num_lines for one in done.intents.counts),
            "num_rejected": sum(one.num_rejected for one in done.intents.counts),
            "num_kept": sum(one.num_kept for one in done.intents.counts),
            "verdict": done.intents.verdict,
            "accuracy": {arm: estimate_to_json(one) for arm, one in done.intents.accuracies.items()},
        },
    }
