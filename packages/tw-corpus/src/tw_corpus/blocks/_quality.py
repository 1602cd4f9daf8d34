"""The quality filter as a datatrove block."""
# datatrove's blocks are untyped in part
# pyright: standard

from dataclasses import asdict

from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.writers.disk_base import DiskWriter

from tw_corpus._measure import BATCH_DOCUMENTS, Measures, measure_each
from tw_corpus._rules import QualityRules, Rejected, decide, margins
from tw_corpus._script import MIN_SIMPLIFIED_CHARS, ScriptCounts, decide_script
from tw_corpus._tally import INPUT_FIELD, NEAR_MARGIN, NearMiss, Tally


class QualityFilter(BaseFilter):
    """Measures every document and keeps those that the rules keep.

    A rejected document carries `filter_reason`, `filter_value`, `filter_threshold` and `measures` in its metadata.
    """

    name = "tw-corpus quality"

    def __init__(
        self, rules: QualityRules, *, exclusion_writer: DiskWriter | None = None, tally: Tally | None = None
    ) -> None:
        """Filter by `rules`.

        Args:
            rules: thresholds.
            exclusion_writer: takes the rejected documents.
            tally: counts scripts, rejections and documents near a threshold there.
        """
        # datatrove annotates the optional argument without None
        super().__init__(exclusion_writer, batch_size=BATCH_DOCUMENTS)  # pyright: ignore[reportArgumentType]
        self.rules = rules
        self.tally = tally

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        """Return True to keep, or (False, reason)."""
        return self.filter_batch([doc])[0]

    def filter_batch(self, batch: list[Document]) -> list[bool | tuple[bool, str]]:
        """Return the same for each of some documents, which are measured together."""
        measured = measure_each([doc.text for doc in batch])
        return [self._judge(doc, measures) for doc, measures in zip(batch, measured, strict=True)]

    def _judge(self, doc: Document, measures: Measures) -> bool | tuple[bool, str]:
        decision = decide(measures, self.rules)
        if self.tally is not None:
            self._count(self.tally, doc, measures, decision if isinstance(decision, Rejected) else None)
        if not isinstance(decision, Rejected):
            return True
        doc.metadata["filter_value"] = decision.value
        doc.metadata["filter_threshold"] = decision.threshold
        doc.metadata["measures"] = asdict(measures)
        return False, decision.reason

    def _count(self, tally: Tally, doc: Document, measures: Measures, rejected: Rejected | None) -> None:
        script_counts = ScriptCounts(
            num_han=measures.num_han_chars,
            num_simplified_only=measures.num_simplified_only,
            num_traditional_only=measures.num_traditional_only,
        )
        tally.scripts[decide_script(script_counts, min_simplified_chars=MIN_SIMPLIFIED_CHARS)] += 1
        source = str(doc.metadata.get(INPUT_FIELD, "-"))
        if rejected is not None:
            tally.add_document(
                document_id=doc.id,
                source=source,
                genre=str(doc.metadata.get("genre", "-")),
                outcome=rejected.reason,
                text=doc.text,
                detail=f"measured {rejected.value:.4g}, threshold {rejected.threshold:.4g}",
            )
        for margin in margins(measures, self.rules, within=NEAR_MARGIN):
            # a kept document is near any of its thresholds, a rejected one near the one that decided
            if rejected is None or rejected.reason == margin.reason:
                tally.add_near(
                    NearMiss(
                        margin=abs(margin.distance),
                        id=doc.id,
                        source=source,
                        rule=margin.reason,
                        kept=rejected is None,
                        value=margin.value,
                        threshold=margin.threshold,
                        excerpt=doc.text,
                    )
                )
