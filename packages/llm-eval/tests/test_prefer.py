import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from judge_fakes import FakeJudge, make_item

from llm_eval._items import JudgeItem, Turn, item_to_json
from llm_eval._judge import make_settings
from llm_eval._judge_run import run_judge
from llm_eval._load_answers import load_answers
from llm_eval._pairwise_run import PairwiseSettings, run_pairwise
from llm_eval._prefer import PreferInputs, prefer
from llm_eval._preferences import (
    NoPreference,
    PairChoice,
    PreferenceForm,
    PreferenceRules,
    SwapVerdict,
    conversation_messages,
    label_row,
    pair_row,
    select_preferences,
    standard_prompt,
)
from twllm_runs import open_progress
from twllm_types import ArtifactError, ConfigError, DataError

ITEMS = tuple(make_item(number, "good", copy=copy) for number in range(3) for copy in range(3))
SCORES = {item.id: float(at % 3 + at // 3) for at, item in enumerate(ITEMS)}


def ids(preferences) -> list[tuple[str, str]]:
    return [(pair.chosen.id, pair.rejected.id) for pair in preferences.pairs]


def test_select_takes_the_best_against_the_worst_of_each_prompt() -> None:
    found = select_preferences(ITEMS, SCORES, PreferenceRules())
    assert ids(found) == [(f"good-{number}-2", f"good-{number}") for number in range(3)]
    assert {pair.margin for pair in found.pairs} == {2.0}
    assert (found.num_items, found.num_prompts, found.pair_outcomes, found.labelled) == (9, 3, {}, ())


def test_select_of_all_pairs_counts_those_within_the_margin() -> None:
    found = select_preferences(ITEMS, SCORES, PreferenceRules(choice=PairChoice.ALL, margin=2.0))
    assert len(found.pairs) == 3
    assert found.pair_outcomes == {NoPreference.SMALL_MARGIN: 6}


def test_select_at_the_margin_is_taken_whatever_floats_say() -> None:
    scores = {ITEMS[0].id: 4.0, ITEMS[1].id: 4.2}
    assert len(select_preferences(ITEMS[:2], scores, PreferenceRules(margin=0.2)).pairs) == 1


def test_select_of_equal_scores_makes_no_pair() -> None:
    scores = dict.fromkeys(SCORES, 3.0)
    assert select_preferences(ITEMS, scores, PreferenceRules()).pair_outcomes == {NoPreference.SMALL_MARGIN: 3}


def test_select_counts_every_reason() -> None:
    items = (
        *ITEMS[:2],
        replace(ITEMS[3], response="同"),
        replace(ITEMS[4], response="同"),
        ITEMS[6],
        ITEMS[7],
        JudgeItem(id="dialogue", context=ITEMS[0].context, response=None),
    )
    scores = {key: value for key, value in SCORES.items() if key not in {ITEMS[1].id, ITEMS[6].id, ITEMS[7].id}}
    found = select_preferences(items, scores, PreferenceRules())
    assert found.pairs == ()
    assert found.pair_outcomes == {
        NoPreference.NO_RESPONSE: 1,
        NoPreference.UNSCORED: 3,
        NoPreference.ONE_RESPONSE: 2,
        NoPreference.SAME_TEXT: 1,
    }


def test_select_by_context_not_by_a_named_cluster() -> None:
    items = [replace(item, cluster="all") for item in ITEMS]
    assert ids(select_preferences(items, SCORES, PreferenceRules())) == [
        (f"good-{number}-2", f"good-{number}") for number in range(3)
    ]


@pytest.mark.parametrize(
    ("swaps", "outcome"),
    [
        ({("good-0-2", "good-0"): SwapVerdict.FIRST}, None),
        ({("good-0", "good-0-2"): SwapVerdict.SECOND}, None),
        ({("good-0-2", "good-0"): SwapVerdict.SECOND}, NoPreference.SWAP_CONTRADICTS),
        ({("good-0", "good-0-2"): SwapVerdict.FIRST}, NoPreference.SWAP_CONTRADICTS),
        ({("good-0", "good-0-2"): SwapVerdict.UNDECIDED}, NoPreference.SWAP_UNDECIDED),
        ({("good-1", "good-0-2"): SwapVerdict.FIRST}, NoPreference.NOT_SWAPPED),
    ],
)
def test_select_with_a_swap_check_takes_what_both_orders_prefer(
    swaps: dict[tuple[str, str], SwapVerdict], outcome: NoPreference | None
) -> None:
    found = select_preferences(ITEMS[:3], SCORES, PreferenceRules(check_swap=True), swaps=swaps)
    assert [pair.is_swap_checked for pair in found.pairs] == ([True] if outcome is None else [])
    assert found.pair_outcomes == ({} if outcome is None else {outcome: 1})


def test_select_without_a_swap_check_says_which_pairs_were_checked() -> None:
    swaps = {("good-0-2", "good-0"): SwapVerdict.FIRST}
    found = select_preferences(ITEMS, SCORES, PreferenceRules(), swaps=swaps)
    assert [pair.is_swap_checked for pair in found.pairs] == [True, False, False]


def test_select_labels_by_two_thresholds_and_counts_what_lies_between() -> None:
    found = select_preferences(ITEMS, SCORES, PreferenceRules(good_from=3.0, bad_to=1.0))
    assert {row.item.id: row.label for row in found.labelled} == {
        key: value >= 3 for key, value in SCORES.items() if value >= 3 or value <= 1
    }
    assert found.label_outcomes == {NoPreference.BETWEEN: sum(1 < value < 3 for value in SCORES.values())}


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"margin": -1.0}, "margin is -1.0"),
        ({"good_from": 3.0}, "give both thresholds"),
        ({"good_from": 3.0, "bad_to": 3.0}, "must lie below"),
    ],
)
def test_preference_rules_out_of_range_are_refused(rules: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PreferenceRules(**rules)


def test_select_of_a_swap_check_without_pairwise_judgements_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs pairwise judgements"):
        select_preferences(ITEMS, SCORES, PreferenceRules(check_swap=True))


def turns(*pairs: tuple[str | None, str]) -> tuple[Turn, ...]:
    return tuple(Turn(speaker=speaker, text=text) for speaker, text in pairs)


def test_standard_prompt_is_the_text_or_one_line_per_turn() -> None:
    assert standard_prompt(turns((None, "你好"))) == "你好"
    assert standard_prompt(turns(("甲", "你好"), ("乙", "嗨"), (None, "嗯"))) == "甲: 你好\n乙: 嗨\n嗯"


def test_conversation_messages_end_with_the_user_and_alternate() -> None:
    assert conversation_messages(turns((None, "你好"), (None, "嗨"), (None, "嗯"))) == (
        ("user", "你好"),
        ("assistant", "嗨"),
        ("user", "嗯"),
    )
    assert conversation_messages(turns(("甲", "一"), ("乙", "二"), ("乙", "三"))) == (
        ("assistant", "一"),
        ("user", "二\n三"),
    )
    assert conversation_messages(turns(("甲", "一"), ("乙", "二"), ("丙", "三"))) is None
    assert conversation_messages(turns(("甲", "一"), (None, "二"))) is None


def test_rows_of_conversational_form_are_messages_or_say_that_roles_are_unclear() -> None:
    rules = PreferenceRules(good_from=2.0, bad_to=1.0)
    found = select_preferences(ITEMS[:3], SCORES, rules)
    row: Any = pair_row(found.pairs[0], PreferenceForm.CONVERSATIONAL)
    assert [message["role"] for message in row["prompt"]] == ["user", "assistant", "user"]
    assert row["chosen"] == [{"role": "assistant", "content": ITEMS[2].response}]
    label = label_row(found.labelled[-1], PreferenceForm.CONVERSATIONAL)
    assert isinstance(label, dict)
    assert label["label"] is True
    crowd = [replace(item, context=turns(("甲", "一"), ("乙", "二"), ("丙", "三"))) for item in ITEMS[:3]]
    unclear = select_preferences(crowd, SCORES, rules)
    assert pair_row(unclear.pairs[0], PreferenceForm.CONVERSATIONAL) is NoPreference.UNCLEAR_ROLES
    assert label_row(unclear.labelled[0], PreferenceForm.CONVERSATIONAL) is NoPreference.UNCLEAR_ROLES


Judged = Callable[..., PreferInputs]


@pytest.fixture
def judged(tmp_path: Path) -> Judged:
    def make(items=ITEMS, **choices) -> PreferInputs:
        path = tmp_path / "items.jsonl"
        path.write_text(
            "".join(json.dumps(item_to_json(item), ensure_ascii=False) + "\n" for item in items), encoding="utf-8"
        )
        engine = FakeJudge(
            answer=lambda text, _seed: json.dumps(
                {"content": 1 + text.split("response: ")[-1].count("！"), "grammar": 3}
            )
        )
        settings = make_settings(dimensions=["content", "grammar"], **choices)
        with open_progress(quiet=True) as progress:
            run_judge(engine, items, settings, output=tmp_path / "run", progress=progress)
        return PreferInputs(items=path, judgements=tmp_path / "run")

    return make


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_prefer_writes_rows_of_trl_with_details_and_report(judged: Judged, tmp_path: Path) -> None:
    output = tmp_path / "out"
    result = prefer(judged(), PreferenceRules(good_from=3.0, bad_to=2.0), output=output)
    assert (result.num_pairs, result.num_labelled) == (3, 6)
    (first, *_) = rows_of(output / "dpo.jsonl")
    assert set(first) == {"prompt", "chosen", "rejected"}
    assert first["chosen"] == ITEMS[2].response
    assert str(first["prompt"]).startswith("user: 第0件事")
    assert {tuple(row) for row in rows_of(output / "kto.jsonl")} == {("prompt", "completion", "label")}
    details = rows_of(output / "details.jsonl")
    assert len(details) == 9
    assert details[0]["margin"] == pytest.approx(1.0)
    assert result.label_outcomes == {"between": 3}
    assert "✓ 夜市啊" in (output / "report.html").read_text(encoding="utf-8")


def test_prefer_again_reads_what_is_finished_and_other_rules_are_refused(judged: Judged, tmp_path: Path) -> None:
    inputs = judged()
    first = prefer(inputs, PreferenceRules(), output=tmp_path / "out")
    assert prefer(inputs, PreferenceRules(), output=tmp_path / "out") == first
    with pytest.raises(ArtifactError, match="margin"):
        prefer(inputs, PreferenceRules(margin=1.0), output=tmp_path / "out")


def test_prefer_by_one_dimension_from_a_file_of_judgements(judged: Judged, tmp_path: Path) -> None:
    inputs = replace(judged(), judgements=tmp_path / "run" / "judgements.jsonl")
    result = prefer(inputs, PreferenceRules(), output=tmp_path / "content", dimension="content")
    assert rows_of(tmp_path / "content" / "details.jsonl")[0]["margin"] == pytest.approx(2.0)
    assert result.num_pairs == 3
    flat = prefer(inputs, PreferenceRules(), output=tmp_path / "grammar", dimension="grammar")
    assert (flat.num_pairs, flat.pair_outcomes) == (0, {"small_margin": 3})
    assert "No pair." in (tmp_path / "grammar" / "report.html").read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match="no item has a score of 'humour'; give one of content, grammar, overall"):
        prefer(inputs, PreferenceRules(), output=tmp_path / "humour", dimension="humour")


