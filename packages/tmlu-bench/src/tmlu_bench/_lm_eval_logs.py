"""Logs of lm-evaluation-harness (0.4.13, `--log_samples`) as runs that can be compared with ours."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from tmlu_bench._compare import ComparedRun, QuestionKey
from twllm_runs import read_jsonl
from twllm_types import ConfigError, DataError, JsonObject

_FILE_NAME = re.compile(r"samples_(?P<task>.+)_\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}\.\d+\.jsonl")
_TASK_PREFIXES = ("tmlu_", "tmmluplus_")
_METRICS = ("acc", "exact_match")
_LOGPROB = {"protocol": "lm-eval's task", "scoring": "logprob, likelihood"}
_GENERATE = {"protocol": "lm-eval's task", "scoring": "generate", "extractor": "lm-eval's filter"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    question_id: str
    share: float
    prompt_sha256: str


def find_lm_eval_logs(path: Path) -> tuple[Path, ...]:
    """Return the sample logs that `path` is or holds, at any depth, by name; empty where there are none."""
    if path.is_file():
        return (path,) if _FILE_NAME.fullmatch(path.name) else ()
    return tuple(sorted(file for file in path.rglob("samples_*.jsonl") if _FILE_NAME.fullmatch(file.name)))


def read_lm_eval_run(path: Path, *, name: str | None = None) -> ComparedRun:
    """Read a folder or one file of sample logs as one run; each task is a subject.

    A task's name gives the subject, without the prefix `tmlu_` or `tmmluplus_`. A question is known by the `id` of its
    document, or where the data have none by its place, `doc_id`. Its prompt's hash is kept, so that a comparison can
    tell whether both runs asked the same.

    Args:
        path: what `lm_eval --output_path ... --log_samples` wrote.
        name: what to call the run; None for the name of the folder or file.

    Raises:
        ConfigError: there is no log, or a task stands in several logs.
        DataError: a line is no sample, has no metric that says right or wrong, or a question occurs twice.
    """
    files = find_lm_eval_logs(path)
    if not files:
        raise ConfigError(f"{path}: holds no samples_TASK_TIME.jsonl; run lm_eval with --output_path and --log_samples")
    shares: dict[QuestionKey, float | None] = {}
    prompts: dict[QuestionKey, str] = {}
    seen: dict[str, Path] = {}
    for file in files:
        subject = _subject(file)
        if subject in seen:
            raise ConfigError(f"{file}: is a second log of {subject} beside {seen[subject].name}; give one of the two")
        seen[subject] = file
        for question_id, sample in _read_samples(file).items():
            shares[subject, question_id] = sample.share
            prompts[subject, question_id] = sample.prompt_sha256
    return ComparedRun(
        name=name or path.stem,
        shares=shares,
        setting=_LOGPROB if _is_logprob(files[0]) else _GENERATE,
        prompts=prompts,
    )


def _read_samples(file: Path) -> dict[str, _Sample]:
    samples: dict[str, _Sample] = {}
    filters: set[str] = set()
    for number, row in enumerate(read_jsonl(file), start=1):
        where = f"{file}:{number}"
        filters.add(str(row.get("filter", "none")))
        if len(filters) > 1:
            raise DataError(f"{where}: the log holds filters {', '.join(sorted(filters))}; keep the lines of one")
        sample = _sample(row, where)
        if sample.question_id in samples:
            raise DataError(f"{where}: question {sample.question_id!r} occurs twice; give the questions distinct ids")
        samples[sample.question_id] = sample
    return samples


def _sample(row: JsonObject, where: str) -> _Sample:
    document, metric = row.get("doc"), next((row[name] for name in _METRICS if name in row), None)
    arguments = row.get("arguments")
    if "doc_id" not in row or not isinstance(document, dict) or not isinstance(arguments, dict):
        raise DataError(f"{where}: is no sample of lm-eval 0.4.13; write the log with --log_samples")
    if metric not in (0, 1):
        raise DataError(f"{where}: has no {' or '.join(_METRICS)} of 0 or 1 but {metric!r}; give a task that has")
    return _Sample(
        question_id=str(document["id"] if "id" in document else row["doc_id"]),
        share=float(cast("float", metric)),
        prompt_sha256=_prompt_sha256(arguments, where),
    )


def _prompt_sha256(arguments: Mapping[str, object], where: str) -> str:
    first = arguments.get("gen_args_0")
    context = cast("dict[str, object]", first).get("arg_0") if isinstance(first, dict) else None
    if not isinstance(context, str):
        raise DataError(f"{where}: has no prompt in arguments.gen_args_0.arg_0; write the log with lm-eval 0.4.13")
    return hashlib.sha256(context.encode("utf-8", "surrogatepass")).hexdigest()


def _is_logprob(file: Path) -> bool:
    first = next(read_jsonl(file), None)
    return first is not None and "acc" in first


def _subject(file: Path) -> str:
    match = _FILE_NAME.fullmatch(file.name)
    task = match["task"] if match else file.stem
    for prefix in _TASK_PREFIXES:
        task = task.removeprefix(prefix)
    return task
