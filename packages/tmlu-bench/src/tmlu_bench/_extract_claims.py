"""Which letters an answer names, and with what force: as the answer, as chosen, as wrong, or in passing.

Every letter is looked at with a window of bounded size before and after it, so the time is linear in the text.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from tmlu_bench._extract_denials import is_called_wrong, is_denied, is_not_chosen, is_of_others, is_refused, is_supposed
from tmlu_bench._extract_options import end_of_option, find_option_texts

_BEFORE_CHARS = 48
_AFTER_CHARS = 32
_GAP_CHARS = 16


class Force(IntEnum):
    """How strongly a mention is an answer; a larger one counts before a smaller one."""

    REJECTED = 0
    """Said to be wrong."""
    MENTIONED = 1
    """A bare letter in passing; may be an element, a vitamin or a point."""
    NAMED = 2
    """Named as an option, "(C)" or 選項C, and nothing said of it."""
    LEADING = 3
    """The first thing said, "C) …", before anything else on its line."""
    CALLED_RIGHT = 4
    """C 正確, C is correct."""
    CHOSEN = 5
    """故選 C, or a letter alone on its line."""
    ANSWER = 6
    """答案是 C, the answer is C."""
    FINAL = 7
    """\\boxed{C}, 最終答案：C, <answer>C</answer>."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One mention of one or several letters joined by 、 or 和.

    Attributes:
        letters: the letters named together, upper case.
        force: how strongly.
        start: first character.
        end: after the last character.
    """

    letters: frozenset[str]
    force: Force
    start: int
    end: int


_OPEN = r"[(\[{<「『《【\"'“‘]"
_CLOSE = r"[)\]}>」』》】\"'”’]"
_MENTION = re.compile(
    rf"(?P<open>{_OPEN}\s*)?(?<![A-Za-z0-9])(?P<letters>[A-Fa-f]|[A-F]{{2,6}})(?![A-Za-z0-9])(?P<close>\s*{_CLOSE})?"
)
_JOIN = re.compile(r"[\s、,/&+;]*(?:和|與|及|或|跟|還是|以及|and|or)?[\s、,/&+;]*(?:選項|option)?\s*", re.IGNORECASE)
_FILLER = (
    r"(?:選項|選擇|選出|選|选项|选择|选|項|就|會|可能|最|應該|应该|應當|應|该|該|只|能|可以|可|是|為|为|如下|在|即|乃|屬|定|"
    r"option|choice|letter|is|would|should|must|be|likely|most|probably|therefore|clearly|"
    r"[\s:=\-—–>→*.,(\[{「『《【)\]}」』》】\"'“‘”’])*+"
)
_ANSWER_CUE = re.compile(
    r"(?:答案|解答|正解|(?<![回問應作])答(?=\s*:)|(?<![A-Za-z])answer|(?<![A-Za-z])ans|"
    r"(?<!不)正[確确](?:的)?(?:選項|选项|敘述|說法|描述|一項|者)?(?=\s*(?:應該|應|會)?(?:是|為|为|:|\s*[(\[]?\s*[A-F]))|"
    r"(?<!in)correct\s+(?:option|choice|statement|one)|best\s+(?:option|choice))"
    rf"{_FILLER}$",
    re.IGNORECASE,
)
_CHOICE_CUE = re.compile(
    r"(?:(?<![候備所可人])(?:選擇|选择|選(?![項出取定舉手])|选(?!项)|圈選|勾選)|"
    r"(?:而|所以|因此|也就|應|應該|必|其實|實際上|事實上|無疑|毫無疑問|肯定|當然)是|(?:應|即)為|"
    r"(?:只|僅)?剩(?:下|餘)?的?(?:選項)?(?:只有|就是)?|(?<![A-Za-z])leav(?:es|ing)(?: only| us with)?|"
    r"(?<![A-Za-z])(?:it|this|that)(?:'s| is| must be| would be)|"
    r"(?<![A-Za-z])(?:choose|chose|choosing|select|selected|pick|picked|going with|go with|opt for|i(?:'d| would) say))"
    rf"(?:了|的是|為|为|:|是|選項|选项|答案|option|choice|answer|\s|{_OPEN})*+$",
    re.IGNORECASE,
)
_FINAL_CUE = re.compile(
    r"(?:\\boxed\s*\{\s*|<\s*answer\s*>\s*|(?:最終|最後|最后|最终)的?(?:答案|選擇)|final\s+answer|####)" rf"{_FILLER}$",
    re.IGNORECASE,
)
_DENIED_BEFORE = re.compile(
    r"(?:不是|並非|并非|而非|非|不會是|不可能是|不應選|不應該選|不該選|不能選|(?<!不能)(?<!得)不選|不要選|不可選|不為|排除|刪去|刪除|去掉|淘汰|"
    r"(?<![A-Za-z])(?:not|isn't|aren't|wasn't|cannot be|can't be|never|neither|nor|rather than|instead of|"
    r"eliminat(?:e|ed|es|ing)|rul(?:e|ed|es|ing) out|exclud(?:e|ed|es|ing)))"
    rf"(?:答案|選項|选项|為|是|掉|了|the|option|choice|answer|be|\s|:|{_OPEN})*+$",
    re.IGNORECASE,
)
_SAID_OF = (
    r"^\s*[)\]}」』.:]*\s*(?:是|為|的確|確實|絕對|選項|选项|項|这个|這個|的|之|敘述|說法|描述|答案|看起來|看似|顯然|明顯|也|都|皆|均|全|則|"
    r"option|choice|statement|is|are|was|clearly|also|both|all|\s)*"
)
_CALLED_WRONG = re.compile(
    _SAID_OF + r"(?:不正[確确]|不對|不对|不符|不成立|不合|不適|不可|不能|不會|不是|並不|並非|非正|錯|错|有誤|誤|"
    r"(?:可以|可|被|應|應該|應予)?(?:先)?(?:排除|刪去|刪除)|可排除|"
    r"incorrect|wrong|false|not\b|isn't|aren't|can be (?:eliminated|ruled out|excluded)|eliminated)",
    re.IGNORECASE,
)
_CALLED_RIGHT = re.compile(
    _SAID_OF + r"(?:才|就|應該|應|會|為|是|最|最為|the|most)*\s*"
    r"(?:正[確确]|對的|对的|無誤|為真|真的|屬實|[對对](?=$|[。,!\s])|(?:沒有?|未)被(?:排除|刪除|刪去)|較[為]?(?:佳|好|合理|適當)|正解|(?:最佳|最適當|最合適|最合理)?(?:的)?答案(?!是|為|應|:)|(?:最佳|適當|適合|合理|合適|符合)|"
    r"correct|right|true|answer|best)",
    re.IGNORECASE,
)
# 不是 A，是 B; not A but B.
_PUT_RIGHT_CUE = re.compile(
    rf"(?:不是|並非|不為|(?<![A-Za-z])(?:not|isn't))\s*(?:選項|option)?\s*{_OPEN}?\s*[A-F]\s*{_CLOSE}?\s*(?:選項)?[,;]?\s*"
    rf"(?:是|but(?:\s+rather)?|rather)\s*(?:選項|option)?[\s:]*{_OPEN}?$",
    re.IGNORECASE,
)
_CUES = (
    (_FINAL_CUE, Force.FINAL),
    (_ANSWER_CUE, Force.ANSWER),
    (_CHOICE_CUE, Force.CHOSEN),
    (_PUT_RIGHT_CUE, Force.CHOSEN),
)
_LEFT_OVER = re.compile(r"剩|leav", re.IGNORECASE)
# B 才對 says that nothing else is.
_ALONE_RIGHT = re.compile(r"^\s*[)\]}」』]*\s*(?:選項|項)?\s*才(?!不|非|沒)")
_ASKED = re.compile(r"^\s*[)\]」』]*\s*(?:選項)?\s*(?:嗎|吗|麼|\?|還是|或是不是)")
_BOUNDARY_AFTER = re.compile(
    r"$|[\s)\]}」』》】\"'”’.,:;!?、。，；：！？\-—–|/=<\\]|"
    r"選|选|項|项|是|為|为|才|最|比|的|不|錯|错|對|对|也|因|喔|哦|啊|吧|呢|嗎|和|與|及|或|正|符|而|但|且|皆|均|都|有誤|並|所|這|敘|說|答|應|看|則|跟|還|以及|可|就|無"
)
_LIST_GOES_ON = re.compile(r"^\s*(?:$|[\n.。;]|[,;]\s*(?:and |or |和|與|或)?\(?[A-F](?![A-Za-z0-9]))")
_NEGATIVE = re.compile(
    r"不|錯|誤|非|無|未|沒|否|除|(?<![a-z])(?:not|no|never|wrong|false|incorrect)(?![a-z])|n't", re.IGNORECASE
)
_GIVES_REASON = re.compile(r"^\W*(?:因為|因|由於|because|since)", re.IGNORECASE)
_CLAUSE = re.compile(r"[^,。;!?\n]*")
_THING_BEFORE = re.compile(
    r"(?:維生素|維他命|向量|集合|事件|點|圖|表|元素|公司|國|型|類|組|第|音|語言|程式|"
    r"(?<![a-z])(?:vitamin|hepatitis|group|type|class|point|figure|team|plan|grade|appendix|table|section|set))\s*$",
    re.IGNORECASE,
)
_WORD_AFTER = re.compile(r"^\s+[a-z]")
_VERB_AFTER = re.compile(
    r"^\s+(?:is|was|are|because|since|as|seems|would|should|must|and|or|but|has|looks|can|for|with|in|at|to|means|so)\b"
)
_LINE_HEAD = re.compile(r"(?:^|\n)(?:\s*(?:so|thus|hence|therefore)(?![a-z]),?)?[\s\-•・(\[「【]*$", re.IGNORECASE)
_LINE_TAIL = re.compile(r"[\s.。!,，]*(?:$|\n)")
_PREFIX_OF_LEAD = re.compile(r"^(?:[)\]}.:、,。]|\s*[-—–]\s|\s*\n|\s*選項)")
_NAMED_BEFORE = re.compile(rf"(?:選項|选项|option|choice)\s*{_OPEN}?\s*$", re.IGNORECASE)


def find_claims(text: str, letters: str, keys: Sequence[str] = ()) -> tuple[Claim, ...]:
    """Return what a cleaned answer says of each letter, in order.

    Args:
        text: of `clean_answer`.
        letters: of the question; a letter beyond them is a claim too, and no option.
        keys: of the option texts (`option_keys`); what merely restates a letter's own option says nothing of it, and
            letters inside that text are passed over. Empty where the texts are not known.
    """
    texts = find_option_texts(text, letters, keys)
    claims = [
        Claim(
            letters=frozenset(found.letter),
            force=Force.ANSWER if found.cued else Force.CHOSEN,
            start=found.start,
            end=found.end,
        )
        for found in texts
        if not _is_said_only(text[max(0, found.start - _BEFORE_CHARS) : found.start])
        and not is_called_wrong(text[found.end : found.end + _AFTER_CHARS])
    ]
    covered = [(found.start, found.end) for found in texts]
    for group in _groups(text, letters, keys, covered):
        before = text[max(0, group.start - _BEFORE_CHARS) : group.start]
        after = text[group.end : group.end + _AFTER_CHARS]
        at_start = group.start < 4 and not text[: group.start].strip(" ([「【")
        force = _force(before, after, group, at_start=at_start)
        claims.append(Claim(letters=group.letters, force=force, start=group.start, end=group.end))
    claims.sort(key=lambda claim: claim.start)
    return tuple(claim for claim in claims if claim.letters & set(letters) or claim.force >= Force.CHOSEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    letters: frozenset[str]
    start: int
    end: int
    bracketed: bool
    lower: bool
    restated: bool = False
    """The letter's own option text follows."""


