"""Masking, pseudonyms, tags, and the laws that hold for every text."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tw_corpus._pii import (
    PLACEHOLDERS,
    POLICIES,
    Finding,
    PiiKind,
    Policy,
    RedactMode,
    find_pii,
    is_arc_new,
    is_arc_old,
    is_card,
    is_national_id,
    is_ubn,
    redact,
)
from twllm_types import ConfigError

HALF_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
KEY, OTHER_KEY = b"sixteen bytes ok", b"another key of ours"

VALUES = {
    "national_id": ["A220000018", "B100000235", "Ａ２２０００００１８"],
    "arc_new": ["F800000037"],
    "arc_old": ["FC00000017"],
    "ubn": ["12345675", "00000043", "24681358"],
    "citizen_certificate": ["RP90817263544536"],
    "mobile": ["0940-000-118", "0940000118", "+886 940 000 118", "(0940)000-118", "０９４０－０００－１１８",
    "0940-000-118分機 3"],
    "landline": ["(02)5550-0139", "02-5550-0139 分機 12", "+886-37-555-123", "（０７）555-0166", "0836-55123",
    "06-555-0128#7"],
    "email": ["wu.xuni@example.tw", "A@B.TW", "ａ＠ｂ．ｔｗ"],
    "card": ["4000 1234 5678 9017", "4000123456789017", "3700-001020-30402"],
    "address": ["新北市永和區虛構路二段118巷6弄22號5樓之1", "台北市虛構街1號", "永和區虛構路8號",
    "虛構路二段118巷6弄22號"],
}  # fmt: skip
WITH_WORD = {
    "einvoice_barcode": ["載具 /AB12+-.", "載具 /ABC1234"],
    "einvoice_donation": ["愛心碼 919", "捐贈碼：8585858"],
    "nhi_card": ["健保卡 0000 1234 5678", "健保卡000012345678"],
    "passport": ["護照 312345678"],
    "landline": ["電話 0255500139"],
    "ubn": ["統編 2026-0518"],
}
SAMPLES = [(kind, value) for table in (VALUES, WITH_WORD) for kind, values in table.items() for value in values]
# What stands between values; each is meant to shift a boundary, a context word or a veto.
GLUE = [
    "", " ", "  ", "，", "、", "/", "-", ".", ":", "\n", "\n\n", "(", ")", "[", "]", "元", "統編", "電話：", "訂單編號",
    "護照", "健保卡 ",
    "載具", "愛心碼 ", "信用卡", "https://example.tw/", "www.", "_", "a", "7", "12345675", "0940000118", "1234", "號",
    "路", "A", "@", "#",
    "NT$", "2026", "20260518", "是", "。", "[遮蔽:統一編號]", "[遮蔽:", "地址台北市", "x.tw", "分機 1",
    "甲乙丙丁戊己庚辛壬癸" * 4, "\ud800",
    "/ABC+123", "載具：", "／ＡＢＣ１２３４",
]  # fmt: skip
TEXTS = st.lists(
    st.one_of(st.sampled_from(GLUE), st.sampled_from([value for _, value in SAMPLES]), st.text(max_size=6)), max_size=12
).map("".join)


def kinds_of(text: str) -> list[PiiKind]:
    return [finding.kind for finding in find_pii(text)]


@settings(max_examples=1000, deadline=None)
@given(TEXTS)
def test_mask_twice_changes_nothing_more(text) -> None:
    once = redact(text)
    again = redact(once.text)
    assert again.findings == ()
    assert again.text == once.text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("載具：wu@example.tw/ABC+123", "載具：[遮蔽:電子郵件][遮蔽:手機條碼]"),
        ("手機條碼載具 0912-345-678/ABC+123", "手機條碼載具 [遮蔽:手機號碼][遮蔽:手機條碼]"),
        ("載具 https://example.tw/ABC+123", "載具 https://example.tw/ABC+123"),
        ("載具 12/ABC+123", "載具 12/ABC+123"),
    ],
)
def test_mask_carrier_directly_behind_a_finding_goes_at_the_first_time(text, masked) -> None:
    assert redact(text).text == redact(redact(text).text).text == masked


@settings(max_examples=500, deadline=None)
@given(TEXTS)
def test_findings_are_ordered_and_inside_the_text(text) -> None:
    findings = find_pii(text)
    ends = [0, *(finding.end for finding in findings)]
    assert all(end <= finding.start < finding.end for end, finding in zip(ends, findings, strict=False))
    assert ends[-1] <= len(text)


@settings(max_examples=500, deadline=None)
@given(TEXTS)
def test_mask_leaves_the_rest_of_the_text(text) -> None:
    redaction = redact(text)
    rest, end = [], 0
    for finding in redaction.findings:
        rest += [text[end : finding.start], PLACEHOLDERS[finding.kind]]
        end = finding.end
    assert redaction.text == "".join([*rest, text[end:]])


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(SAMPLES), max_size=6), st.sampled_from(["，", "。\n", " 與 ", "）（"]))
def test_pseudonyms_are_found_as_the_same_kinds(samples, glue) -> None:
    text = glue.join(value for _, value in samples)
    assert kinds_of(text) == [kind for kind, _ in samples]
    assert kinds_of(redact(text, "pseudonymise", key=KEY).text) == kinds_of(text)


@pytest.mark.parametrize(("kind", "value"), SAMPLES)
@given(key=st.binary(min_size=16, max_size=24))
@settings(max_examples=30, deadline=None)
def test_pseudonym_is_another_value_of_the_same_kind(kind, value, key) -> None:
    replaced = redact(value, "pseudonymise", key=key)
    assert replaced.text != value
    assert kinds_of(replaced.text) == [kind]
    assert redact(value, "pseudonymise", key=key).text == replaced.text


@pytest.mark.parametrize(
    ("kind", "check"),
    [("national_id", is_national_id), ("arc_new", is_arc_new), ("arc_old", is_arc_old), ("ubn", is_ubn), ("card",
    is_card)],
)  # fmt: skip
def test_pseudonym_has_a_valid_check_digit(kind, check) -> None:
    for value in VALUES[kind]:
        replaced = redact(value, "pseudonymise", key=KEY).text
        assert check(re.sub(r"[^0-9A-Z]", "", replaced.translate(HALF_WIDTH)))


@pytest.mark.parametrize(
    "spellings",
    [
        [
            "0940-000-118",
            "0940000118",
            "(0940) 000-118",
            "+886 940-000-118",
            "+886(0)940000118",
            "０９４００００１１８",
        ],
        ["02-5550-0139", "(02)5550-0139", "+886-2-5550-0139", "（０２）５５５０－０１３９"],
        ["4000 1234 5678 9017", "4000-1234-5678-9017", "4000123456789017"],
        ["wu@example.tw", "WU@Example.TW", "ｗｕ@example.tw"],
        ["台北市大安區虛構路 5 號", "臺北市大安區虛構路5號", "臺北市大安區虛構路５號"],
    ],
)
def test_pseudonym_is_the_same_for_every_spelling(spellings) -> None:
    def bare(text: str) -> str:
        digits = re.sub(r"[^0-9a-z@.\u4e00-\u9fff]", "", text.translate(HALF_WIDTH))
        return re.sub(r"^8860?", "0", digits)

    assert len({bare(redact(each, "pseudonymise", key=KEY).text) for each in spellings}) == 1


def test_pseudonym_differs_between_keys_and_between_values() -> None:
    text = "手機 0940-000-118 或 0940-000-236"
    first, second = (redact(text, "pseudonymise", key=key).text for key in (KEY, OTHER_KEY))
    assert first != second
    one, two = (first[finding.start : finding.end] for finding in find_pii(first))
    assert one != two


def test_pseudonym_of_donation_code_never_is_the_code() -> None:
    # With 1,000 codes of three digits, chance would hit one in 1,000 draws.
    for number in range(1000):
        text = f"愛心碼 {number:03}"
        assert redact(text, "pseudonymise", key=KEY).text != text


@given(st.text("0123456789", min_size=7, max_size=7))
@settings(max_examples=200, deadline=None)
def test_pseudonym_numbers_and_mailboxes_belong_to_nobody(digits) -> None:
    text = (
        f"手機 0912-{digits[:3]}-{digits[3:6]}，市話 (04)2{digits[:3]}-{digits[3:]}、03-5{digits[:2]}-{digits[2:6]}，"
    )
    text += f"x{digits}@mail.example.tw"
    replaced = redact(text, "pseudonymise", key=KEY).text
    mobile, long, short, mail = (replaced[finding.start : finding.end] for finding in find_pii(replaced))
    assert re.fullmatch(r"094\d-\d{3}-\d{3}", mobile)
    assert re.fullmatch(r"\(02\)1\d{3}-\d{4}", long)
    assert re.fullmatch(r"03-1\d\d-\d{4}", short)
    assert re.fullmatch(r"user[0-9a-f]{8}@example\.com", mail)


@pytest.mark.parametrize(
    ("number", "form"),
    [
        ("02-5550-0139 分機 12", r"02-1\d{3}-\d{4} 分機 \d\d"),
        ("(037)555-123#7", r"\(03\)1\d\d-\d{4}#\d"),
        ("+886-37-555-123", r"\+886-3-1\d\d-\d{4}"),
        ("電話 0255500139", r"電話 021\d{7}"),
        ("02-5550-0139 ext. 9", r"02-1\d{3}-\d{4} ext\. \d"),
        ("+886 (0)940 000 118", r"\+886 \(0\)94\d \d{3} \d{3}"),
        ("手機 886940000118", r"手機 88694\d{7}"),
    ],
)
def test_pseudonym_keeps_the_layout_of_a_phone_number(number, form) -> None:
    assert re.fullmatch(form, redact(number, "pseudonymise", key=KEY).text)


@pytest.mark.parametrize(
    ("address", "form"),
    [
        ("106台北市大安區虛構街7號3樓", r"臺北市大安區虛構路\d{1,3}號"),
        ("台北市虛構街7號", r"臺北市虛構路\d{1,3}號"),
        ("永和區虛構街7號", r"永和區虛構路\d{1,3}號"),
        ("虛構街二段7號", r"虛構路一段\d{1,3}號"),
        ("高雄市前鎮區示範路7號", r"高雄市前鎮區虛構路\d{1,3}號"),
    ],
)
def test_pseudonym_of_address_keeps_county_and_district_only(address, form) -> None:
    assert re.fullmatch(form, redact(address, "pseudonymise", key=KEY).text)


def test_mask_puts_the_placeholder_of_each_kind() -> None:
    text = "統編12345675，手機0940-000-118，請寄信到wu@example.tw洽詢"
    assert redact(text).text == "統編[遮蔽:統一編號]，手機[遮蔽:手機號碼]，請寄信到[遮蔽:電子郵件]洽詢"
    assert len(set(PLACEHOLDERS.values())) == len(PiiKind) == len(PLACEHOLDERS)


def test_tag_leaves_the_text() -> None:
    text = "手機0940-000-118"
    redaction = redact(text, RedactMode.TAG)
    assert redaction.text == text
    assert redaction.findings == (Finding(kind=PiiKind.MOBILE, start=2, end=14),)


def test_kinds_chooses_without_mistaking_others() -> None:
    text = "手機0940-000-118 信箱wu@example.tw"
    redaction = redact(text, kinds=["email"])
    assert redaction.text == "手機0940-000-118 信箱[遮蔽:電子郵件]"
    assert [finding.kind for finding in redaction.findings] == [PiiKind.EMAIL]


def test_text_without_findings_comes_back_as_it_is() -> None:
    for mode in RedactMode:
        assert redact("沒有個資。", mode, key=KEY).text == "沒有個資。"
        assert redact("", mode, key=KEY).text == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "hide"}, "mode 'hide' is unknown; give one of mask, pseudonymise, tag"),
        ({"mode": "pseudonymise"}, "needs a key"),
        ({"mode": "pseudonymise", "key": b"secret"}, "the key has 6 bytes; give at least 16"),
        ({"kinds": ["ubn", "name"]}, r"kinds \['name'\] are unknown; give some of national_id"),
        ({"kinds": []}, "give some of national_id"),
    ],
)
def test_redact_refuses_unusable_arguments_without_showing_data(arguments, message) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        redact("A220000018", **arguments)
    assert "A220000018" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_reprs_show_neither_text_nor_value() -> None:
    redaction = redact("身分證 A220000018", "tag")
    assert "A220000018" not in repr(redaction)
    assert repr(redaction.findings[0]) == "Finding(kind=<PiiKind.NATIONAL_ID: 'national_id'>, start=4, end=14)"


def test_every_kind_has_a_policy_and_those_with_context_need_it() -> None:
    assert set(POLICIES) == set(PiiKind)
    for kind, values in WITH_WORD.items():
        if POLICIES[PiiKind(kind)] is Policy.CONTEXT:
            for value in values:
                assert find_pii(re.sub(r"^[\u4e00-\u9fff：]+", "", value)) == ()
