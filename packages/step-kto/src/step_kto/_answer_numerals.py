"""Numbers and signs as Chinese text writes them, turned into those that a parser reads."""

import re
from math import inf

_DIGITS = {
    **dict(zip("零〇○", (0, 0, 0), strict=True)),
    **dict(zip("一二三四五六七八九", range(1, 10), strict=True)),
    **dict(zip("壹貳參肆伍陸柒捌玖", range(1, 10), strict=True)),
    "兩": 2,
    "两": 2,
}
_SMALL = {"十": 10, "拾": 10, "百": 100, "佰": 100, "千": 1_000, "仟": 1_000}
_LARGE = {"萬": 10**4, "万": 10**4, "億": 10**8, "亿": 10**8, "兆": 10**12}
_NUMERAL = "".join((*_DIGITS, *_SMALL, *_LARGE))
UNITS = "元|塊|公斤|公克|公尺|公分|公里|個|人|天|歲|小時|分鐘|秒|度|顆|本|張|次|種|題|頁|支|隻|名|位|年|週|月|日"
_NUMBER = re.compile(
    rf"(?P<sign>負?)(?:(?P<percent>百分之)|(?P<bottom>[{_NUMERAL}]+)分之)?"
    rf"(?P<whole>[{_NUMERAL}]+)(?:[點点](?P<decimals>[{''.join(_DIGITS)}]+))?(?P<unit>{UNITS})?"
)
# full-width ASCII, and signs that have one plain form
_PLAIN = str.maketrans({code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {"\u3000": " ", "、": ",", "％": "%"})
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_SUPERSCRIPT = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+")
_FRACTIONS = {"½": r"\frac{1}{2}", "⅓": r"\frac{1}{3}", "⅔": r"\frac{2}{3}", "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}"}


def plain_signs(text: str) -> str:
    """Write full-width letters, digits and signs as ASCII, `x²` as `x^{2}` and `½` as a fraction."""
    text = text.translate(_PLAIN)
    text = _SUPERSCRIPT.sub(lambda found: f"^{{{found.group().translate(_SUPERSCRIPTS)}}}", text)
    for sign, fraction in _FRACTIONS.items():
        text = text.replace(sign, fraction)
    return text


def arabic_number(text: str) -> str | None:
    r"""Write a Chinese number with digits: 一百零五 is `105`, 三分之二 `\frac{2}{3}`, 百分之五 `5\%`, 三點五 `3.5`.

    A unit behind it stays. What speech leaves out (三萬五 for 35,000, 一百五 for 150) has two readings and is not read.

    Args:
        text: the whole answer.

    Returns:
        The number; None where the text is anything else.
    """
    found = _NUMBER.fullmatch(text.strip())
    whole = None if found is None else _integer(found.group("whole"))
    if found is None or whole is None:
        return None
    decimals = "".join(str(_DIGITS[char]) for char in found.group("decimals") or "")
    number = f"{whole}.{decimals}" if decimals else str(whole)
    if found.group("bottom"):
        bottom = _integer(found.group("bottom"))
        if bottom is None:
            return None
        number = f"\\frac{{{number}}}{{{bottom}}}"
    percent = r"\%" if found.group("percent") else ""
    return f"{'-' if found.group('sign') else ''}{number}{percent}{found.group('unit') or ''}"


def _integer(text: str) -> int | None:
    if all(char in _DIGITS for char in text):
        return int("".join(str(_DIGITS[char]) for char in text))
    total, last = 0, inf
    start = 0
    for at, char in enumerate(text):
        if char in _LARGE:
            section = _section(text[start:at], is_first=start == 0)
            if not section or _LARGE[char] >= last:
                return None
            total, last, start = total + section * _LARGE[char], _LARGE[char], at + 1
    rest = text[start:]
    section = _section(rest, is_first=start == 0) if rest else 0
    return None if section is None else total + section


def _section(text: str, *, is_first: bool) -> int | None:
    """Read what stands below 10,000; None where it is no number or leaves a unit out."""
    total, digit, last, has_zero = 0, None, inf, False
    for char in text:
        if char in _SMALL:
            unit = _SMALL[char]
            # 十五 begins without a digit, and only there
            factor = 1 if digit is None and unit == 10 and not total else digit
            if not factor or unit >= last:
                return None
            total, digit, last, has_zero = total + factor * unit, None, unit, False
        elif digit is not None:
            return None
        elif _DIGITS[char] == 0:
            has_zero = True
        else:
            digit = _DIGITS[char]
    is_plain = last <= 10 or has_zero or (is_first and last == inf)
    return None if digit is not None and not is_plain else total + (digit or 0)
