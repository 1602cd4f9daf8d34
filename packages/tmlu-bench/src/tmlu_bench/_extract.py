"""Reading the chosen letter off a generated answer.

Rather ambiguous than wrong: where an answer claims two letters and does not say which one it takes back, no letter is
chosen. The table tests/data/answer_forms.jsonl holds what each reader makes of many forms of answers.
"""

import re
from collections.abc import Callable, Sequence

from tmlu_bench._extract_claims import Claim, Force, find_claims
from tmlu_bench._extract_clean import clean_answer
from tmlu_bench._extract_compat import read_direct, read_reasoned, read_tc_eval
from tmlu_bench._extract_options import contradicts_option, find_heavenly_stem, option_keys
from tmlu_bench._extraction import Extraction, ExtractionStatus, Extractor

_COMPAT: dict[Extractor, Callable[[str], str | None]] = {
    Extractor.COMPAT: read_direct,
    Extractor.COMPAT_COT: read_reasoned,
    Extractor.COMPAT_TC_EVAL: read_tc_eval,
}
_TAKEN_BACK = re.compile(
    r"更正|修正|改為|改成|改選|改答|改正|不對|等等|等一下|抱歉|重新|再想|細想|想一想|回頭看|其實|實際上|事實上|但是|但|然而|不過|最終|最後|"
    r"(?<![a-z])(?:wait|actually|correction|but|however|sorry|mistake|instead|in fact|in reality|finally|"
    r"final|reconsider)",
    re.IGNORECASE,
)
_CONCLUDED = re.compile(
    r"因此|所以|故|可見|綜上|總之|總結|由此|可知|(?<![a-z])(?:therefore|thus|hence|so|in conclusion|overall)(?![a-z])",
    re.IGNORECASE,
)
_REFUSAL = re.compile(
    r"(?:無法|不能|沒辦法|難以|不便|無從|恕不)(?:直接)?(?:回答|作答|判斷|確定|提供|協助|給出|得知|認定|決定|選|辨識|看到)|不知道|不清楚|不確定|資訊不足|資料不足|"
    r"沒有足夠|恕難|不予作答|拒絕回答|"
    r"(?<![a-z])(?:cannot|can['’]t|can not|unable to|won['’]t|not able to|refuse to|decline to)\s+(?:\w+\s+)?"
    r"(?:answer|determine|help|assist|provide|choose|pick|say|comply|decide|select|see)|"
    r"i\s+(?:don't|do not)\s+(?:know|have enough)|not enough information|insufficient information|as an ai",
    re.IGNORECASE,
)


def extract_answer(
    text: str, letters: str, extractor: str | Extractor = Extractor.ROBUST, *, options: Sequence[str] | None = None
) -> Extraction:
    """Read the chosen letter off a generated answer.

    Args:
        text: what the model wrote; may be empty.
        letters: of the question, "ABCD".
        extractor: who reads. The official readers (`compat…`) look for A to F whatever the question has: a letter that
            the question lacks is UNPARSED here and wrong there, so that accuracies agree.
        options: the option texts, for answers that repeat a text instead of a letter; None where they must not count.
            Not read by the official readers.

    Returns:
        The letter, or why there is none; equal for a text with white space around it (except `compat-tc-eval`, which
        reads the very first character).

    Raises:
        ValueError: no extractor has this name.
    """
    reader = Extractor(extractor)
    if reader is not Extractor.ROBUST:
        letter = _COMPAT[reader](text)
        return _found(letter) if letter is not None and letter in letters else _none(ExtractionStatus.UNPARSED)
    cleaned = clean_answer(text)
    if not cleaned:
        return _none(ExtractionStatus.UNPARSED)
    keys = () if options is None else option_keys(options)
    decided = _decide(find_claims(cleaned, letters, keys), cleaned, letters, keys)
    if decided.status is not ExtractionStatus.UNPARSED:
        return decided
    if (letter := find_heavenly_stem(cleaned, letters, options)) is not None:
        return _found(letter)
    return _none(ExtractionStatus.REFUSED if _REFUSAL.search(cleaned) else ExtractionStatus.UNPARSED)


def _decide(claims: Sequence[Claim], text: str, letters: str, keys: Sequence[str]) -> Extraction:
    """Choose among the claims: explicit answers first, then a single leading, called-right or named letter."""
    for least in (Force.CHOSEN, Force.CALLED_RIGHT):
        if explicit := [claim for claim in claims if claim.force >= least]:
            return _decide_explicit(explicit, text, letters, keys)
    for force in (Force.LEADING, Force.NAMED):
        standing = [claim for claim in claims if claim.force is force]
        named = frozenset[str]().union(*(claim.letters for claim in standing))
        if not named:
            continue
        # "C) …" leads an answer, or the first entry of a walk through the options; then others are named too.
        others = frozenset[str]().union(*(claim.letters for claim in claims if claim.force is not Force.REJECTED))
        rivals = others if force is Force.LEADING else named
        if len(rivals) == 1 and rivals <= set(letters):
            return _checked(standing[-1], text, letters, keys)
        return _none(ExtractionStatus.AMBIGUOUS)
    return _none(ExtractionStatus.UNPARSED)


def _decide_explicit(explicit: Sequence[Claim], text: str, letters: str, keys: Sequence[str]) -> Extraction:
    strongest = max(claim.force for claim in explicit)
    last = [claim for claim in explicit if claim.force >= min(strongest, Force.ANSWER)][-1]
    if strongest is Force.FINAL:
        last = [claim for claim in explicit if claim.force is Force.FINAL][-1]
    # "答案是 A……不對，應該是 D": a later, weaker claim stands where the earlier one is taken back before it.
    if _takes_back(explicit[-1], last, text):
        last = explicit[-1]
    if len(last.letters) != 1:
        return _none(ExtractionStatus.AMBIGUOUS)
    if not last.letters <= set(letters):
        return _none(ExtractionStatus.UNPARSED)
    # Of the rivals of one force before the last claim, the nearest decides: what takes it back takes back all of them.
    rivals = [claim for claim in explicit if claim.letters != last.letters]
    nearest = {claim.force: claim for claim in rivals if claim.start < last.start}
    later = [claim for claim in rivals if claim.start > last.start]
    if not all(_superseded(claim, last, text) for claim in (*nearest.values(), *later)):
        return _none(ExtractionStatus.AMBIGUOUS)
    return _checked(last, text, letters, keys)


def _takes_back(claim: Claim, earlier: Claim, text: str) -> bool:
    return claim.start > earlier.start and _TAKEN_BACK.search(text, earlier.end, claim.start) is not None


def _superseded(claim: Claim, last: Claim, text: str) -> bool:
    """An earlier claim of another letter is taken back, or is weaker than the conclusion that follows."""
    if claim.start > last.start:
        return last.force is Force.FINAL and claim.force < Force.ANSWER
    between = text[claim.end : last.end]
    if _TAKEN_BACK.search(between):
        return True
    return claim.force < last.force and _CONCLUDED.search(between) is not None


def _checked(claim: Claim, text: str, letters: str, keys: Sequence[str]) -> Extraction:
    """A letter followed by the text of another option is no answer."""
    (letter,) = claim.letters
    if contradicts_option(text, claim.end, letter, letters, keys):
        return _none(ExtractionStatus.AMBIGUOUS)
    return _found(letter)


def _found(letter: str) -> Extraction:
    return Extraction(letter=letter, status=ExtractionStatus.FOUND)


def _none(status: ExtractionStatus) -> Extraction:
    return Extraction(letter=None, status=status)
