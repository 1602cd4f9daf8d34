"""Boilerplate: lines that go, and sentences with the same words that stay."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tw_corpus._boilerplate import ALTERNATIVES, strip_boilerplate

GONE = [
    ("continue_reading", "請繼續往下閱讀"),
    ("continue_reading", "▼ 請繼續往下閱讀 ▼"),
    ("continue_reading", "廣告　請繼續往下閱讀..."),
    ("copyright", "山城日報版權所有，禁止擅自轉貼"),
    ("copyright", "版權所有，未經許可請勿轉載。"),
    ("copyright", "未經授權，請勿轉載"),
    ("copyright", "© 2021 山城日報 All Rights Reserved."),
    ("copyright", "Copyright 2020 Example"),
    ("copyright", "版權所有 山城日報"),
    ("copyright", "山城日報版權所有"),
    ("copyright", "本網站內容著作權屬山城日報所有，未經同意不得轉載"),
    ("copyright", "本站所有圖文版權均歸原發表人所有。"),
    ("copyright", "著作權所有，翻印必究"),
    ("copyright", "嚴禁轉載"),
    ("copyright", "© 山城日報股份有限公司"),
    ("copyright", "山城日報 All rights reserved"),
    ("share", "分享到 Facebook"),
    ("share", "分享至LINE"),
    ("share", "分享 Facebook LINE Twitter"),
    ("share", "友善列印"),
    ("share", "分享這篇文章"),
    ("share", "轉寄好友"),
    ("share", "35 人說讚"),
    ("share", "複製連結"),
    ("subscribe", "訂閱電子報"),
    ("subscribe", "立即訂閱我們的YouTube頻道"),
    ("subscribe", "加入山城日報 LINE好友"),
    ("subscribe", "追蹤我們的 Facebook 粉絲專頁"),
    ("subscribe", "加入本站粉絲團"),
    ("subscribe", "立即下載山城APP"),
    ("cookie_notice", "本網站使用 Cookies 以提供更好的使用體驗，繼續瀏覽即表示同意。"),
    ("cookie_notice", "我同意所有cookies"),
    ("navigation", "上一頁 | 下一頁"),
    ("navigation", "回上頁"),
    ("navigation", "首頁 > 登入 > 註冊"),
    ("navigation", ":::"),
    ("navigation", "跳到主要內容區塊"),
    ("navigation", "您現在的位置：首頁 > 最新消息"),
    ("navigation", "第 1 / 12 頁"),
    ("navigation", "共 15 筆，第 1/2 頁，每頁 10 筆"),
    ("navigation", "第 2 頁，共 9 頁"),
    ("navigation", "目前所在位置：首頁"),
    ("navigation", "隱私權政策 | 服務條款"),
    ("text_size", "字級：小 中 大"),
    ("text_size", "字體大小 大 中 小"),
    ("browser_notice", "最佳瀏覽解析度 1024x768，建議使用 Chrome 瀏覽器"),
    ("browser_notice", "建議使用 Chrome 或 Firefox 瀏覽本網站"),
    ("browser_notice", "您的瀏覽器不支援JavaScript語法，網頁功能仍可使用"),
    ("counter", "更新日期：110-05-03"),
    ("counter", "最後更新時間：2021/5/3 下午 3:05"),
    ("counter", "瀏覽人次：1,234"),
    ("counter", "點閱：88"),
    ("counter", "今日訪客 35 人次"),
    ("counter", "累計點閱次數 567 次"),
    ("counter", "更新日期：110-05-03 點閱次數：88"),
    ("related_heading", "延伸閱讀"),
    ("related_heading", "▶ 相關新聞："),
    ("related_heading", "你可能有興趣的文章"),
    ("related_heading", "你可能也會喜歡"),
]

STAYS = [
    "請繼續往下閱讀第三章，其中說明了本法的立法經過。",
    "本著作之版權所有人應於公開發表後三十年內登記。",
    "他把照片分享到 Facebook 之後，收到許多朋友的祝福。",
    "老師要求同學訂閱電子報，並在課堂上討論內容",
    "歡迎加入我們的行列，一起為社區盡一份心力",
    "cookie 是瀏覽器儲存的小型文字檔，網站用它來記住使用者",
    "按下「上一頁」即可回到原來的畫面。",
    "首頁的設計採用了藍色的主視覺",
    "字級制度是印刷業的重要標準",
    "更新日期：請見公告欄",
    "瀏覽人次的計算方式如下",
    "瀏覽人次從去年的 1,234 增加到今年的 5,678。",
    "延伸閱讀能幫助學生建立完整的知識架構",
    "廣告費用占全年預算的三成",
    "著作權人得禁止他人擅自重製其著作",
    "第五條　未經主管機關許可，不得轉載前項資料；違者處新臺幣一萬元以下罰鍰。",
    "English",
    "首頁",
    "登入",
    "LINE",
    "2021/5/3",
    "按讚的人數超過了一萬",
    "加入鹽與糖，小火煮五分鐘",
    "下載速度每秒可達一百兆位元",
    "最佳解答是先瀏覽題目再作答",
    "目前位置在北緯二十三度",
    "本契約完成之著作，其著作權歸機關所有。",
    "一、著作權歸甲方所有。",
    "著作權歸甲方所有，乙方不得使用。",
    "其著作權屬學校所有。",
    "本網站程式之著作權歸甲方所有。",
    "版權所有人應於一個月內提出異議",
    "版權所有的概念起源於英國",
    "未經著作財產權人同意，不得重製。",
    "不得抄襲。",
    "禁止擅自使用。",
    "(c) 依前項規定辦理者。",
    "(c) 2020 年度預算",
    "Copyright 2020 年修法，延長了保護期間。",
    "Copyright law protects authors.",
    "他在書末印上 All Rights Reserved",
    "下載及安裝健保快易通APP的步驟如下",
    "下載健保快易通APP",
    "安裝 App 前的準備",
    "追蹤病患的頻道",
    "加入他們的LINE好友",
    "加入同學為好友",
    "訂閱頻道的人數逐年成長",
    "訂閱電子報的方法",
    "分享",
    "分享給朋友",
    "傳送",
    "傳送電子郵件",
    "列印",
    "按讚",
    "共 15 筆資料待補正",
    "共 320 頁",
    "1/2 頁",
    "位置：首頁右上角的按鈕",
    "上篇",
    "下篇",
    "隱私權政策",
    "註冊、登入",
    "本網站使用 cookie 的目的是記住您的語言設定",
    "我們使用 cookie 記住您的偏好。",
    "許多網站寫著「我們使用 cookie，繼續瀏覽即表示同意」",
    "拒絕 Cookie",
    "字體大小",
    "字級：大",
    "建議上傳解析度 1024x768 之照片",
    "建議民眾先瀏覽公告，再使用瀏覽器登入申辦",
    "請使用 Chrome 瀏覽器觀看直播",
    "您的瀏覽器不支援 JavaScript 的原因可能是設定錯誤",
    "閱讀率 45",
    "閱讀 3 次",
    "訪客 20 人",
    "造訪 5 次",
    "可能喜歡",
]


@pytest.mark.parametrize(("rule", "line"), GONE)
def test_strip_boilerplate_line_goes_and_is_counted(rule: str, line: str) -> None:
    stripped = strip_boilerplate(f"第一段。\n{line}\n第二段。")
    assert stripped.text == "第一段。\n第二段。"
    assert dict(stripped.removed) == {rule: 1}


def test_strip_boilerplate_long_line_stays() -> None:
    line = "© " + "長" * 90
    assert strip_boilerplate(line).text == line


@pytest.mark.parametrize("line", STAYS)
def test_strip_boilerplate_genuine_line_stays(line: str) -> None:
    text = f"第一段。\n{line}\n第二段。"
    assert strip_boilerplate(text).text == text


def test_strip_boilerplate_related_titles_at_the_end_go() -> None:
    text = "本文在此結束。\n\n延伸閱讀\n山區道路今晨搶通\n柑橘盛產　農民憂價跌\n\n版權所有，請勿轉載"
    stripped = strip_boilerplate(text)
    assert stripped.text == "本文在此結束。"
    assert dict(stripped.removed) == {"related_heading": 1, "related_tail": 2, "copyright": 1}


def test_strip_boilerplate_sentences_behind_a_related_heading_stay() -> None:
    text = "延伸閱讀\n這本書寫於一九三〇年。作者曾任教職，後來遷居花蓮。"
    assert strip_boilerplate(text).text == "這本書寫於一九三〇年。作者曾任教職，後來遷居花蓮。"


def test_strip_boilerplate_long_list_behind_a_related_heading_stays() -> None:
    titles = [f"書目第{number}種" for number in range(16)]
    assert strip_boilerplate("\n".join(["推薦閱讀", *titles])).text == "\n".join(titles)


def test_strip_boilerplate_nothing_but_boilerplate_leaves_nothing() -> None:
    assert strip_boilerplate(":::\n回首頁\n字級：小 中 大\n瀏覽人次：9").text == ""


def test_strip_boilerplate_clean_text_comes_back_unchanged() -> None:
    text = "\n 第一段 \n\n第二段\n"
    assert strip_boilerplate(text).text == text
    assert dict(strip_boilerplate(text).removed) == {}


LINES = st.one_of(st.sampled_from([*STAYS, *(line for _, line in GONE), ""]), st.text("廣告頁第一：0 |", max_size=8))


@given(st.lists(LINES, max_size=12).map("\n".join))
def test_strip_boilerplate_any_text_is_idempotent(text: str) -> None:
    once = strip_boilerplate(text)
    twice = strip_boilerplate(once.text)
    assert twice.text == once.text


@given(st.lists(LINES, max_size=12).map("\n".join))
def test_strip_boilerplate_lines_kept_and_removed_add_up(text: str) -> None:
    stripped = strip_boilerplate(text)
    full = [line for line in text.split("\n") if line.strip()]
    kept = [line for line in stripped.text.split("\n") if line.strip()]
    assert len(full) == len(kept) + sum(stripped.removed.values())
    rest = iter(full)
    assert all(line in rest for line in kept)


@pytest.mark.parametrize("alternative", [each for parts in ALTERNATIVES.values() for each in parts])
@settings(max_examples=20, suppress_health_check=[HealthCheck.filter_too_much])
@given(st.data())
def test_strip_boilerplate_sees_each_alternative_whatever_it_begins_with(alternative: str, data: st.DataObject) -> None:
    lines = st.from_regex(alternative, fullmatch=True).map(str.strip)
    line = data.draw(
        lines.filter(lambda line: len(line) <= 80 and "\n" not in line and re.fullmatch(alternative, line))
    )
    assert sum(strip_boilerplate(line).removed.values()) == 1