def test_prefer_of_unclear_roles_counts_them(judged: Judged, tmp_path: Path) -> None:
    crowd = [replace(item, context=turns(("甲", "一"), ("乙", "二"), ("丙", "三"))) for item in ITEMS[:3]]
    rules = PreferenceRules(good_from=3.0, bad_to=2.0)
    result = prefer(judged(crowd), rules, output=tmp_path / "out", form=PreferenceForm.CONVERSATIONAL)
    assert (result.num_pairs, result.pair_outcomes) == (0, {"unclear_roles": 1})
    assert result.label_outcomes == {"between": 1, "unclear_roles": 2}


def test_prefer_of_judgements_that_match_no_item_is_refused(judged: Judged, tmp_path: Path) -> None:
    inputs = judged()
    lines = inputs.items.read_text(encoding="utf-8").splitlines()
    inputs.items.write_text("\n".join(lines[:-2]) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"judges 'good-2-1', which is no item of .* \(2 such\)"):
        prefer(inputs, PreferenceRules(), output=tmp_path / "out")
    empty = tmp_path / "empty.jsonl"
    empty.write_text("", encoding="utf-8")
    with pytest.raises(DataError, match="holds no judgement"):
        prefer(replace(inputs, judgements=empty), PreferenceRules(), output=tmp_path / "none")


