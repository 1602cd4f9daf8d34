"""Applies the plug-in measures of a recipe, and drops the documents that their thresholds do not keep."""
# datatrove's blocks are untyped in part
# pyright: standard

from collections.abc import Sequence

from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.writers.disk_base import DiskWriter

from tw_corpus._plugin_measure import PluginMeasure, decide_value, value_margins
from tw_corpus._plugin_summary import count_value
from tw_corpus._plugins import Unmeasured, load, measure_text
from tw_corpus._rules import Rejected
from tw_corpus._tally import INPUT_FIELD, NearMiss, Tally
from tw_corpus.blocks._exact import count_document


class PluginFilter(BaseFilter):
    """Measures every document with plug-ins, in their order, and keeps those within all thresholds.

    A document carries each value under the measure's name. The first threshold that fails decides, and later measures
    are not asked; the rejected document carries `filter_reason`, `filter_value`, `filter_threshold` and `measures`.

    A measure that fails on a document gives no value: None stands under its name and the error under `<name>_error`.
    Where the measure has a threshold nobody knows on which side the document lies, so it is left out, with the reason
    `failed_<name>`; where it has none the document stays. Both are counted, and end the run with faults. The run goes
    on: one odd text among millions must not stop it, and no failure passes for a value.
    """

    name = "tw-corpus plug-in measures"

    def __init__(
        self,
        measures: Sequence[PluginMeasure],
        *,
        tally: Tally | None = None,
        exclusion_writer: DiskWriter | None = None,
    ) -> None:
        """Measure; the plug-ins are made in the process that measures the first document.

        Args:
            measures: which ones, with their thresholds.
            tally: counts values, failures, rejections and documents near a threshold there.
            exclusion_writer: takes the documents that are left out.
        """
        # datatrove annotates the optional argument without None
        super().__init__(exclusion_writer)  # pyright: ignore[reportArgumentType]
        self.measures = tuple(measures)
        self.tally = tally

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        """Return True to keep, or (False, reason).

        Raises:
            ConfigError: a plug-in cannot be made in this process.
        """
        values: dict[str, float] = {}
        for measure in self.measures:
            value = measure_text(load(measure), doc.text)
            reason = (
                self._failed(doc, measure, value)
                if isinstance(value, Unmeasured)
                else self._judged(doc, measure, value, values)
            )
            if reason is not None:
                doc.metadata["measures"] = values
                return False, reason
        return True

    def _failed(self, doc: Document, measure: PluginMeasure, failure: Unmeasured) -> str | None:
        doc.metadata[measure.name] = None
        doc.metadata[f"{measure.name}_error"] = failure.error
        if self.tally is not None:
            count_value(self.tally, measure.name, measure.failure, None)
        if not measure.limits:
            return None
        if self.tally is not None:
            count_document(self.tally, doc, measure.failure, failure.error)
        return measure.failure

    def _judged(self, doc: Document, measure: PluginMeasure, value: float, values: dict[str, float]) -> str | None:
        doc.metadata[measure.name] = values[measure.name] = value
        decision = decide_value(value, measure)
        rejected = decision if isinstance(decision, Rejected) else None
        if self.tally is not None:
            self._count(self.tally, doc, measure, value, rejected)
        if rejected is None:
            return None
        doc.metadata["filter_value"] = rejected.value
        doc.metadata["filter_threshold"] = rejected.threshold
        return rejected.reason

    def _count(
        self, tally: Tally, doc: Document, measure: PluginMeasure, value: float, rejected: Rejected | None
    ) -> None:
        count_value(tally, measure.name, "passed" if rejected is None else rejected.reason, value)
        if rejected is not None:
            detail = f"measured {rejected.value:.4g}, threshold {rejected.threshold:.4g}"
            count_document(tally, doc, rejected.reason, detail)
        for margin in value_margins(value, measure):
            # a document within the thresholds is near any of them, a rejected one near the one that decided
            if rejected is None or rejected.reason == margin.reason:
                tally.add_near(
                    NearMiss(
                        margin=abs(margin.distance),
                        id=doc.id,
                        source=str(doc.metadata.get(INPUT_FIELD, "-")),
                        rule=margin.reason,
                        kept=rejected is None,
                        value=margin.value,
                        threshold=margin.threshold,
                        excerpt=doc.text,
                    )
                )
