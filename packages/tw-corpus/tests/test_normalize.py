"""Normalisation: what changes, what stays, and that a second time changes nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tw_corpus._normalize import NormalizationChanges, normalize

# Text dense in the characters that normalisation looks at; plain `st.text()` hardly ever draws two side by side.
TRICKY = st.lists(
    st.sampled_from(
        [
            *"臺A1# \t\n\rＡ９！ㄅˊの\x00\x85\u2028\u3000\u00a0",
            *"\u200b\u200d\ufe0f\u20e3\u00ad\ufeff\u202e\U000e0100\U000e007f\U000e0067",
            *"👩👧❤🏴\U0001f3fb",
            *"\uf900\ufa0e\u2f08\u2ea0\U0002f800\ue000\uf703\uf704\uf6cf",
            *"\ud83d\ude00\udb40\udd00\ufffe\U0001ffff",
        ]
    ),
    max_size=30,
).map("".join)


@settings(max_examples=300)
@given(st.one_of(st.text(st.characters(codec=None)), TRICKY))
def test_normalize_any_text_is_idempotent(text: str) -> None:
    once = normalize(text)
    twice = normalize(once.text)
    assert twice.text == once.text
    assert twice.changes == NormalizationChanges(private_use_remaining=once.changes.private_use_remaining)


@given(TRICKY)
def test_normalize_any_text_leaves_nothing_it_must_remove(text: str) -> None:
    result = normalize(text).text
    assert not set(result) & set(
        "\r\x00\x85\u2028\u3000\u00a0Ａ９\u200b\u00ad\ufeff\u202e\U000e0100\ufffe\uf900\u2f08\u2ea0\U0002f800"
    )
    assert not any("\ud800" <= character <= "\udfff" for character in result)
    assert not any(line != line.rstrip() for line in result.split("\n"))
    assert "\n\n\n" not in result
    assert result == result.strip("\n")


@pytest.mark.parametrize(
    ("text", "expected", "kind"),
    [
        ("ＰＴＴ２０２０", "PTT2020", "full_width"),
        ("臺　灣\u00a0島\u2003嶼", "臺 灣 島 嶼", "spaces"),
        ("一\r\n二\r三\u2028四", "一\n二\n三\n四", "line_ends"),
        ("資\x00料\x1b庫\ufffe", "資料庫", "controls"),
        ("零\u200b寬\ufeff字\u202e元\u00ad", "零寬字元", "invisible"),
        ("葛\U000e0100城", "葛城", "invisible"),
        ("\uf90a\U0002f81a\u2f08\u2ea0", "金冬人民", "compatibility"),
        ("好 \t\n嗎  ", "好\n嗎", "trailing_spaces"),
        ("\n\n一\n\n\n\n二\n", "一\n\n二", "blank_lines"),
        ("壞\ud800字\udfff", "壞\ufffd字\ufffd", "surrogates"),
        ("優\uf703良品", "優き良品", "private_use_mapped"),
        ("\uf6b1\uf6b2", "①②", "private_use_mapped"),
    ],
)
def test_normalize_each_kind_is_changed_and_counted(text: str, expected: str, kind: str) -> None:
    result = normalize(text)
    assert result.text == expected
    assert getattr(result.changes, kind) > 0
    others = {name: getattr(result.changes, name) for name in NormalizationChanges.__slots__ if name != kind}
    assert not any(others.values()), others


@pytest.mark.parametrize(
    "text",
    [
        "他說：「今天（星期一）不去！」《聯合報》、〈社論〉……～？",
        "ㄅㄆㄇㄈ ㄋㄧˇ ㄏㄠˇ ˊˇˋ˙ ㆠㆣ",
        "家庭 👩\u200d👩\u200d👧\u200d👦 愛心 ❤\ufe0f\u200d🔥",
        "鍵 1\ufe0f\u20e3 膚色 👍🏽 🏴\U000e0067\U000e0062\U000e007f",
        "\ufa0e\ufa0f\ufa11\ufa13\ufa14\ufa1f\ufa21\ufa23\ufa24\ufa27\ufa28\ufa29",
        "  縮排\n\t欄位\t！",
        "ｶﾀｶﾅ ％＆＠ ㈱ ㎡",
        "",
    ],
)
def test_normalize_text_of_its_own_kind_stays(text: str) -> None:
    result = normalize(text)
    assert result.text == text
    assert result.changes == NormalizationChanges()


def test_normalize_unattached_emoji_parts_are_removed() -> None:
    assert normalize("a\ufe0f\u200d👧 臺\u200d灣 1\ufe0f2").text == "a👧 臺灣 12"


def test_normalize_unknown_private_use_is_counted_and_kept() -> None:
    result = normalize("圖示\ue000與\uf8ff")
    assert result.text == "圖示\ue000與\uf8ff"
    assert result.changes.private_use_remaining == 2


def test_normalize_lone_eten_code_outside_a_word_is_an_icon_and_kept() -> None:
    assert normalize("\uf703 首頁").text == "\uf703 首頁"


def test_normalize_surrogate_halves_side_by_side_are_joined() -> None:
    result = normalize("笑\ud83d\ude00")
    assert result.text == "笑😀"
    assert result.changes.surrogates == 0
