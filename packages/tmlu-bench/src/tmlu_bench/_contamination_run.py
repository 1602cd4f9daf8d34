"""The contamination job: texts scored by a model, overlap with a corpus, and what tw-corpus found, on one page."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import isfinite
from pathlib import Path
from typing import cast

from tmlu_bench._contamination import (
    CONTROL,
    QUESTIONS,
    ContaminationResult,
    OverlapSummary,
    SetComparison,
    compare_sets,
    mean_logprob,
    min_k,
    min_k_plus_plus,
    option_order_test,
    zlib_score,
)
from tmlu_bench._contamination_overlap import DEFAULT_NGRAM_CHARS, NgramIndex
from tmlu_bench._contamination_texts import ScoredText, corpus_files, plan_texts, question_text, read_corpus
from tmlu_bench._question_set import QuestionSet
from tmlu_bench._report_contamination import contamination_report
from twllm_engines import Engine, sequence_scorer
from twllm_runs import JsonlAppender, Progress, Run, RunState, describe_inputs, open_run, read_jsonl, write_text_atomic
from twllm_runs.report import render_report
from twllm_runs.statistics import proportion_estimate
from twllm_types import (
    ConfigError,
    DataError,
    EngineFailure,
    Estimate,
    EstimateUnit,
    InputFile,
    JsonObject,
    JsonValue,
    SequenceLogprobs,
)

COMMAND = "tmlu-bench contamination"
SCORES_NAME = "scores.jsonl"
OVERLAP_NAME = "overlap.jsonl"
_TEXTS_PER_CALL = 64
_TW_CORPUS_SCHEMA_VERSION = 1
_OUTCOMES = ("clean", "found", "too_short")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContaminationSettings:
    """What decides the result.

    Attributes:
        shares: shares of least likely tokens for Min-K%, each in (0, 1].
        num_orders: other orders of the options per question, >= 0; 0 leaves the order test out.
        ngram_chars: n of the overlap, >= 1.
        text_field: field of the corpus that holds the text.
        seed: of orders and resamples, >= 0.

    Raises:
        ConfigError: a value is out of range.
    """

    shares: tuple[float, ...] = (0.1, 0.2, 0.3)
    num_orders: int = 8
    ngram_chars: int = DEFAULT_NGRAM_CHARS
    text_field: str = "text"
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.shares or not all(0 < share <= 1 for share in self.shares):
            raise ConfigError(f"shares of tokens are {self.shares}; give some in (0, 1], 0.2 for Min-20%")
        if self.num_orders < 0 or self.ngram_chars < 1 or self.seed < 0:
            raise ConfigError("num_orders and seed must be >= 0, ngram_chars >= 1; correct them")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContaminationInputs:
    """What is looked at; `engine`, `control`, `corpus` and `tw_corpus_file` are None where there is none."""

    questions: QuestionSet
    engine: Engine | None = None
    control: QuestionSet | None = None
    corpus: Path | None = None
    tw_corpus_file: Path | None = None


def run_contamination(
    inputs: ContaminationInputs, settings: ContaminationSettings, *, output: Path, progress: Progress
) -> ContaminationResult:
    """Look for signs of contamination; a killed job goes on by the same call.

    Raises:
        ConfigError: neither engine nor corpus nor file is given, the engine cannot score texts, or a setting is off.
        DataError: a corpus or artifact cannot be read.
        ArtifactError: the folder holds another run.
    """
    if inputs.engine is None and inputs.corpus is None and inputs.tw_corpus_file is None:
        raise ConfigError("nothing to look at; give --engine, --corpus or --tw-corpus")
    if inputs.engine is not None:
        sequence_scorer(inputs.engine)
    engine = inputs.engine
    with open_run(
        output,
        command=COMMAND,
        parameters=_parameters(inputs, settings),
        inputs=_input_files(inputs),
        models=() if engine is None else (replace(engine.identity, reported_id=None),),
        engine_settings={} if engine is None else engine.settings,
        seed=settings.seed,
        packages=("numpy", "torch", "transformers", "pyarrow"),
        decisive_packages=("tmlu-bench", "twllm-engines"),
    ) as run:
        if run.state is not RunState.FINISHED:
            if engine is not None:
                _score_texts(run, engine, _planned(inputs, settings), settings, progress)
            if inputs.corpus is not None:
                _write_overlap(run, inputs.questions, inputs.corpus, settings, progress)
        result = _result(run, inputs, settings)
        if run.state is not RunState.FINISHED:
            _finish(run, result)
        return result


def result_to_json(result: ContaminationResult) -> JsonObject:
    """Return the result as JSON."""
    return cast("JsonObject", asdict(result))


def text_scores(text: str, answer: SequenceLogprobs, shares: Sequence[float]) -> dict[str, float]:
    """All scores of one text, each the higher the more familiar; Min-K%++ where the engine gives what it needs.

    Raises:
        DataError: the text has no token with a log-probability.
    """
    scores = {"mean_logprob": mean_logprob(answer.logprobs), "zlib": zlib_score(text, answer.logprobs)}
    for share in shares:
        scores[f"min_k_{100 * share:g}"] = min_k(answer.logprobs, share)
        if answer.expected_logprobs is not None and answer.logprob_stds is not None and any(answer.logprob_stds):
            scores[f"min_k_plus_plus_{100 * share:g}"] = min_k_plus_plus(
                answer.logprobs, answer.expected_logprobs, answer.logprob_stds, share
            )
    return {name: value for name, value in scores.items() if isfinite(value)}


def read_tw_corpus_file(path: Path) -> dict[str, dict[str, int]]:
    """Count the outcomes in a `contamination.jsonl` of tw-corpus, by benchmark.

    Raises:
        DataError: a line is none of tw-corpus' report of this version; the message names file and line.
    """
    counts: dict[str, Counter[str]] = {}
    for number, row in enumerate(read_jsonl(path), start=1):
        outcome = row.get("outcome")
        if row.get("schema_version") != _TW_CORPUS_SCHEMA_VERSION or outcome not in _OUTCOMES or "item" not in row:
            raise DataError(f"{path}:{number}: is no line of tw-corpus' contamination.jsonl; give that file")
        counts.setdefault(str(row.get("benchmark")), Counter())[str(outcome)] += 1
    return {name: {outcome: count[outcome] for outcome in _OUTCOMES} for name, count in sorted(counts.items())}


def _parameters(inputs: ContaminationInputs, settings: ContaminationSettings) -> JsonObject:
    return {
        **cast("JsonObject", asdict(settings)),
        "shares": list(settings.shares),
        "data_sha256": inputs.questions.sha256,
        "control_sha256": None if inputs.control is None else inputs.control.sha256,
        "has_corpus": inputs.corpus is not None,
    }


def _input_files(inputs: ContaminationInputs) -> tuple[InputFile, ...]:
    named: list[tuple[str, Path]] = []
    for prefix, questions in ((QUESTIONS, inputs.questions), (CONTROL, inputs.control)):
        files = () if questions is None else questions.files
        named.extend((f"{prefix}/{file.name}", file.path) for file in files if file.path is not None)
    if inputs.corpus is not None:
        root = inputs.corpus if inputs.corpus.is_dir() else inputs.corpus.parent
        named.extend((f"corpus/{path.relative_to(root)}", path) for path in corpus_files(inputs.corpus))
    if inputs.tw_corpus_file is not None:
        named.append((f"tw-corpus/{inputs.tw_corpus_file.name}", inputs.tw_corpus_file))
    return describe_inputs(named)


def _planned(inputs: ContaminationInputs, settings: ContaminationSettings) -> list[ScoredText]:
    sets = ((QUESTIONS, inputs.questions), (CONTROL, inputs.control))
    return [
        text
        for name, questions in sets
        if questions is not None
        for text in plan_texts(name, questions, num_orders=settings.num_orders, seed=settings.seed)
    ]


def _score_texts(
    run: Run, engine: Engine, texts: Sequence[ScoredText], settings: ContaminationSettings, progress: Progress
) -> None:
    scorer = sequence_scorer(engine)
    path = run.folder / SCORES_NAME
    with JsonlAppender(path) as appender:
        done = {_row_key(row) for row in read_jsonl(path)}
        missing = [text for text in texts if text.key not in done]
        task = progress.task("scoring", len(texts), "texts")
        task.set(len(texts) - len(missing))
        for start in range(0, len(missing), _TEXTS_PER_CALL):
            batch = missing[start : start + _TEXTS_PER_CALL]
            answers = scorer.sequence_logprobs([text.text for text in batch])
            for text, answer in zip(batch, answers, strict=True):
                appender.append(_score_row(text, answer, settings))
                task.advance()


def _score_row(
    text: ScoredText, answer: SequenceLogprobs | EngineFailure, settings: ContaminationSettings
) -> JsonObject:
    row: JsonObject = {
        "set": text.set_name,
        "subject": text.subject,
        "question_id": text.question_id,
        "order": text.order,
        "logprob": None,
        "scores": None,
        "failure": None,
    }
    if isinstance(answer, EngineFailure):
        return {**row, "failure": {"kind": answer.kind.value, "message": answer.message}}
    if not answer.logprobs or not isfinite(sum(answer.logprobs)):
        return {**row, "failure": {"kind": "no_logprobs", "message": "no token has a finite log-probability"}}
    scores = text_scores(text.text, answer, settings.shares) if text.order == 0 else None
    return {**row, "logprob": sum(answer.logprobs), "scores": cast("JsonValue", scores)}


def _row_key(row: Mapping[str, JsonValue]) -> tuple[str, str, str, int]:
    return str(row["set"]), str(row["subject"]), str(row["question_id"]), cast("int", row["order"])


def _write_overlap(
    run: Run, questions: QuestionSet, corpus: Path, settings: ContaminationSettings, progress: Progress
) -> None:
    texts = {
        f"{subject.id}/{question.id}": question_text(question)
        for subject in questions.subjects
        for question in subject.test
    }
    index = NgramIndex(texts, settings.ngram_chars)
    task = progress.task("reading the corpus", None, "texts")
    for text in read_corpus(corpus_files(corpus), text_field=settings.text_field):
        index.look_in(text)
        task.advance()
    path = run.folder / OVERLAP_NAME
    path.unlink(missing_ok=True)
    with JsonlAppender(path) as appender:
        for key, overlap in sorted(index.overlaps().items()):
            appender.append({"item": key, **cast("JsonObject", asdict(overlap))})


def _result(run: Run, inputs: ContaminationInputs, settings: ContaminationSettings) -> ContaminationResult:
    rows = sorted(_rows(run.folder / SCORES_NAME), key=_row_key) if inputs.engine is not None else []
    scored = [row for row in rows if row["failure"] is None]
    return ContaminationResult(
        scores=tuple(_compare_scores(rows, settings)),
        order_tests={
            name: option_order_test(orders, seed=settings.seed)
            for name in (QUESTIONS, CONTROL)
            if (orders := _orders(scored, name))
        },
        num_failures=len(rows) - len(scored),
        overlap=_overlap_summary(run) if inputs.corpus is not None else None,
        found_by_tw_corpus=None if inputs.tw_corpus_file is None else read_tw_corpus_file(inputs.tw_corpus_file),
    )


def _rows(path: Path) -> Iterator[JsonObject]:
    return read_jsonl(path) if path.exists() else iter(())


def _compare_scores(rows: Sequence[JsonObject], settings: ContaminationSettings) -> Iterator[SetComparison]:
    """Each score of the texts as they are; what has no such score is counted in its own set."""
    own = [row for row in rows if row["order"] == 0]
    tables = {
        name: [cast("dict[str, float]", row["scores"] or {}) for row in own if row["set"] == name]
        for name in (QUESTIONS, CONTROL)
    }
    for score in dict.fromkeys(name for table in tables.values() for row in table for name in row):
        values = {name: [row[score] for row in table if score in row] for name, table in tables.items()}
        yield compare_sets(
            score,
            values[QUESTIONS],
            values[CONTROL] if tables[CONTROL] else None,
            unit=_unit(score),
            seed=settings.seed,
            num_unscored=len(tables[QUESTIONS]) - len(values[QUESTIONS]),
            num_unscored_controls=len(tables[CONTROL]) - len(values[CONTROL]),
        )


def _unit(score: str) -> EstimateUnit:
    if score == "zlib":
        return EstimateUnit.RATIO
    return EstimateUnit.POINTS if "plus_plus" in score else EstimateUnit.NATS


def _orders(rows: Sequence[JsonObject], set_name: str) -> list[list[float]]:
    """Log-likelihoods by question, its own order first; questions without another order are left out."""
    by_question: dict[tuple[str, str], dict[int, float]] = {}
    for row in rows:
        if row["set"] == set_name:
            key = str(row["subject"]), str(row["question_id"])
            by_question.setdefault(key, {})[cast("int", row["order"])] = cast("float", row["logprob"])
    return [
        [orders[key] for key in sorted(orders)] for orders in by_question.values() if 0 in orders and len(orders) > 1
    ]


def _overlap_summary(run: Run) -> OverlapSummary:
    coverages = [row["coverage"] for row in read_jsonl(run.folder / OVERLAP_NAME)]
    known = [cast("float", coverage) for coverage in coverages if coverage is not None]
    missing = len(coverages) - len(known)

    def share(least: float) -> Estimate:
        return proportion_estimate(sum(value >= least for value in known), len(known), num_unscored=missing)

    return OverlapSummary(
        num_too_short=missing,
        any_ngram=proportion_estimate(sum(value > 0 for value in known), len(known), num_unscored=missing),
        half_covered=share(0.5),
        fully_covered=share(1.0),
    )


def _finish(run: Run, result: ContaminationResult) -> None:
    rows = list(_rows(run.folder / SCORES_NAME))
    write_text_atomic(run.folder / "report.html", render_report(contamination_report(result, rows)))
    run.finish(result_to_json(result), num_faults=result.num_failures)
