"""What the language-model judge is asked, and how its answer is read. The wording is ours."""

import json
import re
from collections.abc import Sequence
from typing import Literal, TypeAlias, cast

from step_kto._judges import JudgeFailure, StepLabels
from twllm_types import Conversation, JsonObject, Message, Role

JudgeLanguage: TypeAlias = Literal["en", "zh-TW"]

_VERDICTS: dict[str, bool | None] = {"right": True, "wrong": False, "unsure": None}

_SYSTEM: dict[JudgeLanguage, str] = {
    "en": (
        "You check the steps of a solution to a mathematical problem. A reference solution, known to be right, is "
        "given; another way of solving the problem is as good. Judge each step on its own: it is right if what it "
        "states is true and follows from the problem and from the steps before it as they stand; a step that goes on "
        "correctly from an earlier mistake is right. Say unsure if the step states nothing that can be checked."
    ),
    "zh-TW": (
        "請逐步檢查一道數學題的解答。題目附有正確的參考解答；解法不同也可以是對的。請個別判斷每一個步驟："
        "該步驟所說的內容為真，並且能由題目與它之前的步驟（照其所寫）推得，就是正確；"
        "前面有錯、但由該錯誤結果正確推算的步驟，仍算正確。步驟中沒有可檢查的內容時，請回答 unsure。"
    ),
}
_USER: dict[JudgeLanguage, str] = {
    "en": (
        "Problem:\n{problem}\n\nReference solution:\n{reference}\n\nSolution to check, {count} steps:\n{steps}\n\n"
        'Answer with one JSON object and nothing else: {{"verdicts": [...]}}, a list of exactly {count} entries, one '
        'for each step in order, each "right", "wrong" or "unsure".'
    ),
    "zh-TW": (
        "題目：\n{problem}\n\n參考解答：\n{reference}\n\n待檢查的解答，共 {count} 步：\n{steps}\n\n"
        '請只回答一個 JSON 物件：{{"verdicts": [...]}}，其中恰有 {count} 項，依序對應每一個步驟，'
        '每一項為 "right"（正確）、"wrong"（錯誤）或 "unsure"（無法判斷）。'
    ),
}
_NO_REFERENCE: dict[JudgeLanguage, str] = {"en": "(none)", "zh-TW": "（無）"}
# nothing but an object with a key can be an answer
_OBJECT_START = re.compile(r'\{(?=\s*")')
_THINK, _END_THINK = "<think>", "</think>"
_AFTER_ANSWER = re.compile(r"[\s`]*")


def judge_conversation(problem: str, reference: str, steps: Sequence[str], *, language: JudgeLanguage) -> Conversation:
    """Ask for a verdict on each step.

    Args:
        problem: what was asked.
        reference: a right solution; empty where there is none, which the prompt then says.
        steps: texts of the steps, in order.
        language: of the wording; the verdicts' words are English in both.
    """
    numbered = "\n".join(f"<step {number}>\n{step.strip()}\n</step {number}>" for number, step in enumerate(steps, 1))
    request = _USER[language].format(
        problem=problem.strip(),
        reference=reference.strip() or _NO_REFERENCE[language],
        count=len(steps),
        steps=numbered,
    )
    messages = (Message(role=Role.SYSTEM, content=_SYSTEM[language]), Message(role=Role.USER, content=request))
    return Conversation(messages=messages)


def verdict_schema(num_steps: int) -> JsonObject:
    """Return the JSON Schema of an answer about so many steps."""
    return {
        "type": "object",
        "properties": {
            "verdicts": {
                "type": "array",
                "items": {"type": "string", "enum": list(_VERDICTS)},
                "minItems": num_steps,
                "maxItems": num_steps,
            }
        },
        "required": ["verdicts"],
        "additionalProperties": False,
    }


def read_verdicts(text: str, num_steps: int, *, is_cut_off: bool = False) -> StepLabels | JudgeFailure:
    """Read an answer: the last JSON object in it that has `verdicts`, behind the reasoning in `<think>`.

    Args:
        text: what the model wrote; prose or a code fence around the object does not matter.
        num_steps: steps that were asked about.
        is_cut_off: the model was stopped. Then only an object at the very end is an answer: one further in front may be
            a draft, after which the model changed its mind.

    Returns:
        Labels, or what is wrong: no JSON object, verdicts that are not such a list, or another number of them.
    """
    _, _, answer = text.rpartition(_END_THINK)
    if answer.lstrip().startswith(_THINK):
        return JudgeFailure.NO_JSON
    found = [(value, end) for value, end in _objects(answer) if "verdicts" in value]
    if not found or (is_cut_off and not _AFTER_ANSWER.fullmatch(answer, found[-1][1])):
        return JudgeFailure.NO_JSON
    verdicts = found[-1][0]["verdicts"]
    if not isinstance(verdicts, list):
        return JudgeFailure.WRONG_SHAPE
    words = [word.strip().lower() if isinstance(word, str) else None for word in cast("list[object]", verdicts)]
    if any(word not in _VERDICTS for word in words):
        return JudgeFailure.WRONG_SHAPE
    if len(words) != num_steps:
        return JudgeFailure.WRONG_COUNT
    return tuple(_VERDICTS[word] for word in words if word is not None)


def _objects(text: str) -> list[tuple[dict[str, object], int]]:
    """The outermost JSON objects of a text, each with its end."""
    decoder = json.JSONDecoder(object_pairs_hook=_without_repeated_keys)
    found: list[tuple[dict[str, object], int]] = []
    end = 0
    for match in _OBJECT_START.finditer(text):
        if match.start() < end:
            continue
        try:
            value, end = decoder.raw_decode(text, match.start())
        except ValueError:
            continue
        except RecursionError:
            # what nests a thousand deep is no answer, nor is anything inside of it
            break
        found.append((cast("dict[str, object]", value), end))
    return found


def _without_repeated_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice, so that nobody can tell which value is meant")
    return found
