"""The readers of the official harnesses, faults included: what they call the answer, not what the answer is.

Own code after the behaviour of `utils.py` in MiuLab/TMLU@07200b3 and of `run_tceval.py` in MiuLab/Taiwan-LLM@b5908ca.
"""

import re

_IN_BRACKETS = re.compile(r"[A-F]\)")
_ANYWHERE = re.compile(r"[A-F]")
_FORMAT_LETTERS = "ABCDE"  # the source forgot F here, and only here


def read_direct(text: str) -> str | None:
    """Return the letter that TMLU's `check_ans` compares, A to F whatever the question has; None where it finds none.

    The first paragraph if it looks like an answer, else the last one; in it the first letter before a bracket, else the
    first letter at all, inside words too.
    """
    paragraphs = text.strip().split("\n\n")
    return _find_letter(paragraphs[0] if _looks_like_answer(paragraphs[0]) else paragraphs[-1])


def read_reasoned(text: str) -> str | None:
    """Return the letter that TMLU's `check_ans_cot` compares; None where it finds none.

    From the last line that looks like an answer to the end, before a further 問題：; in it from 正確答案 on.
    """
    lines = text.strip().split("問題：")[0].strip().split("\n")
    start = next((i for i in range(len(lines) - 1, -1, -1) if _looks_like_answer(lines[i])), None)
    if start is None:
        return None
    shown = "".join(lines[start:])
    return _find_letter(shown[max(shown.find("正確答案"), 0) :])


def read_tc_eval(text: str) -> str | None:
    """Return the letter that Taiwan-LLM's evaluation of TTQA and Penguins compares: the very first character, A to E.

    The source stops with an IndexError at an empty answer; here that is None.
    """
    return text[0] if text and text[0] in "ABCDE" else None


def _looks_like_answer(text: str) -> bool:
    for phrase, verdict in (("不是正確答案", False), ("正確答案", True), ("不正確", False), ("正確", True)):
        if phrase in text:
            return verdict
    return any(letter in text for letter in _FORMAT_LETTERS)


def _find_letter(text: str) -> str | None:
    match = _IN_BRACKETS.search(text) or _ANYWHERE.search(text)
    return match[0][0] if match else None
