"""An engine at a fault server, as several tests of the openai engine use it."""

from typing import Any

from fake_clock import FakeClock
from fault_server import FaultServer, Reply

from twllm_engines import OpenAISettings
from twllm_engines._openai import OpenAIEngine
from twllm_types import (
    Completion,
    Conversation,
    EngineFailure,
    GenerationRequest,
    Message,
    Role,
    SamplingParams,
)


def chat(content: str = "abc", **params: Any) -> GenerationRequest:
    conversation = Conversation(messages=(Message(role=Role.USER, content=content),))
    return GenerationRequest(prompt=conversation, params=SamplingParams(**params))


class Bench:
    """An engine at a fault server, with a clock that does not wait."""

    def __init__(self, server: FaultServer) -> None:
        self.server = server
        self.clock = FakeClock()

    def engine(self, **settings: Any) -> OpenAIEngine:
        values: dict[str, Any] = {"model": "toy", "base_url": self.server.url, **settings}
        return OpenAIEngine(OpenAISettings(**values), environment={}, clock=self.clock)

    def ask(
        self, *script: Reply, request: GenerationRequest | None = None, **settings: Any
    ) -> Completion | EngineFailure:
        self.server.script = list(script)
        with self.engine(**settings) as engine:
            return engine.generate([request or chat()])[0]


def failure(answer: Completion | EngineFailure) -> EngineFailure:
    assert isinstance(answer, EngineFailure), answer
    return answer


def text(answer: Completion | EngineFailure) -> str:
    assert isinstance(answer, Completion), answer
    return answer.text
