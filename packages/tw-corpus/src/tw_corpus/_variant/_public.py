"""The functions that people call; what needs numpy is imported when they run."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tw_corpus._variant._types import VariantVerdict

if TYPE_CHECKING:
    from tw_corpus._variant._model import VariantModel


def classify_variant(text: str, *, max_evidence: int = 10, model: "VariantModel | None" = None) -> VariantVerdict:
    """Tell which variety of Chinese `text` is worded in, its script, and whether it was converted from Simplified.

    Wording and script are two things: Mainland wording in Traditional characters is `zh-CN` and `Hant`. The wording is
    judged on script-folded text; besides, where the script is Traditional, by which of several Traditional forms the
    text writes (裡 or 裏, 著 or 着). Any string is accepted, lone surrogates too. Memory does not grow with the length
    of the text beyond a constant.

    Args:
        text: any string; `normalize` it first, as full-width and compatibility forms are not mapped here.
        max_evidence: most spans to give; 0 leaves the search for them out.
        model: another model than the one that ships with the package.

    Returns:
        The verdict. Text without ideographs, empty text included, is `other` with probability 1; a short sentence
        that several varieties share gets the label that is a little more probable, and is not `decided`.

    Raises:
        ArtifactError: the model that ships with the package is damaged.
        ConfigError: `max_evidence` is below 0.
    """
    from tw_corpus._variant import _classify, _model

    return _classify.classify(text, max_evidence=max_evidence, model=model or _model.load_variant_model())


def classify_variants(texts: Sequence[str], *, max_evidence: int = 10) -> list[VariantVerdict]:
    """Tell of each of `texts` what `classify_variant` tells, to the last digit.

    Without evidence short texts are judged together, which takes a fraction of the time.

    Args:
        texts: any strings.
        max_evidence: most spans to give of each; 0 leaves the search for them out.

    Returns:
        The verdicts, in the order of the texts.

    Raises:
        ArtifactError: the model that ships with the package is damaged.
        ConfigError: `max_evidence` is below 0.
    """
    from tw_corpus._variant import _classify, _model

    return _classify.classify_each(texts, max_evidence=max_evidence, model=_model.load_variant_model())


def load_variant_model(path: Path | None = None) -> "VariantModel":
    """Read a model that `tw-corpus train-variant-model` wrote; without a path, the shipped one (read once).

    Raises:
        ArtifactError: the file is no model, is of another schema version, was changed, or lacks what a model needs; the
            message names the fix.
        OSError: the file cannot be read.
    """
    from tw_corpus._variant import _model

    return _model.load_variant_model(path)
