"""Named, versioned ways to ask: what stands before a question, between its parts, and where the model goes on.

A score without its protocol cannot be compared with another one; a change that alters one byte of a prompt raises the
version. Golden files in the tests hold the prompts of every protocol.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from tmlu_bench._extraction import Extractor
from twllm_types import ConfigError


class Layout(StrEnum):
    """Which arrangement of question, options and answer a protocol uses."""

    TMLU = "tmlu"
    LM_EVAL = "lm-eval"
    TC_EVAL = "tc-eval"


class Scoring(StrEnum):
    """How a choice is read off a model."""

    LOGPROB = "logprob"
    GENERATE = "generate"


class PromptForm(StrEnum):
    """How a prompt reaches a model.

    RAW is text to continue. CHAT is a conversation to be rendered by a chat template, the prefill following the
    rendered text (local engines). CHAT_API is a conversation for a server that renders by itself, where the prefill
    can only stand inside the user's turn.
    """

    RAW = "raw"
    CHAT = "chat"
    CHAT_API = "chat-api"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamProtocol:
    """One way to ask.

    Attributes:
        id: its name, "tmlu-direct".
        version: raised whenever a byte of a prompt changes.
        source: where the strings were read, with commit.
        layout: arrangement of the parts.
        explained: the worked examples show their explanation, and the model is asked to reason.
        max_shots: most worked examples, >= 0.
        scorings: what the source scores by; another scoring would be another protocol.
        stop: strings that end a generation.
        max_tokens: most new tokens in the source.
        compat_extractor: the source's own reading of a generated answer; None where it only scores log-probabilities.
    """

    id: str
    version: str
    source: str
    layout: Layout
    explained: bool = False
    max_shots: int = 5
    scorings: frozenset[Scoring]
    stop: tuple[str, ...] = ()
    max_tokens: int = 128
    compat_extractor: Extractor | None = None


_TMLU = "MiuLab/TMLU@07200b3, template.py and tmlu_eval.py"
_BOTH = frozenset({Scoring.LOGPROB, Scoring.GENERATE})
_KNOWN = (
    ExamProtocol(
        id="tmlu-direct",
        version="1",
        source=_TMLU,
        layout=Layout.TMLU,
        scorings=_BOTH,
        stop=("問題：",),
        compat_extractor=Extractor.COMPAT,
    ),
    ExamProtocol(
        id="tmlu-cot",
        version="1",
        source=_TMLU,
        layout=Layout.TMLU,
        explained=True,
        scorings=frozenset({Scoring.GENERATE}),
        stop=("問題：",),
        compat_extractor=Extractor.COMPAT_COT,
    ),
    ExamProtocol(
        id="lm-eval-tmlu",
        version="1",
        source="EleutherAI/lm-evaluation-harness 0.4.13, lm_eval/tasks/tmlu (task version 0.1)",
        layout=Layout.LM_EVAL,
        scorings=frozenset({Scoring.LOGPROB}),
    ),
    ExamProtocol(
        id="tmmluplus",
        version="1",
        source="EleutherAI/lm-evaluation-harness 0.4.13, lm_eval/tasks/tmmluplus (task version 2.0)",
        layout=Layout.LM_EVAL,
        scorings=frozenset({Scoring.LOGPROB}),
    ),
    ExamProtocol(
        id="tc-eval",
        version="1",
        source="MiuLab/Taiwan-LLM@b5908ca, evaluation/run_tceval.py",
        layout=Layout.TC_EVAL,
        max_shots=0,
        scorings=frozenset({Scoring.GENERATE}),
        compat_extractor=Extractor.COMPAT_TC_EVAL,
    ),
)
PROTOCOLS: Mapping[str, ExamProtocol] = MappingProxyType({protocol.id: protocol for protocol in _KNOWN})


def get_protocol(protocol: str | ExamProtocol) -> ExamProtocol:
    """Return the protocol of a name; a protocol itself comes back as it is.

    Raises:
        ConfigError: no protocol has this name.
    """
    if isinstance(protocol, ExamProtocol):
        return protocol
    if protocol not in PROTOCOLS:
        raise ConfigError(f"no protocol is named {protocol!r}; give one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[protocol]
