"""The commands `llm-eval meta-eval` and `llm-eval baselines`."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from twllm_runs import ExitCode

if TYPE_CHECKING:
    from cyclopts import App

    from llm_eval._meta_run import MetaRun, MetaSettings

Level = Literal["turn", "dialogue", "system"]
Clusters = Literal["context", "system", "none"]
Unit = Literal["words", "characters"]
Words = Annotated[list[str] | None, Parameter(consume_multiple=(1, None))]


def register(app: "App") -> None:
    """Add the commands to the app of `llm-eval`."""
    app.command(meta_eval, name="meta-eval")
    app.command(baselines)


def meta_eval(
    *,
    judgements: Annotated[list[Path], Parameter(consume_multiple=(1, None))],
    ratings: Path,
    output: Path,
    items: Path | None = None,
    dimension: Words = None,
    verdicts: Words = None,
    level: Level = "turn",
    clustering: Clusters = "context",
    leave_out_system: Words = None,
    text_unit: Unit = "words",
    score_field: str | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> ExitCode:
    """Hold judges against people: correlations with intervals, beside length, baselines, one rater and the ceiling.

    Example: llm-eval meta-eval --judgements runs/judge --ratings ratings.jsonl --output runs/meta

    Args:
        judgements: folders of judges' runs, or files of {id, scores}; several are compared.
        ratings: {id, human, scale} per item, or {id, dimension, rater, rating} per rating.
        output: folder to write.
        items: what was judged; else the ratings where their rows hold the texts, else the items of the judges' runs.
        dimension: JUDGE=HUMAN, a judge's dimension and what people call it; equal names are joined by themselves.
        verdicts: NAME=good,fair,bad, words of a dimension that people rated by words, in their order.
        level: responses, dialogues, or means of systems.
        clustering: which items depend on each other.
        leave_out_system: systems to leave out, such as the reference itself.
        text_unit: what baselines count; characters for Chinese.
        score_field: figure to take where a file of scores has several.
        draws: of bootstrap and permutation.
        seed: of the draws.
    """
    from llm_eval._cli_values import read_words
    from llm_eval._meta_run import MetaInputs, run_meta_evaluation

    settings = replace(
        _settings(level, clustering, leave_out_system, text_unit, draws=draws, seed=seed),
        dimensions=read_words(dimension, "--dimension"),
        verdicts={name: tuple(value.split(",")) for name, value in read_words(verdicts, "--verdicts").items()},
        score_field=score_field,
    )
    inputs = MetaInputs(ratings=ratings, judgements=tuple(judgements), items=items)
    return _shown(run_meta_evaluation(inputs, settings, output=output))


def baselines(
    ratings: Path,
    *,
    output: Path,
    items: Path | None = None,
    level: Level = "turn",
    clustering: Clusters = "context",
    leave_out_system: Words = None,
    text_unit: Unit = "words",
    draws: int = 2000,
    seed: int = 0,
) -> ExitCode:
    """Hold BLEU-4, ROUGE-L and length against people: what a judge has to beat.

    Example: llm-eval baselines ratings.jsonl --output runs/baselines

    Args:
        ratings: {id, context, response, references, human, scale} per item.
        output: folder to write.
        items: the texts, where the ratings hold none.
        level: responses, dialogues, or means of systems.
        clustering: which items depend on each other.
        leave_out_system: systems to leave out, such as the reference itself.
        text_unit: what is counted; characters for Chinese.
        draws: of bootstrap and permutation.
        seed: of the draws.
    """
    from llm_eval._meta_run import MetaInputs, run_baselines

    settings = _settings(level, clustering, leave_out_system, text_unit, draws=draws, seed=seed)
    return _shown(run_baselines(MetaInputs(ratings=ratings, items=items), settings, output=output))


def _settings(
    level: Level, clustering: Clusters, leave_out_system: list[str] | None, text_unit: Unit, *, draws: int, seed: int
) -> "MetaSettings":
    from llm_eval._baselines import TextUnit
    from llm_eval._meta_evaluation import Clustering, EvaluationLevel
    from llm_eval._meta_run import MetaSettings

    return MetaSettings(
        level=EvaluationLevel(level),
        clustering=Clustering(clustering),
        leave_out_systems=tuple(leave_out_system or ()),
        text_unit=TextUnit(text_unit),
        draws=draws,
        seed=seed,
    )


def _shown(found: "MetaRun") -> ExitCode:
    from rich.console import Console

    from llm_eval._show import show_meta

    show_meta(Console(), found)
    return ExitCode.FAULTS if found.num_faults else ExitCode.DONE
