"""PTT articles: structure kept, people left out. All people, boards' ids and texts are invented."""

import re
import time

import pytest

from tw_corpus._decode import decode
from tw_corpus._ptt import PttArticle, Push, PushTag, extract_ptt

FOOTER = (
    "--\n<span class='f2'>※ 發信站: 批踢踢實業坊(ptt.cc), 來自: 203.0.113.7 (臺灣)\n"
    "</span><span class='f2'>※ 文章網址: <a href='https://www.ptt.cc/bbs/Test/M.1.A.1.html'>"
    "https://www.ptt.cc/bbs/Test/M.1.A.1.html</a>\n</span>"
)


def push(tag: str, user: str, content: str) -> str:
    return (
        f'<div class="push"><span class="hl push-tag">{tag} </span><span class="f3 hl push-userid">{user}</span>'
        f'<span class="f3 push-content">: {content}</span>'
        '<span class="push-ipdatetime"> 198.51.100.9 01/02 12:34\n</span></div>'
    )


def page(
    body: str, pushes: str = "", *, author: str = "tofu88 (豆腐先生)", title: str = "[心得] 爬山", footer: str = FOOTER
) -> str:
    meta = "".join(
        f'<div class="article-metaline{side}"><span class="article-meta-tag">{tag}</span>'
        f'<span class="article-meta-value">{value}</span></div>'
        for side, tag, value in (
            ("", "作者", author),
            ("-right", "看板", "Hiking"),
            ("", "標題", title),
            ("", "時間", "Mon Jan  2 03:04:05 2023"),
        )
    )
    return (
        "<html><head><title>爬山 - 看板 Hiking - 批踢踢實業坊</title></head><body><div id='topbar'>看板</div>"
        f'<div id="main-container"><div id="main-content" class="bbs-screen bbs-content">{meta}\n{body}\n{footer}'
        f"{pushes}</div></div></body></html>"
    )


def article(html: str) -> PttArticle:
    found = extract_ptt(html)
    assert found is not None
    return found


def everything(found: PttArticle) -> str:
    return "\n".join((found.title, found.board, found.body, found.text, *(push.content for push in found.pushes)))


def test_extract_ptt_article_gives_title_board_and_body() -> None:
    found = article(page("週末去了郊山。\n\n風景<span class='hl f3'>很好</span>。"))
    assert (found.title, found.board) == ("[心得] 爬山", "Hiking")
    assert found.body == "週末去了郊山。\n\n風景很好。"
    assert found.pushes == ()
    assert found.text == "[心得] 爬山\n\n週末去了郊山。\n\n風景很好。"


def test_extract_ptt_pushes_keep_order_tag_and_speaker() -> None:
    pushes = push("推", "mochi", "好山") + push("→", "Rice99", "路線？") + push("噓", "mochi", "人太多")
    assert article(page("內文", pushes)).pushes == (
        Push(tag=PushTag.PUSH, speaker=1, content="好山"),
        Push(tag=PushTag.ARROW, speaker=2, content="路線？"),
        Push(tag=PushTag.BOO, speaker=1, content="人太多"),
    )


def test_extract_ptt_author_among_the_pushes_is_speaker_zero() -> None:
    pushes = push("推", "mochi", "好山") + push("→", "tofu88", "謝謝")
    assert [each.speaker for each in article(page("內文", pushes)).pushes] == [1, 0]


def test_extract_ptt_consecutive_pushes_of_one_speaker_are_one_turn() -> None:
    long = "這條路線從登山口出發以後會先經過一段很陡的石階然後"
    pushes = (
        push("推", "mochi", long)
        + push("→", "mochi", "才到稜線")
        + push("→", "mochi", "加油")
        + push("推", "rice", "嗯")
    )
    found = article(page("內文", pushes))
    assert [(turn.speaker, turn.content) for turn in found.turns()] == [(1, f"{long}才到稜線 加油"), (2, "嗯")]
    assert found.text.endswith(f"推 {long}才到稜線 加油\n推 嗯")


def test_extract_ptt_pushes_without_id_are_different_people() -> None:
    pushes = push("推", "", "甲") + push("推", "", "乙") + push("推", "mochi", "丙")
    speakers = [each.speaker for each in article(page("內文", pushes)).pushes]
    assert len(set(speakers)) == 3
    assert 0 not in speakers


def test_extract_ptt_reply_between_pushes_is_the_authors() -> None:
    between = "\n<span class='f2'>※ 編輯: tofu88 (203.0.113.7 臺灣), 01/02/2023 13:00:00\n</span>下次再約\n"
    found = article(page("內文", push("推", "mochi", "好山") + between + push("推", "mochi", "好")))
    assert found.pushes[1] == Push(tag=PushTag.REPLY, speaker=0, content="下次再約")
    assert [turn.tag for turn in found.turns()] == [PushTag.PUSH, PushTag.REPLY, PushTag.PUSH]


