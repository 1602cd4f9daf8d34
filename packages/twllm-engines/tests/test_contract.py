from collections.abc import Callable
from pathlib import Path

import pytest
from engine_contract import CONTRACT
from fault_server import FaultServer

from twllm_engines import Engine, OpenAISettings, RecordingEngine, load_engine

Check = Callable[[Engine], None]


def _openai(server: FaultServer) -> Engine:
    return load_engine(OpenAISettings(model="toy", base_url=server.url, likelihood="echo", max_top_logprobs=5))


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
def test_contract_openai_engine_keeps_it(check: Check, server: FaultServer) -> None:
    with _openai(server) as engine:
        check(engine)


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
def test_contract_recording_and_replay_keep_it(check: Check, server: FaultServer, tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    with RecordingEngine(_openai(server), file) as recording:
        check(recording)
    num_asked = len(server.seen)
    with load_engine(f"replay:{file}") as engine:
        if engine.capabilities.max_top_logprobs is None and not engine.capabilities.likelihood and not num_asked:
            # Nothing was asked, so there is nothing that a replay could answer.
            assert file.read_bytes() == b""
            return
        check(engine)
    assert len(server.seen) == num_asked


def test_contract_openai_engine_without_abilities_refuses_them(server: FaultServer) -> None:
    settings = OpenAISettings(model="toy", base_url=server.url, max_top_logprobs=None)
    for check in CONTRACT:
        with load_engine(settings) as engine:
            check(engine)
