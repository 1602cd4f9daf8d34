"""The words before a candidate, and what they say about it.

One NUL stands for each finding and placeholder among these words: a text and its masked form give the same ones, which
makes masking idempotent.
"""

import re

from tw_corpus._pii._kinds import PiiKind

WORD_CHARS, VETO_CHARS, URL_CHARS = 40, 16, 160
# Stands where a finding or placeholder stood.
_GAP = "\0"
_URL = re.compile(r"(?:://|www\.)[!-+\--:<-~\0]*$")
# A context word counts where no word of another meaning stands nearer.
# Words that give a number another meaning, and words that leave it open which number it is.
_OTHER = (
    "訂單|單號|案號|文號|字第|序號|流水|日期|時間|期間|金額|價|電話|手機|傳真|專線|密碼|版本|學號|會員|條碼|貨號|料號|型號|發票|專利|車號"
    r"|订单|日期|时间|电话|手机|传真|\bISBN|\bISSN|\bIMEI|\bTEL|\bFAX"
)
_OPEN = r"編號|帳號|帳戶|戶頭|字號|證號|编号|账号|\bNO\.?|[#$元]"
_OTHER_WORDS = re.compile(f".*(?:{_OTHER})", re.IGNORECASE | re.DOTALL)
_VETO_WORDS = re.compile(f"{_OTHER}|{_OPEN}", re.IGNORECASE)
# A context word counts where no word of another meaning stands nearer to the number.
_WORDS = {
    kind: re.compile(rf".*(?:{words})", re.IGNORECASE | re.DOTALL)
    for kind, words in {
        PiiKind.NATIONAL_ID: "身分證|身份證|身分证|身份证|國民證|証號|證號|統一編號|\\bID\\b",
        PiiKind.ARC_NEW: "居留證|居留证|統一證號|外僑|身分證|身份證|ARC",
        PiiKind.ARC_OLD: "居留證|居留证|統一證號|外僑|身分證|身份證|ARC",
        PiiKind.UBN: r"統一編號|統編|公司編號|商業編號|稅籍編號|扣繳單位編號|统一编号|统编|\bVAT\b|\bUBN\b|TAX ID",
        PiiKind.CITIZEN_CERTIFICATE: "自然人憑證|憑證|自然人凭证",
        PiiKind.EINVOICE_BARCODE: "載具|條碼|雲端發票|载具|条码",
        PiiKind.EINVOICE_DONATION: "捐贈碼|愛心碼|捐贈代碼|捐赠码|爱心码",
        PiiKind.LANDLINE: r"電話|市話|專線|傳真|聯絡|聯繫|洽詢|請洽|撥打|電洽|电话|传真|\bTEL|\bFAX|PHONE",
        PiiKind.MOBILE: r"電話|手機|行動|門號|聯絡|聯繫|洽詢|請洽|撥打|电话|手机|\bTEL|PHONE|MOBILE|WHATSAPP",
        PiiKind.CARD: "信用卡|金融卡|簽帳|卡號|刷卡|信用卡|卡号|VISA|MASTER|JCB|銀聯|CARD",
        PiiKind.NHI_CARD: "健保|NHI",
        PiiKind.PASSPORT: "護照|护照|PASSPORT",
    }.items()
}


class WordsBefore:
    """The last characters before a place that moves through a text, one NUL for each finding and placeholder.

    It holds `URL_CHARS` characters at most, whatever the number of findings.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._words = ""
        self.end = 0

    def take(self, start: int, end: int) -> None:
        """Pass a finding or placeholder; they come in order and without overlap."""
        self._words = self.at(start)[1 - URL_CHARS :] + _GAP
        self.end = end

    def at(self, position: int) -> str:
        """Return up to `URL_CHARS` characters before `position`, which is not before the last finding."""
        return (self._words + self._text[max(self.end, position - URL_CHARS) : position])[-URL_CHARS:]


def in_url(words: str) -> bool:
    """Tell whether what follows `words` belongs to a URL."""
    # plain searches first: most words hold neither, and a pattern that begins with a choice is tried at every character
    return ("://" in words or "www." in words) and _URL.search(words) is not None


def has_context(kind: PiiKind, words: str) -> bool:
    """Tell whether a word for `kind` stands in the last `WORD_CHARS` characters, with none of another meaning after."""
    near = words[-WORD_CHARS:]
    found = _WORDS[kind].match(near)
    if found is None:
        return False
    other = _OTHER_WORDS.match(near)
    return other is None or kind in _ANY_WORD or found.end() >= other.end()


def since_finding(words: str) -> str:
    """Return the end of `words` behind the last finding: what stands before a finding was said about that one."""
    return words.rpartition(_GAP)[2]


def names_another_number(words: str) -> bool:
    """Tell whether the last characters call the number that follows something else: an order, a date, an amount."""
    return _VETO_WORDS.search(since_finding(words)[-VETO_CHARS:]) is not None


# Their words are needed and rare, their forms are long: another word between does not matter.
_ANY_WORD = frozenset((PiiKind.EINVOICE_BARCODE, PiiKind.EINVOICE_DONATION, PiiKind.NATIONAL_ID, PiiKind.ARC_NEW))
