"""Block that masks, replaces or tags personal data."""
# datatrove's blocks are untyped in part
# pyright: standard

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from tw_corpus._pii._job import FINDINGS_FIELD, read_key
from tw_corpus._pii._key import key_fingerprint
from tw_corpus._pii._kinds import Finding, PiiKind, RedactMode
from tw_corpus._pii._redact import ALL_KINDS, check_kinds, check_mode, redact
from tw_corpus.readers._page import extracted_fields
from twllm_types import ConfigError


class Redact(PipelineStep):
    """Applies `tw_corpus.redact` to every document and counts the findings by kind.

    What tw-corpus itself took from a page beside its text (`title`, `board`) is treated as the text is; fields of the
    input stay as they are. In mode `tag` a document with findings gains ``metadata["pii"]``: a list of kind, start and
    end, and for a finding outside the text also `field`.
    """

    type = "🔏 - PII"
    name = "tw-corpus redact"

    def __init__(
        self,
        mode: RedactMode | str = RedactMode.MASK,
        *,
        key_file: Path | None = None,
        kinds: Collection[PiiKind | str] = ALL_KINDS,
        counts: Counter[str] | None = None,
    ) -> None:
        """Redact.

        Args:
            mode: see `tw_corpus.redact`.
            key_file: file with the key of mode `pseudonymise`. Not the key: datatrove writes the attributes of each
                step into its log folder (`executor.json`).
            kinds: see `tw_corpus.redact`.
            counts: also counts the findings there, by kind.

        Raises:
            ConfigError: unknown mode or kind, or mode `pseudonymise` without a readable key file.
        """
        super().__init__()
        self.mode = check_mode(mode)
        self.kinds = sorted(check_kinds(kinds))
        if self.mode is RedactMode.PSEUDONYMISE and key_file is None:
            raise ConfigError("mode 'pseudonymise' needs a key file; write at least 16 random bytes into one")
        self.key_file = key_file
        self.key_fingerprint = None if key_file is None else key_fingerprint(read_key(key_file))
        self.counts = counts

    def run(self, data: Iterable[Document] | None = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Yield every document with its text redacted.

        Raises:
            ConfigError: the key is not the one that this block was made with.
        """
        key = None if self.key_file is None else read_key(self.key_file)
        if key is not None and key_fingerprint(key) != self.key_fingerprint:
            raise ConfigError(f"{self.key_file}: the key was changed during the run; put the first one back")
        for document in data or ():
            with self.track_time():
                findings = self._treat(document, key)
                if self.mode is RedactMode.TAG and findings:
                    document.metadata[FINDINGS_FIELD] = findings
                for kind, count in Counter(str(finding["kind"]) for finding in findings).items():
                    self.stat_update(kind, value=count)
                    if self.counts is not None:
                        self.counts[kind] += count
            yield document

    def _treat(self, document: Document, key: bytes | None) -> list[dict[str, str | int]]:
        """Redact text and extracted fields in place, and return the findings."""
        redaction = redact(document.text, self.mode, key=key, kinds=self.kinds)
        document.text = redaction.text
        findings = [_finding(finding) for finding in redaction.findings]
        for name, value in extracted_fields(document.metadata).items():
            redaction = redact(value, self.mode, key=key, kinds=self.kinds)
            document.metadata[name] = redaction.text
            findings += [_finding(finding) | {"field": name} for finding in redaction.findings]
        return findings


def _finding(finding: Finding) -> dict[str, str | int]:
    return {"kind": str(finding.kind), "start": finding.start, "end": finding.end}
