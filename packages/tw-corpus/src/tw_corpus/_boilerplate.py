"""Lines that Taiwanese sites put around a text: sharing, subscription, copyright, navigation.

Pure and conservative: a line goes only as a whole, where all of it, decoration aside, matches a rule; a line that says
something else as well stays. One rule covers several lines: the titles behind a heading like 延伸閱讀, at the end
of a text. Written by hand from the wording of such sites, not learned; a rule that meets a genuine sentence is a bug.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from twllm_types import FrozenDict

_MAX_LINE_CHARS = 80
_MAX_TITLE_CHARS = 60
_MAX_TITLES = 15
_DECORATION = "▼▲▶►◀◁▷→←↓↑●○◆◇■□★☆※*＊•·．・|｜/／<>＜＞«»‹›:：…-—–_=＝~～.。!！ \t\u3000[]【】()（）〈〉《》👉👇📍"
_SITE = (
    r"(?:Facebook|FB|臉書|LINE|Twitter|推特|X|Threads|IG|Instagram|YouTube|Plurk|噗浪|Telegram|微博|WhatsApp"
    r"|E-?mail|電子郵件|好友|朋友)"
)
_DATE = (
    r"(?:民國|中華民國)?\s*\d{2,4}\s*[-/.年]\s*\d{1,2}\s*[-/.月]\s*\d{1,2}\s*日?"
    r"(?:\s*[上下]午)?(?:\s*\d{1,2}[:：]\d{2}(?:[:：]\d{2})?)?"
)
_CLEAR_LINK = (
    r"(?:回?上一(?:頁|篇|則|層)|回上[頁層]|下一(?:頁|篇|則)|最[前末後]頁|回(?:首頁|列表|目錄|頂端|到頂端|最上方)|返回(?:列表|首頁)"
    r"|網站(?:導覽|地圖)|意見信箱|雙語詞彙|政府網站資料開放宣告|加入最愛|會員登入)"
)
# Words that also stand alone as an item of a genuine list: only several of them in one line are navigation.
_LINK = (
    rf"(?:{_CLEAR_LINK}|首頁|第一頁|[上下]頁|[上下]一章|資訊安全(?:政策|宣告)|隱私權(?:政策|保護政策|聲明)|服務條款|常見問[答題]|English|RSS|聯絡(?:我們|資訊)|關於(?:我們|本站)|使用條款"
    r"|著作權聲明|登[入出]|註冊|加入會員|我的最愛|回報錯誤|TOP|Top|Home)"
)
# Whose site it is, and what is on it. A contract says 著作權歸甲方所有 too: only a site's name makes that a notice.
_OF_SITE = (
    r"本(?:網站|網|站|報|社|台|新聞網|電子報|部落格)[上內]?(?:所有)?[之的]?"
    r"(?:[全各]?(?:部|項)?(?:圖文|文字|圖片|照片|影音|內容|文章|新聞|報導|資料|著作)[、及與和]?)*[之的]?"
)
_PARTY = r"(?:甲方|乙方|機關|廠商|委託|受託|學校|本校|投稿|作者|主辦|得標)"
_COPIED = r"(?:轉貼|轉載|翻印|盜用|盜連|複製|重製|節錄|抄襲|散布|使用)"
_COPIES = rf"(?:擅自|任意|隨意|逕自|自行)?(?:轉貼|轉載|翻印|盜用|盜連)(?:[、或及與]?{_COPIED})*"
_WITHOUT_LEAVE = r"(?:未經|非經|未得)\S{0,8}(?:授權|同意|許可|允許)[，,、]?"
_FORBIDDEN = rf"(?:(?:{_WITHOUT_LEAVE}(?:請勿|不得|禁止|勿)|請勿|嚴禁|禁止|勿){_COPIES}|翻印必究|侵害必究|盜[用版]必究)"
_GAP = r"[，,、；;.。 \t]*"
_CLOSE = r"[。.！!]?"
_OWNER = r"[^\s，。；、：的其]{0,12}\s?"

ALTERNATIVES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "continue_reading": (
            r"(?:廣告\s*)?[(（]?請?繼續往下(?:閱讀|看)[.…]*[)）]?(?:\s*廣告)?",
            r"廣告",
            r"閱讀全文|繼續閱讀|點我看全文|下拉看更多|文章未完.{0,10}請(?:點|按|看).{0,8}",
        ),
        "copyright": (
            rf"{_OWNER}(?:版權|著作權)所有{_GAP}(?:{_FORBIDDEN}|不得{_COPIES}){_CLOSE}",
            rf"{_OWNER}版權所有{_CLOSE}",
            r"版權所有(?:\s*(?:©|\(c\)|Copyright)|[\s:：])\s*[^，。；]{1,24}[。.]?",
            (
                rf"{_OF_SITE}(?:版權|著作權)[均皆全]?(?:為|歸|屬|歸屬|屬於)(?!{_PARTY})[^\s，。；]{{0,12}}所有"
                rf"(?:{_GAP}{_FORBIDDEN})?{_CLOSE}"
            ),
            rf"{_FORBIDDEN}{_CLOSE}",
            r"(?:(?:Copyright|版權所有)\s*)?(?:©|\(c\)|&copy;)\s*(?:19|20)\d\d(?!\s*年)[^，。；]{0,70}",
            r"Copyright\s*(?:19|20)\d\d(?!\s*年)[^，。；]{0,70}",
            r"(?:Copyright\s*)?©\s*[^，。；是為]{1,40}",
            r"(?:[^，。；寫印標示稱為是]{1,40}[\s,.])?All\s+rights?\s+reserved\.?(?:[^，。；]{0,40})",
        ),
        "share": (
            rf"(?:分享|轉發|轉寄|傳送)(?:(?:這|此|本)?篇?(?:文章|新聞)|本文|此文)(?:\s*(?:到|至|給|[:：])?\s*{_SITE}(?:[\s、/|｜,，及和]*{_SITE})*)?",
            rf"(?:分享|轉發|傳送)\s*(?:到|至|給|[:：])?\s*(?!朋友|電子郵件|E-?mail){_SITE}(?:[\s、/|｜,，及和]*{_SITE})*",
            r"轉寄(?:給)?(?:好友|朋友)",
            rf"(?:Share|Tweet)(?:\s+(?:this|on|to|via))*\s*{_SITE}?",
            r"(?:複製|拷貝)(?:文章)?(?:連結|網址)|友善列印|列印本頁|我要(?:分享|列印|留言)|\d+\s*人?(?:說|按)讚",
        ),
        "subscribe": (
            r"(?:立即|免費|馬上|我要|歡迎)?(?:訂閱|取消訂閱)(?:我們的?|本站|本報)?(?:電子報|頻道|YouTube\s?頻道|RSS)",
            (
                r"(?:立即|馬上|點我|快|歡迎)?(?:加入|追蹤)(?:我們的?)?[^\s，。；的了著過他她]{0,8}?\s?"
                r"(?:LINE@|(?:LINE|Line|FB|Facebook|臉書|IG|Instagram|YouTube|Telegram)\s?(?:官方)?(?:好友|粉絲團|粉絲專頁|帳號|頻道))"
            ),
            r"(?:立即|馬上|點我|快|歡迎)?(?:加入|追蹤)(?:我們的?|本站|本報|官方)(?:粉絲團|粉絲專頁|官方帳號|頻道)",
            r"(?:立即|馬上|免費|點我|快來?)下載[^\s，。；的及和與並後以]{0,12}\s?(?:APP|App|app)",
        ),
        "cookie_notice": (
            (
                r"(?:為了?[^。；，]{0,20}[，,])?(?:本網站|本站|我們)(?:會)?使用\s*(?:cookies?|Cookies?|COOKIES?)[^\n。；]{0,40}"
                r"(?:繼續(?:瀏覽|使用)|點[擊選])[^\n。；]{0,24}(?:同意|接受)[^\n。；]{0,24}[。.]?"
            ),
            r"(?:我(?:同意|接受)(?:所有|全部)?|(?:同意|接受|拒絕)(?:所有|全部))\s*(?:cookies?|Cookies?)(?:\s*政策)?",
        ),
        "navigation": (
            _CLEAR_LINK,
            rf"{_LINK}(?:[\s|｜/／:：>＞›»•·\[\]]+{_LINK})+",
            r"(?:您?(?:現在|目前)的?(?:所在)?位置|您的(?:所在)?位置|所在位置|你在這裡)\s*[:：]?\s*(?:首頁|Home)(?:\s*[>＞›»/／|｜→]\s*[^。；，]{1,50})?",
            r"(?:跳到|跳至|移至|前往)?(?:主要|中央)?內容(?:區塊?|專區)?(?:連結)?\s*:::|:::|跳到主要內容(?:區塊?)?",
            r"第\s*\d+\s*[/／]\s*\d+\s*頁|第\s*\d+\s*頁\s*[，,/／、(（]?\s*共\s*\d+\s*頁[)）]?",
            r"共\s*\d+\s*[頁筆](?:資料|紀錄)?[，,、；;/／|｜\s]*(?:目前)?[在為]?(?:第\s*\d+\s*(?:[/／]\s*\d+\s*)?頁|每頁\s*\d+\s*筆)[，,、；;\s]*(?:每頁\s*\d+\s*筆)?",
        ),
        "text_size": (r"(?:字級|字體|字型)(?:大小|設定|縮放)?(?:\s*[:：]\s*|\s+)(?:[小中大特+-]\s*){2,4}",),
        "browser_notice": (
            (
                r"(?:本網?站)?(?:最佳|建議)的?(?:瀏覽|觀看)(?:解析度|畫面|環境|效果)?[為是]?\s*[:：]?[^。；]{0,20}?"
                r"\d{3,4}\s*[*xX×＊]\s*\d{3,4}[^。；]{0,40}"
            ),
            r"(?:本網?站)?(?:建議|請)您?(?:使用|以)[^。；，]{0,40}(?:瀏覽|觀看)本網?站[^。；]{0,20}",
            (
                r"(?:您的瀏覽器|本網頁|此網頁)\S{0,6}不支援\s*(?:JavaScript|Javascript|javascript|script|框架|iframe)"
                r"(?:語法|功能)?(?:[，,。.][^\n]{0,60})?"
            ),
        ),
        "counter": (
            rf"(?:最後|最近|資料|網頁|本頁)?(?:更新|發布|發佈|張貼|上稿|修改|異動)(?:日期|時間)\s*[:：]?\s*{_DATE}",
            (
                r"(?:累計|累積|今日|本日|總|線上|本頁|本站|文章)?(?:瀏覽|點閱|點擊|人氣)(?:人次|人數|次數|數)\s*[:：]?\s*[\d,，]+\s*(?:人次|次|人)?"
            ),
            r"(?:累計|累積|今日|本日|總|線上|本頁|本站)(?:訪客|造訪|到訪)(?:人次|人數|次數|數)?\s*[:：]?\s*[\d,，]+\s*(?:人次|次|人)?",
            r"(?:瀏覽|點閱|點擊)\s*[:：(（]\s*[\d,，]+\s*[)）]?\s*(?:人次|次)?",
            r"(?:人氣|點閱率?)\s*[:：(（]\s*[\d,]+\s*[)）]?",
            (
                rf"(?:更新日期|發布日期|點閱次數|瀏覽人次)\s*[:：]?\s*(?:{_DATE}|[\d,]+)"
                rf"(?:[\s|｜、]+(?:更新日期|發布日期|點閱次數|瀏覽人次|點閱數)\s*[:：]?\s*(?:{_DATE}|[\d,]+))*"
            ),
        ),
        "related_heading": (
            (
                r"(?:更多)?(?:延伸閱讀|相關(?:新聞|文章|報導|閱讀|影音|連結)|推薦(?:閱讀|文章|新聞)|熱門(?:新聞|文章|排行)|更多(?:新聞|報導|文章)"
                r"|同場加映|猜你喜歡|編輯推薦|大家都在看)"
            ),
            r"[你您]可能(?:也|還)?(?:會|有)?(?:有?興趣|喜歡|想看)(?:的(?:新聞|文章|內容|報導|商品))?",
        ),
    }
)
_RULES = re.compile("|".join(f"(?P<{name}>{'|'.join(parts)})" for name, parts in ALTERNATIVES.items()))
_ORDER = tuple(ALTERNATIVES)
# Every alternative begins with one of these or with a digit, or holds one of the words: few genuine lines are matched.
_FIRST_CHARACTERS = frozenset(
    "&(:CEHRST©上下中主人今你使侵修傳免內共分列前加勿友取同嚴回大字常廣延建張快您意我所拒拷接推政文更最會服未本歡此"
    "瀏為熱版猜現異登發盜目相禁移立第累網線編總繼翻聯著複訂註請資跳轉返追閱關隱雙非首馬點（"
)
_WORD_INSIDE = re.compile("版權所有|著作權所有|reserved")
_SENTENCE = re.compile(r"[。！？；]|[，,].*[，,]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stripped:
    """A text without boilerplate lines.

    Attributes:
        text: the other lines, unchanged and in order; blank lines left at either end are removed with them.
        removed: number of lines removed, by rule; rules that met none are absent. The lines behind a heading count as
            ``related_tail``.
    """

    text: str
    removed: Mapping[str, int] = field(default_factory=FrozenDict[str, int])


def strip_boilerplate(text: str) -> Stripped:
    """Remove the lines that are boilerplate as a whole, and a list of related titles at the end.

    Idempotent. A text in which nothing matches comes back as it is. A text of nothing else gives "".
    """
    lines = text.split("\n")
    verdicts = [_rule_of(line) for line in lines]
    _mark_tail(lines, verdicts)
    removed: dict[str, int] = {}
    for verdict in verdicts:
        if verdict is not None:
            removed[verdict] = removed.get(verdict, 0) + 1
    if not removed:
        return Stripped(text=text)
    kept = [line for line, verdict in zip(lines, verdicts, strict=True) if verdict is None]
    return Stripped(text="\n".join(kept).strip("\n"), removed=FrozenDict(removed))


def _rule_of(line: str) -> str | None:
    """Name the rule that a whole line matches; `None` for the blank line and for text."""
    if len(line) > _MAX_LINE_CHARS:
        return None
    bare = line.strip()
    core = bare.strip(_DECORATION)
    if not core:
        return "navigation" if ":::" in bare else None
    rule = _rule_matching(bare)
    if core == bare:
        return rule
    matched = {rule, _rule_matching(core)}
    return next((name for name in _ORDER if name in matched), None)


def _rule_matching(text: str) -> str | None:
    """Name the first rule that matches all of `text`, which is not empty."""
    first = text[0]
    if first in _FIRST_CHARACTERS or first.isdecimal() or _WORD_INSIDE.search(text):
        found = _RULES.fullmatch(text)
        return found.lastgroup if found else None
    return None


def _mark_tail(lines: list[str], verdicts: list[str | None]) -> None:
    """Mark the titles behind the last heading of related texts, if nothing but titles and boilerplate follows it."""
    headings = [number for number, verdict in enumerate(verdicts) if verdict == "related_heading"]
    if not headings:
        return
    rest = [number for number in range(headings[-1] + 1, len(lines)) if lines[number].strip() and not verdicts[number]]
    if len(rest) <= _MAX_TITLES and all(_is_title(lines[number]) for number in rest):
        for number in rest:
            verdicts[number] = "related_tail"


def _is_title(line: str) -> bool:
    return len(line.strip()) <= _MAX_TITLE_CHARS and not _SENTENCE.search(line)