def _groups(text: str, letters: str, keys: Sequence[str], covered: Sequence[tuple[int, int]]) -> list[_Group]:
    """Mentions, those joined by 、 or 和 taken together."""
    groups: list[_Group] = []
    passed = 0
    spans = iter((*covered, (len(text), len(text))))
    span = next(spans)
    for match in _MENTION.finditer(text):
        while match.start() >= span[1] < len(text):
            span = next(spans)
        hidden = match.start() < passed or span[0] <= match.start() < span[1]
        found = None if hidden else _group(match, text)
        if found is None:
            continue
        if len(match["letters"]) == 1 and match["letters"].upper() in letters[: len(keys)]:
            key = keys[letters.index(match["letters"].upper())]
            if (end := end_of_option(text, found.end, key)) is not None:
                found, passed = replace(found, restated=True), end
        last = groups[-1] if groups else None
        if (
            last is not None
            and found.start - last.end <= _GAP_CHARS
            and _joined(text[last.end : found.start], text[found.end : found.end + _AFTER_CHARS])
        ):
            groups[-1] = _Group(
                letters=last.letters | found.letters,
                start=last.start,
                end=found.end,
                bracketed=last.bracketed and found.bracketed,
                lower=last.lower or found.lower,
                restated=found.restated,
            )
        else:
            groups.append(found)
    return groups


