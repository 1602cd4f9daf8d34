"""What a curation counts while it runs: outcomes, changes, samples, documents near a threshold.

A tally is filled inside a task, stored with the task's output, and merged at the end. Merging is associative and
commutative, so the result depends neither on the number of workers nor on the order in which tasks end.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from tw_corpus._pii import PLACEHOLDERS, find_pii
from twllm_types import ArtifactError, JsonObject

KEPT = "kept"
EXACT_DUPLICATE = "exact_duplicate"
NEAR_DUPLICATE = "near_duplicate"
INPUT_FIELD = "input"
NUM_SAMPLES = 12
NUM_NEAR = 12
NUM_CLUSTERS = 8
EXCERPT_CHARS = 600
_LONGEST_VALUE_CHARS = 400
NEAR_MARGIN = 0.1
_COUNTERS = (
    "num_documents",
    "num_chars",
    "num_records",
    "faults",
    "ignored",
    "changes",
    "boilerplate",
    "encodings",
    "scripts",
    "variants",
    "pii",
    "plugin_outcomes",
    "plugin_values",
    "cluster_sizes",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One document as the report shows it.

    Attributes:
        key: hash of the id; the smallest keys of an outcome are its samples, which makes the choice random but fixed.
        id: document id.
        source: input that the document came from.
        outcome: `kept` or the reason of rejection.
        detail: what decided, in words; empty for kept documents.
        excerpt: beginning of the text, personal data masked.
        num_chars: length of the whole text in characters.
    """

    key: str
    id: str
    source: str
    outcome: str
    detail: str
    excerpt: str
    num_chars: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NearMiss:
    """One document close to a threshold.

    Attributes:
        margin: relative distance to the threshold, >= 0.
        id: document id.
        source: input that the document came from.
        rule: which threshold.
        kept: on which side the document fell.
        value: measured.
        threshold: of the rule.
        excerpt: beginning of the text, personal data masked.
    """

    margin: float
    id: str
    source: str
    rule: str
    kept: bool
    value: float
    threshold: float
    excerpt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Near-duplicates of which one document stayed.

    Attributes:
        size: documents before the others were dropped, >= 2.
        id: of the document that stayed.
        source: input that it came from.
    """

    size: int
    id: str
    source: str


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts of one task or of a whole stage; an accumulator, so not frozen.

    Attributes:
        num_documents: by (input, genre, outcome).
        num_chars: the same, in characters.
        num_records: records that the readers met, by source: documents, faults and ignored records together.
        faults: by (source, reason).
        ignored: records that are no documents (WARC requests), by (source, kind).
        changes: of normalisation, by kind.
        boilerplate: removed lines, by rule.
        encodings: decoded pages, by (encoding, evidence).
        scripts: documents, by script.
        variants: documents, by (variety of the wording, script, "converted" or "-").
        pii: personal data found, by kind.
        plugin_outcomes: documents that came to a plug-in measure, by (measure, outcome).
        plugin_values: documents that it measured, by (measure, value to two significant digits).
        cluster_sizes: clusters of near-duplicates, by their number of documents.
        samples: by outcome.
        near: by rule.
        clusters: the largest ones.
    """

    num_documents: Counter[str] = field(default_factory=Counter[str])
    num_chars: Counter[str] = field(default_factory=Counter[str])
    num_records: Counter[str] = field(default_factory=Counter[str])
    faults: Counter[str] = field(default_factory=Counter[str])
    ignored: Counter[str] = field(default_factory=Counter[str])
    changes: Counter[str] = field(default_factory=Counter[str])
    boilerplate: Counter[str] = field(default_factory=Counter[str])
    encodings: Counter[str] = field(default_factory=Counter[str])
    scripts: Counter[str] = field(default_factory=Counter[str])
    variants: Counter[str] = field(default_factory=Counter[str])
    pii: Counter[str] = field(default_factory=Counter[str])
    plugin_outcomes: Counter[str] = field(default_factory=Counter[str])
    plugin_values: Counter[str] = field(default_factory=Counter[str])
    cluster_sizes: Counter[str] = field(default_factory=Counter[str])
    samples: dict[str, list[Sample]] = field(default_factory=dict[str, list[Sample]])
    near: dict[str, list[NearMiss]] = field(default_factory=dict[str, list[NearMiss]])
    clusters: list[Cluster] = field(default_factory=list[Cluster])

    def add_document(
        self, *, document_id: str, source: str, genre: str, outcome: str, text: str, detail: str = ""
    ) -> None:
        """Count one document with its outcome and offer it as a sample."""
        key = join_key(source, genre, outcome)
        self.num_documents[key] += 1
        self.num_chars[key] += len(text)
        sample = Sample(
            key=hashlib.sha256(document_id.encode()).hexdigest()[:16],
            id=document_id,
            source=source,
            outcome=outcome,
            detail=detail,
            excerpt=text,
            num_chars=len(text),
        )
        chosen = _smallest_samples([*self.samples.get(outcome, ()), sample])
        # only what is shown is searched for personal data
        self.samples[outcome] = [replace(row, excerpt=_excerpt(text)) if row is sample else row for row in chosen]

    def add_near(self, miss: NearMiss) -> None:
        """Offer a document as one of the nearest to its threshold; far ones are not kept.

        Args:
            miss: its excerpt may be the whole text; it is cut and masked here.
        """
        if miss.margin <= NEAR_MARGIN:
            nearest = _nearest([*self.near.get(miss.rule, ()), miss])
            self.near[miss.rule] = [
                replace(row, excerpt=_excerpt(miss.excerpt)) if row is miss else row for row in nearest
            ]

    def add_cluster(self, cluster: Cluster) -> None:
        """Count a cluster of near-duplicates and offer it as one of the largest."""
        self.cluster_sizes[str(cluster.size)] += 1
        self.clusters = _largest([*self.clusters, cluster])

    def merge(self, other: "Tally") -> None:
        """Add the counts of `other`."""
        for name in _COUNTERS:
            getattr(self, name).update(getattr(other, name))
        for outcome, samples in other.samples.items():
            self.samples[outcome] = _smallest_samples([*self.samples.get(outcome, ()), *samples])
        for rule, misses in other.near.items():
            self.near[rule] = _nearest([*self.near.get(rule, ()), *misses])
        self.clusters = _largest([*self.clusters, *other.clusters])

    def merged(self, other: "Tally") -> "Tally":
        """Return the sum of both; neither is changed."""
        total = Tally()
        total.merge(self)
        total.merge(other)
        return total

    def to_json(self) -> JsonObject:
        """Return the stored form; `from_json` reads it back."""
        stored: dict[str, Any] = {name: dict(sorted(getattr(self, name).items())) for name in _COUNTERS}
        stored["samples"] = {name: [asdict(sample) for sample in rows] for name, rows in sorted(self.samples.items())}
        stored["near"] = {name: [asdict(miss) for miss in rows] for name, rows in sorted(self.near.items())}
        stored["clusters"] = [asdict(cluster) for cluster in self.clusters]
        return stored

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read what `to_json` returned.

        Raises:
            ArtifactError: the object is no tally of this version.
        """
        try:
            counters: dict[str, Any] = {name: Counter(stored[name]) for name in _COUNTERS}
            return cls(
                **counters,
                samples={name: [Sample(**row) for row in rows] for name, rows in stored["samples"].items()},
                near={name: [NearMiss(**row) for row in rows] for name, rows in stored["near"].items()},
                clusters=[Cluster(**row) for row in stored["clusters"]],
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ArtifactError(f"stored counts are not of this version ({error}); use a new --output") from error


def join_key(*parts: str) -> str:
    """Join parts of a counter's key; the separator cannot stand in a file name or reason."""
    return "\t".join(part.replace("\t", " ") for part in parts)


