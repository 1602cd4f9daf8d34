"""Text of an HTML page, by resiliparse, with navigation left out. No input or output.

Why resiliparse, and why not its own ``main_content``: benchmarks/tw_corpus/extraction.md. In short, its full text
keeps every character and the line structure; its main-content mode drops inline elements inside Chinese sentences;
trafilatura runs the lines of a table cell together, keeps the line breaks of the source inside paragraphs and loses
headings. So the full text is taken, from a tree in which what is navigation by its markup is marked and skipped:

1. elements that say so: ``nav``, ``aside``, page footers, ARIA roles, and a closed list of class names and ids;
2. blocks that consist of links: at least three, and at least 60 % of the characters (80 % in paragraphs and around
   tables, 90 % where the block holds a sentence); after the link density of Kohlschütter et al. 2010, "Boilerplate
   Detection using Shallow Text Features".

Readings in ``ruby`` (``rt``, ``rp``) are left out: they would stand between the characters of a word.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

_MARK = "data-tw-corpus-skip"
_RUBY = ("rt", "rp")
_NAVIGATION = (
    *("nav", "aside", "body > footer", "body > header"),
    *(
        f"[role={role}]"
        for role in ("navigation", "banner", "contentinfo", "search", "complementary", "menu", "dialog")
    ),
    *(f".{name}" for name in ("breadcrumb", "breadcrumbs", "pagination", "pager", "navbar", "navheader", "navfooter")),
    *(f".{name}" for name in ("sidebar", "share", "sns-share", "social-share", "addthis_toolbox", "cookie-notice")),
    *(f".{name}" for name in ("ad", "ads", "advertisement", "related-news", "related-posts", "skip-link", "sr-only")),
    *(
        f"#{name}"
        for name in ("nav", "navbar", "menu", "sidebar", "footer", "breadcrumb", "breadcrumbs", "cookie-notice")
    ),
)
_BLOCKS = "ul, ol, dl, table, div, section, td, p, center"
_SENTENCE_END = re.compile("[。！？]")
_SPACE = re.compile(r"\s+")
_MIN_LINKS = 3
_LINK_SHARE = 0.6
_LINK_SHARE_IN_TABLE = 0.8
_LINK_SHARE_WITH_SENTENCE = 0.9
_MAX_WORK = 30  # blocks are looked at until this many times the page's length has been read: nesting cannot cost more
_LINK_CHARS, _ELEMENT_CHARS = 8, 3  # what a link or another element without text adds to that; no tag is shorter

_XHTML = re.compile(r"^\s*(?:<\?xml\b|<!DOCTYPE[^>]*XHTML)|<html[^>]*\bxmlns\s*=", re.IGNORECASE)
_SELF_CLOSED = re.compile(r"<([a-zA-Z][\w:.-]*)((?:\s[^<>]*)?)/>")  # no part can take what another one can: linear
_VOID = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"]
)
_PRESCAN_CHARS = 2048
# Elements that only an end tag closes; a page that piles them up takes a parser quadratic time and memory.
_NESTING = re.compile(
    r"<(/?)(?:div|ul|ol|dl|table|blockquote|center|section|article|span|font|b|i|em|strong|object|applet|marquee|svg"
    r"|foreignobject|template|details|fieldset|figure|main|header|footer|nav|aside|button)\b",
    re.IGNORECASE,
)
_MAX_DEPTH = 1000
_BLANK_LINES = re.compile(r"\n{3,}")


class ExtractMode(StrEnum):
    """Which parts of a page are text: `MAIN` leaves navigation out, `ALL` takes everything that is displayed."""

    MAIN = "main"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """Text of a page.

    Attributes:
        text: lines as displayed: one for a paragraph, list item, table row or line break, a blank line between blocks;
            cells of a table row are parted by a tab, list items start with a bullet or number.
        title: of the page's head, white space folded; `None` where absent or blank.
        extractor: what made it: ``resiliparse-main`` or ``resiliparse-all``.
    """

    text: str
    title: str | None
    extractor: str


def extract_html(html: str, *, mode: ExtractMode = ExtractMode.MAIN) -> Extracted:
    """Extract the text of a page.

    XHTML is read as such: a self-closed ``<title/>`` or ``<a id="x"/>`` does not swallow what follows, and an XML
    declaration is no obstacle. NUL characters are dropped, as HTML demands. A page without text gives "".

    Args:
        html: decoded page.
        mode: `MAIN` falls back to everything where nothing would remain.

    Raises:
        ValueError: elements are nested deeper than 1,000, or the parser refuses the page.
    """
    depth = _depth(html)
    if depth > _MAX_DEPTH:
        raise ValueError(f"elements are nested deeper than {_MAX_DEPTH}")
    tree = HTMLTree.parse(_close_elements(html.replace("\x00", "")))
    text = ""
    if mode is ExtractMode.MAIN:
        _mark_link_blocks(tree, budget=_MAX_WORK * len(html), is_deep=depth > _MAX_WORK)
        text = _text(tree, (*_RUBY, *_NAVIGATION, f"[{_MARK}]"))
    if not text:
        mode, text = ExtractMode.ALL, _text(tree, _RUBY)
    title = _SPACE.sub(" ", tree.title or "").strip()
    return Extracted(text=text, title=title or None, extractor=f"resiliparse-{mode}")


def _depth(html: str) -> int:
    """Count how many elements are open at once at most, as far as their tags tell."""
    deepest = depth = 0
    for tag in _NESTING.finditer(html):
        depth = max(depth - 1, 0) if tag[1] else depth + 1
        deepest = max(deepest, depth)
    return deepest


def _close_elements(html: str) -> str:
    """Give self-closed elements of XHTML an end tag, which an HTML parser needs."""
    if not _XHTML.search(html[:_PRESCAN_CHARS]):
        return html
    return _SELF_CLOSED.sub(
        lambda tag: tag[0] if tag[1].lower() in _VOID else f"<{tag[1]}{tag[2]}></{tag[1]}>",
        html,
    )


def _mark_link_blocks(tree: HTMLTree, *, budget: int, is_deep: bool) -> None:
    """Mark the blocks that consist of links, until `budget` is used up; in a deep page elements without text count."""
    if tree.body is None or len(tree.body.query_selector_all("a[href]")) < _MIN_LINKS:
        return
    # `values()`: to iterate over a node list itself takes quadratic time in resiliparse 2.0.
    for block in tree.body.query_selector_all(_BLOCKS).values():
        found = block.query_selector_all("a[href]")
        if len(found) < _MIN_LINKS and not is_deep:
            continue
        text = _SPACE.sub("", block.text or "")
        budget -= len(text) + _LINK_CHARS * len(found)
        if is_deep:
            budget -= _ELEMENT_CHARS * len(block.query_selector_all("*"))
        if budget < 0:
            return
        if len(found) < _MIN_LINKS:
            continue
        linked = sum(len(_SPACE.sub("", link.text or "")) for link in found.values())
        is_table = block.tag in ("table", "td", "p") or block.query_selector("table") is not None
        least = _LINK_SHARE_IN_TABLE if is_table else _LINK_SHARE
        if linked >= len(text) * (_LINK_SHARE_WITH_SENTENCE if _SENTENCE_END.search(text) else least):
            block.set_attribute(_MARK, "")


def _text(tree: HTMLTree, skipped: tuple[str, ...]) -> str:
    raw = extract_plain_text(tree, alt_texts=False, skip_elements=skipped)
    lines = [_line(line) for line in raw.replace("\xa0", " ").split("\n")]
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip("\n")


def _line(line: str) -> str:
    """Tidy one line: cells of a table row are parted by one tab, without empty cells at either end."""
    if "\t\t" not in line:
        return line.rstrip() if line.strip() else ""
    return "\t".join(cell.strip() for cell in line.split("\t\t")).strip("\t")
