"""The command `tmlu-bench`."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from twllm_runs import ExitCode, make_app, run_app

app = make_app(
    "tmlu-bench",
    package="tmlu-bench",
    help="The TMLU exam benchmark of Taiwanese Mandarin: exact prompts, resumable runs, honest statistics.",
)


@app.command
def run(
    *,
    engine: str,
    data: str,
    output: Path,
    protocol: str = "tmlu-direct",
    scoring: Literal["logprob", "generate"] = "logprob",
    num_shots: int = 5,
    fewer_shots: bool = False,
    extractor: Literal["robust", "compat"] = "robust",
    form: Literal["raw", "chat", "chat-api"] = "raw",
    max_tokens: int | None = None,
    permute: int | None = None,
    circular: bool = False,
    subjects: Annotated[list[str] | None, Parameter(consume_multiple=(1, None))] = None,
    limit: int | None = None,
    seed: int = 0,
    retry_errors: bool = False,
    exclude_errors: bool = False,
) -> ExitCode:
    """Put an exam to a model. Killed at any moment, the same command goes on.

    Example: tmlu-bench run --engine hf:my-model --data tmlu/ --protocol tmlu-direct --output runs/my-model

    Args:
        engine: hf:MODEL, vllm:MODEL, openai:MODEL@URL, replay:FILE, or a YAML file with every setting.
        data: folder or file of questions, or id of a data set of the hub.
        output: folder of the run; a run of other parameters is never overwritten.
        protocol: tmlu-direct, tmlu-cot, lm-eval-tmlu, tmmluplus or tc-eval.
        scoring: logprob ranks the letters, generate reads them off a text.
        num_shots: worked examples per question, from dev.
        fewer_shots: show fewer where a subject has fewer dev rows; each item records its number.
        extractor: reader of generated answers; compat is the protocol's own, faults included.
        form: raw text, a chat rendered here (chat), or a chat that the server renders (chat-api).
        max_tokens: most new tokens; the protocol's own where not given.
        permute: seed of another order of each question's options.
        circular: put each question in all rotations of its options.
        subjects: ids of subjects; all where none is given.
        limit: questions in all: a stratified, seeded sample, and the result says so.
        seed: of sample, sampling and intervals.
        retry_errors: put items again that ended in error.
        exclude_errors: leave questions with errors out of the figures, which say so.
    """
    from rich.console import Console

    from tmlu_bench._protocols import PromptForm, Scoring
    from tmlu_bench._run import run_exam
    from tmlu_bench._run_plan import ExamSettings
    from tmlu_bench._show import show_exam
    from tmlu_bench._sources import load_questions
    from twllm_engines import load_engine
    from twllm_runs import current_cli, open_progress

    settings = ExamSettings(
        protocol=protocol,
        scoring=Scoring(scoring),
        num_shots=num_shots,
        fewer_shots=fewer_shots,
        extractor=extractor,
        form=PromptForm(form),
        max_tokens=max_tokens,
        permute=permute,
        circular=circular,
        subjects=tuple(subjects or ()),
        limit=limit,
        seed=seed,
    )
    questions = load_questions(data)
    with load_engine(engine) as model, open_progress(quiet=current_cli().quiet) as progress:
        exam = run_exam(
            model,
            questions,
            settings,
            output=output,
            progress=progress,
            retry_errors=retry_errors,
            exclude_errors=exclude_errors,
        )
    show_exam(Console(), exam)
    return ExitCode.FAULTS if exam.num_faults else ExitCode.DONE


@app.command
def validate(data: str, *, limit: int = 50) -> ExitCode:
    """Check every item of a data set: options, answers, duplicates, leaks from dev, and subjects.

    Example: tmlu-bench validate tmlu/

    Args:
        data: folder or file of questions, or id of a data set of the hub.
        limit: most findings to print; all are counted.
    """
    from rich.console import Console

    from tmlu_bench._show import show_findings
    from tmlu_bench._sources import load_questions
    from tmlu_bench._validate import Severity, validate_questions

    questions = load_questions(data)
    findings = validate_questions(questions)
    show_findings(Console(), questions, findings, limit=limit)
    has_errors = any(finding.severity is Severity.ERROR for finding in findings)
    return ExitCode.FAULTS if has_errors else ExitCode.DONE


@app.command
def compare(
    runs: list[Path],
    *,
    output: Path | None = None,
    allow_different: bool = False,
    exclude_errors: bool = False,
    seed: int = 0,
) -> ExitCode:
    """Compare runs on the questions they have in common: paired tests, corrected for their number.

    Also reads logs of lm-eval (a folder or file of samples_TASK_TIME.jsonl).

    Example: tmlu-bench compare runs/model-a runs/model-b --output compared.json

    Args:
        runs: folders of finished runs, or of lm-eval logs; two or more.
        output: JSON file to write.
        allow_different: compare runs of different protocols or questions, and print what differs.
        exclude_errors: leave questions out on which a run ended in error.
        seed: of the resamples.
    """
    from rich.console import Console

    from tmlu_bench._compare import CompareOptions, compare_runs, comparison_to_json
    from tmlu_bench._report_stored import read_compared
    from tmlu_bench._show import show_comparison
    from twllm_runs import write_json_atomic

    options = CompareOptions(allow_different=allow_different, exclude_errors=exclude_errors, seed=seed)
    comparison = compare_runs(read_compared(runs), options)
    if output is not None:
        write_json_atomic(output, comparison_to_json(comparison))
    show_comparison(Console(), comparison)
    return ExitCode.DONE


@app.command
def report(
    runs: list[Path],
    *,
    output: Path,
    allow_different: bool = False,
    exclude_errors: bool = False,
    seed: int = 0,
) -> ExitCode:
    """Write one page: a single run with its items, or the leaderboard of several with their paired differences.

    Example: tmlu-bench report runs/model-a runs/model-b --output leaderboard.html

    Args:
        runs: folders of finished runs.
        output: HTML file to write.
        allow_different: put runs of different protocols or questions on one page, which says what differs.
        exclude_errors: leave questions with errors out of the figures, which say so.
        seed: of the resamples.
    """
    from rich.console import Console

    from tmlu_bench._compare import CompareOptions
    from tmlu_bench._report_stored import write_report

    write_report(
        runs,
        output,
        options=CompareOptions(allow_different=allow_different, exclude_errors=exclude_errors, seed=seed),
    )
    Console().print(f"wrote {output}", highlight=False, soft_wrap=True)
    return ExitCode.DONE


@app.command
def contamination(
    *,
    data: str,
    output: Path,
    engine: str | None = None,
    control: str | None = None,
    corpus: Path | None = None,
    tw_corpus: Path | None = None,
    shares: Annotated[list[float] | None, Parameter(consume_multiple=(1, None))] = None,
    num_orders: int = 8,
    ngram_chars: int = 13,
    text_field: str = "text",
    seed: int = 0,
) -> ExitCode:
    """Look for signs that a model or a corpus has seen the questions; figures beside a control set, no verdict.

    Example: tmlu-bench contamination --data tmlu/ --engine hf:my-model --control new-questions/ --output runs/seen

    Args:
        data: questions, as for `run`.
        output: folder of the job.
        engine: model whose token probabilities are looked at.
        control: questions of the same kind that the model cannot have seen.
        corpus: folder of JSONL, Parquet or text to look for character n-grams in.
        tw_corpus: contamination.jsonl of `tw-corpus curate --decontaminate`.
        shares: shares of least likely tokens for Min-K%; 0.1, 0.2 and 0.3 where none is given.
        num_orders: other orders of the options per question; 0 leaves the order test out.
        ngram_chars: characters per n-gram.
        text_field: field of the corpus that holds the text.
        seed: of orders and resamples.
    """
    from contextlib import nullcontext

    from rich.console import Console

    from tmlu_bench._contamination_run import ContaminationInputs, ContaminationSettings, run_contamination
    from tmlu_bench._show import show_contamination
    from tmlu_bench._sources import load_questions
    from twllm_engines import load_engine
    from twllm_runs import current_cli, open_progress

    settings = ContaminationSettings(
        shares=tuple(shares) if shares else ContaminationSettings().shares,
        num_orders=num_orders,
        ngram_chars=ngram_chars,
        text_field=text_field,
        seed=seed,
    )
    questions, controls = load_questions(data), None if control is None else load_questions(control)
    loaded = nullcontext(None) if engine is None else load_engine(engine)
    with loaded as model, open_progress(quiet=current_cli().quiet) as progress:
        inputs = ContaminationInputs(
            questions=questions, engine=model, control=controls, corpus=corpus, tw_corpus_file=tw_corpus
        )
        result = run_contamination(inputs, settings, output=output, progress=progress)
    show_contamination(Console(), result, output)
    return ExitCode.FAULTS if result.num_failures else ExitCode.DONE


def main() -> None:
    """Run the command line."""
    sys.exit(run_app(app))