def split_key(key: str) -> tuple[str, ...]:
    """Undo `join_key`."""
    return tuple(key.split("\t"))


def totals(counter: Mapping[str, int], *positions: int) -> dict[tuple[str, ...], int]:
    """Sum a counter over all key parts but those at `positions`; sorted by key."""
    sums: Counter[tuple[str, ...]] = Counter()
    for key, count in counter.items():
        parts = split_key(key)
        sums[tuple(parts[position] for position in positions)] += count
    return dict(sorted(sums.items()))


def _excerpt(text: str) -> str:
    """Return the first `EXCERPT_CHARS` characters with personal data masked, also where the recipe leaves it."""
    pieces: list[str] = []
    end = 0
    # a value that the cut would split is seen whole
    for finding in find_pii(text[: EXCERPT_CHARS + _LONGEST_VALUE_CHARS]):
        if finding.start < EXCERPT_CHARS:
            pieces += [text[end : finding.start], PLACEHOLDERS[finding.kind]]
            end = finding.end
    return "".join([*pieces, text[end:EXCERPT_CHARS]])


def _smallest_samples(samples: Iterable[Sample]) -> list[Sample]:
    return sorted(samples, key=lambda sample: (sample.key, sample.id))[:NUM_SAMPLES]


def _nearest(misses: Iterable[NearMiss]) -> list[NearMiss]:
    return sorted(misses, key=lambda miss: (miss.margin, miss.id))[:NUM_NEAR]


def _largest(clusters: Iterable[Cluster]) -> list[Cluster]:
    return sorted(clusters, key=lambda cluster: (-cluster.size, cluster.id, cluster.source))[:NUM_CLUSTERS]
