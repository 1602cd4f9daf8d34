"""From bytes to text: header, declaration, detection, each verified against the bytes. No input or output.

Order: byte-order mark, HTTP header, XML declaration, META, detection. The mark goes first because it cannot be
mistaken for text (WHATWG Encoding, "decode"). A declared multi-byte encoding counts only if all bytes decode in it and
the result looks like text; a declared single-byte encoding (ISO-8859-1 and the like, a server's default on many Big5
sites) decodes anything and proves nothing, so it counts only if nothing better is found. What was declared and not
believed is reported in `Decoded.rejected`.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from resiliparse.parse.encoding import detect_encoding

from tw_corpus._big5 import decode_big5

_BIG5, _GB = "big5", "gb18030"
_BIG5_FAMILY = frozenset({"cp950", "big5-eten", "big5-hkscs"})
_MULTI_BYTE = {
    "utf-8": ("utf8", "utf-8", "unicode-1-1-utf-8", "utf8mb4"),
    _BIG5: (
        *("big5", "big-5", "big5-hkscs", "big5hkscs", "x-x-big5", "cn-big5", "csbig5", "big5-eten", "big5eten"),
        *("cp950", "ms950", "windows-950", "x-windows-950", "950"),
    ),
    _GB: (
        *("gb2312", "gb-2312", "gb_2312", "gb_2312-80", "gbk", "x-gbk", "cp936", "ms936", "windows-936"),
        *("gb18030", "gb-18030", "euc-cn", "x-euc-cn", "csgb2312", "chinese", "iso-ir-58"),
    ),
    "cp932": ("shift_jis", "shift-jis", "sjis", "x-sjis", "ms_kanji", "windows-31j", "cp932", "csshiftjis"),
    "euc_jp": ("euc-jp", "x-euc-jp", "cseucpkdfmtjapanese"),
    "cp949": ("euc-kr", "euckr", "ks_c_5601-1987", "ksc5601", "uhc", "cp949", "windows-949"),
    "utf-16-le": ("utf-16", "utf-16le", "utf-16-le", "unicode"),
    "utf-16-be": ("utf-16be", "utf-16-be"),
}
_SEVEN_BIT = {"iso2022_jp": ("iso-2022-jp", "csiso2022jp"), "hz": ("hz-gb-2312", "hz")}
_SINGLE_BYTE = {
    "cp1252": ("iso-8859-1", "iso8859-1", "latin1", "latin-1", "l1", "us-ascii", "ascii", "windows-1252", "cp1252"),
    **{f"cp{page}": (f"windows-{page}", f"cp{page}") for page in (*range(1250, 1252), *range(1253, 1259), 874)},
    **{f"iso8859_{part}": (f"iso-8859-{part}", f"iso8859-{part}") for part in (*range(2, 12), *range(13, 17))},
    "koi8_r": ("koi8-r", "koi8"),
    "koi8_u": ("koi8-u",),
}
_LABELS = {
    label: codec
    for table in (_MULTI_BYTE, _SEVEN_BIT, _SINGLE_BYTE)
    for codec, names in table.items()
    for label in names
}
_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_META = re.compile(rb"""<meta[^>]{0,512}?charset\s*=\s*(?:["']\s*)?([\w.:-]{1,40})""", re.IGNORECASE)
_XML = re.compile(rb"""^\s*<\?xml[^>]{0,256}?encoding\s*=\s*["']([\w.:-]{1,40})["']""", re.IGNORECASE)
_HEADER = re.compile(r"""charset\s*=\s*(?:["']\s*)?([\w.:-]{1,40})""", re.IGNORECASE)
_PRESCAN_BYTES = 8192  # WHATWG scans 1,024; pages of the 1990s put long comments before META
_NON_ASCII = re.compile(r"[^\x00-\x7f]+")
_PRIVATE_USE = re.compile("[\ue000-\uf8ff\U000f0000-\U0010ffff]")
_SAMPLE_CHARS = 200_000
_MIN_CHARS_TO_JUDGE = 10
_MAX_ODD_SHARE = (
    0.2  # measured (benchmarks/tw_corpus/extraction.md): right readings stay below 0.07, wrong ones start at 0.39
)
_WRONG_ODD_SHARE = 0.3


class Evidence(StrEnum):
    """What decided the encoding."""

    BOM = "bom"
    HTTP_HEADER = "http_header"
    XML_DECLARATION = "xml_declaration"
    META = "meta"
    DETECTED = "detected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """Text with how it was read.

    Attributes:
        text: the text, without byte-order mark; encodable as UTF-8.
        encoding: ``ascii`` for pure ASCII, ``cp950``/``big5-eten``/``big5-hkscs`` for Big5, else a codec name.
        evidence: what decided.
        num_replaced: places where bytes had no character; each is one U+FFFD in `text`. 0 unless nothing fits exactly.
        num_private_use: private-use characters in `text` (font-specific characters; their meaning is unknown).
        rejected: evidence not believed, in order: "meta big5: does not decode".
    """

    text: str
    encoding: str
    evidence: Evidence
    num_replaced: int = 0
    num_private_use: int = 0
    rejected: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    text: str
    encoding: str
    num_replaced: int


def decode(payload: bytes, *, content_type: str | None = None, html: bool = True) -> Decoded:
    """Decode `payload` and say how.

    Never raises: where no encoding fits, the one with the fewest replacements is taken and the count tells the caller.

    Args:
        payload: the bytes of one document; empty gives empty text in ``ascii``.
        content_type: the HTTP header's value (``text/html; charset=big5``), or `None`.
        html: look for XML and META declarations in the first bytes.
    """
    declared = _declarations(payload, content_type, html=html)
    if payload.isascii() and not any(_LABELS.get(label) in _SEVEN_BIT for _, label in declared):
        return _decoded(_Reading(text=payload.decode("ascii"), encoding="ascii", num_replaced=0), Evidence.DETECTED, [])
    rejected: list[str] = []
    weak: tuple[Evidence, str] | None = None
    damaged: list[tuple[Evidence, str]] = []
    for evidence, label in declared:
        codec = _LABELS.get(label)
        if codec is None:
            rejected.append(f"{evidence} {label}: unknown label")
        elif codec in _SINGLE_BYTE:
            weak = weak or (evidence, codec)
            rejected.append(f"{evidence} {label}: single-byte, proves nothing")
        elif why := _disproof(payload, codec):
            damaged.append((evidence, codec))
            rejected.append(f"{evidence} {label}: {why}")
        else:
            return _decoded(_read(payload, codec), evidence, rejected)
    if (codec := _detect(payload, is_western=weak is not None)) is not None:
        return _decoded(_read(payload, codec), Evidence.DETECTED, rejected)
    if weak is not None and not damaged:
        return _decoded(_read(payload, weak[1]), weak[0], rejected)
    return _least_bad(payload, damaged, rejected)


def decode_as(payload: bytes, encoding: str) -> str | None:
    """Decode `payload` in an `encoding` that `decode` named, exactly; `None` where a byte does not fit."""
    reading = _read(payload, _BIG5 if encoding in _BIG5_FAMILY else encoding)
    return None if reading.num_replaced else reading.text


def _declarations(payload: bytes, content_type: str | None, *, html: bool) -> list[tuple[Evidence, str]]:
    """List what the document says of its encoding, strongest first; labels in lower case."""
    found = [(Evidence.BOM, codec) for mark, codec in _MARKS if payload.startswith(mark)]
    if content_type and (match := _HEADER.search(content_type)):
        found.append((Evidence.HTTP_HEADER, match[1].lower()))
    head = payload[:_PRESCAN_BYTES] if html else b""
    for evidence, pattern in ((Evidence.XML_DECLARATION, _XML), (Evidence.META, _META)):
        if match := pattern.search(head):
            label = match[1].decode("ascii", errors="replace").lower()
            # A declaration that was read as ASCII cannot stand in UTF-16 (WHATWG HTML, "prescan").
            found.append((evidence, "utf-8" if label.startswith("utf-16") else label))
    return found


def _disproof(payload: bytes, codec: str) -> str | None:
    """Say why `payload` is not in the declared multi-byte `codec`; `None` if nothing speaks against it."""
    if codec in (_BIG5, _GB) and _is_certain_utf8(payload):
        return "the bytes are UTF-8"
    reading = _read(payload, codec)
    if reading.num_replaced:
        return "does not decode"
    if codec in (_BIG5, _GB) and _odd_share(reading.text) >= _WRONG_ODD_SHARE:
        other = _read(payload, _GB if codec == _BIG5 else _BIG5)
        is_clear = not other.num_replaced and _num_non_ascii(other.text) >= _MIN_CHARS_TO_JUDGE
        if is_clear and _odd_share(other.text) <= _MAX_ODD_SHARE:
            return f"reads as {other.encoding}"
    return None


def _detect(payload: bytes, *, is_western: bool) -> str | None:
    """Find the encoding of non-ASCII bytes: UTF-8 by its form, Big5 and GB 18030 by common characters, else a library.

    Args:
        payload: the bytes.
        is_western: a single-byte encoding is declared; a handful of characters then does not outweigh it.

    Returns:
        A multi-byte codec in which `payload` decodes exactly, or `None`.
    """
    if _read(payload, "utf-8").num_replaced == 0:
        return "utf-8"
    scored: list[tuple[float, str]] = []
    for codec in (_BIG5, _GB):
        reading = _read(payload, codec)
        if not reading.num_replaced and _num_non_ascii(reading.text) >= (_MIN_CHARS_TO_JUDGE if is_western else 1):
            scored.append((_odd_share(reading.text), codec))
    if scored and min(scored)[0] <= _MAX_ODD_SHARE:
        return min(scored)[1]
    guess = _LABELS.get((detect_encoding(payload, html5_compatible=False) or "").lower())
    if guess is not None and guess not in _SINGLE_BYTE and not _read(payload, guess).num_replaced:
        return guess
    return None


def _least_bad(payload: bytes, damaged: list[tuple[Evidence, str]], rejected: list[str]) -> Decoded:
    """Read with replacements, in the encoding that needs fewest; a declared one wins a tie."""
    trials = [*damaged, *((Evidence.DETECTED, codec) for codec in ("utf-8", _BIG5, _GB, "cp1252"))]
    readings = [(evidence, _read(payload, codec)) for evidence, codec in trials]

    def damage(trial: tuple[Evidence, _Reading]) -> float:
        reading = trial[1]
        return reading.num_replaced + _odd_share(reading.text) * _num_non_ascii(reading.text)

    evidence, best = min(readings, key=damage)
    return _decoded(best, evidence, rejected)


def _read(payload: bytes, codec: str) -> _Reading:
    """Decode with replacements, counted."""
    for mark, marked in _MARKS:
        if codec == marked:
            payload = payload.removeprefix(mark)
    if codec == _BIG5:
        big5 = decode_big5(payload)
        return _Reading(text=big5.text, encoding=big5.encoding, num_replaced=big5.num_replaced)
    text = payload.decode(codec, errors="replace")
    # U+FFFD can also stand in the bytes themselves, where they can spell it.
    spelt = payload.count("\ufffd".encode(codec)) if codec in ("utf-8", _GB) else 0
    return _Reading(text=text, encoding=codec, num_replaced=max(text.count("\ufffd") - spelt, 0))


def _decoded(reading: _Reading, evidence: Evidence, rejected: list[str]) -> Decoded:
    return Decoded(
        text=reading.text,
        encoding=reading.encoding,
        evidence=evidence,
        num_replaced=reading.num_replaced,
        num_private_use=len(_PRIVATE_USE.findall(reading.text)),
        rejected=tuple(rejected),
    )


def _is_certain_utf8(payload: bytes) -> bool:
    """Tell whether the bytes are UTF-8 with a character of three bytes or more, which no double-byte text forms."""
    reading = _read(payload, "utf-8")
    return not reading.num_replaced and max(reading.text) >= "\u0800"


def _num_non_ascii(text: str) -> int:
    return sum(map(len, _NON_ASCII.findall(text)))


def _odd_share(text: str) -> float:
    """Share of uncommon characters among the non-ASCII ones of the first 200,000 characters; 0 for none."""
    seen = "".join(_NON_ASCII.findall(text[:_SAMPLE_CHARS]))
    return len(_common().sub("", seen)) / len(seen) if seen else 0.0


@cache
def _common() -> re.Pattern[str]:
    """Characters of everyday Chinese: level 1 of Big5 and of GB 2312, punctuation, full-width forms, Bopomofo."""
    trails = (*range(0x40, 0x7F), *range(0xA1, 0xFF))
    pairs = [(lead, trail) for lead in range(0xA4, 0xC7) for trail in trails if (lead, trail) <= (0xC6, 0x7E)]
    big5 = decode_big5(bytes(byte for pair in pairs for byte in pair))
    gb = bytes(byte for lead in range(0xB0, 0xD7) for trail in range(0xA1, 0xFF) for byte in (lead, trail))
    return re.compile(
        f"[{big5.text}{gb.decode('gb2312')}\u00a7\u00b0\u00b1\u00b7\u00d7\u00f7\u2010-\u203b\u2460-\u2473\u3000-\u3020\u3105-\u3129\ufe30-\uff5e]+"
    )
