"""One table per data set: recorded judges beside BLEU-4, ROUGE-L, length, one rater and the ceiling, with intervals.

Reads `dialog/unified` and `dialog/recorded_judges` of the shared data, whose folder TWLLM_DATA names, and writes
figures alone: no row of the data stands in the report.

Usage: TWLLM_DATA=... uv run python benchmarks/llm_eval/data_sets.py [--quick]
"""

import argparse
import datetime as dt
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from llm_eval import JudgeItem
    from llm_eval.statistics import (
        CorrelationMethod,
        CorrelationResult,
        DimensionEvaluation,
        JudgeScores,
        RecordedJudge,
    )

HERE = Path(__file__).parent
SEED, NUM_DRAWS = 5, 1000
# Pearson and Spearman to three decimals.
Published = Mapping[str, tuple[float | None, float | None]]
AURUCCI = ("Baichuan2-13B", "Chatglm3-6B", "Llama2-13B", "Qwen14B", "Vicuna13B")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """A set, the responses that are its references, what was judged, and which recordings judge it.

    Attributes:
        name: of the file in `dialog/unified`.
        human: the dimension that a judge without dimensions is held against.
        truth: system whose responses are the references; its rows are left out.
        level: of its items.
        aurucci: middle of the names of the recordings of five models; None without.
        published: key in `published_baselines.json`; None where the figures are over other rows.
    """

    name: str
    human: str
    truth: str | None = None
    level: str = "turn"
    aurucci: str | None = None
    published: str | None = None