def test_extract_ptt_text_between_footer_and_pushes_is_the_authors() -> None:
    found = article(page("內文", "補充：天氣晴\n" + push("推", "mochi", "好")))
    assert found.pushes[0] == Push(tag=PushTag.REPLY, speaker=0, content="補充：天氣晴")


def test_extract_ptt_box_of_the_site_is_no_push() -> None:
    box = '<div class="push center warning-box">檔案過大！部分文章無法顯示</div>'
    assert article(page("內文", box + push("推", "mochi", "好"))).pushes[0].content == "好"


QUOTE = (
    "※ 引述《grape7 (葡萄)》之銘言：\n: ※ 引述《peach (桃子)》之銘言：\n: : 請問路況\n: 很好走\n同意 grape7 說的，"
    "PEACH 也可以問 mochi，連 192.0.2.44 或 2001:db8::7 都行，12:34:56 出發。"
)


def test_extract_ptt_quotes_stay_without_attribution_and_ids() -> None:
    found = article(page(QUOTE, push("推", "mochi", "grape7 大大好") + push("→", "grape7", "tofu88 客氣")))
    assert found.body == (
        ": : 請問路況\n: 很好走\n同意 [使用者2] 說的，PEACH 也可以問 [使用者1]，連 [IP] 或 [IP] 都行，12:34:56 出發。"
    )
    assert [each.content for each in found.pushes] == ["[使用者2] 大大好", "[使用者0] 客氣"]


def test_extract_ptt_quoted_person_without_push_has_no_number() -> None:
    assert article(page(QUOTE)).body.split("\n")[-1].startswith("同意 [使用者] 說的")


def test_extract_ptt_id_inside_a_longer_word_stays() -> None:
    found = article(page("mochimochi 是一種甜點，xmochi 不是。", push("推", "mochi", "好")))
    assert found.body == "mochimochi 是一種甜點，xmochi 不是。"


@pytest.mark.parametrize(
    "line",
    [
        "※ 編輯: tofu88 (203.0.113.7 臺灣), 01/02/2023 13:00:00",
        "※ 編輯: tofu88            來自: 203.0.113.7         (01/02 13:00)",
        "◆ From: 203.0.113.7",
        "※ 轉錄者: peach (203.0.113.8), 01/02/2023 13:00:00",
        "※ [本文轉錄自 Hiking 看板 #1Abc_dEF ]",
        "※ 引述《peach (桃子)》之銘言：",
        "==> peach (桃子) 提到:",
        "【 在 peach (桃子) 的大作中提到: 】",
        "作者: peach (桃子) 看板: Hiking",
        "時間: Mon Jan  2 03:04:05 2023",
        "https://i.example.com/abc.jpg",
        "Sent from JPTT on my iPhone",
    ],
)
def test_extract_ptt_line_about_people_or_links_goes(line: str) -> None:
    found = article(page(f"前段。\n{line}\n後段。"))
    assert found.body == "前段。\n後段。"


def test_extract_ptt_link_inside_a_sentence_stays() -> None:
    assert article(page("路線見 https://example.com/map 的說明。")).body == "路線見 https://example.com/map 的說明。"


def test_extract_ptt_signature_goes_and_separator_in_the_text_stays_away_from_it() -> None:
    body = "第一段。\n--\n" + "中段。\n" * 12 + "末段。\n\n--\n山不轉路轉\n豆腐先生敬上"
    found = article(page(body))
    assert found.body.endswith("末段。")
    assert "敬上" not in found.body
    assert found.body.startswith("第一段。\n中段。")


def test_extract_ptt_cross_post_drops_both_footers_and_the_inner_header() -> None:
    body = (
        "※ [本文轉錄自 Walk 看板 #1Abc_dEF ]\n\n作者: peach (桃子) 看板: Walk\n標題: [心得] 散步\n"
        "時間: Sun Jan  1 03:04:05 2023\n\n轉來的內文。\n\n--\n※ 發信站: 批踢踢實業坊(ptt.cc), 來自: 203.0.113.8\n"
        "※ 轉錄者: tofu88 (203.0.113.7), 01/02/2023 13:00:00"
    )
    assert article(page(body)).body == "標題: [心得] 散步\n\n轉來的內文。"


def test_extract_ptt_news_post_keeps_its_form() -> None:
    body = "1.媒體來源:\n山城日報\n\n3.完整新聞標題:\n山城初雪\n\n4.完整新聞內文:\n清晨飄雪。\n\n5.完整新聞連結:\nhttps://example.com/n/1"
    assert article(page(body)).body == (
        "1.媒體來源:\n山城日報\n\n3.完整新聞標題:\n山城初雪\n\n4.完整新聞內文:\n清晨飄雪。\n\n5.完整新聞連結:"
    )


