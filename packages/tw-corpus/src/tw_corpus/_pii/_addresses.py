"""The form of a Taiwanese postal address in folded text, as one pattern, and where it can begin.

Every repetition is bounded, so the time of one attempt is too.
"""

import re
from functools import lru_cache

_COUNTY = (
    "(?:[臺台](?:北[市縣县]|中[市縣县]|南[市縣县]|東[縣县]|东县)|新北市|桃[園园][市縣县]|高雄[市縣县]|基隆市|新竹[市縣县]|苗栗[縣县]"
    "|彰化[縣县]|南投[縣县]|[雲云]林[縣县]|嘉[義义][市縣县]|屏[東东][縣县]|宜[蘭兰][縣县]|花[蓮莲][縣县]|澎湖[縣县]|金[門门][縣县]|[連连]江[縣县])"
)
_HAN = "[\u4e00-\u9fff]"
_NUMBER = r" ?(?:\d{1,4}|[一二三四五六七八九十百千零〇○]{1,6}) ?"
# What stands before a place name and does not belong to it.
_NOT_NAME = "(?![在住於于到至位自從从的是為为址點点和與与及])"
_DISTRICT = f"{_HAN}{{1,3}}?[區鄉鎮市区乡镇](?!區)"
_ALONE = f"{_NOT_NAME}(?:{_HAN}{{2}}|[東西南北中东])[區鄉鎮区乡镇]"
_VILLAGE = f"{_HAN}{{1,4}}?[村里]"
_ROAD = r"[0-9\u4e00-\u9fff]{1,7}?(?:路|街|大道)"
_ROAD_ALONE = f"{_NOT_NAME}{_HAN}{{2}}[東西南北中东]?(?:路|街|大道)"
_NEIGHBOURHOOD = f"{_NUMBER}[鄰邻]"
_PARTS = f"(?:{_NUMBER}段)?(?:{_NUMBER}巷)?(?:{_NUMBER}[弄衖])?"
_HOUSE = (
    rf"(?:臨)?{_NUMBER}(?:[之-]{_NUMBER})?(?:[、,，~至及]{_NUMBER}(?:[之-]{_NUMBER})?){{0,3}}[號号]"
    rf"(?:[之-] ?\d{{1,3}}(?![0-9A-Za-z_]))?"
    rf"(?:[,，、 ]?(?:地下 ?)?B?(?:\d{{1,3}}|[一二三四五六七八九十]{{1,3}}) ?(?:樓|楼|層|层|F(?![0-9A-Za-z_]))"
    rf"(?:[之-] ?(?:\d{{1,3}}(?![0-9A-Za-z_])|[一二三四五六七八九十]{{1,2}}))?)?"
    rf"(?:[,，、 ]?(?:\d{{1,4}}|[A-Z]) ?室)?"
)


@lru_cache(maxsize=1)
def address_pattern() -> re.Pattern[str]:
    """Return the pattern; compiled at its first use, since that takes longer than importing the package.

    Its groups `county`, `district` and `alone` (a district without its county) are what `pseudonymise` keeps.
    """
    return re.compile(
        rf"(?:(?<![0-9A-Za-z_.\-])\d{{3}}(?:-?\d{{2,3}})? ?(?={_COUNTY}))?"
        rf"(?:(?:(?:臺灣省|台灣省)?(?P<county>{_COUNTY}) ?(?P<district>{_DISTRICT})?|(?P<alone>{_ALONE})) ?"
        rf"(?:(?:{_VILLAGE} ?)?(?:{_NEIGHBOURHOOD})?{_ROAD}{_PARTS}(?:{_NEIGHBOURHOOD})?"
        rf"|{_VILLAGE} ?(?:{_NEIGHBOURHOOD})?{_HAN}{{0,4}}?{_PARTS}|{_HAN}{{0,4}}?{_NEIGHBOURHOOD}{_HAN}{{0,4}}?)"
        rf"|{_ROAD_ALONE}(?={_NUMBER}[段巷弄衖]){_PARTS})"
        rf"{_HOUSE}"
    )


@lru_cache(maxsize=1)
def head_pattern() -> re.Pattern[str]:
    """Return the pattern, of no length, of all places where `address_pattern` can begin, less the postal code."""
    return re.compile(f"(?=(?:臺灣省|台灣省)?{_COUNTY}|{_ALONE}|{_ROAD_ALONE}{_NUMBER}[段巷弄衖])")


# The postal code that may stand before a county; to be searched up to where the county begins.
POSTAL_CODE = re.compile(r"(?<![0-9A-Za-z_.\-])\d{3}(?:-?\d{2,3})? ?\Z")
COUNTY = re.compile(_COUNTY)
