import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from judge_fakes import FakeJudge, answer_by_hash, make_items

import llm_eval
from llm_eval._judge import make_settings
from llm_eval._judge_settings import RetryPolicy
from llm_eval._judge_summary import TokenTotals, summarise_judgements
from llm_eval._judgements import JudgementFailureKind
from llm_eval._report import head_facts, item_text, judge_facts, judge_report, model_title, usage_text
from llm_eval._report_stored import write_report
from twllm_runs.report import render_report
from twllm_types import ConfigError

ITEMS = make_items(6)


def page(
    items: Any = ITEMS, engine: FakeJudge | None = None, known: Any = None, max_samples: int = 300, **choices: Any
) -> str:
    judgements = llm_eval.judge(items, engine or FakeJudge(), **choices)
    summary = summarise_judgements(judgements, weights={}, seed=0)
    report = judge_report(
        summary,
        judgements,
        {item.id: item for item in items} if known is None else known,
        model="fake:fake",
        usage="12 read",
        setting={"style": "paper"},
        max_samples=max_samples,
    )
    return render_report(report)


def test_report_shows_scores_systems_differences_and_items() -> None:
    html = page()
    for text in ("Mean by dimension", "Overall by system", "Paired differences", "Judgements by score", "夜市啊"):
        assert text in html
    assert "All 12 judgements gave scores." in html


def test_report_embeds_failures_first_and_says_how_many_it_shows() -> None:
    engine = FakeJudge(answer=lambda text, seed: "沒有分數" if "第5件事" in text else answer_by_hash(text, seed))
    html = page(engine=engine, max_samples=3)
    assert "3 of 12 judgements, failures first" in html
    assert "沒有分數" in html
    assert "no_json" in html


def test_report_shows_reason_repeats_and_attempts() -> None:
    def answer(text: str, seed: int | None) -> str:
        return "?" if seed in {0, 1} else '{"流暢": 4, "reason": "句子很順"}'

    html = page(
        ITEMS[:1],
        FakeJudge(answer=answer),
        dimensions=["流暢"],
        style="structured",
        with_reason=True,
        repeats=2,
        temperature=1.0,
        retry=RetryPolicy(max_attempts=2, kinds=frozenset({JudgementFailureKind.NO_JSON})),
    )
    assert "句子很順" in html
    assert "good-0, repeat 1" in html
    assert "attempts" in html


def test_report_without_systems_or_items_is_made() -> None:
    items = [
        llm_eval.JudgeItem(id=str(at), context=(llm_eval.Turn(speaker=None, text=f"聊{at}"),), response=None)
        for at in range(3)
    ]
    html = page(items, known={})
    assert "Systems" not in html
    assert "(no system)" in html


def test_judge_facts_leave_out_what_is_off() -> None:
    assert judge_facts(make_settings(dimensions=["a", "b"]).to_json()) == {
        "dimensions": "a, b",
        "form": "chat-api",
        "max_tokens": "256",
        "num_samples": "1",
        "repeats": "1",
        "scale": "0-5",
        "score_method": "argmax",
        "style": "paper",
    }
    policy = RetryPolicy(max_attempts=2, kinds=frozenset({JudgementFailureKind.ENGINE_ERROR}))
    facts = judge_facts(make_settings(retry=policy, structured=True, weights={"content": 2}).to_json())
    assert (facts["structured"], facts["weights"]) == ("true", '{"content": 2}')
    assert "engine_error" in facts["retry"]


@pytest.mark.parametrize(
    ("totals", "cost", "text"),
    [
        ((1000, 50, 0, 0), None, "1,000 read, 50 written"),
        (
            (1000, 50, 200, 3),
            0.5,
            "1,000 read, 50 written, 200 of those read from a cache, 3 attempts without count; 0.5000 TWD",
        ),
    ],
)
def test_usage_text_names_what_is_known(totals: tuple[int, int, int, int], cost: float | None, text: str) -> None:
    names = ("num_prompt_tokens", "num_completion_tokens", "num_cached_tokens", "num_without_usage")
    assert usage_text(TokenTotals(**dict(zip(names, totals, strict=True))), cost, "TWD") == text


def test_item_text_shows_context_documents_references_and_response() -> None:
    item = llm_eval.JudgeItem(
        id="1",
        context=(llm_eval.Turn(speaker="user", text="幾點開門？"),),
        response="九點。",
        references=("早上九點。",),
        documents=("營業時間 9:00",),
    )
    assert item_text(item) == "user: 幾點開門？\n\n[document] 營業時間 9:00\n\n[reference] 早上九點。\n\n→ 九點。"


def test_write_report_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no run is given"):
        write_report([], tmp_path / "x.html")


@pytest.mark.parametrize("name", ["jobs", "statistics", "testing"])
def test_public_modules_export_what_they_name(name: str) -> None:
    module = importlib.import_module(f"llm_eval.{name}")
    assert [one for one in module.__all__ if not getattr(module, one).__doc__] in ([], ["GATE_FAILED"])


def test_correlate_and_meta_evaluate_stand_on_the_face_of_the_package(tmp_path: Path) -> None:
    assert llm_eval.correlate([1, 2, 3, 4], [1, 2, 4, 3], "kendall").value == pytest.approx(4 / 6)
    judgements = llm_eval.judge(ITEMS, FakeJudge())
    path = tmp_path / "ratings.jsonl"
    rows = [f'{{"id": "{item.id}", "human": {{"content": [{at % 5}, 3]}}}}\n' for at, item in enumerate(ITEMS)]
    path.write_text("".join(rows), encoding="utf-8")
    ratings = llm_eval.load_ratings(path)
    ours = llm_eval.meta_evaluate(judgements, ratings, draws=20)
    plain = {row.item_id: {key: one.value or 0.0 for key, one in (row.scores or {}).items()} for row in judgements}
    theirs = llm_eval.meta_evaluate(plain, ratings, draws=20)
    assert ours == theirs
    assert ours.judges[0].dimensions[0].n == 12


def test_report_of_recorded_answers_says_so_and_shows_no_folder() -> None:
    assert model_title("replay:/somewhere/deep/answers.jsonl") == "recorded answers (answers.jsonl)"
    assert model_title("hf:someone/some-model") == "hf:someone/some-model"


def test_head_of_a_page_holds_settings_tokens_and_packages_in_one_line() -> None:
    facts = head_facts({"style": "paper", "package numpy": "2.0", "package torch": "2.1"}, "12 read")
    assert [(fact.name, fact.value) for fact in facts] == [
        ("style", "paper"),
        ("tokens", "12 read"),
        ("packages", "numpy 2.0, torch 2.1"),
    ]
