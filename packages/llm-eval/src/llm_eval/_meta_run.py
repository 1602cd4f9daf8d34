"""Judges held against people, as a job: read scores and ratings, evaluate, keep the figures and a page.

The folder holds `run.json`, `summary.json` (every figure of `meta_evaluate`) and `report.html`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from llm_eval._aligned import baseline_scores
from llm_eval._baselines import TextUnit
from llm_eval._items import JudgeItem
from llm_eval._judge_scores import JudgeScores, plain_scores, scores_of_judgements
from llm_eval._judge_settings import OVERALL
from llm_eval._judge_stored import ITEMS_NAME, read_judgements
from llm_eval._judge_summary import overall_value
from llm_eval._judgements import DimensionScore, Judgement, ScoreMethod
from llm_eval._load_items import load_items, read_rows
from llm_eval._load_judgements import load_judgements
from llm_eval._load_ratings import load_ratings
from llm_eval._meta_evaluate import meta_evaluate
from llm_eval._meta_evaluation import Clustering, EvaluationLevel, MetaEvaluation, meta_evaluation_to_json
from llm_eval._ratings import Ratings
from llm_eval._report_meta import Pairs, meta_report
from twllm_runs import RunState, describe_inputs, open_run, write_text_atomic
from twllm_runs.report import render_report
from twllm_types import ConfigError, DataError, FrozenDict, JsonObject

META_COMMAND = "llm-eval meta-eval"
BASELINES_COMMAND = "llm-eval baselines"
REPORT_NAME = "report.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaInputs:
    """What is evaluated.

    Attributes:
        ratings: file of human ratings.
        judgements: runs of judges, or files of scores.
        items: file of what was judged; None takes the ratings where their rows hold the texts, else the items that the
            judges' runs keep. Without any, systems and clusters are those that the judgements name.
    """

    ratings: Path
    judgements: tuple[Path, ...] = ()
    items: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaSettings:
    """How it is evaluated; the meaning is that of the arguments of `meta_evaluate`.

    Attributes:
        dimensions: judge's dimension to that of the ratings; empty joins equal names.
        verdicts: words of dimensions that people rated by words, in their order.
        level: what is correlated.
        clustering: which items depend on each other.
        leave_out_systems: systems whose items are left out.
        text_unit: what baselines count.
        score_field: figure to take where a file of scores has several; None for none.
        draws: of bootstrap and permutation.
        seed: of the draws, >= 0.

    Raises:
        ConfigError: draws below 1 or a seed below 0.
    """

    dimensions: Mapping[str, str] = field(default_factory=FrozenDict[str, str])
    verdicts: Mapping[str, tuple[str, ...]] = field(default_factory=FrozenDict[str, tuple[str, ...]])
    level: EvaluationLevel = EvaluationLevel.TURN
    clustering: Clustering = Clustering.CONTEXT
    leave_out_systems: tuple[str, ...] = ()
    text_unit: TextUnit = TextUnit.WORDS
    score_field: str | None = None
    draws: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.draws < 1 or self.seed < 0:
            raise ConfigError(f"draws is {self.draws} and seed {self.seed}; give draws >= 1 and a seed >= 0")

    def to_json(self) -> JsonObject:
        """Return what decides the figures."""
        return {
            "dimensions": dict(self.dimensions),
            "verdicts": {name: list(words) for name, words in self.verdicts.items()},
            "level": self.level.value,
            "clustering": self.clustering.value,
            "leave_out_systems": list(self.leave_out_systems),
            "text_unit": self.text_unit.value,
            "score_field": self.score_field,
            "draws": self.draws,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaRun:
    """What was found.

    Attributes:
        folder: of the run.
        summary: every figure, as `summary.json` holds it.
        num_faults: ratings that do not count, judgements that failed, and judgements of no item.
    """

    folder: Path
    summary: JsonObject
    num_faults: int


def run_meta_evaluation(inputs: MetaInputs, settings: MetaSettings, *, output: Path) -> MetaRun:
    """Hold judges against people; a finished run of the same inputs is read.

    Raises:
        ConfigError: no judgements are given, or a setting is out of range.
        DataError: an input is damaged, or scores and ratings share nothing.
        ArtifactError: the folder holds another run, or a folder of judgements no finished one.
    """
    if not inputs.judgements:
        raise ConfigError("no judgements are given; give the folders of judges' runs, or files of scores")
    return _run(META_COMMAND, inputs, settings, output)


def run_baselines(inputs: MetaInputs, settings: MetaSettings, *, output: Path) -> MetaRun:
    """Hold BLEU-4, ROUGE-L and length against people, as every judge should be beside them.

    Raises:
        DataError: an input is damaged, or the items have no texts.
        ArtifactError: the folder holds another run.
    """
    return _run(BASELINES_COMMAND, replace(inputs, judgements=()), settings, output)


def _run(command: str, inputs: MetaInputs, settings: MetaSettings, output: Path) -> MetaRun:
    names = judge_names(inputs.judgements)
    item_files = _item_files(inputs, names)
    files = {
        "ratings": inputs.ratings,
        **{f"judge:{name}": _file(path) for name, path in zip(names, inputs.judgements, strict=True)},
        **item_files,
    }
    with open_run(
        output,
        command=command,
        parameters=settings.to_json(),
        inputs=describe_inputs(list(files.items())),
        seed=settings.seed,
        packages=("numpy",),
        decisive_packages=("llm-eval",),
    ) as run:
        if run.state is RunState.FINISHED:
            return MetaRun(folder=output, summary=run.result, num_faults=run.num_faults)
        items = _items(tuple(item_files.values()))
        judged = _judged(inputs, names, items, settings)
        ratings = _with_names(load_ratings(inputs.ratings, verdicts=settings.verdicts or None), judged)
        judges = [one.scores for one in judged] or _baselines(items, ratings, settings)
        # Baselines are the judges of their own command; without the items they do not stand below each other again.
        evaluation = _evaluate(judges, ratings, items if inputs.judgements else (), settings)
        num_without_item = _num_without_item(ratings, items, settings)
        summary = {key: value for key, value in meta_evaluation_to_json(evaluation).items() if key != "schema_version"}
        summary["num_rated_without_item"] = num_without_item
        page = meta_report(
            evaluation,
            pairs=_pairs(judges, ratings, evaluation),
            setting=_facts(settings, inputs),
            num_without_item=num_without_item,
        )
        write_text_atomic(output / REPORT_NAME, render_report(page))
        of_judges = sum(judge.num_failed + len(judge.unmatched) for judge in evaluation.judges)
        num_faults = of_judges + sum(evaluation.num_faults.values())
        run.finish(summary, num_faults=num_faults)
    return MetaRun(folder=output, summary=summary, num_faults=num_faults)


def judge_names(paths: Sequence[Path]) -> list[str]:
    """Name judges by their folders, or their files without ending; as many parts of the path as keep them apart."""
    plain = [path.resolve() for path in paths]
    parts = [
        path.parts
        if path.is_dir()
        else path.parts[:-1]
        if path.name == "judgements.jsonl"
        else (
            *path.parts[:-1],
            path.name.removesuffix(".gz").removesuffix(".jsonl"),
        )
        for path in plain
    ]
    for depth in range(1, max((len(one) for one in parts), default=0) + 1):
        names = ["/".join(one[-depth:]) for one in parts]
        if len(set(names)) == len(names):
            return names
    if not paths:
        return []
    raise ConfigError(f"{paths[0]}: is given twice; give each judge once")


def _file(path: Path) -> Path:
    return path / "judgements.jsonl" if path.is_dir() else path


def _item_files(inputs: MetaInputs, names: Sequence[str]) -> dict[str, Path]:
    """Files that hold what was judged: the one given, else the ratings where they hold texts, else those of runs."""
    if inputs.items is not None:
        return {"items": inputs.items}
    if "context" in _first_row(inputs.ratings):
        return {"ratings": inputs.ratings}
    return {
        f"items:{name}": path / ITEMS_NAME for name, path in zip(names, inputs.judgements, strict=True) if path.is_dir()
    }


def _items(paths: Sequence[Path]) -> tuple[JudgeItem, ...]:
    """All items of the files; an item of several must be the same in each."""
    found: dict[str, tuple[JudgeItem, Path]] = {}
    for path in paths:
        for item in load_items(path):
            known, where = found.setdefault(item.id, (item, path))
            if known != item:
                raise DataError(f"{path}: item {item.id!r} is another in {where}; give the file of items to use")
    return tuple(item for item, _ in found.values())


def _num_without_item(ratings: Ratings, items: Sequence[JudgeItem], settings: MetaSettings) -> int:
    """Rated items that are none of the items, where those are known; they are in no figure."""
    ids = {item.id for item in items}
    kept = [item.id for item in ratings.items.values() if item.system not in settings.leave_out_systems]
    return sum(item_id not in ids for item_id in kept) if ids else 0


def _first_row(path: Path) -> JsonObject:
    for row in read_rows(path):
        return row
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """A judge's scores, and the judgements that they are of where they are a run's."""

    scores: JudgeScores
    judgements: tuple[Judgement, ...] = ()


def _judged(
    inputs: MetaInputs, names: Sequence[str], items: Sequence[JudgeItem], settings: MetaSettings
) -> list[_Judged]:
    return [
        _judge(name, path, items, settings.score_field) for name, path in zip(names, inputs.judgements, strict=True)
    ]


def _judge(name: str, path: Path, items: Sequence[JudgeItem], score_field: str | None) -> _Judged:
    if path.is_dir() or "prompt_sha256" in _first_row(path):
        judgements, weights = read_judgements(path)
        scores = scores_of_judgements(name, [_with_overall(judgement, weights) for judgement in judgements])
        return _Judged(scores=scores, judgements=judgements)
    return _Judged(scores=load_judgements(path, judge=name, items=items, field=score_field))


def _with_names(ratings: Ratings, judged: Sequence[_Judged]) -> Ratings:
    """The ratings with system and cluster of the first judgement of an item where they name none themselves."""
    named = {row.item_id: row for one in reversed(judged) for row in reversed(one.judgements)}
    items = {
        item_id: replace(
            item,
            system=item.system if item.system is not None else named[item_id].system,
            cluster=item.cluster if item.cluster is not None else named[item_id].cluster,
        )
        if item_id in named
        else item
        for item_id, item in ratings.items.items()
    }
    return replace(ratings, items=items)


def _with_overall(judgement: Judgement, weights: Mapping[str, float]) -> Judgement:
    """The judgement with the weighted mean of its dimensions as one more, where it is no dimension of its own."""
    scores = judgement.scores
    overall = None if scores is None or OVERALL in scores else overall_value(scores, weights)
    if scores is None or overall is None:
        return judgement
    mean = DimensionScore(value=overall, method=ScoreMethod.ARGMAX)
    return replace(judgement, scores={**scores, OVERALL: mean})


def _baselines(items: Sequence[JudgeItem], ratings: Ratings, settings: MetaSettings) -> list[JudgeScores]:
    wanted = [
        item
        for item in items
        if item.system not in settings.leave_out_systems
        and (settings.level is EvaluationLevel.SYSTEM or item.level.value == settings.level.value)
    ]
    scores = baseline_scores(wanted, settings.text_unit)
    if not scores:
        raise DataError("the ratings hold no texts, so there is nothing to count; give the items")
    return [
        plain_scores(name, {key: dict.fromkeys(ratings.dimensions, value) for key, value in of_items.items()})
        for name, of_items in scores.items()
    ]


def _evaluate(
    judges: Sequence[JudgeScores], ratings: Ratings, items: Sequence[JudgeItem], settings: MetaSettings
) -> MetaEvaluation:
    return meta_evaluate(
        judges,
        ratings,
        items=items,
        dimensions=settings.dimensions or None,
        level=settings.level,
        clustering=settings.clustering,
        leave_out_systems=settings.leave_out_systems,
        text_unit=settings.text_unit,
        draws=settings.draws,
        seed=settings.seed,
    )


def _pairs(judges: Sequence[JudgeScores], ratings: Ratings, evaluation: MetaEvaluation) -> Pairs:
    """(judge's score, mean rating, id, system) of every item that has both, for pictures."""
    found: dict[tuple[str, str], list[tuple[float, float, str, str]]] = {}
    by_name = {judge.judge: judge for judge in judges}
    for judge in evaluation.judges:
        for one in judge.dimensions:
            rows = found.setdefault((judge.judge, one.dimension), [])
            for item_id, rated in ratings.items.items():
                mean = rated.mean(one.human_dimension)
                given = by_name[judge.judge].scores.get(item_id, {}).get(one.dimension, ())
                values = [value for value in given if isinstance(value, float | int)]
                if mean is not None and values and rated.system not in evaluation.left_out_systems:
                    rows.append((sum(values) / len(values), mean, item_id, rated.system or ""))
    return found


def _facts(settings: MetaSettings, inputs: MetaInputs) -> dict[str, str]:
    facts = {key: str(value) for key, value in settings.to_json().items() if value}
    return {"ratings": inputs.ratings.name, **facts}
