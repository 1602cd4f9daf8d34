"""What a curation does with the variety of a document."""

from dataclasses import dataclass

from tw_corpus._variant import Variant
from twllm_types import ConfigError

_ALL = tuple(Variant)


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantOptions:
    """What becomes of a document by its variety.

    Attributes:
        keep: varieties that stay. By default all do, and the variety is a tag: text that the model cannot decide is
            never dropped unless asked for.
        keep_converted: whether Traditional text that was converted from Simplified stays.
        min_probability: a variety is dropped only when the model gives it at least this probability, in [0, 1].

    Raises:
        ConfigError: nothing would be kept, or the probability is out of range.
    """

    keep: tuple[Variant, ...] = _ALL
    keep_converted: bool = True
    min_probability: float = 0.9

    def __post_init__(self) -> None:
        if not self.keep:
            raise ConfigError(f"keep is empty, so no document would stay; give some of {', '.join(_ALL)}")
        if not 0 <= self.min_probability <= 1:
            raise ConfigError(f"min_probability is {self.min_probability}; give a number from 0 to 1")
