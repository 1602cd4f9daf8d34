"""Options of the larger commands, as the command line gives them; nothing heavy is imported before they are used."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from tmlu_bench._contamination_run import ContaminationSettings
    from tmlu_bench._run_plan import ExamSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """Options of `tmlu-bench run`.

    Attributes:
        engine: hf:MODEL, vllm:MODEL, openai:MODEL@URL, replay:FILE, or a YAML file with every setting.
        data: folder or file of questions, or id of a data set of the hub.
        output: folder of the run; a run of other parameters is never overwritten.
        protocol: tmlu-direct, tmlu-cot, lm-eval-tmlu, tmmluplus or tc-eval.
        scoring: logprob ranks the letters, generate reads them off a text.
        num_shots: worked examples per question, from dev.
        fewer_shots: show fewer where a subject has fewer dev rows; each item records its number.
        extractor: reader of generated answers; compat is the protocol's own, faults included.
        form: raw text, a chat rendered here (chat), or a chat that the server renders (chat-api).
        max_tokens: most new tokens; the protocol's own where not given.
        permute: seed of another order of each question's options.
        circular: put each question in all rotations of its options.
        subjects: ids of subjects; all where none is given.
        limit: questions in all: a stratified, seeded sample, and the result says so.
        seed: of sample, sampling and intervals.
        retry_errors: put items again that ended in error.
        exclude_errors: leave questions with errors out of the figures, which say so.
    """

    engine: str
    data: str
    output: Path
    protocol: str = "tmlu-direct"
    scoring: Literal["logprob", "generate"] = "logprob"
    num_shots: int = 5
    fewer_shots: bool = False
    extractor: Literal["robust", "compat"] = "robust"
    form: Literal["raw", "chat", "chat-api"] = "raw"
    max_tokens: int | None = None
    permute: int | None = None
    circular: bool = False
    subjects: Annotated[list[str] | None, Parameter(consume_multiple=(1, None))] = None
    limit: int | None = None
    seed: int = 0
    retry_errors: bool = False
    exclude_errors: bool = False

    def to_settings(self) -> "ExamSettings":
        """Return what decides the result.

        Raises:
            ConfigError: a value is out of range, or two exclude each other.
        """
        from tmlu_bench._protocols import PromptForm, Scoring
        from tmlu_bench._run_plan import ExamSettings

        return ExamSettings(
            protocol=self.protocol,
            scoring=Scoring(self.scoring),
            num_shots=self.num_shots,
            fewer_shots=self.fewer_shots,
            extractor=self.extractor,
            form=PromptForm(self.form),
            max_tokens=self.max_tokens,
            permute=self.permute,
            circular=self.circular,
            subjects=tuple(self.subjects or ()),
            limit=self.limit,
            seed=self.seed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ContaminationOptions:
    """Options of `tmlu-bench contamination`.

    Attributes:
        data: questions, as for `run`.
        output: folder of the job.
        engine: model whose token probabilities are looked at.
        control: questions of the same kind that the model cannot have seen.
        corpus: folder of JSONL, Parquet or text to look for character n-grams in.
        tw_corpus: contamination.jsonl of `tw-corpus curate --decontaminate`.
        shares: shares of least likely tokens for Min-K%; 0.1, 0.2 and 0.3 where none is given.
        num_orders: other orders of the options per question; 0 leaves the order test out.
        ngram_chars: characters per n-gram.
        text_field: field of the corpus that holds the text.
        seed: of orders and resamples.
    """

    data: str
    output: Path
    engine: str | None = None
    control: str | None = None
    corpus: Path | None = None
    tw_corpus: Path | None = None
    shares: Annotated[list[float] | None, Parameter(consume_multiple=(1, None))] = None
    num_orders: int = 8
    ngram_chars: int = 13
    text_field: str = "text"
    seed: int = 0

    def to_settings(self) -> "ContaminationSettings":
        """Return what decides the result.

        Raises:
            ConfigError: a value is out of range.
        """
        from tmlu_bench._contamination_run import ContaminationSettings

        return ContaminationSettings(
            shares=tuple(self.shares) if self.shares else ContaminationSettings().shares,
            num_orders=self.num_orders,
            ngram_chars=self.ngram_chars,
            text_field=self.text_field,
            seed=self.seed,
        )