def test_extract_ptt_preview_of_a_picture_is_not_text() -> None:
    picture = '<a href="https://i.example.com/a.jpg">https://i.example.com/a.jpg</a>\n<div class="richcontent">圖</div>'
    assert article(page(f"看圖\n{picture}\n完")).body == "看圖\n\n完"


def test_extract_ptt_old_page_without_header_lines_reads_the_header_in_the_text() -> None:
    html = (
        '<div id="main-content" class="bbs-screen">作者: tofu88 (豆腐先生) 看板: Hiking\n標題: [心得] 老文章\n'
        "時間: Mon Jan  2 03:04:05 1999\n\n\x1b[1;33m彩色\x1b[m內文，tofu88 敬上。\n--\n"
        "※ 發信站: 批踢踢實業坊(ptt.cc)\n◆ From: 203.0.113.7</div>"
    )
    found = article(html)
    assert (found.title, found.board) == ("[心得] 老文章", "Hiking")
    assert found.body == "彩色內文，[使用者0] 敬上。"


def test_extract_ptt_deleted_author_is_nobody() -> None:
    found = article(page("內文", push("推", "mochi", "好"), author="-"))
    assert [each.speaker for each in found.pushes] == [1]


def test_extract_ptt_big5_page_is_read_after_decoding() -> None:
    payload = (
        page("宏碁的山友。", push("推", "mochi", "好")).replace("<head>", '<head><meta charset="big5">').encode("cp950")
    )
    assert article(decode(payload).text).body == "宏碁的山友。"


def test_extract_ptt_nobody_can_be_found_in_the_result() -> None:
    pushes = (
        push("推", "mochi", "grape7 好") + push("→", "Rice99", "同上 mochi") + push("噓", "tofu88", "198.51.100.9 是我")
    )
    found = article(page(QUOTE + "\n--\ntofu88 的簽名檔", pushes, title="Re: [心得] 給 mochi"))
    text = everything(found)
    for name in ("tofu88", "豆腐先生", "mochi", "Rice99", "grape7", "葡萄", "桃子", "簽名檔", "03:04:05", "01/02"):
        assert name not in text
    assert not re.search(r"\d+\.\d+\.\d+\.\d+", text)
    assert found.title == "Re: [心得] 給 [使用者1]"


MANY = 100_000


@pytest.mark.parametrize(
    "line",
    [
        ":" * MANY + "中",
        "1:" * MANY + "中",
        "1." * MANY + "中",
        "a-" * MANY + "中",
        "作者" + " " * MANY + "中",
        "時間" + " " * MANY + "中",
        ": " * MANY + "中",
        "==> ab" + "提" * MANY,
        "\x1b[" + "1;" * MANY,
    ],
    ids=lambda line: line[:6].strip(),
)
def test_extract_ptt_long_run_takes_no_quadratic_time(line: str) -> None:
    start = time.process_time()
    extract_ptt(page(line))
    assert time.process_time() - start < 3


def test_extract_ptt_many_people_take_no_quadratic_time() -> None:
    pushes = "".join(push("推", f"user{number}", f"謝謝 user{number - 1}") for number in range(10_000))
    start = time.process_time()
    found = article(page("內文", pushes))
    assert time.process_time() - start < 5
    assert found.pushes[7].content == "謝謝 [使用者7]"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("來自2001:db8::7的人", "來自[IP]的人"),
        ("是 2001:db8::7.", "是 [IP]."),
        ("2001:db8::7: 好", "[IP]: 好"),
        ("::ffff:203.0.113.7", "::ffff:[IP]"),
        ("fe80::1", "[IP]"),
        ("標題 :: 副標", "標題 :: 副標"),
        ("std::list a::b", "std::list a::b"),
        ("12:34:56", "12:34:56"),
        ("203.0.113.7.", "[IP]."),
    ],
)
def test_extract_ptt_addresses_are_masked_and_nothing_else(text: str, masked: str) -> None:
    assert article(page(text)).body == masked


def test_extract_ptt_id_of_another_board_is_masked_as_a_whole() -> None:
    found = article(page("foo.bbs@bbs.example.org 說的對，mochi_tofu88 也是。", author="foo.bbs@bbs.example.org (豆)"))
    assert found.body == "[使用者0] 說的對，mochi_tofu88 也是。"


def test_extract_ptt_dashes_are_nobody() -> None:
    assert article(page("甲 - 乙", author="-")).body == "甲 - 乙"


@pytest.mark.parametrize(
    "html",
    [
        "",
        "<p>一般網頁</p>",
        '<div id="main-content"><p>另一個網站的主要內容</p></div>',
        '<p>id="main-content"</p>',
        '<div class="bbs-screen bbs-content">404 - Not Found.</div>',
    ],
)
def test_extract_ptt_other_page_is_none(html: str) -> None:
    assert extract_ptt(html) is None
