"""PTT articles: title, board, body and pushes, without the people. No input or output.

A page of PTT (ptt.cc) shows, in ``#main-content``, header lines (``.article-metaline``), the body as text, and the
pushes (``.push``: tag, user id, content, address and time); the conventions of its text (``※ 引述``, ``※ 發信站``,
``--`` before a signature) are those of the bulletin board behind it.

People are left out by construction: author, ids and times are not read into the result, and what the text repeats of
them is removed (`_ptt_people`). A pusher is known by a number: 1, 2, ... in the order of first appearance; 0 is the
author.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from resiliparse.parse.html import HTMLTree
from resiliparse.parse.html.node import ElementNode, Node

from tw_corpus._ptt_people import People, author_of, is_about_people, people_of

_SIGN = re.compile(r"""id\s*=\s*["']?main-content""", re.IGNORECASE)
_FOOTER = re.compile(r"※\s*發信站\s*[:：]")
_SEPARATOR = "--"
_MAX_SIGNATURE_LINES = 10
_URL_ONLY = re.compile(r"https?://\S+")
_SENT_FROM = re.compile(r"-*\s*Sent from .{1,60}", re.IGNORECASE)
_DASHES = re.compile(r"-{3,}")
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_PLAIN_TITLE = re.compile(r"^[ \t]*標題[ \t]*[:：]?[ \t]+(.*)$", re.MULTILINE)
_PLAIN_BOARD = re.compile(r"(?:看板|信區)[ \t]*[:：]?[ \t]+([\w-]+)")
_PLAIN_HEADER_CHARS = 400
_BLANK_LINES = re.compile(r"\n{3,}")
_SPACE = re.compile(r"\s+")
_FULL_PUSH_COLUMNS = 40  # a push this wide was broken off by the width of the input line, not by its writer


class PushTag(StrEnum):
    """What a push says of the article; `REPLY` is text that the author wrote between the pushes."""

    PUSH = "推"
    BOO = "噓"
    ARROW = "→"
    REPLY = "回"


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """One push.

    Attributes:
        tag: its tag.
        speaker: who, within this article: 0 the author, else from 1 in the order of first appearance.
        content: without id, address and time.
    """

    tag: PushTag
    speaker: int
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PttArticle:
    """One article.

    Attributes:
        title: as in the header, "" where the page has none.
        board: name of the board, "" where the page has none.
        body: without header, signature, footer, and lines that hold nothing but an address of the web.
        pushes: in order.
    """

    title: str
    board: str
    body: str
    pushes: tuple[Push, ...]

    def turns(self) -> tuple[Push, ...]:
        """Join consecutive pushes of one speaker under the tag of the first.

        They are joined directly where the input line was full (40 columns), else with a space.
        """
        turns: list[Push] = []
        is_full = False
        for push in self.pushes:
            if turns and turns[-1].speaker == push.speaker and push.tag is not PushTag.REPLY:
                last = turns.pop()
                content = f"{last.content}{'' if is_full else ' '}{push.content}"
                turns.append(Push(tag=last.tag, speaker=last.speaker, content=content))
            else:
                turns.append(push)
            is_full = _num_columns(push.content) >= _FULL_PUSH_COLUMNS
        return tuple(turns)

    @property
    def text(self) -> str:
        """Title, body and turns as plain text, the turns one a line behind their tags."""
        turns = "\n".join(f"{turn.tag} {turn.content}" for turn in self.turns())
        return "\n\n".join(part for part in (self.title, self.body, turns) if part)


def extract_ptt(html: str) -> PttArticle | None:
    """Extract an article from a PTT page.

    Args:
        html: decoded page.

    Returns:
        The article, or `None` where the page is no PTT article: no ``#main-content``, or one without header lines,
        pushes and PTT's footer.
    """
    if not _SIGN.search(html):
        return None
    body = HTMLTree.parse(html.replace("\x00", "")).body
    main = None if body is None else body.query_selector("#main-content")
    if main is None:
        return None
    page = _read(main)
    if not (page.header or page.pushes or _FOOTER.search(page.body)):
        return None
    return _article(page)


@dataclass(frozen=True, slots=True, kw_only=True)
class _RawPush:
    tag: PushTag
    user: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    header: dict[str, str]
    body: str
    pushes: tuple[_RawPush, ...]


