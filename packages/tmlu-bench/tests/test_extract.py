import json
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmlu_bench import Extraction, ExtractionStatus, Extractor, extract_answer
from twllm_types import DataError

FORMS: list[dict[str, Any]] = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "answer_forms.jsonl").read_text(encoding="utf-8").splitlines()
]
# The fifteen probes of the official extractor, its results written down by hand from its code.
PROBES = [
    ("DNA 的結構是雙股螺旋。\n\n正確答案：(C)", Extractor.COMPAT, "D"),
    ("根據題意，AB兩點的距離最短，因此選 C", Extractor.COMPAT, "A"),
    ("<think>A) 看起來對</think>\n\nC", Extractor.COMPAT, "A"),
    ("（Ｃ）", Extractor.COMPAT, None),
    ("(c)", Extractor.COMPAT, None),
    ("正確答案：(C)\n因為 A) 不對", Extractor.COMPAT_COT, "A"),
    ("因此 A、B、D 皆錯，C 正確", Extractor.COMPAT_COT, "A"),
    ("F 是對的\n答案是 F", Extractor.COMPAT_COT, None),
    ("C) 因為這是定義", Extractor.COMPAT, "C"),
    ("答案是 D", Extractor.COMPAT, "D"),
    ("Because option (C) is right", Extractor.COMPAT, "C"),
    ("先算出面積。\n正確答案：(C)", Extractor.COMPAT_COT, "C"),
    ("面積為十二，所以答案為 \\boxed{C}", Extractor.COMPAT_COT, "C"),
    ("前三項不合，故選 C。\n以上", Extractor.COMPAT_COT, "C"),
    ("正確答案是選項(B)，而不是(A)", Extractor.COMPAT_COT, "B"),
]
ANY_TEXT = st.text(alphabet=st.characters(codec="utf-8"), max_size=60) | st.lists(
    st.sampled_from(
        [
            *(
                "A",
                "B",
                "C",
                "D",
                "E",
                "F",
                "a",
                "c",
                "(",
                ")",
                "答案",
                "是",
                "不是",
                "選",
                "正確",
                "錯",
                "：",
                "\n",
                " ",
            ),
            *(
                "。",
                "<think>",
                "</think>",
                "\\boxed{",
                "}",
                "或",
                "、",
                "甲",
                "等等，",
                "因此",
                "高雄",
                "answer is ",
                "不對",
            ),
        ]
    ),
    max_size=14,
).map("".join)


def show(form: dict[str, Any]) -> str:
    return f"{form['kind']}:{form['text']!r}"[:60]


def test_table_is_large_and_names_every_form_once() -> None:
    keys = {(form["text"], form["letters"], tuple(form["options"] or ())) for form in FORMS}
    assert len(keys) == len(FORMS) >= 140


@pytest.mark.parametrize("form", FORMS, ids=show)
def test_answer_form_is_read_as_the_table_says(form: dict[str, Any]) -> None:
    found = extract_answer(form["text"], form["letters"], options=form["options"])
    assert {"letter": found.letter, "status": found.status.value} == form["robust"]
    for extractor, expected in (
        (Extractor.COMPAT, form["official_direct"]),
        (Extractor.COMPAT_COT, form["official_cot"]),
    ):
        assert extract_answer(form["text"], "ABCDEF", extractor).letter == expected


def test_table_robust_never_reads_another_letter_than_was_meant() -> None:
    wrong = [form["text"] for form in FORMS if form["robust"]["letter"] not in {None, form["intended"]}]
    assert wrong == []


def test_table_robust_reads_nearly_all_that_was_meant() -> None:
    meant = [form for form in FORMS if form["intended"] is not None]
    assert sum(form["robust"]["letter"] == form["intended"] for form in meant) >= 0.98 * len(meant)


