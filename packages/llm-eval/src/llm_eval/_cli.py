"""The command `llm-eval`."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from llm_eval import _cli_meta
from llm_eval._cli_options import JudgeOptions, PairwiseOptions, Words
from twllm_runs import ExitCode, make_app, run_app

app = make_app(
    "llm-eval",
    package="llm-eval",
    help="One call, several scores: an LLM judge of dialogue, and the evaluation of judges against people.",
)


@app.command
def judge(items: Path, *, options: Annotated[JudgeOptions, Parameter(name="*")]) -> ExitCode:
    """Judge responses or dialogues, one call each for all dimensions. Killed at any moment, the same command goes on.

    Example: llm-eval judge items.jsonl --engine openai:MODEL@URL --style structured --structured --output runs/judge

    Args:
        items: JSONL of {id, context, response, references?, documents?, system?, cluster?}; gz too.
        options: what decides the judgements, and where they go.
    """
    from rich.console import Console

    from llm_eval._judge_run import run_judge
    from llm_eval._load_items import load_items
    from llm_eval._show import show_judge_run
    from twllm_engines import load_engine
    from twllm_runs import current_cli, open_progress

    settings = options.to_settings()
    loaded = load_items(items)
    with load_engine(options.engine) as model, open_progress(quiet=current_cli().quiet) as progress:
        judged = run_judge(
            model,
            loaded,
            settings,
            output=options.output,
            progress=progress,
            items_file=items,
            retry_failures=options.retry_failures,
        )
    show_judge_run(Console(), judged)
    return ExitCode.FAULTS if judged.num_faults else ExitCode.DONE


@app.command
def pairwise(answers: list[Path], *, options: Annotated[PairwiseOptions, Parameter(name="*")]) -> ExitCode:
    """Compare the answers of two or more systems two at a time, each pair in both orders.

    Example: llm-eval pairwise a.jsonl b.jsonl --engine openai:MODEL@URL --output runs/pairwise

    Args:
        answers: one file per system: {id, context, response}, {question_id, choices} or {id, generated_text}.
        options: what decides the comparisons, and where they go.
    """
    from rich.console import Console

    from llm_eval._load_answers import load_answers
    from llm_eval._pairwise_run import run_pairwise
    from llm_eval._show import show_pairwise
    from twllm_engines import load_engine
    from twllm_runs import current_cli, open_progress

    settings = options.to_settings()
    asked, files = load_answers(answers, options.questions, options.references)
    with load_engine(options.engine) as model, open_progress(quiet=current_cli().quiet) as progress:
        compared = run_pairwise(
            model,
            asked,
            files,
            settings,
            output=options.output,
            progress=progress,
            retry_failures=options.retry_failures,
        )
    show_pairwise(Console(), compared)
    return ExitCode.FAULTS if compared.num_faults else ExitCode.DONE


@app.command
def prefer(
    items: Path,
    *,
    judgements: Path,
    output: Path,
    dimension: str = "overall",
    choice: Literal["extremes", "all"] = "extremes",
    margin: float = 0.0,
    pairwise: Path | None = None,
    check_swap: bool = False,
    good_from: float | None = None,
    bad_to: float | None = None,
    form: Literal["standard", "conversational"] = "standard",
) -> ExitCode:
    """Make preference data of judged responses to the same prompts, in TRL's format for DPO and KTO.

    Example: llm-eval prefer items.jsonl --judgements runs/judge --margin 0.5 --output preferences

    Args:
        items: the responses; those of equal context answer the same prompt.
        judgements: folder of a judge's run, or its judgements.jsonl.
        output: folder to write: dpo.jsonl, kto.jsonl, details.jsonl, summary.json, report.html.
        dimension: whose scores decide.
        choice: the best against the worst of each prompt, or every pair.
        margin: least difference of the scores.
        pairwise: folder of a pairwise run over the same responses.
        check_swap: take only pairs that the pairwise judge decided alike in both orders.
        good_from: responses of at least this score are desirable (KTO).
        bad_to: responses of at most this score are undesirable (KTO).
        form: texts, or lists of messages.
    """
    from rich.console import Console

    from llm_eval._prefer import PreferInputs
    from llm_eval._prefer import prefer as make_preferences
    from llm_eval._preferences import PairChoice, PreferenceForm, PreferenceRules
    from llm_eval._show import show_preferences

    rules = PreferenceRules(
        choice=PairChoice(choice), margin=margin, check_swap=check_swap, good_from=good_from, bad_to=bad_to
    )
    inputs = PreferInputs(items=items, judgements=judgements, pairwise=pairwise)
    result = make_preferences(inputs, rules, output=output, dimension=dimension, form=PreferenceForm(form))
    show_preferences(Console(), result)
    return ExitCode.DONE


@app.command
def report(runs: list[Path], *, output: Path) -> ExitCode:
    """Write one page: a judge's run with its items, or several judges and evaluations beside each other.

    Example: llm-eval report runs/judge runs/other-judge runs/meta --output report.html

    Args:
        runs: folders of finished runs of judge, meta-eval and baselines.
        output: HTML file to write.
    """
    from rich.console import Console

    from llm_eval._report_stored import write_report

    write_report(runs, output)
    Console().print(f"wrote {output}", highlight=False, soft_wrap=True)
    return ExitCode.DONE


@app.command
def check(
    run: Path,
    *,
    minimum: Annotated[list[str] | None, Parameter(name="--min", consume_multiple=(1, None))] = None,
    baseline: Path | None = None,
    margin: Words = None,
    max_failures: float = 0.0,
    by_mean: bool = False,
    allow_different: bool = False,
) -> int:
    """Test a run for CI: exit code 4 where it is too low, worse than a baseline, or has too many failures.

    Example: llm-eval check runs/new --min relevance=3.5 --baseline runs/old --margin overall=0.1

    Args:
        run: folder of a finished run.
        minimum: NAME=NUMBER, least score of a dimension; the lower end of its interval must reach it.
        baseline: folder of the run to compare with, on the items that both hold.
        margin: NAME=NUMBER, how much lower than the baseline a dimension may be; tested at the lower end of the
            interval of the paired difference.
        max_failures: most judgements that may fail, as a share.
        by_mean: test means instead of the ends of intervals.
        allow_different: compare with a baseline of another judge.
    """
    from rich.console import Console

    from llm_eval._cli_values import read_numbers
    from llm_eval._gate import GATE_FAILED, GateRules, check_run
    from llm_eval._show import show_gate

    rules = GateRules(
        minimums=read_numbers(minimum, "--min"),
        margins=read_numbers(margin, "--margin"),
        max_failure_share=max_failures,
        by_mean=by_mean,
        allow_different=allow_different,
    )
    result = check_run(run, rules, baseline=baseline)
    show_gate(Console(), result)
    return ExitCode.DONE if result.passed else GATE_FAILED


_cli_meta.register(app)


def main() -> None:
    """Run the command line."""
    sys.exit(run_app(app))
