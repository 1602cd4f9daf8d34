"""What the quickstart prints when it is through."""

from rich.console import Console

from llm_eval.jobs import show_judge_run
from tmlu_bench.exam import show_exam
from tw_corpus.curation import show_curation
from twllm_pipeline._quickstart import Quickstart
from twllm_pipeline._report import ARM_TITLES, beyond_selection
from twllm_runs import RunState
from twllm_runs.statistics import format_estimate


def show_quickstart(console: Console, done: Quickstart) -> None:
    """Print the figures of each stage and where to look."""
    show_curation(console, done.curation)
    show_exam(console, done.exam)
    console.print("judge: recorded answers, written by hand; no model judged")
    show_judge_run(console, done.judgements)
    console.print("arithmetic, before and after one iteration of Step-KTO:")
    for name, title in (("pass@1_greedy", "right, greedy"), ("wrong_steps_sampled", "wrong steps, temperature 1")):
        before, after = (format_estimate(run[name]) for run in (done.arithmetic.before, done.arithmetic.after))
        console.print(f"  {title}: {before} -> {after}", soft_wrap=True)
    console.print("intents: recorded generations, written by hand; no model wrote them")
    for arm, accuracy in done.intents.accuracies.items():
        console.print(f"  accuracy, {ARM_TITLES[arm]}: {format_estimate(accuracy)}", soft_wrap=True)
    console.print(f"  {done.intents.verdict}. {beyond_selection(done.intents)}".rstrip(), soft_wrap=True)
    if done.state is RunState.FINISHED:
        console.print("This quickstart was finished before; nothing was done.")
    console.print(f"Open {done.report}", soft_wrap=True)