def _joined(gap: str, after: str) -> bool:
    """Nothing but a joining word or mark between two letters of one line.

    A comma may also end a clause ("選 C，A 錯在…"); it joins only where nothing is said of the second letter.
    """
    if "\n" in gap or _JOIN.fullmatch(gap) is None:
        return False
    return gap.strip() not in {",", ";"} or _LIST_GOES_ON.match(after) is not None


def _group(match: re.Match[str], text: str) -> _Group | None:
    shown = match["letters"]
    after = text[match.end() : match.end() + _AFTER_CHARS]
    closed = match["close"] is not None
    lower = shown.islower()
    before = text[max(0, match.start() - _GAP_CHARS) : match.start()]
    if not closed and (not _BOUNDARY_AFTER.match(after) or _THING_BEFORE.search(before)):
        return None
    # "A triangle", "a mixture": an article, unless a bracket closes or a verb follows.
    if shown in {"A", "a"} and not closed and _WORD_AFTER.match(after) and not _VERB_AFTER.match(after):
        return None
    if lower and not closed and (_WORD_AFTER.match(after) or _touches(text, match)):
        return None
    # The brace of \boxed{C} belongs to the cue before it.
    own_bracket = closed and match["open"] is not None and not match["open"].startswith("{")
    start = match.start() if own_bracket else match.start("letters")
    return _Group(letters=frozenset(shown.upper()), start=start, end=match.end(), bracketed=closed, lower=lower)


