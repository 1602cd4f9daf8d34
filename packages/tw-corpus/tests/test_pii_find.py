"""What is found and what is not. All values are invented; check digits were computed."""

import re

import pytest

from tw_corpus._pii import PiiKind, find_pii

NATIONAL, ARC_NEW, ARC_OLD, UBN, CARD = "A220000018", "F800000037", "FC00000017", "12345675", "4000123456789017"
CERTIFICATE, BARCODE = "RP90817263544536", "/AB12+-."


def found(text: str) -> list[tuple[str, str]]:
    return [(str(finding.kind), text[finding.start : finding.end]) for finding in find_pii(text)]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("national_id", NATIONAL), ("arc_new", ARC_NEW), ("arc_old", ARC_OLD), ("ubn", UBN), ("card", CARD),
        ("card", "4000 1234 5678 9017"), ("citizen_certificate", CERTIFICATE), ("email", "wu.xuni@example.tw"),
        ("mobile", "0940-000-118"), ("landline", "(02)5550-0139"), ("address", "臺南市南區虛構一街37號2樓"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "frame", ["{}", "請看{}謝謝", "請看：{}。", "（{}）", "甲\n{}\n乙", "資料是「{}」", "即 {} 這個"]
)
def test_find_value_without_context_word_is_found(kind, value, frame) -> None:
    assert found(frame.format(value)) == [(kind, value)]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("載具號碼 /AB12+-. 請輸入", "einvoice_barcode", BARCODE),
        ("手機條碼：／ＡＢ１２３４Ｃ", "einvoice_barcode", "／ＡＢ１２３４Ｃ"),
        ("載具 /ABC1234。", "einvoice_barcode", "/ABC1234"),
        ("載具是/ABC1234.", "einvoice_barcode", "/ABC1234"),
        ("愛心碼：919", "einvoice_donation", "919"),
        ("捐贈碼請填 8585858 即可", "einvoice_donation", "8585858"),
        ("健保卡號 0000 1234 5678", "nhi_card", "0000 1234 5678"),
        ("健保卡 編號：000012345678", "nhi_card", "000012345678"),
        ("護照號碼：312345678", "passport", "312345678"),
        ("Passport No. 312345678", "passport", "312345678"),
        ("統一編號 0000004-3", "ubn", "0000004-3"),
        ("統編：1234 5675", "ubn", "1234 5675"),
        ("統編：００００００４３", "ubn", "００００００４３"),
        ("統一編號：20260518", "ubn", "20260518"),
        ("身分證字號 A2 2000 0018", "national_id", "A2 2000 0018"),
        ("身分證字號 A220-000-018", "national_id", "A220-000-018"),
        ("身分證字號：Ａ２２００００１８", None, ""),
        ("身分證字號：Ａ２２０００００１８", "national_id", "Ａ２２０００００１８"),
        ("居留證 FC-00000017", "arc_old", "FC-00000017"),
        ("信用卡號 4000123456785", None, ""),
        ("電話 0255500139", "landline", "0255500139"),
        ("電話0255500139謝謝", "landline", "0255500139"),
        ("電話0492550123分機3謝謝", "landline", "0492550123分機3"),
        ("傳真：037551234", "landline", "037551234"),
        ("手機 886940000118", "mobile", "886940000118"),
        ("信用卡帳號 4000123456789017", "card", CARD),
    ],
)  # fmt: skip
def test_find_value_with_context_word(text, kind, value) -> None:
    assert found(text) == ([(kind, value)] if kind else [])


@pytest.mark.parametrize(
    "text",
    [
        "/AB12+-.", "請到 /ABC1234 目錄", "919", "健保開辦。0000 1234", "312345678", "000012345678", "0255500139",
        "886940000118", "A220-000-018", "1234 5675", "統編 12345674", "身分證 A220000017", "載具 /ABCD1234",
        "載具 /ab12345", "載具 /ABCD$12", "愛心碼 ab3456", "愛心碼推廣了 2023 年", "捐贈碼 12", "身分證 a220000018",
        "愛心碼 https://x.tw/123", "護照 3123456780",
    ],
)  # fmt: skip
def test_find_value_without_its_evidence_is_not_found(text) -> None:
    assert found(text) == []


