"""Other values of the same form: the same one each time under one key, and never the value itself.

The digits come from HMAC-SHA256 (RFC 2104) of kind and value; without the key nobody can tell which value a pseudonym
stands for, or test a guess. Two values can share a pseudonym by chance.
"""

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from tw_corpus._pii._addresses import address_pattern
from tw_corpus._pii._checks import LETTER_VALUES, UbnRule, id_remainder, is_ubn, looks_like_date, luhn_remainder
from tw_corpus._pii._fold import as_wide_as, fold
from tw_corpus._pii._kinds import PiiKind
from tw_corpus._pii._phones import national_digits, split_extension
from twllm_types import ConfigError

MIN_KEY_BYTES = 16
_LETTERS = "".join(LETTER_VALUES)
_ALNUM = "0123456789" + _LETTERS
_TEN_DIGITS = 10
_NOT_ALNUM = re.compile(r"[^0-9A-Za-z]")
_MOBILE_STEM = "094"
_FOUR_DIGIT_ISSUERS = ("2", "35", "60", "65", "30")


@dataclass(slots=True)
class _Stream:
    """Digits and letters drawn from 256 pseudo-random bits; an accumulator, so not frozen."""

    state: int

    def below(self, limit: int) -> int:
        self.state, drawn = divmod(self.state, limit)
        return drawn

    def digits(self, length: int) -> str:
        return "".join(str(self.below(10)) for _ in range(length))

    def pick(self, characters: str) -> str:
        return characters[self.below(len(characters))]


@dataclass(frozen=True, slots=True)
class Pseudonymiser:
    """Replaces values under one key.

    Attributes:
        key: at least `MIN_KEY_BYTES` bytes; never shown.

    Raises:
        ConfigError: the key is too short.
    """

    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.key) < MIN_KEY_BYTES:
            raise ConfigError(f"the key has {len(self.key)} bytes; give at least {MIN_KEY_BYTES} random bytes")

    def replace(self, kind: PiiKind, raw: str) -> str:
        """Return the pseudonym of `raw`, which `find_pii` found as `kind`, in its layout.

        The same value in another layout (spaces, width, +886) gives the same pseudonym in that layout.
        """
        folded = fold(raw)
        value = _canonical(kind, folded)
        for attempt in count():
            message = f"{kind}\0{attempt}\0{value}".encode("utf-8", "surrogatepass")
            stream = _Stream(int.from_bytes(hmac.digest(self.key, message, hashlib.sha256), "big"))
            replaced = _MAKERS[kind](stream, value)
            if replaced != value and _is_usable(kind, replaced):
                return _LAYOUTS.get(kind, _in_place)(raw, folded, replaced)
        raise AssertionError  # count() does not end


def _canonical(kind: PiiKind, folded: str) -> str:
    match kind:
        case PiiKind.EMAIL:
            return folded.lower()
        case PiiKind.ADDRESS:
            return folded.replace(" ", "").replace("台", "臺")
        case PiiKind.MOBILE | PiiKind.LANDLINE:
            number, extension = split_extension(folded)
            inner = re.sub(r"\D", "", extension)
            return f"{national_digits(number)}#{inner}" if inner else national_digits(number)
        case PiiKind.EINVOICE_BARCODE:
            return folded
        case _:
            return _NOT_ALNUM.sub("", folded)


def _is_usable(kind: PiiKind, value: str) -> bool:
    """Refuse what `find_pii` would not find without a context word."""
    match kind:
        case PiiKind.UBN:
            return not looks_like_date(value)
        case PiiKind.CITIZEN_CERTIFICATE:
            return not looks_like_date(value[2:10])
        case _:
            return True


def _first_valid(stem: str, remainder: Callable[[str], int]) -> str:
    return next(stem + digit for digit in "0123456789" if remainder(stem + digit) == 0)


def _national_id(stream: _Stream, _value: str) -> str:
    return _first_valid(stream.pick(_LETTERS) + stream.pick("12") + stream.digits(7), id_remainder)


def _arc_new(stream: _Stream, _value: str) -> str:
    return _first_valid(stream.pick(_LETTERS) + stream.pick("89") + stream.digits(7), id_remainder)


def _arc_old(stream: _Stream, _value: str) -> str:
    return _first_valid(stream.pick(_LETTERS) + stream.pick("ABCD") + stream.digits(7), id_remainder)


def _ubn(stream: _Stream, _value: str) -> str:
    """Valid under both rules; the last digit has weight 1, so one of the ten fits."""
    return _first_valid(stream.digits(7), lambda number: 0 if is_ubn(number, UbnRule.BEFORE_2023) else 1)


