"""Taking people out of the text of a PTT article: lines about them, their ids, IP addresses. No input or output.

Not found: people named by nickname or real name in running text, and ids that nothing on the page marks as such.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_ID = r"[A-Za-z][A-Za-z0-9]{1,11}"
_QUOTE_MARKS = re.compile(r"^(?:\s*[:>]\s?)+")
# What the board's software writes about people, with the id where there is one.
_ABOUT_PEOPLE = tuple(
    re.compile(pattern)
    for pattern in (
        rf"※\s*引述《\s*(?P<id>{_ID})\b.*",
        rf"※\s*(?:編輯|轉錄者)\s*[:：]\s*(?P<id>{_ID})\b.*",
        rf"※\s*(?P<id>{_ID}) .{{0,60}}(?:寫道|提到|轉錄).*",
        rf"==>\s*(?P<id>{_ID})\b.*(?:提到|寫道).*",
        rf"【?\s*在 (?P<id>{_ID})\b.*的大作中提到.*",
        rf"(?:作者|發信人|寄件者)\s*[:：]?\s+(?P<id>{_ID}) ?\(.*",
        rf"(?:作者|發信人|寄件者)\s*[:：]\s*(?P<id>{_ID})(?:\s.*)?",
        r"※\s*(?:發信站|文章網址|文章代碼|編輯|轉錄者|引述|來源)\s*[:：《(].*",
        r"※\s*\[?(?:本文轉錄|本文轉寄).*",
        r"◆\s*(?:From|Origin|Modify)\b.*",
        r"(?:發信站|轉信站|Origin|Path)\s*[:：].*",
        r"時間\s*[:：]?\s*[A-Z][a-z]{2} [A-Z][a-z]{2} +\d{1,2} \d\d:\d\d:\d\d \d{4}.*",
    )
)
_IPV4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.]*\d)")
_IPV6 = re.compile(r"(?<![\w:])[0-9A-Fa-f:]*::?[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*(?![\w:])")
_ADDRESS_MASK, _PERSON_MASK = "[IP]", "[使用者]"


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """The ids that a page has named.

    Attributes:
        speakers: number by id: 0 the author, else in the order of the pushes.
        others: further ids, of quoted people.
    """

    speakers: Mapping[str, int]
    others: frozenset[str]

    def mask(self, text: str) -> str:
        """Put ``[使用者3]``, or ``[使用者]`` for a person without number, for ids, and ``[IP]`` for addresses.

        An id is found where it stands by itself, in the letters that the page writes it in; one with a digit or a
        capital in any letters.
        """
        for ignore_case in (False, True):
            ids = [each for each in (*self.speakers, *self.others) if _is_distinctive(each) or not ignore_case]
            if ids:
                pattern = "|".join(re.escape(each) for each in sorted(ids, key=len, reverse=True))
                flags = re.IGNORECASE if ignore_case else 0
                text = re.sub(rf"(?<![A-Za-z0-9])(?:{pattern})(?![A-Za-z0-9])", self._label, text, flags=flags)
        text = _IPV4.sub(_mask_address, text)
        return _IPV6.sub(_mask_address, text) if text.count(":") > 1 else text

    def _label(self, found: re.Match[str]) -> str:
        lowered = found[0].lower()
        number = next((number for user, number in self.speakers.items() if user.lower() == lowered), None)
        return _PERSON_MASK if number is None else f"{_PERSON_MASK[:-1]}{number}]"


def people_of(*, author: str, pushers: Iterable[str], text: str) -> People:
    """Number the people of an article: the author is 0, pushers follow; others that `text` names have no number."""
    speakers = {author: 0} if author else {}
    for pusher in pushers:
        speakers.setdefault(pusher, len(speakers) + (not author))
    named = {found for line in text.split("\n") if (found := _named(line))}
    return People(speakers=speakers, others=frozenset(named - set(speakers)))


def is_about_people(line: str) -> bool:
    """Tell whether the board's software wrote this line about a person or an address; quote marks do not matter."""
    return _match(line) is not None


def author_of(text: str) -> str:
    """Find the author in a header that stands in the text itself; "" where there is none."""
    first = next((line for line in text.split("\n") if line.strip()), "")
    return (_named(first) or "") if first.strip().startswith(("作者", "發信人")) else ""


def _match(line: str) -> re.Match[str] | None:
    bare = _QUOTE_MARKS.sub("", line).strip()
    return next((match for pattern in _ABOUT_PEOPLE if (match := pattern.fullmatch(bare))), None)


def _named(line: str) -> str | None:
    match = _match(line)
    return None if match is None else match.groupdict().get("id")


def _is_distinctive(user: str) -> bool:
    return not (user.isalpha() and user.islower())


def _mask_address(found: re.Match[str]) -> str:
    try:
        ipaddress.ip_address(found[0])
    except ValueError:
        return found[0]
    return _ADDRESS_MASK