def _read(main: ElementNode) -> _Page:
    """Read the children of the content element, people and all."""
    header: dict[str, str] = {}
    body: list[str] = []
    pushes: list[_RawPush] = []
    for node in main.child_nodes.values():
        classes = _classes(node)
        if classes & {"article-metaline", "article-metaline-right"}:
            header[_part(node, ".article-meta-tag")] = _part(node, ".article-meta-value")
        elif "push" in classes:
            pushes.extend(_push(node))
        elif "richcontent" not in classes:
            text = _ANSI.sub("", node.text_content or "").replace("\r\n", "\n")
            if pushes:
                pushes.append(_RawPush(tag=PushTag.REPLY, user="", content=text))
            else:
                body.append(text)
    return _Page(header=header, body="".join(body), pushes=tuple(pushes))


def _classes(node: Node) -> set[str]:
    return set((node.class_name or "").split()) if isinstance(node, ElementNode) else set()


def _part(node: Node, selector: str) -> str:
    found = node.query_selector(selector) if isinstance(node, ElementNode) else None
    return "" if found is None else _SPACE.sub(" ", found.text_content or "").strip()


def _push(node: Node) -> Iterator[_RawPush]:
    tag = _part(node, ".push-tag")
    if tag in set(PushTag):  # else a box of the site: "檔案過大！部分文章無法顯示"
        content = _part(node, ".push-content").removeprefix(":").strip()
        yield _RawPush(tag=PushTag(tag), user=_part(node, ".push-userid"), content=content)


def _article(page: _Page) -> PttArticle:
    """Take the people out of a page, and number the pushers."""
    title, board, body = page.header.get("標題", ""), page.header.get("看板", ""), page.body
    author = page.header.get("作者", "").partition(" ")[0]
    if not page.header:
        author, title = author_of(body), _plain(_PLAIN_TITLE, body)
        board = _plain(_PLAIN_BOARD, body)
        body = _PLAIN_TITLE.sub("", body, count=1) if author else body
    everything = "\n".join((page.body, *(push.content for push in page.pushes)))
    people = people_of(author=author, pushers=(push.user for push in page.pushes if push.user), text=everything)
    main, after = _split_footer(body)
    pushes: list[Push] = []
    for raw in (_RawPush(tag=PushTag.REPLY, user="", content=after), *page.pushes):
        content = _clean(raw.content, people) if raw.tag is PushTag.REPLY else people.mask(raw.content)
        if content:
            # A push without id (a deleted account) is of nobody known: it gets a number of its own.
            unknown = 0 if raw.tag is PushTag.REPLY else len(people.speakers) + 1 + len(pushes)
            pushes.append(Push(tag=raw.tag, speaker=people.speakers.get(raw.user, unknown), content=content))
    return PttArticle(title=people.mask(title), board=board, body=_clean(main, people), pushes=tuple(pushes))


def _plain(pattern: re.Pattern[str], body: str) -> str:
    found = pattern.search(body[:_PLAIN_HEADER_CHARS])
    return found[1].strip() if found else ""


def _split_footer(body: str) -> tuple[str, str]:
    """Part the article, without its signature, from what stands behind the site's footer."""
    lines = body.split("\n")
    footers = [number for number, line in enumerate(lines) if _FOOTER.match(line.strip())]
    if not footers:
        return body, ""
    article = lines[: footers[-1]]
    while article and article[-1].strip() in ("", _SEPARATOR):
        article.pop()
    first = max(len(article) - _MAX_SIGNATURE_LINES, 0)
    separators = [number for number in range(first, len(article)) if article[number].strip() == _SEPARATOR]
    if separators:
        del article[separators[0] :]
    return "\n".join(article), "\n".join(lines[footers[-1] :])


def _clean(text: str, people: People) -> str:
    """Drop lines about people and lines that only link, mask the rest, fold blank lines."""
    kept = [line.rstrip() for line in text.split("\n") if not _is_dropped(line)]
    return _BLANK_LINES.sub("\n\n", people.mask("\n".join(kept))).strip()


def _is_dropped(line: str) -> bool:
    bare = line.strip()
    dropped = bare == _SEPARATOR or _URL_ONLY.fullmatch(bare) or _SENT_FROM.fullmatch(bare) or _DASHES.fullmatch(bare)
    return bool(dropped) or is_about_people(line)


def _num_columns(text: str) -> int:
    """Width on the board's screen: two columns for a wide character."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
