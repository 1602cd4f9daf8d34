"""Extraction: what of a page is text, and in which lines."""

import json
import os
import time
from pathlib import Path

import pytest

from tw_corpus._decode import decode
from tw_corpus._extract import ExtractMode, extract_html

NEWS = """<!DOCTYPE html><html><head><title> 山城 迎來
初雪 </title><style>p {color: red}</style></head><body>
<nav><a href="/">首頁</a> <a href="/life">生活</a></nav>
<div class="breadcrumb"><a href="/">首頁</a> &gt; <a href="/life">生活</a></div>
<article><h1>山城迎來初雪</h1>
<p>合歡山區清晨<b>飄下</b>細雪，<a href="/road">公路總局</a>提醒用路人加掛雪鏈。</p>
<p>氣象站測得<br>零下一度。</p>
<ul><li>雪鏈<li>保暖衣物</ul></article>
<ul><li><a href="/1">連假車潮湧現國道</a></li>
<li><a href="/2">柑橘盛產價格下滑</a></li><li><a href="/3">球隊奪下冠軍</a></li></ul>
<div id="footer">地址：山城路一號</div><script>var x = 1;</script></body></html>"""


def test_extract_news_page_keeps_the_article_and_leaves_navigation_out() -> None:
    extracted = extract_html(NEWS)
    assert [line.strip() for line in extracted.text.split("\n") if line.strip()] == [
        "山城迎來初雪",
        "合歡山區清晨飄下細雪，公路總局提醒用路人加掛雪鏈。",
        "氣象站測得",
        "零下一度。",
        "• 雪鏈",
        "• 保暖衣物",
    ]
    assert (extracted.title, extracted.extractor) == ("山城 迎來 初雪", "resiliparse-main")


def test_extract_all_keeps_what_is_displayed() -> None:
    text = extract_html(NEWS, mode=ExtractMode.ALL).text
    assert all(part in text for part in ("首頁", "柑橘盛產價格下滑", "山城路一號", "零下一度。"))
    assert "var x" not in text
    assert "color" not in text


def test_extract_table_rows_become_lines_with_tabs() -> None:
    table = "<table><tr><td>品項</td><td>單價</td></tr><tr><td>蘋果</td><td></td><td>三十</td></tr></table>"
    assert extract_html(f"<body>{table}</body>").text == "品項\t單價\n蘋果\t\t三十"


def test_extract_law_in_nested_tables_keeps_article_lines() -> None:
    page = (
        "<table><tr><td>&nbsp;</td><td><font>第一條</font>&nbsp;<font size=2>(目的)</font>"
        "<table><tr><td>&nbsp;</td><td>\n　　為管理公園，特制定本辦法。<br>\n　　一、公園。<br></td></table></table>"
    )
    assert [line.strip() for line in extract_html(page).text.split("\n")] == [
        "第一條 (目的)",
        "為管理公園，特制定本辦法。",
        "一、公園。",
    ]


def test_extract_ruby_leaves_the_reading_out() -> None:
    page = "<p>這是<ruby>漢<rp>(</rp><rt>ㄏㄢˋ</rt><rp>)</rp>字<rt>ㄗˋ</rt></ruby>。</p>"
    assert extract_html(page).text == "這是漢字。"


def test_extract_inline_elements_do_not_break_or_swallow_words() -> None:
    page = "<p>除了<code>files</code>和<code>dns</code>，還有<i>mdns</i>。</p><p>（見<a href='x'>附錄</a>）。</p>"
    assert extract_html(page).text == "除了files和dns，還有mdns。\n\n（見附錄）。"


def test_extract_preformatted_text_keeps_its_lines() -> None:
    assert extract_html("<pre>if a:\n    b</pre>").text == "if a:\n    b"


XHTML = (
    '<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" "x">'
    '<html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head><body><p><a href="#a" id="a"/>第一段。</p>'
    '<script src="x"/><p>第二段。<br/>換行<img src="y"/></p></body></html>'
)


def test_extract_xhtml_self_closed_elements_swallow_nothing() -> None:
    extracted = extract_html(XHTML)
    assert extracted.text == "第一段。\n\n第二段。\n換行"
    assert extracted.title is None


