import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from judge_fakes import FakeJudge, answer_by_hash, make_items

from llm_eval._gate import GateResult, GateRules, GateTest, check_run
from llm_eval._judge import make_settings
from llm_eval._judge_run import run_judge
from llm_eval.testing import assert_judged
from twllm_runs import open_progress
from twllm_types import ArtifactError, ConfigError

ITEMS = make_items(12, ("good",))


def judged(folder: Path, scores: Any = None, *, items: Any = ITEMS, engine: Any = None, **choices: Any) -> Path:
    """Judge by a function from the item's number to its score, or by hash."""

    def answer(text: str, seed: int | None) -> str:
        if scores is None:
            return answer_by_hash(text, seed)
        number = int(text.rsplit("第", 1)[1].split("件事", maxsplit=1)[0])
        value = scores(number)
        return "none" if value is None else f'{{"content": {value}, "grammar": 3}}'

    settings = make_settings(dimensions=["content", "grammar"], **choices)
    with open_progress(quiet=True) as progress:
        run_judge(engine or FakeJudge(answer=answer), items, settings, output=folder, progress=progress)
    return folder


def test_check_holds_the_lower_end_of_the_interval_against_the_minimum(tmp_path: Path) -> None:
    run = judged(tmp_path / "run", lambda number: 4 if number % 2 else 3)
    low = check_run(run, GateRules(minimums={"content": 3.0}))
    assert low.passed
    line = low.lines[1]
    assert (line.test, line.name, line.bound) == (GateTest.MINIMUM, "content", 3.0)
    assert line.tested == line.estimate.ci_low
    assert line.estimate.mean == pytest.approx(3.5)
    # The mean reaches 3.4, the lower end does not.
    assert not check_run(run, GateRules(minimums={"content": 3.4})).passed
    assert check_run(run, GateRules(minimums={"content": 3.4}, by_mean=True)).passed


def test_check_of_overall_uses_the_weights_of_the_run(tmp_path: Path) -> None:
    run = judged(tmp_path / "run", lambda _number: 5, weights={"content": 3, "grammar": 1})
    (_, line) = check_run(run, GateRules(minimums={"overall": 4.0})).lines
    assert line.estimate.mean == pytest.approx((3 * 5 + 3) / 4)


def test_check_of_failures_above_the_share_fails(tmp_path: Path) -> None:
    run = judged(tmp_path / "run", lambda number: None if number == 3 else 4)
    assert not check_run(run, GateRules()).passed
    (line,) = check_run(run, GateRules(max_failure_share=0.1)).lines
    assert (line.passed, line.tested) == (True, pytest.approx(1 / 12))


def test_check_counts_samples_that_could_not_be_read(tmp_path: Path) -> None:
    choices = {"score_method": "sampled", "num_samples": 5, "temperature": 1.0}
    # Sample 0 of each five cannot be read.
    engine = FakeJudge(answer=lambda text, seed: "none" if seed == 0 else answer_by_hash(text, seed))
    run = judged(tmp_path / "run", engine=engine, **choices)
    (line,) = check_run(run, GateRules()).lines
    assert (line.passed, line.tested) == (False, 0.2)
    assert check_run(run, GateRules(max_failure_share=0.2)).passed
    # One judgement of twelve fails whole: (11 / 5 + 1) / 12.
    engine = FakeJudge(
        answer=lambda text, seed: "none" if seed == 0 or "第3件事" in text else answer_by_hash(text, seed)
    )
    (line,) = check_run(judged(tmp_path / "other", engine=engine, **choices), GateRules(max_failure_share=0.3)).lines
    assert (line.passed, line.tested) == (True, pytest.approx((11 / 5 + 1) / 12))
    assert line.estimate.mean == pytest.approx(line.tested)


def test_check_where_nothing_was_scored_fails(tmp_path: Path) -> None:
    run = judged(tmp_path / "run", lambda _number: None)
    result = check_run(run, GateRules(minimums={"content": 0.0}, max_failure_share=1.0))
    assert [(line.passed, line.tested) for line in result.lines] == [(True, 1.0), (False, None)]


