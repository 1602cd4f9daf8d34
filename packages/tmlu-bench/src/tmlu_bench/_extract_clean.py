"""An answer made ready for reading: reasoning cut off, letters in one spelling, mark-up removed. Linear in length."""

import re
import unicodedata

_THINK_OPEN = re.compile(r"<\s*(?:think|thinking|thought|reasoning)\s*>|◁think▷", re.IGNORECASE)
_THINK_CLOSE = re.compile(r"<\s*/\s*(?:think|thinking|thought|reasoning)\s*>|◁/think▷", re.IGNORECASE)
_NEXT_QUESTION = re.compile(r"\n\s*(?:問題|題目|问题|Question)\s*\d*\s*:")
_WRAPPED_LETTER = re.compile(
    r"\\(?:text|textbf|mathrm|mathbf|mathit|rm|bf|operatorname)\s*\{\s*(\(?\s*[A-Za-z]\s*\)?[.]?)\s*\}"
)
_LATEX = re.compile(r"\\[()\[\]]|\$+|\\(?:left|right|displaystyle|quad|,|;|!)")
_MARKUP = re.compile(r"\*+|`+|~~|__+|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|^(?:>|#{1,3}(?!#)) ?", re.MULTILINE)
_TAGS = re.compile(r"</?(?:b|i|u|p|em|strong|span|br|div|code) ?/?>")  # not <B>, which is an option
_ROLE = re.compile(r"<\|[a-zA-Z0-9_]{1,40}\|>|</s>")
_BLANKS = re.compile(r"[^\S\n]+")
_BLANK_LINES = re.compile(r"\n(?: ?\n)+")
_INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad]")


def clean_answer(text: str) -> str:
    """Return what of an answer can choose an option.

    Cut off: `<think>` blocks; what stands before a closing tag without an opening one, which a chat template may have
    written; what stands after an opening tag without a closing one, since a train of thought that was cut is no answer;
    and a further 問題： that a base model asks itself. NFKC makes full-width and circled letters plain ones.
    """
    text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", _without_thoughts(text)))
    # Runs of white space would make the patterns that allow for some of it quadratic.
    text = _BLANK_LINES.sub("\n\n", _BLANKS.sub(" ", text))
    text = _ROLE.sub("", _TAGS.sub("", text)).strip()
    if match := _NEXT_QUESTION.search(text):
        text = text[: match.start()]
    text = _LATEX.sub("", _WRAPPED_LETTER.sub(r"\1", text))
    return _MARKUP.sub("", text).strip()


def _without_thoughts(text: str) -> str:
    closings = list(_THINK_CLOSE.finditer(text))
    if closings:
        first_open = _THINK_OPEN.search(text)
        # Text before the first block may be an answer; without an opening tag all before the end is thought.
        before = text[: first_open.start()] if first_open and first_open.start() < closings[0].start() else ""
        after = text[closings[-1].end() :]
        text = after if after.strip() else before
    if match := _THINK_OPEN.search(text):
        text = text[: match.start()]
    return text
