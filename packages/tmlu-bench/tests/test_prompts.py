from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmlu_bench import (
    PROTOCOLS,
    Extractor,
    Prompt,
    ReadingQuestion,
    Scoring,
    build_prompt,
    build_reading_prompt,
    extract_answer,
    get_protocol,
)
from twllm_types import ChoiceQuestion, ConfigError, DataError, Role

GOLDEN = Path(__file__).parent / "golden"

SHOT_1 = ChoiceQuestion(
    id="dev-1",
    subject="AST_chemistry",
    question=" 一打鉛筆有幾枝？\n",
    options=("六枝", "十枝", "十二枝", "二十枝"),
    answer="C",
    explanation=" 一打是十二個。\n",
)
SHOT_2 = ChoiceQuestion(
    id="dev-2",
    subject="AST_chemistry",
    question="下列何者在晚上出現？\n\n請選一項。",
    options=("月亮", "彩虹", "正午的太陽", "影子最短的時刻"),
    answer="A",
    explanation="月亮在夜間可見。\n彩虹需要陽光。",
)
ASKED = ChoiceQuestion(
    id="q-1",
    subject="AST_chemistry",
    question="小美有 3 顆蘋果，又買了 2 顆，共有幾顆？\n\n（提示：用加法）",
    options=("3", "4", "5", "6", "7"),
    answer="C",
    explanation="三加二等於五，這句不得出現在題目裡。",
)
PENGUIN = ChoiceQuestion(
    id="p-1",
    subject="penguins_in_a_table",
    question="企鵝表。\n最重的是誰？回答：",
    options=("小明", "小華"),
    answer="A",
)


def golden(name: str) -> str:
    return (GOLDEN / f"{name}.txt").read_bytes().decode()


def shown(prompt: Prompt, form: str) -> str:
    if form == "raw":
        return prompt.raw
    conversation = prompt.chat if form == "chat" else prompt.chat_api
    return "\u241e".join(message.content for message in conversation.messages)


@pytest.mark.parametrize(
    ("protocol", "num_shots", "form"),
    [
        ("tmlu-direct", 0, "raw"),
        ("tmlu-direct", 2, "raw"),
        ("tmlu-direct", 2, "chat"),
        ("tmlu-direct", 2, "chat-api"),
        ("tmlu-cot", 0, "raw"),
        ("tmlu-cot", 2, "raw"),
        ("tmlu-cot", 2, "chat"),
        ("tmlu-cot", 2, "chat-api"),
        ("lm-eval-tmlu", 0, "raw"),
        ("lm-eval-tmlu", 2, "raw"),
        ("lm-eval-tmlu", 2, "chat"),
    ],
)
def test_prompt_equals_its_golden_file(protocol: str, num_shots: int, form: str) -> None:
    prompt = build_prompt(ASKED, [SHOT_1, SHOT_2][:num_shots], protocol)
    assert shown(prompt, form) == golden(f"{protocol}.{num_shots}.{form}")
    assert (prompt.num_shots, prompt.letters) == (num_shots, "ABCDE")


def test_tmmluplus_prompt_equals_its_golden_file() -> None:
    shots = [replace(SHOT_1, subject="economics")]
    assert build_prompt(replace(SHOT_2, subject="economics"), shots, "tmmluplus").raw == golden("tmmluplus.1.raw")


@pytest.mark.parametrize("form", ["raw", "chat-api"])
def test_tc_eval_ttqa_prompt_equals_its_golden_file(form: str) -> None:
    question = replace(SHOT_1, subject="ttqa", question="一打鉛筆有幾枝？")
    assert shown(build_prompt(question, [], "tc-eval"), form) == golden(f"tc-eval.ttqa.0.{form}")


@pytest.mark.parametrize("form", ["chat", "chat-api"])
def test_tc_eval_penguins_prompt_equals_its_golden_file(form: str) -> None:
    prompt = build_prompt(PENGUIN, [], "tc-eval")
    assert shown(prompt, form) == golden(f"tc-eval.penguins.0.{form}")
    assert prompt.prefill == " ("


def test_tc_eval_drcd_prompt_equals_its_golden_file() -> None:
    question = ReadingQuestion(
        id="1",
        paragraph="小鎮在一九五零年建成，鎮上有一座臺灣風格的橋。",
        question="小鎮何時建成？",
        answers=("一九五零年",),
    )
    (message,) = build_reading_prompt(question).messages
    assert (message.role, message.content) == (Role.USER, golden("tc-eval.drcd"))


