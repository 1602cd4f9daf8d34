"""Two recorded models through one exam of invented questions, by one recipe."""

import json
import math
import re
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


def page_text(folder: Path) -> str:
    """The words of the leaderboard."""
    return " ".join(re.sub(r"<[^>]*>", " ", (folder / "leaderboard.html").read_text(encoding="utf-8")).split())


def test_bench_with_errors_writes_a_page_that_says_why_pairs_are_missing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["--quiet", "run", str(write_bench(tmp_path, fails_on="第3題")), "--output", str(tmp_path / "runs")]
    assert run_app(app, words) == 3
    reason = "one is in no paired difference: 1 common question ended in error; run again with --retry-errors"
    assert reason in capfd.readouterr().out
    assert reason in page_text(tmp_path / "runs")
    assert "first - second" not in page_text(tmp_path / "runs")
    assert run_app(app, [*words, "--exclude-errors"]) == 3
    assert "first - second" in page_text(tmp_path / "runs")


def test_bench_goes_on_after_a_model_that_cannot_be_loaded_and_names_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    recipe = write_bench(tmp_path)
    text = "data: data\nexam: {num_shots: 0}\nmodels: {lost: 'replay:lost.jsonl', one: 'replay:one.jsonl'"
    recipe.write_text(f"{text}, two: 'replay:two.jsonl'}}\n", encoding="utf-8")
    assert run_app(app, ["--quiet", "run", str(recipe), "--output", str(tmp_path / "runs")]) == 3
    out, _ = capfd.readouterr()
    # Each model is told of as it ends, so the lost one comes first.
    assert out.startswith("model lost has no run: ")
    assert out.index("model one\n") < out.index("runs/one: summary.json") < out.index("model two\n")
    page = page_text(tmp_path / "runs")
    assert "lost has no run: " in page
    assert "first - second" in page


def test_bench_goes_on_after_a_model_of_which_every_item_fails(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    recipe = write_bench(tmp_path)
    folder = tmp_path / "down"
    folder.mkdir()
    write_bench(folder, fails_on="選哪一個")
    text = "data: data\nexam: {num_shots: 0}\nmodels: {down: 'replay:down/one.jsonl', one: 'replay:one.jsonl'"
    recipe.write_text(f"{text}, two: 'replay:two.jsonl'}}\n", encoding="utf-8")
    assert run_app(app, ["--quiet", "run", str(recipe), "--output", str(tmp_path / "runs")]) == 3
    out, _ = capfd.readouterr()
    assert "down is in no paired difference: each of 20 common questions ended in error in some run" in out
    page = page_text(tmp_path / "runs")
    assert "down is in no paired difference" in page
    assert "20 questions in common; left out: 0 of one, 0 of two." in page


def test_bench_of_which_no_model_ends_is_one_error_with_every_reason(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    recipe = write_bench(tmp_path)
    for name in ("one", "two"):
        (tmp_path / f"{name}.jsonl").unlink()
    assert run_app(app, ["--quiet", "run", str(recipe), "--output", str(tmp_path / "runs")]) != 0
    line = capfd.readouterr().err.splitlines()[-1]
    assert line.startswith("error: no model came to the end of its exam (one: ")
    assert "; two: " in line
    assert not (tmp_path / "runs" / "leaderboard.html").exists()


def test_bench_of_an_exam_that_no_model_can_be_asked_ends_before_the_first(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    recipe = write_bench(tmp_path)
    recipe.write_text("data: data\nexam: {num_shots: 5}\nmodels: {one: 'replay:one.jsonl'}\n", encoding="utf-8")
    assert run_app(app, ["--quiet", "run", str(recipe), "--output", str(tmp_path / "runs")]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("error: subject AST_civics has 0 dev rows")


def test_bench_of_one_model_shows_its_items(tmp_path: Path) -> None:
    recipe = write_bench(tmp_path)
    recipe.write_text("data: data\nexam: {num_shots: 0}\nmodels: {one: 'replay:one.jsonl'}\n", encoding="utf-8")
    assert run_app(app, ["--quiet", "run", str(recipe), "--output", str(tmp_path / "runs")]) == 0
    assert "Position bias" in page_text(tmp_path / "runs")


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
