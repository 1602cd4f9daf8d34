"""Notes the variety of each document, and drops the varieties that a recipe does not keep."""
# datatrove's blocks are untyped in part
# pyright: standard

from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.writers.disk_base import DiskWriter

from tw_corpus._measure import BATCH_DOCUMENTS
from tw_corpus._tally import Tally, join_key
from tw_corpus._variant import VariantVerdict, classify_variants
from tw_corpus._variant_options import VariantOptions
from tw_corpus.blocks._exact import count_document


class ClassifyVariant(BaseFilter):
    """Adds `variant`, `variant_probability` and `converted_probability` to the metadata of each document.

    Reasons of rejection: `variant_<label>` and `converted_from_simplified`.
    """

    name = "tw-corpus variant"

    def __init__(
        self, options: VariantOptions, *, tally: Tally | None = None, exclusion_writer: DiskWriter | None = None
    ) -> None:
        """Classify.

        Args:
            options: what is kept.
            tally: counts varieties and rejections there.
            exclusion_writer: takes the rejected documents.
        """
        # datatrove annotates the optional argument without None
        super().__init__(exclusion_writer, batch_size=BATCH_DOCUMENTS)  # pyright: ignore[reportArgumentType]
        self.options = options
        self.tally = tally

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        """Return True to keep, or (False, reason)."""
        return self.filter_batch([doc])[0]

    def filter_batch(self, batch: list[Document]) -> list[bool | tuple[bool, str]]:
        """Return the same for each of some documents, which are classified together."""
        verdicts = classify_variants([doc.text for doc in batch], max_evidence=0)
        return [self._judge(doc, verdict) for doc, verdict in zip(batch, verdicts, strict=True)]

    def _judge(self, doc: Document, verdict: VariantVerdict) -> bool | tuple[bool, str]:
        probability = verdict.probabilities[verdict.label]
        doc.metadata["variant"] = str(verdict.label)
        doc.metadata["variant_probability"] = round(probability, 4)
        doc.metadata["converted_probability"] = round(verdict.converted_probability, 4)
        if self.tally is not None:
            converted = "converted" if verdict.converted_from_simplified else "-"
            self.tally.variants[join_key(str(verdict.label), str(verdict.script), converted)] += 1
        if verdict.label not in self.options.keep and probability >= self.options.min_probability:
            return self._rejected(doc, f"variant_{verdict.label}", probability)
        if (
            not self.options.keep_converted
            and verdict.converted_from_simplified
            and verdict.converted_probability >= self.options.min_probability
        ):
            return self._rejected(doc, "converted_from_simplified", verdict.converted_probability)
        return True

    def _rejected(self, doc: Document, reason: str, probability: float) -> tuple[bool, str]:
        doc.metadata["filter_value"] = probability
        doc.metadata["filter_threshold"] = self.options.min_probability
        if self.tally is not None:
            count_document(self.tally, doc, reason, f"probability {probability:.3f}")
        return False, reason
