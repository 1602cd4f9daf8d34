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
        rf"(?:作者|發信人|寄件者)(?:\s*[:：])?\s+(?P<id>{_ID}) ?\(.*",
        rf"(?:作者|發信人|寄件者)\s*[:：]\s*(?P<id>{_ID})(?:\s.*)?",
        r"※\s*(?:發信站|文章網址|文章代碼|編輯|轉錄者|引述|來源)\s*[:：《(].*",
        r"※\s*\[?(?:本文轉錄|本文轉寄).*",
        r"◆\s*(?:From|Origin|Modify)\b.*",
        r"(?:發信站|轉信站|Origin|Path)\s*[:：].*",
        r"時間\s*(?:[:：]\s*)?[A-Z][a-z]{2} [A-Z][a-z]{2} +\d{1,2} \d\d:\d\d:\d\d \d{4}.*",
    )
)
_IPV4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?!\.*\d)")
# What may be an address, at most as long as the longest; whether it is one is for `ipaddress` to say.
_IPV6 = re.compile(r"(?<![0-9A-Za-z_:])(?=[0-9A-Fa-f]{0,4}:)[0-9A-Fa-f:.]{2,45}(?![0-9A-Za-z_:])")
_DIGIT = re.compile("[0-9]")
_WORD = re.compile(r"[A-Za-z0-9]+")
# Ids of other boards: foo.bbs@bbs.example.org. Looked up as a whole first, then word by word.
_WORDS = re.compile(r"[A-Za-z0-9]+(?:[._@-]+[A-Za-z0-9]+)*")
_ADDRESS_MASK, _PERSON_MASK = "[IP]", "[使用者]"


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """The ids that a page has named.

    Attributes:
        speakers: number by id: 0 the author, else in the order of the pushes.
        labels: what stands for an id, as the page writes it.
        any_case: the same for ids with a digit or a capital, which are found in any letters; by their lower case.
    """

    speakers: Mapping[str, int]
    labels: Mapping[str, str]
    any_case: Mapping[str, str]

    def mask(self, text: str) -> str:
        """Put ``[使用者3]``, or ``[使用者]`` for a person without number, for ids, and ``[IP]`` for addresses.

        An id is found where it stands by itself, in the letters that the page writes it in; one with a digit or a
        capital in any letters. Takes time in proportion to the text, however many people there are.
        """
        text = _WORDS.sub(self._mask_words, text)
        text = _IPV4.sub(_mask_address, text)
        return _IPV6.sub(_mask_address, text) if text.count(":") > 1 else text

    def _mask_words(self, found: re.Match[str]) -> str:
        label = self._label(found[0])
        if label is not None:
            return label
        return _WORD.sub(lambda word: self._label(word[0]) or word[0], found[0])

    def _label(self, word: str) -> str | None:
        return self.labels.get(word) or self.any_case.get(word.lower())


def people_of(*, author: str, pushers: Iterable[str], text: str) -> People:
    """Number the people of an article: the author is 0, pushers follow; others that `text` names have no number."""
    speakers = {author: 0} if author else {}
    for pusher in pushers:
        speakers.setdefault(pusher, len(speakers) + (not author))
    named = {found for line in text.split("\n") if (found := _named(line))}
    labels = {user: f"{_PERSON_MASK[:-1]}{number}]" for user, number in speakers.items()}
    labels |= dict.fromkeys(named - set(speakers), _PERSON_MASK)
    any_case: dict[str, str] = {}
    for user, label in labels.items():
        if _is_distinctive(user):
            any_case.setdefault(user.lower(), label)
    return People(speakers=speakers, labels=labels, any_case=any_case)


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
    # The full stop or colon of the sentence may stand behind it. "::" and "a::b" are addresses too, but mean none.
    bare = found[0].rstrip(".")
    for address in (bare, bare.removesuffix(":")):
        if _DIGIT.search(address) and _is_address(address):
            return _ADDRESS_MASK + found[0][len(address) :]
    return found[0]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
