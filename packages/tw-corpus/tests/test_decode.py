"""Decoding: which evidence wins, what Big5 pairs mean, and what happens when nothing fits."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tw_corpus._big5 import decode_big5
from tw_corpus._decode import Evidence, decode, decode_as

PROSE = "臺北市政府今天宣布，公車路線自下個月起重新調整，市民可以在網站上查詢新的時刻表。"
SIMPLIFIED = "市政府今天宣布，公交线路从下个月起重新调整，市民可以在网站上查询新的时刻表。"
JAPANESE = "市は来月からバスの路線を見直すと発表しました。新しい時刻表はウェブサイトで確認できます。"


def page(text: str, head: str = "") -> str:
    return f"<html><head>{head}<title>公告</title></head><body><p>{text}</p></body></html>"


def meta(label: str) -> str:
    return f'<meta http-equiv="Content-Type" content="text/html; charset={label}">'


# Big5 pairs: the expected characters are those of the WHATWG index "big5".
@pytest.mark.parametrize(
    ("pairs", "text", "encoding"),
    [
        ("a7da", "我", "cp950"),
        ("f9d6f9d7f9d8f9d9f9daf9dbf9dc", "碁銹裏墻恒粧嫺", "cp950"),
        ("f9ddf9fe", "╔▓", "cp950"),
        ("a145a14ea1e3a244a3e1", "‧﹑～￥€", "cp950"),
        ("c6a1c6aac6abc6b5", "①⑩⑴ⅰ", "big5-eten"),
        ("c6bfc6cdc6cfc6d3c6d5c6d7", "丶幺廴无癶隶", "big5-eten"),
        ("c6dec6dfc6e0", "〃仝々", "big5-eten"),
        ("c6e7c7a1c7f2", "ぁゥヶ", "big5-eten"),
        ("c7f3c7fdc875", "АЙя", "big5-eten"),
        ("a3c0a3dfa3e0", "␀␟␡", "big5-eten"),
        ("c8d3", "℡", "big5-eten"),
        ("8740", "䏰", "big5-hkscs"),
        ("fa40", "𠕇", "big5-hkscs"),
        ("c8d4", "゛", "big5-hkscs"),
    ],
)
def test_decode_big5_pair_means_what_the_web_index_says(pairs: str, text: str, encoding: str) -> None:
    read = decode_big5(bytes.fromhex(pairs))
    assert (read.text, read.encoding, read.num_replaced) == (text, encoding, 0)


def test_decode_big5_hkscs_page_keeps_the_taiwanese_reading_of_shared_pairs() -> None:
    read = decode_big5(bytes.fromhex("8740a1e3"))
    assert read.text == "䏰～"


@given(st.text(st.sampled_from(PROSE + "碁裏恒╔abc <>"), max_size=40))
def test_decode_big5_cp950_text_comes_back(text: str) -> None:
    read = decode_big5(text.encode("cp950"))
    assert (read.text, read.num_replaced) == (text, 0)


@given(st.binary(max_size=200))
def test_decode_big5_any_bytes_count_every_replacement(payload: bytes) -> None:
    read = decode_big5(payload)
    assert read.text.count("\ufffd") == read.num_replaced
    assert len(read.text) <= len(payload)  # one pair of HKSCS gives two characters, none gives more
    read.text.encode("utf-8")


def test_decode_big5_long_text_has_no_seams() -> None:
    text = "a" + PROSE * 2000
    assert decode_big5(text.encode("cp950")).text == text


def test_decode_big5_broken_lead_byte_keeps_the_ascii_behind_it() -> None:
    read = decode_big5(b"\xff<b>\xa7\xda</b>\xa7")
    assert (read.text, read.num_replaced) == ("\ufffd<b>我</b>\ufffd", 2)


def test_decode_big5_lead_byte_with_unassigned_trail_is_one_replacement() -> None:
    assert decode_big5(b"\xf9\xff\xa7\xda").num_replaced == 1


@pytest.mark.parametrize("label", ["big5", "Big5-HKSCS", "x-x-big5", "CP950", "ms950"])
def test_decode_big5_label_in_header_is_believed(label: str) -> None:
    decoded = decode(page(PROSE + "碁").encode("cp950"), content_type=f"text/html; charset={label}")
    assert (decoded.encoding, decoded.evidence) == ("cp950", Evidence.HTTP_HEADER)
    assert "碁" in decoded.text


def test_decode_big5_declared_in_meta_only_is_found() -> None:
    decoded = decode(page(PROSE, meta("big5")).encode("cp950"), content_type="text/html")
    assert (decoded.encoding, decoded.evidence, decoded.rejected) == ("cp950", Evidence.META, ())


def test_decode_xml_declaration_is_found_before_meta() -> None:
    payload = ('<?xml version="1.0" encoding="UTF-8"?>\n' + page(PROSE, meta("big5"))).encode()
    assert decode(payload).evidence is Evidence.XML_DECLARATION


def test_decode_header_wins_over_meta() -> None:
    payload = page(PROSE, meta("big5")).encode()
    assert decode(payload, content_type='text/html; charset="utf-8"').evidence is Evidence.HTTP_HEADER


def test_decode_mark_wins_over_header_and_is_not_text() -> None:
    decoded = decode("\ufeff中文".encode(), content_type="text/html; charset=big5")
    assert (decoded.text, decoded.encoding, decoded.evidence) == ("中文", "utf-8", Evidence.BOM)


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_decode_utf16_with_mark_is_read(codec: str) -> None:
    decoded = decode(f"\ufeff{PROSE}".encode(codec))
    assert (decoded.text, decoded.encoding) == (PROSE, codec)


def test_decode_server_default_latin1_gives_way_to_meta() -> None:
    decoded = decode(page(PROSE, meta("big5")).encode("cp950"), content_type="text/html; charset=ISO-8859-1")
    assert (decoded.encoding, decoded.evidence) == ("cp950", Evidence.META)
    assert decoded.rejected == ("http_header iso-8859-1: single-byte, proves nothing",)


def test_decode_latin1_page_keeps_its_declaration() -> None:
    decoded = decode("<p>Été à Montréal, café</p>".encode("cp1252"), content_type="text/html; charset=iso-8859-1")
    assert (decoded.text, decoded.evidence) == ("<p>Été à Montréal, café</p>", Evidence.HTTP_HEADER)


@pytest.mark.parametrize(
    ("declared", "actual", "text", "encoding"),
    [
        ("utf-8", "cp950", PROSE, "cp950"),
        ("big5", "utf-8", PROSE, "utf-8"),
        ("gb2312", "utf-8", SIMPLIFIED, "utf-8"),
        ("gbk", "cp950", PROSE, "cp950"),
        ("big5", "gb18030", SIMPLIFIED, "gb18030"),
        ("no-such-charset", "cp950", PROSE, "cp950"),
    ],
)
def test_decode_wrong_declaration_is_rejected_and_reported(
    declared: str, actual: str, text: str, encoding: str
) -> None:
    decoded = decode(page(text).encode(actual), content_type=f"text/html; charset={declared}")
    assert (decoded.text, decoded.encoding, decoded.evidence) == (page(text), encoding, Evidence.DETECTED)
    assert [reason.startswith(f"http_header {declared}: ") for reason in decoded.rejected] == [True]


@pytest.mark.parametrize(
    ("codec", "text", "encoding"),
    [
        ("utf-8", PROSE, "utf-8"),
        ("cp950", PROSE, "cp950"),
        ("gb18030", SIMPLIFIED, "gb18030"),
        ("cp932", JAPANESE, "cp932"),
        ("ascii", "plain", "ascii"),
    ],
)
def test_decode_without_declaration_is_detected(codec: str, text: str, encoding: str) -> None:
    decoded = decode(text.encode(codec), html=False)
    assert (decoded.text, decoded.encoding, decoded.evidence) == (text, encoding, Evidence.DETECTED)


def test_decode_meta_naming_utf16_is_read_as_utf8() -> None:
    decoded = decode(page(PROSE, meta("utf-16")).encode())
    assert (decoded.encoding, decoded.evidence) == ("utf-8", Evidence.META)


def test_decode_seven_bit_encoding_is_not_mistaken_for_ascii() -> None:
    decoded = decode(JAPANESE.encode("iso2022_jp"), content_type="text/html; charset=iso-2022-jp")
    assert (decoded.text, decoded.encoding) == (JAPANESE, "iso2022_jp")


def test_decode_stray_byte_costs_one_replacement_in_the_declared_encoding() -> None:
    decoded = decode(page(PROSE, meta("big5")).encode("cp950") + b"\xff")
    assert (decoded.encoding, decoded.evidence, decoded.num_replaced) == ("cp950", Evidence.META, 1)
    assert decoded.rejected == ("meta big5: does not decode",)


def test_decode_utf8_cut_in_a_character_counts_one_replacement() -> None:
    decoded = decode(PROSE.encode()[:-1], content_type="text/plain; charset=utf-8")
    assert (decoded.encoding, decoded.num_replaced) == ("utf-8", 1)


def test_decode_replacement_character_in_the_source_is_not_counted() -> None:
    assert decode("壞字\ufffd".encode()).num_replaced == 0


def test_decode_private_use_characters_are_reported() -> None:
    assert decode("造字\ue001\U000f0000".encode()).num_private_use == 2


def test_decode_nothing_gives_empty_ascii() -> None:
    decoded = decode(b"")
    assert (decoded.text, decoded.encoding, decoded.num_replaced) == ("", "ascii", 0)


@given(st.binary(max_size=300), st.sampled_from([None, "text/html; charset=big5", "text/html; charset=gbk"]))
def test_decode_any_bytes_give_writable_text(payload: bytes, content_type: str | None) -> None:
    decoded = decode(payload, content_type=content_type)
    decoded.text.encode("utf-8")
    assert decoded.num_replaced <= decoded.text.count("\ufffd")


@given(st.text(st.characters(codec="utf-8"), max_size=100))
def test_decode_utf8_with_header_comes_back(text: str) -> None:
    decoded = decode(text.encode(), content_type="text/plain; charset=utf-8", html=False)
    assert decoded.text == text.removeprefix("\ufeff")


def test_decode_as_names_given_by_decode_fit_or_give_none() -> None:
    assert decode_as(PROSE.encode("cp950"), "big5-eten") == PROSE
    assert decode_as(PROSE.encode("cp950"), "utf-8") is None


@pytest.mark.parametrize("mark", ['<meta charset="', "<meta charset=", "<meta charset", '<?xml encoding="'])
def test_decode_declaration_of_blanks_takes_no_quadratic_time(mark: str) -> None:
    start = time.process_time()
    decode(mark.encode() + b" " * 8000 + b"\xff")
    decode(b"\xe4\xb8\x80", content_type="charset=" + " " * 50_000 + "!")
    assert time.process_time() - start < 1
