"""Other orders of a question's options: seeded, or all rotations; and the way back to the original letters.

An option such as 以上皆是 means its place, so it stays in it and the others move around it. A question with an option
that names other letters ("A和B", "(A)與(C)") is not permuted at all: moving the options would change what it says.
"""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from twllm_types import ChoiceQuestion, ConfigError

_ALL_OR_NONE = re.compile(
    r"^(?:以上|上述|前述|上列|選項|答案|敘述|各項|[前這此]?[二兩三四五]者|[二兩三四五]項|全部|所有|者)*"
    r"(?:皆|均|都|全部?|俱|無一)(?:有可能|可能|為|屬|不|是|非|對|錯|誤|可|有|無|正確|錯誤|符合|成立|適用|以上)*[。.]?$"
    r"|^(?:all|none|both|neither) of (?:the )?(?:above|these|following|them)",
    re.IGNORECASE,
)
_STEMS = re.compile(r"^[甲乙丙丁戊己]{1,5}[、和與及]?[甲乙丙丁戊己]*(?:皆|均|都)")
_BRACKETED = re.compile(r"\(\s*([A-J])\s*\)")
_JOINED = re.compile(
    r"(?<![A-Za-z0-9])([A-J])\s*(?:[、,/&+]|和|與|及|或|跟|and|or)\s*([A-J])(?![A-Za-z0-9])", re.IGNORECASE
)
_ALL_LETTERS = re.compile(r"^(?:選項|以上)?\s*([A-J]{2,})\s*(?:皆|均|都|全|$)")
_NAMED = re.compile(r"(?:選項|答案)\s*([A-J])(?![A-Za-z0-9])")


class OrderReason(StrEnum):
    """Why a question keeps its order."""

    REFERS_TO_LETTERS = "refers_to_letters"
    NOTHING_TO_MOVE = "nothing_to_move"


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionRoles:
    """Which options may move.

    Attributes:
        fixed: indexes that stay in their place.
        reason: why none moves; None where some do.
    """

    fixed: frozenset[int]
    reason: OrderReason | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PermutedQuestion:
    """A question in another order of its options.

    Attributes:
        question: as it is shown: options in the new order, `answer` the letter that is right there.
        order: shown position to original option index, a permutation.
        reason: why the order is the original one; None where the question may be permuted (a seeded order can still
            happen to be the original).
    """

    question: ChoiceQuestion
    order: tuple[int, ...]
    reason: OrderReason | None = None

    def original_letter(self, shown: str) -> str:
        """Return the original letter of a letter as shown.

        Raises:
            ConfigError: the question has no such letter.
        """
        return self._letters[self.order[self._index(shown)]]

    def shown_letter(self, original: str) -> str:
        """Return the shown letter of an original one; the inverse of `original_letter`.

        Raises:
            ConfigError: the question has no such letter.
        """
        return self._letters[self.order.index(self._index(original))]

    @property
    def _letters(self) -> str:
        return self.question.letters

    def _index(self, letter: str) -> int:
        if len(letter) != 1 or letter not in self._letters:
            raise ConfigError(f"{letter!r} is no letter of {self.question.id}; give one of {', '.join(self._letters)}")
        return self._letters.index(letter)


def option_roles(options: Sequence[str]) -> OptionRoles:
    """Tell which options may move.

    Args:
        options: 2 to 10 option texts.
    """
    letters = frozenset("ABCDEFGHIJ"[: len(options)])
    plain = [unicodedata.normalize("NFKC", option).strip() for option in options]
    if any(_refers(option, letters) for option in plain):
        return OptionRoles(fixed=frozenset(range(len(options))), reason=OrderReason.REFERS_TO_LETTERS)
    fixed = frozenset(i for i, option in enumerate(plain) if _ALL_OR_NONE.search(option) or _STEMS.search(option))
    reason = OrderReason.NOTHING_TO_MOVE if len(options) - len(fixed) < 2 else None
    return OptionRoles(fixed=fixed if reason is None else frozenset(range(len(options))), reason=reason)


def permute_seeded(question: ChoiceQuestion, *, seed: int) -> PermutedQuestion:
    """Return the question in the order that belongs to (seed, subject, question id), whatever the other questions.

    Fisher-Yates with indexes drawn from SHA-256, so that the order is the same in every version of Python; the bias
    of taking 64 bits modulo at most 10 is below 1e-18.
    """
    roles = option_roles(question.options)
    movable = [i for i in range(len(question.options)) if i not in roles.fixed]
    shuffled = list(movable)
    for last in range(len(shuffled) - 1, 0, -1):
        draw = hashlib.sha256(f"{seed}\0{question.subject}\0{question.id}\0{last}".encode()).digest()
        other = int.from_bytes(draw[:8], "big") % (last + 1)
        shuffled[last], shuffled[other] = shuffled[other], shuffled[last]
    return _in_order(question, movable, shuffled, roles.reason)


def permute_circular(question: ChoiceQuestion) -> tuple[PermutedQuestion, ...]:
    """Return all rotations of the options that move, the original order first; one for a question that keeps its order.

    With m options that move there are m rotations, and each of them stands once in each of their places (CircularEval,
    Liu et al. 2023, MMBench, 3.3).
    """
    roles = option_roles(question.options)
    movable = [i for i in range(len(question.options)) if i not in roles.fixed]
    turns = range(max(len(movable), 1))
    return tuple(_in_order(question, movable, movable[k:] + movable[:k], roles.reason) for k in turns)


def _in_order(
    question: ChoiceQuestion, places: Sequence[int], options: Sequence[int], reason: OrderReason | None
) -> PermutedQuestion:
    order = list(range(len(question.options)))
    for place, option in zip(places, options, strict=True):
        order[place] = option
    letters = question.letters
    shown = replace(
        question,
        options=tuple(question.options[i] for i in order),
        answer=letters[order.index(letters.index(question.answer))],
    )
    return PermutedQuestion(question=shown, order=tuple(order), reason=reason)


def _refers(option: str, letters: frozenset[str]) -> bool:
    """The option names a letter of the question in a way that means the option and not, say, vitamin A."""
    found: set[str] = set()
    for pattern in (_BRACKETED, _JOINED, _NAMED):
        for match in pattern.finditer(option):
            found.update(group.upper() for group in match.groups())
    if match := _ALL_LETTERS.search(option):
        found.update(match[1])
    return bool(found) and found <= letters