def test_extract_page_of_links_only_falls_back_to_all() -> None:
    page = "<body><ul><li><a href='1'>甲</a><li><a href='2'>乙</a><li><a href='3'>丙</a></ul></body>"
    extracted = extract_html(page)
    assert extracted.extractor == "resiliparse-all"
    assert "乙" in extracted.text


def test_extract_paragraph_with_many_links_stays_when_it_is_a_sentence() -> None:
    page = "<p><a href='1'>臺北</a>、<a href='2'>新竹</a>、<a href='3'>高雄</a>三市同時舉行了這一場盛大的比賽。</p>"
    assert extract_html(page).text == "臺北、新竹、高雄三市同時舉行了這一場盛大的比賽。"


def test_extract_table_of_data_with_linked_names_stays() -> None:
    rows = "".join(f"<tr><td><a href='{n}'>套件名稱{n}</a></td><td>說明文字{n}</td></tr>" for n in range(4))
    assert "說明文字3" in extract_html(f"<table>{rows}</table>").text


@pytest.mark.parametrize("html", ["", "   ", "<html></html>", "<!-- 註解 -->", "<script>x</script>"])
def test_extract_page_without_text_gives_nothing(html: str) -> None:
    assert extract_html(html).text == ""


def test_extract_nul_is_dropped() -> None:
    assert extract_html("<p>甲\x00乙</p>").text == "甲乙"


def test_extract_nesting_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="nested deeper than 1000"):
        extract_html("<div>" * 1001)


def test_extract_many_nested_link_lists_stop_at_the_budget_and_keep_text() -> None:
    links = "<a href='1'>甲</a><a href='2'>乙</a><a href='3'>丙</a>"
    page = "<div>" * 900 + "正文" * 500 + f"<ul><li>{links}</ul>" + "</div>" * 900
    assert extract_html(page).text.replace("\n", "").replace(" ", "") == "正文" * 500 + "•甲乙丙"


MANY = 100_000
XMLNS = '<html xmlns="x"><p>正文</p>'


@pytest.mark.parametrize(
    "page",
    [
        XMLNS + "<td" + " " * MANY,
        XMLNS + "<td" + " /" * MANY,
        XMLNS + "<td " * MANY,
        XMLNS + "<" + "a" * MANY,
        "<!DOCTYPE" * MANY,
        "<" * 1_000_000,
        "</" * MANY,
        "<p>\n" * MANY,
        "<div>" * 900 + "<br>" * MANY + "<a href>甲</a>" * 3,
        "<div>" * 900 + "<a href>" * 10_000,
        "<div>" * 900 + "<a href>文字</a>" * 10_000,
        "<object><p>" * 900 + "<a href>文字</a>" * 5000,
    ],
    ids=lambda page: page[:12] + page[-4:],
)
def test_extract_hostile_page_takes_no_quadratic_time(page: str) -> None:
    start = time.process_time()
    extract_html(page)
    assert time.process_time() - start < 8


@pytest.mark.parametrize("tag", ["div", "object", "button", "svg", "main"])
def test_extract_deep_nesting_is_refused_at_once(tag: str) -> None:
    with pytest.raises(ValueError, match="nested deeper than 1000"):
        extract_html(f"<{tag}>" * MANY)


def test_extract_shared_law_pages_hold_their_articles() -> None:
    root = os.environ.get("TWLLM_DATA")
    if not root or not (Path(root) / "html_warc/pages.jsonl").is_file():
        pytest.skip("shared data not found: html_warc/pages.jsonl")
    folder = Path(root) / "html_warc"
    with (folder / "law_expected.jsonl").open(encoding="utf-8") as file:
        laws = {law["law_id"]: law["articles"] for law in map(json.loads, file)}
    with (folder / "pages.jsonl").open(encoding="utf-8") as file:
        pages = [page for page in map(json.loads, file) if page["kind"] == "law"]
    missing = 0
    for page in pages:
        text = "".join(extract_html(decode((folder / page["file"]).read_bytes()).text).text.split())
        contents = {"".join(laws[page["law_id"]][number]["content"].split()) for number in page["articles"]}
        missing += sum(content not in text for content in contents)
    assert len(pages) == 109
    assert missing == 0