def _certificate(stream: _Stream, _value: str) -> str:
    return stream.pick(_LETTERS) + stream.pick(_LETTERS) + stream.digits(14)


def _barcode(stream: _Stream, _value: str) -> str:
    return "/" + "".join(stream.pick(_ALNUM) for _ in range(7))


def _digits(stream: _Stream, value: str) -> str:
    return stream.digits(len(value))


def _card(stream: _Stream, value: str) -> str:
    """Keep the network's prefix, so that the form stays plausible."""
    kept = 4 if value.startswith(_FOUR_DIGIT_ISSUERS) else 2
    return _first_valid(value[:kept] + stream.digits(len(value) - kept - 1), luhn_remainder)


def _mobile(stream: _Stream, value: str) -> str:
    """0940 to 0949: prefixes that no operator holds (docs/pii.md)."""
    return _MOBILE_STEM + stream.digits(7) + _extension(stream, value)


def _landline(stream: _Stream, value: str) -> str:
    """Area codes 02 and 03 with a subscriber number that begins with 1, which is assigned in neither."""
    number = value.partition("#")[0]
    stem = "021" if len(number) == _TEN_DIGITS else "031"
    return stem + stream.digits(len(number) - 3) + _extension(stream, value)


def _extension(stream: _Stream, value: str) -> str:
    _, sign, inner = value.partition("#")
    return sign + stream.digits(len(inner))


def _email(stream: _Stream, _value: str) -> str:
    """A mailbox under example.com, which RFC 2606 keeps from ever being registered."""
    return f"user{stream.below(16**8):08x}@example.com"


def _address(stream: _Stream, value: str) -> str:
    """County and district stay; the road is called 虛構 (invented) and exists nowhere."""
    found = address_pattern().fullmatch(value)
    place = "" if found is None else (found["county"] or "") + (found["district"] or found["alone"] or "")
    return f"{place}虛構路{'' if place else '一段'}{stream.below(999) + 1}號"


def _in_place(raw: str, folded: str, value: str) -> str:
    """Put the characters of `value` in the places of letters and digits; the rest of `raw` stays."""
    rest = iter(value)
    return "".join(
        as_wide_as(model, next(rest)) if character.isascii() and character.isalnum() else model
        for model, character in zip(raw, folded, strict=True)
    )


def _whole(_raw: str, _folded: str, value: str) -> str:
    return value


def _phone_layout(raw: str, folded: str, value: str) -> str:
    """Mobile numbers keep their separators; land lines get the usual ones of their new area code."""
    number, marker = split_extension(folded)
    national, _, inner = value.partition("#")
    old = re.sub(r"\D", "", number)
    country = re.match(r"(?:00)?886(0?)", old)
    if national.startswith(_MOBILE_STEM):
        prefix = "" if country is None else old[: country.end()]
        written = _in_place(raw[: len(number)], number, prefix + national[len(national) - len(old) + len(prefix) :])
    else:
        written = _landline_layout(number, national, is_abroad=country is not None)
    return written + _in_place(raw[len(number) :], marker, re.sub(r"\d+$", inner, _NOT_ALNUM.sub("", marker)))


def _landline_layout(number: str, national: str, *, is_abroad: bool) -> str:
    if number.isdigit() and not is_abroad:
        return national
    head, tail = national[2:-4], national[-4:]
    if is_abroad:
        return f"+886-{national[1]}-{head}-{tail}"
    return f"({national[:2]}){head}-{tail}" if number.startswith("(") else f"{national[:2]}-{head}-{tail}"


_MAKERS: dict[PiiKind, Callable[[_Stream, str], str]] = {
    PiiKind.NATIONAL_ID: _national_id,
    PiiKind.ARC_NEW: _arc_new,
    PiiKind.ARC_OLD: _arc_old,
    PiiKind.UBN: _ubn,
    PiiKind.CITIZEN_CERTIFICATE: _certificate,
    PiiKind.EINVOICE_BARCODE: _barcode,
    PiiKind.EINVOICE_DONATION: _digits,
    PiiKind.MOBILE: _mobile,
    PiiKind.LANDLINE: _landline,
    PiiKind.EMAIL: _email,
    PiiKind.CARD: _card,
    PiiKind.ADDRESS: _address,
    PiiKind.NHI_CARD: _digits,
    PiiKind.PASSPORT: _digits,
}
_LAYOUTS: dict[PiiKind, Callable[[str, str, str], str]] = {
    PiiKind.EMAIL: _whole,
    PiiKind.ADDRESS: _whole,
    PiiKind.EINVOICE_BARCODE: _whole,
    PiiKind.MOBILE: _phone_layout,
    PiiKind.LANDLINE: _phone_layout,
}
