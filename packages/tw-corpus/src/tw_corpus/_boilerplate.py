"""Lines that Taiwanese sites put around a text: sharing, subscription, copyright, navigation.

Pure and conservative: a line goes only as a whole, where all of it, decoration aside, matches a rule; a line that says
something else as well stays. One rule covers several lines: the titles behind a heading like 延伸閱讀, at the end
of a text. Written by hand from the wording of such sites, not learned; a rule that meets a genuine sentence is a bug.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

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
    r"(?:回?上一?(?:頁|篇|則|層)|下一?(?:頁|篇|則)|最[前末後]頁|回(?:首頁|列表|目錄|頂端|到頂端|最上方)|返回(?:列表|首頁)"
    r"|網站(?:導覽|地圖)|意見信箱|雙語詞彙|政府網站資料開放宣告|資訊安全(?:政策|宣告)|隱私權(?:政策|保護政策|聲明)|服務條款"
    r"|加入最愛|會員登入)"
)
# Words that also stand alone as an item of a genuine list: only several of them in one line are navigation.
_LINK = (
    rf"(?:{_CLEAR_LINK}|首頁|第一頁|[上下]一章|常見問[答題]|English|RSS|聯絡(?:我們|資訊)|關於(?:我們|本站)|使用條款"
    r"|著作權聲明|登[入出]|註冊|加入會員|我的最愛|回報錯誤|TOP|Top|Home)"
)

_ALTERNATIVES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "continue_reading": (
            r"(?:廣告\s*)?[(（]?請?繼續往下(?:閱讀|看)[.…]*[)）]?(?:\s*廣告)?",
            r"廣告",
            r"閱讀全文|繼續閱讀|點我看全文|下拉看更多|文章未完.{0,10}請(?:點|按|看).{0,8}",
        ),
        "copyright": (
            (
                r"(?:本(?:網站|網|站|報|文|新聞|內容|圖文)?|\S{0,12})[\s之的]{0,2}(?:版權|著作權)(?:為|歸|屬)?\S{0,12}所有(?![人者權])"
                r"(?:[，,、；;.。 \t]*\S{0,8}(?:請勿|禁止|不得|勿)\S{0,14})?[。.]?(?:\s*(?:©|\(c\)|Copyright).{0,40})?"
            ),
            (
                r"(?:未經\S{0,8}(?:授權|同意|許可|允許)[，,、]?\s*)?(?:請勿|禁止|不得|勿)(?:擅自|任意|隨意)?"
                r"(?:轉貼|轉載|複製|節錄|重製|抄襲)(?:[、或及](?:轉貼|轉載|複製|節錄|重製|抄襲|散布))*[。.]?"
            ),
            r"(?:Copyright|©|\(c\)|All\s+rights?\s+reserved).{0,70}",
            r".{0,40}All\s+rights?\s+reserved\.?",
        ),
        "share": (
            rf"(?:分享|轉發|轉寄|傳送)(?:(?:這|此|本)?篇?(?:文章|新聞)|本文|此文)?\s*(?:到|至|給|[:：])?\s*{_SITE}?(?:[\s、/|｜,，及和]*{_SITE})*",
            rf"(?:Share|Tweet)(?:\s+(?:this|on|to|via))*\s*{_SITE}?",
            r"(?:複製|拷貝)(?:文章)?(?:連結|網址)|友善列印|列印(?:本頁)?|我要(?:分享|列印|留言)|(?:按|點)個?讚|\d*\s*人?(?:說|按)讚",
        ),
        "subscribe": (
            r"(?:立即|免費|馬上|我要|歡迎)?(?:訂閱|取消訂閱)(?:我們的?)?(?:電子報|頻道|YouTube頻道|RSS)[^，。；]{0,12}",
            r"(?:立即|馬上|點我|快|歡迎)?(?:加入|追蹤)[^，。；]{0,16}(?:好友|粉絲團|粉絲專頁|LINE@?|官方帳號|頻道)(?:[^，。；]{0,14})",
            r"(?:下載|安裝)\S{0,12}(?:APP|App|app)(?:[^，。；]{0,16})",
        ),
        "cookie_notice": (
            r".{0,20}(?:本網站|我們)(?:會)?使用\s*(?:cookies?|Cookies?|COOKIES?)[^\n]{0,60}",
            r"(?:我?(?:同意|接受)|拒絕)(?:所有|全部)?\s*(?:cookies?|Cookies?)(?:\s*政策)?",
        ),
        "navigation": (
            _CLEAR_LINK,
            rf"{_LINK}(?:[\s|｜/／:：、>＞›»•·\[\]]+{_LINK})+",
            r"(?:您?(?:現在)?(?:的)?(?:所在)?位置|目前位置|你在這裡)\s*[:：]?\s*(?:首頁|Home).{0,60}",
            r"(?:跳到|跳至|移至|前往)?(?:主要|中央)?內容(?:區塊?|專區)?(?:連結)?\s*:::|:::|跳到主要內容(?:區塊?)?",
            r"(?:第?\s*\d+\s*[/／]\s*\d+\s*頁|共\s*\d+\s*[頁筆].{0,20})",
        ),
        "text_size": (r"(?:字級|字體|字型)(?:大小|設定|縮放)?\s*[:：]?\s*(?:[小中大特+-]\s*){0,4}",),
        "browser_notice": (
            r".{0,12}(?:建議|最佳)\S{0,12}(?:瀏覽|解析度)[^。；]{0,60}(?:\d{3,4}\s*[*xX×＊]\s*\d{3,4}|瀏覽器|IE|Chrome|Firefox)[^。；]{0,40}",
            r"(?:您的瀏覽器|本網頁|此網頁)\S{0,6}不支援\s*(?:JavaScript|Javascript|javascript|script|框架|iframe)[^\n]{0,60}",
        ),
        "counter": (
            rf"(?:最後|最近|資料|網頁|本頁)?(?:更新|發布|發佈|張貼|上稿|修改|異動)(?:日期|時間)\s*[:：]?\s*{_DATE}",
            (
                r"(?:累計|累積|今日|本日|總|線上|本頁|本站|文章)?(?:瀏覽|點閱|點擊|訪客|造訪|到訪|閱讀|人氣)(?:人次|人數|次數|數|率)?"
                r"\s*[:：]?\s*[\d,，]+\s*(?:人次|次|人)?"
            ),
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
            r"你?您?可能(?:也|還)?(?:會|有)?(?:有?興趣|喜歡|想看)(?:的(?:新聞|文章|內容|報導|商品))?",
        ),
    }
)
_RULES = {name: re.compile("|".join(f"(?:{each})" for each in parts)) for name, parts in _ALTERNATIVES.items()}
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
    removed: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


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
    return Stripped(text="\n".join(kept).strip("\n"), removed=MappingProxyType(removed))


def _rule_of(line: str) -> str | None:
    """Name the rule that a whole line matches; `None` for the blank line and for text."""
    if len(line) > _MAX_LINE_CHARS:
        return None
    bare = line.strip()
    if bare.strip(_DECORATION) == "":
        return "navigation" if ":::" in bare else None
    candidates = (bare, bare.strip(_DECORATION))
    return next((name for name, rule in _RULES.items() if any(map(rule.fullmatch, candidates))), None)


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