def pair_of_runs(tmp_path: Path, drop: float) -> GateResult:
    old = judged(tmp_path / "old", lambda number: 1 + number % 4)
    new = judged(tmp_path / "new", lambda number: 1 + number % 4 - (drop if number % 2 else 0))
    return check_run(new, GateRules(margins={"content": 0.3}), baseline=old)


def test_check_against_a_baseline_pairs_items_so_their_spread_cancels(tmp_path: Path) -> None:
    result = pair_of_runs(tmp_path, 0.1)
    assert (result.passed, result.num_shared) == (True, 12)
    line = result.lines[1]
    assert (line.test, line.bound) == (GateTest.NOT_WORSE, -0.3)
    assert line.estimate.mean == pytest.approx(-0.05)


def test_check_against_a_baseline_that_is_better_fails(tmp_path: Path) -> None:
    assert not pair_of_runs(tmp_path, 0.6).passed


def test_check_against_another_judge_is_refused_or_says_so(tmp_path: Path) -> None:
    old = judged(tmp_path / "old", engine=FakeJudge(name="other"), style="structured")
    new = judged(tmp_path / "new")
    rules = GateRules(margins={"content": 5.0})
    with pytest.raises(ArtifactError, match="the judge is fake:fake and fake:other"):
        check_run(new, rules, baseline=old)
    result = check_run(new, GateRules(margins={"content": 5.0}, allow_different=True), baseline=old)
    assert "style is paper and structured" in result.different
    assert len(result.different) == 3


def test_check_against_other_items_is_refused(tmp_path: Path) -> None:
    new = judged(tmp_path / "new")
    rules = GateRules(margins={"content": 5.0})
    strangers = judged(tmp_path / "strangers", items=make_items(3, ("short",)))
    with pytest.raises(ArtifactError, match="no item in common"):
        check_run(new, rules, baseline=strangers)
    moved = [
        type(item)(id=ITEMS[at].id, context=item.context, response=item.response)
        for at, item in enumerate(reversed(ITEMS))
    ]
    turned = judged(tmp_path / "turned", items=moved)
    with pytest.raises(ArtifactError, match="has another context"):
        check_run(new, rules, baseline=turned)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"minimums": {"content": float("nan")}}, "finite numbers"),
        ({"margins": {"content": -0.1}}, "finite numbers >= 0"),
        ({"max_failure_share": 1.5}, r"give one in \[0, 1\]"),
    ],
)
def test_gate_rules_out_of_range_are_refused(rules: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GateRules(**rules)


def test_check_of_what_cannot_be_tested_is_refused(tmp_path: Path) -> None:
    run = judged(tmp_path / "run")
    with pytest.raises(ConfigError, match="'humour' was not judged; give one of content, grammar, overall"):
        check_run(run, GateRules(minimums={"humour": 1.0}))
    with pytest.raises(ConfigError, match="go together"):
        check_run(run, GateRules(margins={"content": 1.0}))
    with pytest.raises(ConfigError, match="go together"):
        check_run(run, GateRules(), baseline=run)
    verdicts = judged(
        tmp_path / "verdicts",
        engine=FakeJudge(answer=lambda _text, _seed: '{"content": "good", "grammar": "bad"}'),
        scale="good,bad",
        style="structured",
    )
    with pytest.raises(ConfigError, match="verdicts, which have no mean"):
        check_run(verdicts, GateRules(minimums={"content": 1.0}))


def test_assert_judged_passes_or_shows_the_table(tmp_path: Path) -> None:
    run = judged(tmp_path / "run", lambda _number: 4)
    result = assert_judged(str(run), minimums={"content": 4.0}, baseline=run, margins={"overall": 0.0})
    assert [line.passed for line in result.lines] == [True, True, True]
    with pytest.raises(AssertionError) as caught:
        assert_judged(run, minimums={"content": 4.5, "grammar": 1.0})
    message = str(caught.value)
    assert "was judged too low" in message
    assert "FAIL  least score  content  4.000 >= 4.500  4.00 [4.00, 4.00], n = 12" in message
    assert message.endswith("failed")
