"""datatrove's own blocks as speed.py and near_duplicates.py measure them, and the tokenizers that they are given.

The blocks that cut words by datatrove's tokenizer for Mandarin need spaCy and jieba, its encoding repair needs ftfy.
"""

# datatrove uses importlib.metadata without importing it
import importlib.metadata  # isort: skip  # noqa: F401
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
from datatrove.pipeline.filters import FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter
from datatrove.pipeline.formatters import FTFYFormatter, PIIFormatter, SymbolLinesFormatter
from datatrove.utils.hashing import HashConfig
from datatrove.utils.text import TextNormConfig
from datatrove.utils.word_tokenizers import WordTokenizer

from tw_corpus._comparable import comparable_codes

# datatrove annotates some arguments too narrowly, so its blocks are used untyped
Block = Any
Language = str | WordTokenizer

# what FineWeb2 hands to datatrove, which then takes spaCy with jieba
MANDARIN = "cmn_Hani"
# FineWeb2, configs/cmn_Hani.yml: 22 stop words, the tenth is a middle dot
_STOP_WORDS = tuple("的年在月是和日了於·為有被人中为他與後也而由")
_AS_GIVEN = TextNormConfig(
    lowercase=False, norm_whitespace=False, remove_punctuation=False, norm_unicode_diacritics=False, norm_numbers=False
)


class Characters(WordTokenizer):
    """Every character that is no white space is a word."""

    def word_tokenize(self, text: str) -> list[str]:
        """Return the characters."""
        return list("".join(text.split()))

    def sent_tokenize(self, text: str) -> list[str]:
        """Refuse; no block that is measured asks for sentences."""
        raise NotImplementedError(text[:20])

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        """Refuse; no block that is measured asks for sentences."""
        raise NotImplementedError(text[:20])


class ComparableCharacters(Characters):
    """The characters that our MinHash compares: script, case and width folded, punctuation and white space gone."""

    def word_tokenize(self, text: str) -> list[str]:
        """Return the characters."""
        return list(comparable_codes(text).astype("<u4").tobytes().decode("utf-32-le"))


def fineweb2_blocks(language: Language) -> list[Block]:
    """Return the blocks of FineWeb2's filtering and last touches for `cmn_Hani`.

    Order and settings of fineweb-2-pipeline.py (stages 5 and 6) and configs/cmn_Hani.yml of huggingface/fineweb-2;
    language identification and deduplication, which come before, are left out.

    Args:
        language: what the blocks cut words by.
    """
    given: Any = language
    top: Any = ((2, 0.256), (3, 0.201), (4, 0.171))
    duplicated: Any = ((5, 0.198), (6, 0.182), (7, 0.167), (8, 0.154), (9, 0.140), (10, 0.127))
    return [
        GopherRepetitionFilter(
            language=given,
            dup_line_frac=0.287,
            dup_para_frac=0,
            dup_line_char_frac=0,
            dup_para_char_frac=0,
            top_n_grams=top,
            dup_n_grams=duplicated,
        ),
        FineWebQualityFilter(
            language=given, line_punct_thr=0.106, short_line_thr=999, char_duplicates_ratio=0.1, new_line_ratio=0.178
        ),
        GopherQualityFilter(
            language=given,
            min_avg_word_length=1,
            max_avg_word_length=5,
            max_non_alpha_words_ratio=0.735,
            min_stop_words=2,
            stop_words=list(_STOP_WORDS),
        ),
        FTFYFormatter(),
        PIIFormatter(),
        SymbolLinesFormatter(symbols_to_remove=["|"], replace_char="\n"),
    ]


def signature_block(folder: Path, language: Language, *, precision: Any = 64, normalise: bool = True) -> Block:
    """Return datatrove's MinHash signature with FineWeb2's 14 buckets of 8 hashes over 5-grams of words.

    Args:
        folder: of the signatures.
        language: what the block cuts words by.
        precision: bits of a hash, 32 or 64; FineWeb2 takes 64.
        normalise: datatrove's own simplification of the text; False hands the text to the tokenizer as it is.
    """
    config = MinhashConfig(
        hash_config=HashConfig(precision=precision), norm_config=TextNormConfig() if normalise else _AS_GIVEN
    )
    given: Any = language
    return MinhashDedupSignature(str(folder), config, language=given)


def bucket_signatures(block: Block, text: str) -> list[tuple[int, ...]] | None:
    """Return the signature of each bucket as datatrove computes it; None where the text has no n-gram."""
    shingles = block.get_shingles(text)
    return None if not len(shingles) else [tuple(part) for part in block.get_signature(shingles)]


def documents_of(texts: list[str]) -> list[Document]:
    """Return fresh documents for a pipeline, which changes them."""
    return [Document(text=text, id=str(number)) for number, text in enumerate(texts)]