MOBILES = [
    "0940000118", "0940-000-118", "0940-000118", "0940 000 118", "0940.000.118", "0940 - 000 - 118", "(0940)000-118",
    "(0940) 000118", "09-40000118", "09-4000-0118", "0940-00-01-18", "0940-0001-18", "0940-00-0118",
    "０９４０－０００－１１８",
    "０９４００００１１８", "0940–000–118", "+886940000118", "+886 940 000 118", "+886-940-000-118", "+886-9-4000-0118",
    "(+886)940-000-118", "+886 (0)940 000 118", "+8860940000118", "00886-940-000-118", "886-940-000-118",
    "(886-940)000-118", "(+886-940) 000 118",
]  # fmt: skip
LANDLINES = [
    "(02)5550-0139", "(02) 5550-0139", "02-5550-0139", "02-55500139", "02 5550 0139", "02.5550.0139",
    "（０２）５５５０－０１３９",
    "（02）5550－0139", "+886-2-5550-0139", "+886 2 5550 0139", "+886-2-55500139", "+886(2)5550-0139",
    "(+886)2-5550-0139",
    "(886-2)5550-0139", "+886 (0)2 5550 0139", "+886255500139", "00886-2-5550-0139", "(07)555-0166", "06-555-0128",
    "03-5550128", "(037)555-123", "037-555123", "(049)255-0166", "049-2550166", "(04)2555-0128", "04-755-0128",
    "(089)555-123", "082-555123", "0836-55123", "(0826)61234", "(08)755-0128", "05-555-0128", "(02)5550-0139 分機 12",
    "(02)5550-0139分機123", "02-5550-0139 轉 9", "02-5550-0139轉分機1234", "02-5550-0139#12", "02-5550-0139 ext. 12",
    "02-5550-0139ext12", "（02）5550-0139＃１２", "+886-37-555-123", "02-555-001-39", "02-55-50-01-39", "06-5550-128",
    "06-555-01-28", "037-55-5123", "0836-55 123",
]  # fmt: skip


@pytest.mark.parametrize("number", MOBILES)
@pytest.mark.parametrize("frame", ["{}", "打{}找我", "電話：{}，謝謝", "Tel: {} / Mail"])
def test_find_mobile_spellings(number, frame) -> None:
    assert found(frame.format(number)) == [("mobile", number)]


@pytest.mark.parametrize("number", LANDLINES)
@pytest.mark.parametrize("frame", ["{}", "打{}找我", "電話：{}，謝謝", "Tel: {} / Mail"])
def test_find_landline_spellings(number, frame) -> None:
    assert found(frame.format(number)) == [("landline", number)]


@pytest.mark.parametrize(
    "text",
    [
        "0800-000-123", "0204-12345", "02-0123-4567", "02-9123-456", "2026-05-17", "2026.05.17 10:30", "02-03-2024",
        "192.168.100.200", "(02)5550-01399", "0940-000-1185", "0940-000-118-5", "10940000118", "x0940000118",
        "0940000118a", "0940000118_1", "_0940000118", "1.0940000118", "3-0940-000-118", "1,000,000,000",
        "3.14159265358979",
        "ISBN 978-986-000-000-1", "第1150002719號", "(115)院字第1150002719號", "120.123456,23.654321", "+88694000011",
        "https://example.tw/item/0940000118", "http://a.tw/?t=(02)5550-0139", "www.example.tw/0940-000-118/",
        "886-1-5550-0139", "0 9 4 0 0 0 0 1 1 8", "電話 0155500139", "電話 02555001390",
    ],
)  # fmt: skip
def test_find_no_phone(text) -> None:
    assert found(text) == []


def test_find_extension_that_belongs_to_an_address_is_left_to_it() -> None:
    assert found("0940-000-118分機 3wu@example.tw") == [("mobile", "0940-000-118"), ("email", "3wu@example.tw")]