def test_chat_holds_all_shots_in_one_user_turn_and_no_system_turn_in_tmlu() -> None:
    prompt = build_prompt(ASKED, [SHOT_1, SHOT_2], "tmlu-direct")
    assert [message.role for message in prompt.chat.messages] == [Role.USER]
    assert prompt.chat.messages[0].content + prompt.prefill == prompt.raw


def test_continuations_are_letters_with_the_protocols_space() -> None:
    direct, harness = (build_prompt(ASKED, [], name) for name in ("tmlu-direct", "lm-eval-tmlu"))
    assert direct.continuations == direct.chat_continuations == ("A", "B", "C", "D", "E")
    assert harness.continuations == (" A", " B", " C", " D", " E")
    assert harness.chat_continuations == ("A", "B", "C", "D", "E")


@pytest.mark.parametrize("protocol", ["tmlu-direct", "tmlu-cot", "lm-eval-tmlu"])
def test_answer_explanation_and_id_of_the_question_never_enter(protocol: str) -> None:
    changed = replace(ASKED, id="secret-id", answer="A", explanation="另一段祕密解說")
    assert build_prompt(ASKED, [SHOT_1], protocol).raw == build_prompt(changed, [SHOT_1], protocol).raw


def test_missing_option_of_the_first_four_reads_none_in_the_harness() -> None:
    prompt = build_prompt(replace(ASKED, options=("一", "二", "三")), [], "lm-eval-tmlu")
    assert prompt.raw.endswith("C. 三\nD. None\nAnswer:")
    assert prompt.letters == "ABC"


def test_full_width_low_line_of_a_name_becomes_a_space() -> None:
    prompt = build_prompt(replace(SHOT_1, subject="tve_design"), [], "tmmluplus")
    assert prompt.system == "以下為統測 設計的單選題，請提供正確答案的選項。\n\n"


def test_given_subject_name_is_shown() -> None:
    prompt = build_prompt(replace(ASKED, subject="soup"), [], "lm-eval-tmlu", subject_name="湯品學")
    assert prompt.raw.startswith("以下為湯品學的單選題")


@pytest.mark.parametrize(
    ("question", "shots", "protocol", "error", "message"),
    [
        (ASKED, [SHOT_1], "tmlu", ConfigError, "no protocol is named 'tmlu'"),
        (ASKED, [SHOT_1] * 6, "tmlu-direct", ConfigError, "6 shots .* at most 5"),
        (PENGUIN, [PENGUIN], "tc-eval", ConfigError, "1 shots .* at most 0"),
        (ASKED, [], "tc-eval", ConfigError, "ttqa and penguins_in_a_table"),
        (replace(ASKED, subject="soup"), [], "lm-eval-tmlu", ConfigError, "give subject_name"),
        (replace(ASKED, subject="economics"), [], "tmmluplus", DataError, "has 5 options"),
        (ASKED, [replace(SHOT_1, explanation=None)], "tmlu-cot", DataError, "AST_chemistry/dev-1 has no explanation"),
        (ASKED, [replace(SHOT_1, explanation=" ")], "tmlu-cot", DataError, "no explanation"),
        (ASKED, [ASKED], "tmlu-direct", DataError, "its own worked example"),
    ],
)
def test_impossible_prompt_is_a_clear_error(
    question: ChoiceQuestion, shots: list[ChoiceQuestion], protocol: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        build_prompt(question, shots, protocol)


def test_direct_protocol_needs_no_explanation() -> None:
    assert "(C)" in build_prompt(ASKED, [replace(SHOT_1, explanation=None)], "tmlu-direct").raw


@pytest.mark.parametrize("protocol", ["tmlu-direct", "tmlu-cot"])
@given(answer=st.sampled_from("ABCDE"))
def test_gold_of_a_worked_example_is_read_back_by_its_own_extractor(protocol: str, answer: str) -> None:
    chosen = get_protocol(protocol)
    shot = replace(ASKED, id="dev-9", answer=answer, explanation="依題意相加即可。")
    written = build_prompt(PENGUIN, [shot], chosen).raw.split((chosen.explained and "思考。\n") or "(E) 7")[1]
    reply = written.split("\n\n")[0]
    assert chosen.compat_extractor is not None
    for extractor in (Extractor.ROBUST, chosen.compat_extractor):
        assert extract_answer(reply, "ABCDE", extractor).letter == answer


def test_protocols_say_what_they_are() -> None:
    assert list(PROTOCOLS) == ["tmlu-direct", "tmlu-cot", "lm-eval-tmlu", "tmmluplus", "tc-eval"]
    assert all(protocol.version and protocol.source for protocol in PROTOCOLS.values())
    assert get_protocol("tmlu-cot").scorings == {Scoring.GENERATE}
    assert get_protocol(PROTOCOLS["tc-eval"]) is PROTOCOLS["tc-eval"]
