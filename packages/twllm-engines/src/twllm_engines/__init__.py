"""One way to reach language models: transformers, vLLM, OpenAI-compatible servers, recorded answers.

Importing this package imports the standard library and twllm_types only; an engine's libraries are imported when it is
loaded.
"""

from twllm_engines._answer_settings import answer_settings
from twllm_engines._engine import (
    Engine,
    EngineCapabilities,
    MeteredEngine,
    chat_renderer,
    likelihood_scorer,
    sequence_scorer,
)
from twllm_engines._ledger import ModelUsage, UsageLedger
from twllm_engines._portable import portable_identity, portable_settings
from twllm_engines._recording import RecordingEngine
from twllm_engines._records import record_answers
from twllm_engines._settings import BosRule, ReplaySettings, TransformersSettings, VllmSettings, settings_to_json
from twllm_engines._settings_openai import OpenAISettings, SchemaStyle
from twllm_engines._spec import EngineSettings, load_engine, parse_spec

__all__ = [
    "BosRule",
    "Engine",
    "EngineCapabilities",
    "EngineSettings",
    "MeteredEngine",
    "ModelUsage",
    "OpenAISettings",
    "RecordingEngine",
    "ReplaySettings",
    "SchemaStyle",
    "TransformersSettings",
    "UsageLedger",
    "VllmSettings",
    "answer_settings",
    "chat_renderer",
    "likelihood_scorer",
    "load_engine",
    "parse_spec",
    "portable_identity",
    "portable_settings",
    "record_answers",
    "sequence_scorer",
    "settings_to_json",
]