def test_find_several_phones_in_a_row() -> None:
    text = "0940-000-118/0940-000-236、(02)5550-0139 02-5550-0140,0940000357"
    assert [kind for kind, _ in found(text)] == ["mobile", "mobile", "landline", "landline", "mobile"]


EMAILS = [
    "service@example.com.tw", "a@b.tw", "wu.xuni+tag@mail.example.com", "WU_XUNI@EXAMPLE.TW", "1234567890@example.com",
    "ｓｅｒｖｉｃｅ＠ｅｘａｍｐｌｅ．ｃｏｍ．ｔｗ", "x-y%z@sub-domain.example.org", "0940000118@example.com",
]  # fmt: skip


@pytest.mark.parametrize("address", EMAILS)
@pytest.mark.parametrize(
    "frame", ["{}", "請寄信到{}洽詢", "信箱：{}。", "<{}>", "mailto:{}?subject=x", "E-mail:{},謝謝", "--{}--"]
)
def test_find_email_also_glued(address, frame) -> None:
    assert found(frame.format(address)) == [("email", address)]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Write to wu@example.com.Please do", "wu@example.com"),
        ("..wu@example.tw..", "wu@example.tw"),
        ("a@b.tw@c.tw", "a@b.tw"),
        ("wu@example.tw-5", "wu@example.tw"),
    ],
)
def test_find_email_ends_where_it_ends(text, address) -> None:
    assert found(text) == [("email", address)]


@pytest.mark.parametrize(
    "text",
    [
        "@", "@@", "a@", "@b.tw", "a@b", "logo@2x.png", "react@18.2.0", "感謝@小明", "https://user:secret@example.tw/",
        "a.@b.tw", "https://example.tw/@wu.xuni", "x" * 65 + "@example.tw", "a@-b.tw", "a@b.t1", "甲@乙.tw", "a@b..tw",
    ],
)  # fmt: skip
def test_find_no_email(text) -> None:
    assert found(text) == []


ADDRESSES = [
    "新北市永和區虛構路二段118巷6弄22號5樓之1", "臺南市南區虛構一街37號2樓", "台北市虛構路1號",
    "臺北市大安區虛構路三段10號",
    "台中市西屯區虛構大道三段99之1號", "106臺北市大安區虛構路5號", "10699 台北市大安區虛構路5號",
    "苗栗縣南庄鄉虛構村5鄰10號",
    "苗栗縣南庄鄉虛構村虛構10號", "嘉義縣阿里山鄉虛構村6鄰虛構路12號", "高雄市前鎮區虛構二路３５號１２樓",
    "連江縣南竿鄉虛構村七十六號",
    "花蓮縣花蓮市虛構路十二號三樓", "永和區虛構路二段12號", "虛構路二段118巷6弄22號",
    "台北市 大安區 虛構路二段 7 號 3 樓",
    "桃園市中壢區虛構里3鄰虛構路20號", "新竹市東區虛構路12號8樓之3", "台東縣太麻里鄉虛構路1-1號",
    "臺北市信義區虛構街12、14號",
    "臺北市信義區虛構街12號地下1樓", "臺北市信義區虛構街12號B1樓", "臺北市信義區虛構街12號3F",
    "臺北市信義區虛構街12號5樓503室",
    "台东县卑南乡虚构路3号", "東區虛構路8號", "臺北市信義區虛構街臨12號",
]  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("frame", ["{}", "地址：{}，謝謝", "寄到{}。", "（{}）", "甲\n{}\n乙"])
def test_find_address_spellings(address, frame) -> None:
    assert found(frame.format(address)) == [("address", address)]


def test_find_address_without_county_leaves_words_before_it() -> None:
    assert found("他住在東區虛構路8號") == [("address", "東區虛構路8號")]
    assert found("他住在永和區虛構路8號") == [("address", "永和區虛構路8號")]


