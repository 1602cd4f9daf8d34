"""MinHash signatures of texts, compared by character shingles (Broder 1997); arithmetic only.

Shapes: N shingles, H hashes of a signature.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from tw_corpus._comparable import Hashes, comparable_codes, shingle_hashes
from twllm_types import ConfigError

Signature: TypeAlias = npt.NDArray[np.uint32]

# rows of the (N, H) product that are worked on at once: 1,024 x 112 words of 8 bytes stay in a core's cache
_ROWS_AT_ONCE = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class MinHashOptions:
    """How near-duplicates are found.

    Two texts with Jaccard similarity s of their shingles share a bucket with probability
    1 - (1 - s^hashes_per_bucket)^num_buckets: 0.92 at s = 0.8 and 0.56 at s = 0.7 with the defaults, which are those of
    FineWeb2 for buckets and hashes; shingles are of characters instead of words. Of the pairs that share a bucket only
    those stay whose whole signatures agree often enough: chance brings together pairs of s = 0.6 too.

    Attributes:
        shingle_chars: characters per shingle, >= 1.
        num_buckets: buckets, >= 1.
        hashes_per_bucket: hashes that must agree within a bucket, >= 1.
        min_shingles: texts with fewer shingles are never near-duplicates of another, >= 1.
        min_agreement: least share of all hashes that must agree, which estimates s, in (0, 1]; None asks for a bucket
            only.
        seed: of the hash functions, >= 0.

    Raises:
        ConfigError: a number is out of its range.
    """

    shingle_chars: int = 5
    num_buckets: int = 14
    hashes_per_bucket: int = 8
    min_shingles: int = 20
    min_agreement: float | None = 0.75
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("shingle_chars", "num_buckets", "hashes_per_bucket", "min_shingles"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; give a number >= 1")
        if self.min_agreement is not None and not 0 < self.min_agreement <= 1:
            raise ConfigError(
                f"min_agreement is {self.min_agreement}; give a share in (0, 1], or null for a bucket only"
            )
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}; give a number >= 0")

    @property
    def num_hashes(self) -> int:
        """Hashes of a whole signature."""
        return self.num_buckets * self.hashes_per_bucket


class MinHasher:
    """The hash functions of one `MinHashOptions`."""

    def __init__(self, options: MinHashOptions) -> None:
        """Draw the hash functions from the options' seed."""
        self.options = options
        generator = np.random.Generator(np.random.PCG64(options.seed))
        shape = options.num_hashes
        # x -> a x + b modulo 2^64 with odd a is a bijection; its high 32 bits are kept (Dietzfelbinger 1996)
        self._multipliers = generator.integers(0, 2**63, size=shape, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
        self._offsets = generator.integers(0, 2**64, size=shape, dtype=np.uint64, endpoint=False)

    def signature(self, text: str) -> Signature | None:
        """Return the signature of a text, shape (H,), or None where it has fewer than `min_shingles` shingles."""
        shingles = shingle_hashes(comparable_codes(text), self.options.shingle_chars)
        if len(shingles) < self.options.min_shingles:
            return None
        return self.signature_of(shingles)

    def signature_of(self, shingles: Hashes) -> Signature:
        """Return the signature of shingle hashes.

        Args:
            shingles: shape (N,), N >= 1; order and repetition make no difference.

        Returns:
            Minima of the hash functions over the shingles, shape (H,).
        """
        minima = np.full(self.options.num_hashes, np.iinfo(np.uint64).max, dtype=np.uint64)
        block_NH = np.empty((min(_ROWS_AT_ONCE, len(shingles)), self.options.num_hashes), dtype=np.uint64)
        for start in range(0, len(shingles), _ROWS_AT_ONCE):
            rows = shingles[start : start + _ROWS_AT_ONCE, None]
            hashed_NH = block_NH[: len(rows)]
            np.multiply(rows, self._multipliers, out=hashed_NH)
            hashed_NH += self._offsets
            np.minimum(minima, hashed_NH.min(axis=0), out=minima)
        return (minima >> np.uint64(32)).astype(np.uint32)


def jaccard(first: str, second: str, *, shingle_chars: int = 5) -> float:
    """Return the exact Jaccard similarity of two texts' shingles, in [0, 1]; 0 where neither has a shingle."""
    one = set(shingle_hashes(comparable_codes(first), shingle_chars).tolist())
    other = set(shingle_hashes(comparable_codes(second), shingle_chars).tolist())
    return len(one & other) / len(one | other) if one or other else 0.0
