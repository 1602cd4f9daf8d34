"""Block that masks, replaces or tags personal data."""
# datatrove's blocks are untyped in part
# pyright: standard

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from tw_corpus._pii._job import FINDINGS_FIELD, read_key
from tw_corpus._pii._kinds import PiiKind, RedactMode
from tw_corpus._pii._redact import ALL_KINDS, check_kinds, check_mode, redact
from twllm_types import ConfigError


class Redact(PipelineStep):
    """Applies `tw_corpus.redact` to every document and counts the findings by kind.

    In mode `tag` a document with findings gains ``metadata["pii"]``: a list of kind, start and end.
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
            ConfigError: unknown mode or kind, or mode `pseudonymise` without a key file.
        """
        super().__init__()
        self.mode = check_mode(mode)
        self.kinds = sorted(check_kinds(kinds))
        if self.mode is RedactMode.PSEUDONYMISE and key_file is None:
            raise ConfigError("mode 'pseudonymise' needs a key file; write at least 16 random bytes into one")
        self.key_file = key_file
        self.counts = counts

    def run(self, data: Iterable[Document] | None = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Yield every document with its text redacted."""
        key = None if self.key_file is None else read_key(self.key_file)
        for document in data or ():
            with self.track_time():
                redaction = redact(document.text, self.mode, key=key, kinds=self.kinds)
                document.text = redaction.text
                if self.mode is RedactMode.TAG and redaction.findings:
                    document.metadata[FINDINGS_FIELD] = [
                        {"kind": str(finding.kind), "start": finding.start, "end": finding.end}
                        for finding in redaction.findings
                    ]
                for kind, count in Counter(str(finding.kind) for finding in redaction.findings).items():
                    self.stat_update(kind, value=count)
                    if self.counts is not None:
                        self.counts[kind] += count
            yield document