@pytest.mark.parametrize(
    "text",
    [
        "號", "第三號", "虛構路雙號側", "虛構路5號", "永和四號公園站", "臺北市政府令第12號",
        "臺灣臺北地方法院 115 年度簡字第 12 號",
        "一百一十五年一月一日府法字第 3 號", "國道一號", "臺北市第三號公園", "台9線17號", "路1號路1號路1號",
    ],
)  # fmt: skip
def test_find_no_address(text) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "20260518", "01150523", "17052026x", "18052026", "05182026", "12345675元", "NT$12345675", "約 12345675 人",
        "共12345675",
        "$12345675", "12345675%", "#12345675", "12345675-1", "1-12345675", "12345675 9", "9 12345675", "1.12345675",
        "訂單編號 12345675", "電話：12345675", "ISBN 12345675", "a12345675", "12345675b", "12345675_1", "v_12345675",
        "PO-12345675",
        "https://example.tw/p/12345675", "112345675", "area: 12345675", "id=12345675", "發票號碼 AC 12345675",
    ],
)  # fmt: skip
def test_find_ubn_like_something_else_is_not_found(text) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("發票號碼 FC00000017", []),
        ("發票 100 元，居留證 FC00000017", ["arc_old"]),
        ("訂單 4000123456789017", []),
        ("訂單 4000-1234-5678-9017", ["card"]),
        ("卡號 4000123456789017", ["card"]),
        ("單號 RP90817263544536", []),
        ("RP20260518101530", []),
        ("自然人憑證 RP20260518101530", ["citizen_certificate"]),
        ("統編 12345675，成立日期 20260518", ["ubn"]),
        ("統編 12345675，電話 12345675", ["ubn"]),
    ],
)  # fmt: skip
def test_find_nearest_word_decides(text, expected) -> None:
    assert [kind for kind, _ in found(text)] == expected


@pytest.mark.parametrize(
    "text",
    [
        "A2200000181", "AA220000018", "1A220000018", "xA220000018", "A220000018x", "A220000018_x", "sha-A220000018.9",
        "https://example.tw/u/A220000018", "ARP90817263544536", "RP908172635445367", "4000123456789017000000000",
        "deadbeefA220000018cafe", "4000 1234 5678 9018",
    ],
)  # fmt: skip
def test_find_nothing_inside_longer_runs(text) -> None:
    assert found(text) == []


def test_find_many_kinds_in_one_form() -> None:
    text = (
        f"姓名：余測試　身分證字號：{NATIONAL}　居留證 {ARC_NEW}、{ARC_OLD}\n統編{UBN} 手機0940-000-118\n"
        f"健保卡號 0000 1234 5678，護照 312345678，信用卡{CARD}，憑證 {CERTIFICATE}\n"
        f"載具 {BARCODE} 愛心碼 919 信箱wu@example.tw電話(02)5550-0139\n新北市永和區虛構路二段118巷6弄22號"
    )
    assert {kind for kind, _ in found(text)} == set(PiiKind)
    assert len(found(text)) == len(PiiKind)


@pytest.mark.parametrize(
    "text",
    ["", " ", "甲", "🙂" * 50, "0" * 5000, "\ud800" * 20, "中A1あ한😀" * 50, "[遮蔽:手機號碼]", "@" * 100, "號" * 100],
)
def test_find_in_odd_text_is_empty(text) -> None:
    assert find_pii(text) == ()


def test_find_beside_lone_surrogates() -> None:
    assert found("\ud8000940-000-118\udfff wu@example.tw\ud800") == [
        ("mobile", "0940-000-118"),
        ("email", "wu@example.tw"),
    ]


@pytest.mark.parametrize(
    "unit",
    ["1", "1 ", "12-", "0912 ", "4000 ", "(02", "+886 ", "a@", "a.a@a.", "1號", "路1號", "A1 ", "載具/AAAAAAA",
    "愛心碼 1"],
)  # fmt: skip
def test_find_in_adversarial_text_returns(unit) -> None:
    # The forms have bounded lengths, so time grows with the text; a quadratic one would not come back.
    text = unit * (50_000 // len(unit))
    assert all(finding.end <= len(text) for finding in find_pii(text))


def test_finding_shows_no_value() -> None:
    (finding,) = find_pii(NATIONAL)
    assert not re.search(r"\d{3}", repr(finding).replace("end=10", ""))
    assert not hasattr(finding, "value")
