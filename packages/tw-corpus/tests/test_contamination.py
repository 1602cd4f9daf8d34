import pytest
from hypothesis import given
from hypothesis import strategies as st

from tw_corpus._contamination import (
    BenchmarkIndex,
    BenchmarkItem,
    DecontaminationOptions,
    build_index,
    find_items,
)
from twllm_types import ConfigError, DataError

QUESTIONS = (
    "下列何者不是一年四季都能在這座小島上看到的候鳥？",
    "小明用三枝鉛筆換了兩塊橡皮擦，如果他有十二枝鉛筆，最多可以換幾塊？",
    "水在幾度時會結冰？",
    "為什麼",
)


@pytest.fixture(scope="module")
def index() -> BenchmarkIndex:
    items = [BenchmarkItem(benchmark="exam", id=str(number), text=text) for number, text in enumerate(QUESTIONS)]
    return build_index(items, DecontaminationOptions())


def found(text: str, index: BenchmarkIndex) -> dict[str, float]:
    return {match.item.id: match.coverage for match in find_items(text, index)}


def test_item_is_found_with_its_span_and_whole_coverage(index: BenchmarkIndex) -> None:
    text = f"考古題分享：{QUESTIONS[1]}（A）六（B）八"
    (match,) = find_items(text, index)
    assert (match.item.id, match.coverage) == ("1", 1.0)
    assert text[match.start : match.end] == QUESTIONS[1].rstrip("？")


def test_item_is_found_in_other_script_width_and_punctuation(index: BenchmarkIndex) -> None:
    assert found("下列何者, 不是一年四季 都能在这座小岛上\n看到的候鸟?", index) == {"0": 1.0}


def test_item_that_is_mostly_there_is_found_with_its_coverage(index: BenchmarkIndex) -> None:
    coverage = found("小明用三枝鉛筆換了兩塊橡皮擦，如果他有十二枝鉛筆，能換到多少東西？", index)["1"]
    assert 0.5 <= coverage < 1


def test_item_that_shares_only_its_beginning_is_not_found(index: BenchmarkIndex) -> None:
    assert found("小明用三枝鉛筆換了兩塊橡皮擦，後來又弄丟了一枝，老師安慰他沒有關係。", index) == {}


def test_short_item_must_occur_whole(index: BenchmarkIndex) -> None:
    assert found("老師問：水在幾度時會結冰？大家搶著回答。", index) == {"2": 1.0}
    assert found("水在幾度時會結成冰？", index) == {}


def test_item_that_is_too_short_is_counted_and_never_looked_for(index: BenchmarkIndex) -> None:
    assert index.too_short == (3,)
    assert found("為什麼", index) == {}


def test_two_items_that_share_ngrams_are_both_found() -> None:
    text = "這兩題的題幹完全一樣只有選項不同請選出正確的敘述"
    items = [BenchmarkItem(benchmark=name, id="1", text=text) for name in ("a", "b")]
    matches = find_items(text, build_index(items, DecontaminationOptions()))
    assert [match.item.benchmark for match in matches] == ["a", "b"]


def test_items_that_are_all_too_short_are_an_error() -> None:
    with pytest.raises(DataError, match="none of 1 benchmark items"):
        build_index([BenchmarkItem(benchmark="a", id="1", text="短")], DecontaminationOptions())


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"min_item_chars": 1}, "min_item_chars"),
        ({"min_item_chars": 14}, "min_item_chars"),
        ({"min_coverage": 0.0}, "min_coverage"),
        ({"min_coverage": 1.1}, "min_coverage"),
    ],
)
def test_options_out_of_range_are_refused(changes: dict[str, float], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        DecontaminationOptions(**changes)  # type: ignore[arg-type]


@given(before=st.text(max_size=30), after=st.text(max_size=30))
def test_item_is_found_whatever_stands_around_it(before: str, after: str) -> None:
    items = [BenchmarkItem(benchmark="exam", id="1", text=QUESTIONS[1])]
    matches = find_items(before + QUESTIONS[1] + after, build_index(items, DecontaminationOptions()))
    assert [match.coverage for match in matches] == [1.0]


@given(st.text(max_size=200))
def test_spans_lie_inside_the_text(text: str) -> None:
    items = [BenchmarkItem(benchmark="exam", id="1", text="零一二三四五六七")]
    for match in find_items(text + "零一二三四五六七", build_index(items, DecontaminationOptions())):
        assert 0 <= match.start < match.end <= len(text) + 8