def _touches(text: str, match: re.Match[str]) -> bool:
    """A lower-case letter in a formula or a word with an apostrophe: x = a, d'accord."""
    rest = text[match.end() : match.end() + 1]
    return rest in {"'", "=", "+", "-", "*", "/", "^", "_", "²"}


def _is_said_only(lead: str) -> bool:
    """What follows is no answer of the writer's own."""
    return is_supposed(lead) or is_denied(lead) or is_refused(lead)


def _force(before: str, after: str, group: _Group, *, at_start: bool) -> Force:
    for cue, force in _CUES:
        match = cue.search(before)
        if match is not None:
            return _force_of_cue(match, force, before[: match.start()], after, group)
        if force is Force.FINAL and _DENIED_BEFORE.search(before):
            return Force.REJECTED
    wrong = not group.restated and _CALLED_WRONG.match(after) is not None
    asked = _ASKED.match(after) is not None
    if wrong or is_denied(before) or is_refused(before):
        return Force.REJECTED
    if asked:
        return Force.MENTIONED
    return _weak_force(before, after, group, at_start=at_start)


def _force_of_cue(match: re.Match[str], force: Force, lead: str, after: str, group: _Group) -> Force:
    # "我不知道答案，應該是 B": what is denied ends at the comma.
    bound = re.search(r"[,\n]", match[0]) is None
    if bound and (is_denied(lead) or (force is Force.CHOSEN and is_not_chosen(lead))):
        return Force.REJECTED
    if is_refused(lead + match[0]):
        return Force.REJECTED
    # A box is the answer, whatever is said around it.
    if force is Force.FINAL:
        return Force.REJECTED if is_called_wrong(after) else force
    wrong = not group.restated and _CALLED_WRONG.match(after) is not None
    taken_back = is_called_wrong(after) or (wrong and (force is Force.CHOSEN or not _says(match[0])))
    if taken_back or is_supposed(lead) or _ASKED.match(after) or is_of_others(after):
        return Force.MENTIONED
    several_left = _LEFT_OVER.match(match[0].lstrip("只僅")) is not None and len(group.letters) > 1
    return Force.MENTIONED if several_left else force


def _says(cue: str) -> bool:
    """The cue ends in a verb or a colon: 答案是 C 錯誤的敘述 chooses C, 答案 C 錯誤 rejects it."""
    return re.search(r"[是為为:選选]\W*$|is\W*$", cue) is not None


def _weak_force(before: str, after: str, group: _Group, *, at_start: bool) -> Force:
    line_before = before.rsplit("\n", 1)[-1]
    alone = _LINE_HEAD.search(before) is not None or not before.strip()
    if alone and _LINE_TAIL.match(after) and not (group.lower and not group.bracketed and not at_start):
        return Force.CHOSEN
    if not group.restated and not group.lower and _CALLED_RIGHT.match(after):
        if is_supposed(line_before):
            return Force.MENTIONED
        return Force.ANSWER if _ALONE_RIGHT.match(after) else Force.CALLED_RIGHT
    clause = _CLAUSE.match(after)
    doubted = not group.restated and clause is not None and _NEGATIVE.search(clause[0]) is not None
    if at_start and (group.bracketed or group.restated or _PREFIX_OF_LEAD.match(after)):
        return Force.MENTIONED if doubted and not _GIVES_REASON.match(after) else Force.LEADING
    named = group.bracketed or _NAMED_BEFORE.search(before) is not None
    return Force.NAMED if named and not doubted else Force.MENTIONED