@pytest.mark.parametrize(
    "change",
    [
        {"response": "完全不同的回應"},
        {"context": turns(("user", "別的話題"))},
        {"references": ()},
        {"system": "other"},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["run", "run/judgements.jsonl"])
def test_prefer_of_a_run_or_its_file_over_other_items_of_the_same_ids_is_refused(
    judged: Judged, tmp_path: Path, change: dict[str, Any], name: str
) -> None:
    inputs = replace(judged(repeats=2), judgements=tmp_path / name)
    rows = [item_to_json(replace(ITEMS[0], **change)), *map(item_to_json, ITEMS[1:])]
    inputs.items.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with pytest.raises(DataError, match=r"judges another item 'good-0' than .* holds \(1 such\)"):
        prefer(inputs, PreferenceRules(), output=tmp_path / "out")


def bare(folder: Path, *dropped: str) -> Path:
    """Write the judgements of a run without some keys, as earlier versions did."""
    rows = rows_of(folder / "run" / "judgements.jsonl")
    kept = [{key: value for key, value in row.items() if key not in dropped} for row in rows]
    path = folder / "bare.jsonl"
    path.write_text("".join(json.dumps({"cluster": None, **row}) + "\n" for row in kept), encoding="utf-8")
    return path


def test_prefer_of_judgements_without_hashes_of_items_refuses_other_contexts(judged: Judged, tmp_path: Path) -> None:
    inputs = replace(judged(), judgements=bare(tmp_path, "item_sha256"))
    rows = [item_to_json(replace(item, context=turns(("user", f"別的話題{item.id}")))) for item in ITEMS[:2]]
    rows.extend(map(item_to_json, ITEMS[2:]))
    inputs.items.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with pytest.raises(DataError, match=r"judges another item 'good-0' than .* holds \(2 such\)"):
        prefer(inputs, PreferenceRules(), output=tmp_path / "out")


def test_prefer_of_judgements_without_hashes_and_clusters_goes_by_the_ids(judged: Judged, tmp_path: Path) -> None:
    inputs = replace(judged(), judgements=bare(tmp_path, "item_sha256", "cluster"))
    assert prefer(inputs, PreferenceRules(), output=tmp_path / "out").num_pairs == 3


def compared(folder: Path, items=ITEMS[:3]) -> Path:
    """Compare the first three responses with each other, so that each check finds its pair."""
    paths = []
    for item in items:
        paths.append(folder / f"{item.id}.jsonl")
        paths[-1].write_text(json.dumps(item_to_json(item)) + "\n", encoding="utf-8")
    questions, files = load_answers(paths)
    engine = FakeJudge(
        answer=lambda text, _seed: json.dumps({"winner": "B" if "！" in text.split("答案 B: ")[1] else "A"})
    )
    with open_progress(quiet=True) as progress:
        run_pairwise(engine, questions, files, PairwiseSettings(), output=folder / "pairwise", progress=progress)
    return folder / "pairwise"


@pytest.mark.parametrize("name", ["pairwise", "pairwise/pairs.jsonl"])
@pytest.mark.parametrize(
    "change", [{"response": "別的回應"}, {"context": turns(("user", "別的話題"))}, {"references": ()}], ids=str
)
def test_prefer_of_comparisons_of_other_items_of_the_same_ids_is_refused(
    judged: Judged, tmp_path: Path, change: dict[str, Any], name: str
) -> None:
    compared(tmp_path, [replace(item, **change) for item in ITEMS[:3]])
    inputs = replace(judged(), pairwise=tmp_path / name)
    with pytest.raises(DataError, match=r"compares another item 'good-0' than the one given \(3 such\)"):
        prefer(inputs, PreferenceRules(check_swap=True), output=tmp_path / "out")


def test_prefer_checks_swaps_of_the_same_items_and_of_comparisons_without_hashes(
    judged: Judged, tmp_path: Path
) -> None:
    inputs = replace(judged(), pairwise=compared(tmp_path))
    known = prefer(inputs, PreferenceRules(check_swap=True), output=tmp_path / "known")
    rows = rows_of(tmp_path / "pairwise" / "pairs.jsonl")
    for row in rows:
        del row["a_item_sha256"], row["b_item_sha256"]
    old = tmp_path / "old.jsonl"
    old.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    unknown = prefer(replace(inputs, pairwise=old), PreferenceRules(check_swap=True), output=tmp_path / "unknown")
    assert known.num_pairs == unknown.num_pairs == 1
    assert known.pair_outcomes == unknown.pair_outcomes


def test_prefer_counts_items_without_a_score_of_the_dimension_as_unscored(judged: Judged, tmp_path: Path) -> None:
    inputs = replace(judged(), judgements=tmp_path / "mixed.jsonl")
    rows = rows_of(tmp_path / "run" / "judgements.jsonl")
    del rows[0]["scores"]["content"]
    # Repeats of one item may differ, too.
    repeat = {**rows[1], "repeat": 1, "scores": {"grammar": rows[1]["scores"]["grammar"]}}
    inputs.judgements.write_text("".join(json.dumps(row) + "\n" for row in (*rows, repeat)), encoding="utf-8")
    result = prefer(inputs, PreferenceRules(), output=tmp_path / "out", dimension="content")
    assert result.pair_outcomes == {"unscored": 1}
    assert result.num_pairs == 3
