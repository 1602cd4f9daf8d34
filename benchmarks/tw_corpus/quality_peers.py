"""The filters of C4, Gopher and FineWeb2 as datatrove ships them, for comparison with our rules.

Words are cut by datatrove's own tokenizer for Mandarin (language `cmn`), which needs spaCy and jieba.
"""

import importlib
from collections.abc import Callable, Sequence
from typing import Any

_LANGUAGE = "cmn"
# FineWeb2, configs/cmn_Hani.yml (corpus_and_training.md, section 4.1).
_FINEWEB2_STOP_WORDS = tuple("的年在月是和日了於·為有被人中为他與後也而由")


# datatrove ships no stubs and annotates two arguments too narrowly, so its blocks are used untyped.
Block = Any


def peer_filters() -> dict[str, Callable[[str], str | None]]:
    """Name of each peer and the function that gives its reason to drop a text, or None."""
    # datatrove's filters use importlib.metadata without importing it
    importlib.import_module("importlib.metadata")
    blocks: Any = importlib.import_module("datatrove.pipeline.filters")
    repetition, quality = (
        block(language=_LANGUAGE) for block in (blocks.GopherRepetitionFilter, blocks.GopherQualityFilter)
    )
    return {
        "C4": _chain([blocks.C4QualityFilter(language=_LANGUAGE)]),
        "Gopher": _chain([repetition, quality]),
        "FineWeb": _chain([repetition, blocks.FineWebQualityFilter(language=_LANGUAGE)]),
        "FineWeb2 cmn_Hani": _chain(_fineweb2(blocks)),
    }


def _fineweb2(blocks: Any) -> list[Block]:
    return [
        blocks.GopherRepetitionFilter(
            language=_LANGUAGE,
            dup_line_frac=0.287,
            dup_para_frac=0,
            dup_line_char_frac=0,
            dup_para_char_frac=0,
            top_n_grams=((2, 0.256), (3, 0.201), (4, 0.171)),
            dup_n_grams=((5, 0.198), (6, 0.182), (7, 0.167), (8, 0.154), (9, 0.140), (10, 0.127)),
        ),
        blocks.FineWebQualityFilter(
            language=_LANGUAGE,
            line_punct_thr=0.106,
            short_line_thr=999,
            char_duplicates_ratio=0.1,
            new_line_ratio=0.178,
        ),
        blocks.GopherQualityFilter(
            language=_LANGUAGE,
            min_avg_word_length=1,
            max_avg_word_length=5,
            max_non_alpha_words_ratio=0.735,
            min_stop_words=2,
            stop_words=list(_FINEWEB2_STOP_WORDS),
        ),
    ]


def _chain(blocks: Sequence[Block]) -> Callable[[str], str | None]:
    make_document: Any = importlib.import_module("datatrove.data").Document

    def reason_to_drop(text: str) -> str | None:
        document = make_document(text=text, id="")
        for block in blocks:
            result: bool | tuple[bool, str] = block.filter(document)
            if result is False:
                return "dropped"
            if isinstance(result, tuple) and not result[0]:
                return result[1]
        return None

    return reason_to_drop
