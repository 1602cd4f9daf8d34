"""Two recorded models through one exam of invented questions, by one recipe."""

import json
import math
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tmlu_bench import build_prompt, load_questions
from twllm_bench import load_bench_recipe
from twllm_bench._cli import app
from twllm_engines import EngineCapabilities, RecordingEngine
from twllm_runs import run_app
from twllm_types import (
    Completion,
    ConfigError,
    EngineFailure,
    FailureKind,
    GenerationRequest,
    JsonObject,
    Likelihood,
    LikelihoodRequest,
    ModelIdentity,
)


class HashModel:
    """Scores by hash; one question fails where told."""

    def __init__(self, name: str, *, fails_on: str = "\0") -> None:
        self._name = name
        self._fails_on = fails_on

    @property
    def identity(self) -> ModelIdentity:
        return ModelIdentity(spec=f"hash:{self._name}")

    @property
    def settings(self) -> JsonObject:
        return {}

    @property
    def capabilities(self) -> EngineCapabilities:
        return EngineCapabilities(
            likelihood=True,
            sequence_logprobs=False,
            chat=False,
            raw_prompts=True,
            json_schema=False,
            max_top_logprobs=None,
        )

    def loglikelihood(self, requests: Sequence[LikelihoodRequest]) -> list[Likelihood | EngineFailure]:
        return [self._score(request) for request in requests]

    def stream(self, requests: Sequence[GenerationRequest]) -> Iterator[tuple[int, Completion | EngineFailure]]:
        raise NotImplementedError

    def generate(self, requests: Sequence[GenerationRequest]) -> list[Completion | EngineFailure]:
        raise NotImplementedError

    def close(self) -> None:
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return

    def _score(self, request: LikelihoodRequest) -> Likelihood | EngineFailure:
        if self._fails_on in request.context:
            return EngineFailure(kind=FailureKind.TIMEOUT, message="no answer in 30 s")
        digest = sha256(f"{self._name}{request.context}{request.continuation}".encode()).digest()
        return Likelihood(logprob=math.log((digest[0] + 1) / 1024), num_tokens=1)


def write_bench(folder: Path, *, fails_on: str = "\0") -> Path:
    """Write questions, two recordings and the recipe."""
    (folder / "data").mkdir()
    rows = [
        {
            "id": f"q{k}",
            "question": f"第{k}題選哪一個？",
            "A": "甲",
            "B": "乙",
            "C": "丙",
            "D": "丁",
            "answer": "ABCD"[k % 4],
        }
        for k in range(20)
    ]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "data" / "AST_civics_test.jsonl").write_text(text, encoding="utf-8")
    requests = [
        LikelihoodRequest(context=prompt.raw, continuation=continuation)
        for question in load_questions(str(folder / "data")).get("AST_civics").test
        for prompt in [build_prompt(question, (), "tmlu-direct")]
        for continuation in prompt.continuations
    ]
    for name in ("one", "two"):
        with RecordingEngine(HashModel(name, fails_on=fails_on), folder / f"{name}.jsonl") as engine:
            engine.loglikelihood(requests)
    recipe = folder / "bench.yaml"
    recipe.write_text(
        "data: data\nexam: {num_shots: 0}\nmodels: {one: 'replay:one.jsonl', two: 'replay:two.jsonl'}\n",
        encoding="utf-8",
    )
    return recipe


def test_bench_of_two_models_writes_runs_and_one_leaderboard(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    recipe = write_bench(tmp_path)
    for _ in range(2):
        assert run_app(app, ["--quiet", "run", str(recipe), "--output", str(tmp_path / "runs")]) == 0
    out, _ = capfd.readouterr()
    assert out.count("20 questions, 20 items") == 4
    page = (tmp_path / "runs" / "leaderboard.html").read_text(encoding="utf-8")
    assert "Paired differences" in page
    assert (tmp_path / "runs" / "one" / "summary.json").exists()


def test_bench_with_errors_ends_with_what_to_do_and_by_choice_with_a_page(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["--quiet", "run", str(write_bench(tmp_path, fails_on="第3題")), "--output", str(tmp_path / "runs")]
    assert run_app(app, words) == 2
    assert "--exclude-errors" in capfd.readouterr().err
    assert run_app(app, [*words, "--exclude-errors"]) == 3
    assert (tmp_path / "runs" / "leaderboard.html").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data: x\nmodels: {}\n", "models is empty"),
        ("data: x\nmodels: {a/b: 'hf:x'}\n", "no folder name"),
        ("data: x\nmodels: {a: 'hf:x'}\nexam: {protocol: none}\n", "no protocol is named"),
        ("data: x\nmodels: {a: 'hf:x'}\nshots: 5\n", "shots"),
    ],
)
def test_recipe_that_cannot_be_used_names_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bench.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message) as caught:
        load_bench_recipe(path)
    assert str(caught.value).startswith(f"{path}:")