@pytest.mark.parametrize(("text", "extractor", "letter"), PROBES)
def test_compat_reads_the_probes_as_the_official_code(text: str, extractor: Extractor, letter: str | None) -> None:
    assert extract_answer(text, "ABCDEF", extractor).letter == letter


def test_compat_letter_that_the_question_lacks_is_unparsed() -> None:
    assert extract_answer("答案是 F", "ABCD", "compat").status is ExtractionStatus.UNPARSED


@pytest.mark.parametrize(
    ("text", "expected"), [("C) 高雄", "C"), ("E", "E"), (" C", None), ("答案", None), ("", None), ("F", None)]
)
def test_compat_tc_eval_reads_the_first_character_only(text: str, expected: str | None) -> None:
    assert extract_answer(text, "ABCDE", "compat-tc-eval").letter == expected


def test_unknown_extractor_is_an_error() -> None:
    with pytest.raises(ValueError, match="magic"):
        extract_answer("C", "ABCD", "magic")


@pytest.mark.parametrize("letter", [None, "C"])
def test_extraction_letter_and_status_must_agree(letter: str | None) -> None:
    status = ExtractionStatus.FOUND if letter is None else ExtractionStatus.AMBIGUOUS
    with pytest.raises(DataError, match="exactly with 'found'"):
        Extraction(letter=letter, status=status)


@given(ANY_TEXT, st.sampled_from(["ABCD", "ABCDE", "AB"]), st.sampled_from(["robust", "compat", "compat-cot"]))
def test_any_text_gives_a_letter_of_the_question_or_a_reason(text: str, letters: str, extractor: str) -> None:
    found = extract_answer(text, letters, extractor)
    assert found.letter is None or found.letter in letters


@given(ANY_TEXT, st.text(" \t\n\r\u3000", max_size=4), st.text(" \t\n\r\u3000", max_size=4))
def test_white_space_around_an_answer_changes_nothing(text: str, before: str, after: str) -> None:
    for extractor in (Extractor.ROBUST, Extractor.COMPAT, Extractor.COMPAT_COT):
        assert extract_answer(before + text + after, "ABCD", extractor) == extract_answer(text, "ABCD", extractor)


@given(ANY_TEXT, st.sampled_from("ABCD"))
def test_a_final_boxed_letter_is_found_whatever_stands_before(text: str, letter: str) -> None:
    quiet = text.replace("boxed", "").replace("think", "").replace("問", "").replace("題", "").replace("<", "")
    found = extract_answer(f"{quiet}\n\n更正，最終答案：\\boxed{{{letter}}}", "ABCD")
    assert found.letter == letter


@given(st.sampled_from("ABCD"), st.permutations(["台北", "台中市", "高雄港 A", "不會改變"]))
def test_letter_with_its_own_option_text_is_found(letter: str, options: list[str]) -> None:
    text = options["ABCD".index(letter)]
    assert extract_answer(f"({letter}) {text}", "ABCD", options=options).letter == letter
    assert extract_answer(f"正確答案：{letter}. {text}\n因為如此。", "ABCD", options=options).letter == letter


@pytest.mark.parametrize(
    "unit",
    [
        *("答案是A。", "應該", "\n", " ", '"', "(", "選", "A、", "因為A，", "<think>", "\\boxed{", "C 的", "不是"),
        *("答案應該", "不", "我不認為答案是", "無法回答選項 A ", "don't think ", "我不會選"),
    ],
)
def test_time_is_linear_in_the_length(unit: str) -> None:
    def seconds(num_chars: int) -> float:
        text = unit * (num_chars // len(unit)) + "但答案是 B"
        start = perf_counter()
        extract_answer(text, "ABCD", options=("台北", "台中", "高雄", "花蓮"))
        return perf_counter() - start

    short = min(seconds(2_000) for _ in range(3))
    # Sixteen times the text; quadratic would be 256 times the time. The constant covers start-up costs.
    assert min(seconds(32_000) for _ in range(2)) < 80 * short + 0.25