USR_TRUTH = "Original Ground Truth"
SETS = (
    DataSet(
        name="usr-topicalchat",
        human="Overall",
        truth=USR_TRUTH,
        aurucci="tc_usr_data__turn_level",
        published="usr-topicalchat",
    ),
    DataSet(
        name="usr-personachat",
        human="Overall",
        truth=USR_TRUTH,
        aurucci="pc_usr_data__turn_level",
        published="usr-personachat",
    ),
    DataSet(name="convai2-grade", human="relevance", published="convai2-grade"),
    DataSet(name="dailydialog-grade", human="relevance", published="dailydialog-grade"),
    DataSet(name="empathetic-grade", human="relevance", published="empathetic-grade"),
    DataSet(name="dailydialog-zhao", human="appropriateness", truth="ground-truth"),
    DataSet(name="fed-turn", human="Overall", aurucci="fed_data__turn_level"),
    DataSet(name="fed-dialogue", human="Overall", level="dialogue", aurucci="fed_data__dialogue_level"),
)
TINY = ("gemma3-270m", "smollm2-135m")
ZHAO = ("content", "grammar", "relevance", "appropriateness")
GPT4 = {"ovr": "Overall", "coh": "Coherent", "eng": "Likeable", "inf": "Informative", "div": "Diverse"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A judge, what its dimensions are called by people, and by those names what its recording states or repeats."""

    scores: "JudgeScores"
    dimensions: Mapping[str, str]
    published: Mapping[str, str] = field(default_factory=dict[str, str])


def find_judges(root: Path, data: DataSet, items: Sequence["JudgeItem"]) -> list[Judged]:
    """Read the recordings of a set, joined in the order of its rows."""
    from llm_eval.statistics import load_judgements, read_recorded

    folder = root / "recorded_judges"
    ids = [item.id for item in items]
    found: list[Judged] = []
    for model in AURUCCI if data.aurucci else ():
        recorded = read_recorded(folder / "aurucci" / f"{model}__{data.aurucci}.json")
        stated = stated_text(recorded, "Overall", recorded.published)
        found.append(
            Judged(scores=recorded.join(ids), dimensions={"Overall": data.human}, published={data.human: stated})
        )
    if data.name == "usr-topicalchat":
        recorded = read_recorded(folder / "unieval" / "topical_chat_result.json")
        content = json.loads((root / "published_baselines.json").read_text(encoding="utf-8"))
        stated = stated_text(recorded, "overall", content["unieval_topicalchat"]["dimensions"]["overall"])
        scores = renamed(recorded.join(ids), "UniEval")
        found.append(Judged(scores=scores, dimensions={"overall": data.human}, published={data.human: stated}))
    if data.name == "fed-dialogue":
        scores = read_recorded(folder / "comp_analysis" / "fed_gpt4_annotations.json").join(ids)
        found.append(Judged(scores=renamed(scores, "GPT-4, mean of 5"), dimensions=GPT4))
    for model in TINY if data.name == "dailydialog-zhao" else ():
        path = folder / "tiny" / f"{model}_dailydialog-zhao_ref.jsonl"
        scores = renamed(load_judgements(path, field="expected"), f"{model}, expected")
        found.append(Judged(scores=scores, dimensions={name: name for name in ZHAO}))
    return found


def stated_text(recorded: "RecordedJudge", dimension: str, stated: Mapping[str, float]) -> str:
    """Say what is stated of a recording over all of its rows, and whether ours is the same to six decimals."""
    from llm_eval import correlate

    figures = {name.removesuffix("_correlation"): value for name, value in stated.items()}
    wanted = [figures[name] for name in ("pearson", "spearman")]
    ours = [
        correlate(recorded.scores[dimension][0], recorded.human[dimension], method).value
        for method in ("pearson", "spearman")
    ]
    same = all(own is not None and abs(own - theirs) < 5.1e-7 for own, theirs in zip(ours, wanted, strict=True))
    text = " / ".join(f"{figure:.3f}" for figure in wanted)
    return f"all {recorded.num_rows} rows: {text}, {'equal' if same else '**differs**'}"


def renamed(scores: "JudgeScores", judge: str) -> "JudgeScores":
    """Return the same scores under the name of the judge."""
    from llm_eval.statistics import JudgeScores

    return JudgeScores(judge=judge, scores=scores.scores, failures=scores.failures)


def lengths(items: Sequence["JudgeItem"]) -> "JudgeScores":
    """Return the words of each response (or dialogue), which stand for a judge where a set has no recording."""
    from llm_eval.statistics import plain_scores, response_length

    texts = {
        item.id: [item.response or ""] if item.response else [turn.text for turn in item.context] for item in items
    }
    counted = {key: {"length": float(sum(map(response_length, turns)))} for key, turns in texts.items()}
    return plain_scores("length", counted)


def cell(result: "CorrelationResult") -> str:
    """Return a coefficient with its interval by contexts."""
    value = result.correlation.value
    if value is None:
        return f"undefined ({result.correlation.reason})"
    estimate = result.by_clusters or result.by_items
    if estimate is None or estimate.ci_low is None or estimate.ci_high is None:
        return f"{value:.3f}"
    return f"{value:.3f} [{estimate.ci_low:.3f}, {estimate.ci_high:.3f}]"


def shared_rows(one: "DimensionEvaluation", methods: Sequence["CorrelationMethod"], published: Published) -> list[str]:
    """Return the rows of baselines, one rater and ceiling of one dimension."""
    rows: list[str] = []
    for name, results in one.baselines.items():
        known = published.get(name)
        cells = " | ".join(cell(results[method]) for method in methods)
        rows.append(f"| {name} | {cells} | {one.n} | {parity(results, methods, known)} |")
    raters = [one.rater_baseline[method].value for method in methods]
    rows.append(f"| one rater | {' | '.join('-' if v is None else f'{v:.3f}' for v in raters)} | {one.n} | |")
    ceiling = one.reliability.ceiling
    shown = f"none ({one.reliability.reason})"
    if ceiling is not None and ceiling.mean is not None:
        ends = "" if ceiling.ci_low is None else f" [{ceiling.ci_low:.3f}, {ceiling.ci_high:.3f}]"
        shown = f"{ceiling.mean:.3f}{ends}"
    rows.append(f"| ceiling | {shown} | {shown} | {one.reliability.n} | |")
    return rows


def parity(
    results: "Mapping[CorrelationMethod, CorrelationResult]",
    methods: Sequence["CorrelationMethod"],
    known: tuple[float | None, float | None] | None,
) -> str:
    """Say what was published, and whether ours rounds to it."""
    if known is None:
        return ""
    ours = [results[method].correlation.value for method in methods]
    same = all(
        theirs is None or (own is not None and abs(own - theirs) < 0.00051)
        for own, theirs in zip(ours, known, strict=True)
    )
    figures = " / ".join("-" if figure is None else f"{figure:.3f}" for figure in known)
    return f"{figures}, {'equal' if same else '**differs**'}"


def read_published(root: Path, data: DataSet) -> Published:
    """Return what was published of the baselines that we have; nothing where it is over other rows."""
    if data.published is None:
        return {}
    content = json.loads((root / "published_baselines.json").read_text(encoding="utf-8"))
    rows = cast("dict[str, dict[str, float | None]]", content["datasets"][data.published][data.level])
    return {name: (rows[name]["pearson"], rows[name]["spearman"]) for name in ("BLEU-4", "ROUGE-L")}


def table(root: Path, data: DataSet, *, draws: int) -> list[str]:
    """Return the section of one set."""
    from llm_eval import load_items, load_ratings
    from llm_eval.statistics import CorrelationMethod, EvaluationLevel, meta_evaluate

    path = root / "unified" / f"{data.name}.jsonl"
    items, ratings = load_items(path), load_ratings(path)
    judges = find_judges(root, data, items)
    methods = (CorrelationMethod.PEARSON, CorrelationMethod.SPEARMAN)
    published = read_published(root, data)
    # Judges of some of the rows have their own baselines, so that all figures of one block are over the same items.
    blocks: dict[tuple[str, int], tuple[list[str], list[str]]] = {}
    length = Judged(scores=lengths(items), dimensions={"length": data.human})
    for judged in [length, *judges]:
        found = meta_evaluate(
            judged.scores,
            ratings,
            items=items,
            dimensions=judged.dimensions,
            methods=methods,
            permuted=(),
            level=EvaluationLevel(data.level),
            leave_out_systems=[data.truth] if data.truth else [],
            draws=draws,
            seed=SEED,
        )
        for one in found.judges[0].dimensions:
            rows, below = blocks.setdefault((one.human_dimension, one.n), ([], []))
            if not below:
                below += shared_rows(one, methods, published if one.human_dimension == data.human else {})
            if judged is not length:
                cells = " | ".join(cell(one.correlations[method]) for method in methods)
                stated = judged.published.get(one.human_dimension, "")
                rows.append(f"| {judged.scores.judge} | {cells} | {one.n} | {stated} |")
    contexts = len({item.cluster_key for item in items if item.system != data.truth})
    lines = [f"## {data.name}", ""]
    left_out = f"; without the rows of {data.truth!r}, which are the references" if data.truth else ""
    lines += [f"{contexts} contexts, {data.level} level{left_out}.", ""]
    if not judges:
        lines += ["No recorded judge of this set.", ""]
    for (human, n), (rows, below) in blocks.items():
        lines += [
            f"{human}, n = {n}:",
            "",
            "| who | Pearson | Spearman | n | published (P / S) |",
            "|---|---|---|---|---|",
            *rows,
            *below,
            "",
        ]
    return lines


def report(root: Path, *, draws: int) -> str:
    """Return the report."""
    from twllm_runs import hardware

    start = dt.datetime.now(tz=dt.UTC)
    tables = [line for data in SETS for line in table(root, data, draws=draws)]
    seconds = (dt.datetime.now(tz=dt.UTC) - start).total_seconds()
    machine = ", ".join(f"{key} {value}" for key, value in hardware().items())
    command = " ".join(["uv run python benchmarks/llm_eval/data_sets.py", *sys.argv[1:]])
    lines = [
        "# Judges and baselines against people, one table per data set",
        "",
        "Shared data, folder `dialog`: measured on the subset named in this report. No row of the data stands here.",
        "",
        f"- Command: `TWLLM_DATA=... {command}`, {dt.datetime.now(tz=dt.UTC).date()}, {seconds:.0f} s",
        f"- Hardware: {machine}",
        f"- llm-eval {version('llm-eval')}, numpy {version('numpy')}",
        f"- Intervals: 95 %, percentile bootstrap over contexts, {draws:,} draws, seed {SEED}",
        "- One rater: mean correlation of one rater with the mean of the others. Ceiling: sqrt of ICC(1,k) of the same",
        "  items, about the largest correlation with the mean rating that any judge can be expected to have",
        "- Judges are recordings of other projects (sources: the README of `dialog`); nothing was asked anew",
        "- Published, of BLEU-4 and ROUGE-L: Yeh, Eskenazi and Mehri 2021 (DialEvalMetrics), compared to three",
        "  decimals; of judges: what the recording states over all of its rows (with the ground truth), to six.",
        "  Empty where nothing is published over these rows",
        "- Known wrong rows: the README of the project that recorded the five open models prints other figures for",
        "  Llama2-13B and Qwen14B on fed-dialogue; what their files state is what stands here",
        "",
        *tables,
    ]
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    """Evaluate and write data_sets.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="20 draws, no report file")
    parser.add_argument("--draws", type=int, default=NUM_DRAWS)
    args = parser.parse_args()
    shared = os.environ.get("TWLLM_DATA")
    if shared is None or not (Path(shared) / "dialog" / "unified").is_dir():
        parser.error("shared data not found: dialog/unified; set TWLLM_DATA to the folder of the shared data")
    text = report(Path(shared) / "dialog", draws=20 if args.quick else args.draws)
    sys.stdout.write(text)
    if not args.quick:
        (HERE / "data_sets.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
