"""Shared vocabulary of taiwan-llm: what the packages say to each other.

Standard library only. Every record is frozen and keyword-only, and one whose values are out of range or contradict each
other cannot be made. Types are the type checker's to watch, and that metadata are JSON shows when they are written.
"""

from twllm_types._chat import Conversation, Message, Role
from twllm_types._errors import (
    ArtifactError,
    ConfigError,
    DataError,
    EngineError,
    LockedError,
    MissingDependencyError,
    RunError,
    ShapeError,
    TwllmError,
)
from twllm_types._evaluation import ChoiceQuestion, Estimate, EstimateUnit, Score
from twllm_types._frozen import FrozenDict
from twllm_types._generation import (
    ChatRenderer,
    Completion,
    EngineFailure,
    FailureKind,
    FinishReason,
    GenerationRequest,
    Likelihood,
    LikelihoodRequest,
    LikelihoodScorer,
    SamplingParams,
    SequenceLogprobs,
    SequenceScorer,
    TextGenerator,
    TokenLogprob,
    Usage,
)
from twllm_types._intent import IntentExample
from twllm_types._json import JsonObject, JsonValue
from twllm_types._preference import PreferencePair, StepwiseSolution, UnpairedExample
from twllm_types._runs import GitState, InputFile, ModelIdentity, RunManifest
from twllm_types._text import Document

__all__ = [
    "ArtifactError",
    "ChatRenderer",
    "ChoiceQuestion",
    "Completion",
    "ConfigError",
    "Conversation",
    "DataError",
    "Document",
    "EngineError",
    "EngineFailure",
    "Estimate",
    "EstimateUnit",
    "FailureKind",
    "FinishReason",
    "FrozenDict",
    "GenerationRequest",
    "GitState",
    "InputFile",
    "IntentExample",
    "JsonObject",
    "JsonValue",
    "Likelihood",
    "LikelihoodRequest",
    "LikelihoodScorer",
    "LockedError",
    "Message",
    "MissingDependencyError",
    "ModelIdentity",
    "PreferencePair",
    "Role",
    "RunError",
    "RunManifest",
    "SamplingParams",
    "Score",
    "SequenceLogprobs",
    "SequenceScorer",
    "ShapeError",
    "StepwiseSolution",
    "TextGenerator",
    "TokenLogprob",
    "TwllmError",
    "UnpairedExample",
    "Usage",
]
