r"""Clean the text of an answer: LaTeX spacing, units, percent signs, words."""

import re

from step_kto._answer_numerals import UNITS, arabic_number, plain_signs

_WRAPPERS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"))
_REWRITES: tuple[tuple[re.Pattern[str], str], ...] = (
    # backslashes doubled by an escape too many; a row break of a matrix is never glued to a command's name
    (
        re.compile(
            r"\\\\(?=(?:[dtc]?frac|sqrt|left|right|boxed|text|pi|infty|leq?|geq?|cdot|times|cup|pm|begin|end)\b)"
        ),
        "\\\\",
    ),
    (re.compile(r"(?<=\d),\s*\\!\s*(?=\d{3})"), ","),
    (re.compile(r"(?<!\\)\\(?:displaystyle|limits|[,;:! ]|q?quad(?![A-Za-z])|hspace\{[^}]*\})"), " "),
    (re.compile(r"~"), " "),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"^\s*(-?\d{1,3}) (\d{3})((?: \d{3})*)\s*$"), r"\1,\2\3"),
    (re.compile(r"\\[dtc]frac"), r"\\frac"),
    (re.compile(r"\\frac\s*(\d)\s*(\d)"), r"\\frac{\1}{\2}"),
    (re.compile(r"\\frac\s*(\d)\s*\{"), r"\\frac{\1}{"),
    (re.compile(r"[−–]"), "-"),
    (re.compile(r"(?<![\\A-Za-z])sqrt\(([^()]*)\)"), r"\\sqrt{\1}"),
    (re.compile(r"\*\*"), "^"),
    (re.compile(r"∞"), r"\\infty "),
    (re.compile(r"(?<![\\A-Za-z])(pi|sin|cos|tan|sec|log|ln|infty)(?![A-Za-z])"), r"\\\1"),
)
_TEXT = r"\\(?:text(?:bf|rm|it|normal)?|mbox|mathrm|operatorname)\s*\{"
_UNITS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\^\s*(?:\\circ|\{\s*\\circ\s*\})|\\degree|°"), ""),
    (re.compile(r"\\\$|[€£¥]|(?<=^)\$(?=[\d.])"), ""),
    # a unit in text mode after a number, with the power that it may carry
    (
        re.compile(
            rf"(?<=[\d}})])\s*{_TEXT}\s*(?!and\b|or\b|And\b|Or\b)[A-Za-z./ ]+\}}(?:\s*\^\s*(?:\d|\{{\d\}}))?\s*$"
        ),
        "",
    ),
    (
        re.compile(
            r"(?<=\d)\s*(?:dollars?|euros?|cents?|degrees?|units?|inch(?:es)?|feet|miles?|meters?|metres?|hours?|"
            rf"minutes?|seconds?|days?|weeks?|months?|years?|people|cm|mm|km|kg|ml|mph|m\^\{{2\}}|{UNITS})"
            r"(?:\s*\^\s*(?:\d|\{\d\}))?\s*$"
        ),
        "",
    ),
)
_PERCENT = re.compile(
    rf"\s*\$?\s*(?:\\?%|(?:{_TEXT}\s*)?(?:percentage|percent|per cent|pct)\s*\}}?)\s*$", re.IGNORECASE
)
_TEXT_ONLY = re.compile(rf"{_TEXT}([^{{}}]*)\}}")
_SPACES = re.compile(r"\s+")


def clean_answer(text: str, *, drop_units: bool) -> str:
    r"""Return an extracted answer without what carries no meaning.

    Math delimiters, LaTeX spacing, `\left`/`\right` sizes stay (math-verify reads them), a final full stop goes, and
    with `drop_units` so do units, degree and currency signs. Percent signs stay: `split_percent` takes them. Full-width
    characters, superscripts and Chinese numbers are written as ASCII.
    """
    text = _without_wrapper(plain_signs(text).strip())
    inner = _TEXT_ONLY.fullmatch(text)
    text = arabic_number((inner.group(1) if inner is not None else text).rstrip(" .。")) or text
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    text = text.strip().rstrip(".。").strip() if not text.strip().endswith("...") else text.strip()
    if drop_units:
        for pattern, replacement in _UNITS:
            text = pattern.sub(replacement, text)
    return _SPACES.sub(" ", _without_wrapper(text)).strip()


def split_percent(text: str) -> tuple[str, bool]:
    """Return the text before a final percent sign or word, and whether there was one."""
    found = _PERCENT.search(text)
    if found is None or not text[: found.start()].strip():
        return text, False
    return _without_wrapper(text[: found.start()].strip()), True


def bare_text(text: str) -> str | None:
    r"""Return the words of an answer that is nothing but words, in lower case; None where it is anything else.

    `\text{Evelyn}` and `Evelyn` are the same words. One word of one letter is no word but a symbol.
    """
    inner = _TEXT_ONLY.fullmatch(text)
    marked = inner is not None
    words = _SPACES.sub(" ", inner.group(1) if inner is not None else text).strip()
    if not words or not all(char.isalpha() or char in " '-" for char in words):
        return None
    if len(words) == 1 and not marked:
        return None
    return words.lower()


def _without_wrapper(text: str) -> str:
    for opening, closing in _WRAPPERS:
        inner = text[len(opening) : len(text) - len(closing)]
        wrapped = text.startswith(opening) and text.endswith(closing) and len(text) > len(opening) + len(closing)
        if wrapped and opening not in inner and closing not in inner:
            return inner.strip()
    return text
