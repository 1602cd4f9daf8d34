import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest
from fake_clock import FakeClock
from fault_server import FaultServer, Reply, ToyServer

from twllm_engines import OpenAISettings, UsageLedger
from twllm_engines._openai import OpenAIEngine
from twllm_engines._openai._cache import AnswerCache
from twllm_types import (
    Completion,
    ConfigError,
    Conversation,
    EngineFailure,
    GenerationRequest,
    LikelihoodRequest,
    Message,
    Role,
    SamplingParams,
)

DAY = 86_400.0


def chat(content: str = "abc", **params: Any) -> GenerationRequest:
    conversation = Conversation(messages=(Message(role=Role.USER, content=content),))
    return GenerationRequest(prompt=conversation, params=SamplingParams(**params))


def ask(
    server: FaultServer, cache: Path, *requests: GenerationRequest, clock: FakeClock | None = None, **values: Any
) -> tuple[list[Completion | EngineFailure], UsageLedger]:
    settings = OpenAISettings(**{"model": "toy", "base_url": server.url, "cache": cache, "max_attempts": 1, **values})
    with OpenAIEngine(settings, environment={}, clock=clock or FakeClock()) as engine:
        return engine.generate(requests or [chat()]), engine.ledger()


def test_cache_answers_equal_requests_without_the_server(server: FaultServer, tmp_path: Path) -> None:
    cache = tmp_path / "answers.sqlite"
    first, _ = ask(server, cache)
    second, ledger = ask(server, cache)
    assert first == second
    assert len(server.seen) == 1
    assert (ledger.models[0].num_from_cache, ledger.models[0].num_answers, ledger.num_attempts) == (1, 0, 0)


def test_cache_key_covers_model_address_and_request(server: FaultServer, tmp_path: Path) -> None:
    cache = tmp_path / "answers.sqlite"
    server.answer = ToyServer(model="toy")
    ask(server, cache)
    ask(server, cache, model="toy2", reported_model="*")
    ask(server, cache, base_url=server.url.replace("/v1", "/v2"))
    ask(server, cache, chat("abd"))
    ask(server, cache, chat("abc", max_tokens=255))
    ask(server, cache, extra_body={"top_k": 1})
    assert len(server.seen) == 6
    ask(server, cache)
    assert len(server.seen) == 6


def test_cache_keeps_successes_only(server: FaultServer, tmp_path: Path) -> None:
    cache = tmp_path / "answers.sqlite"
    for reply in (Reply(status=500), Reply(body="{"), Reply(status=400)):
        server.script = [reply]
        (answer,), _ = ask(server, cache)
        assert isinstance(answer, EngineFailure)
    (answer,), _ = ask(server, cache)
    assert isinstance(answer, Completion)
    with AnswerCache(cache, must_exist=True) as answers:
        assert answers.summary().num_answers == 1


def test_cache_file_and_its_side_files_are_private(server: FaultServer, tmp_path: Path) -> None:
    cache = tmp_path / "answers.sqlite"
    cache.touch(mode=0o644)
    settings = OpenAISettings(model="toy", base_url=server.url, cache=cache)
    with OpenAIEngine(settings, environment={}) as engine:
        engine.generate([chat()])
        files = list(tmp_path.iterdir())
        assert len(files) == 3
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_cache_stores_hashes_only_by_choice(server: FaultServer, tmp_path: Path) -> None:
    for keeps, name in ((True, "with"), (False, "without")):
        cache = tmp_path / name
        ask(server, cache, chat("玉山雪山合歡山"), cache_requests=keeps)
        content = b"".join(file.read_bytes() for file in tmp_path.glob(f"{name}*"))
        assert ("玉山雪山合歡山".encode() in content) is keeps
        with AnswerCache(cache) as answers:
            assert answers.summary().num_with_request == keeps


def test_cache_older_than_its_age_is_asked_again(server: FaultServer, tmp_path: Path) -> None:
    cache = tmp_path / "answers.sqlite"
    clock = FakeClock()
    ask(server, cache, clock=clock, cache_max_age_seconds=DAY)
    clock.now += DAY
    ask(server, cache, clock=clock, cache_max_age_seconds=DAY)
    assert len(server.seen) == 1
    clock.now += 1
    ask(server, cache, clock=clock, cache_max_age_seconds=DAY)
    assert len(server.seen) == 2
    clock.now += DAY
    ask(server, cache, clock=clock, cache_max_age_seconds=DAY)
    assert len(server.seen) == 2


def test_cache_purge_removes_by_age_and_overwrites(server: FaultServer, tmp_path: Path) -> None:
    cache = tmp_path / "answers.sqlite"
    clock = FakeClock()
    ask(server, cache, chat("gone-gone-gone"), clock=clock)
    clock.now += DAY
    ask(server, cache, chat("kept-kept-kept"), clock=clock)
    with AnswerCache(cache) as answers:
        assert answers.purge(before=clock.wall() - DAY / 2) == 1
        assert answers.purge(before=0) == 0
        assert answers.summary().num_answers == 1
        assert answers.summary().ledgers[0].models[0].num_answers == 2
    content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"gone-gone-gone" not in content
    assert b"kept-kept-kept" in content
    with AnswerCache(cache) as answers:
        assert answers.purge() == 1


def test_cache_serves_repeated_random_samples_each_its_own(server: FaultServer, tmp_path: Path) -> None:
    cache = tmp_path / "answers.sqlite"
    asked = [chat("abc", temperature=1.0)] * 3
    server.script = [
        Reply(body={"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}) for text in ("x", "y", "z")
    ]
    first, _ = ask(server, cache, *asked, max_in_flight=1)
    again, _ = ask(server, cache, *asked, max_in_flight=1)
    assert [answer.text for answer in first if isinstance(answer, Completion)] == ["x", "y", "z"]
    assert again == first
    assert len(server.seen) == 3


def test_cache_serves_likelihoods(server: FaultServer, tmp_path: Path) -> None:
    settings = OpenAISettings(model="toy", base_url=server.url, cache=tmp_path / "c", likelihood="echo")
    request = LikelihoodRequest(context="a", continuation="b")
    answers = []
    for _ in range(2):
        with OpenAIEngine(settings, environment={}) as engine:
            answers.append(engine.loglikelihood([request]))
    assert answers[0] == answers[1]
    assert len(server.seen) == 1


def test_cached_answer_that_settings_refuse_is_asked_again(server: FaultServer, tmp_path: Path) -> None:
    cache = tmp_path / "answers.sqlite"
    server.answer = ToyServer(model="other")
    ask(server, cache, reported_model="*")
    (answer,), _ = ask(server, cache, reported_model="toy")
    assert isinstance(answer, EngineFailure)
    assert len(server.seen) == 2


def test_cache_keeps_totals_over_runs(server: FaultServer, tmp_path: Path) -> None:
    cache = tmp_path / "answers.sqlite"
    for content in ("a", "bb"):
        ask(server, cache, chat(content), prompt_price=1e6, completion_price=0.0)
    ask(server, cache, chat("c"))
    ask(server, cache, chat("d"), currency="TWD")
    with AnswerCache(cache) as answers:
        twd, usd = answers.summary().ledgers
    assert (twd.currency, usd.currency) == ("TWD", "USD")
    assert (usd.models[0].num_answers, usd.models[0].num_prompt_tokens) == (3, 4)
    assert usd.cost == pytest.approx(3.0)
    assert twd.cost is None


@pytest.mark.parametrize("content", [b"no database, but long enough to look like one " * 10, b"short"])
def test_file_that_is_no_cache_is_refused_and_kept(server: FaultServer, tmp_path: Path, content: bytes) -> None:
    cache = tmp_path / "notes.txt"
    cache.write_bytes(content)
    with pytest.raises(ConfigError, match=r"notes\.txt: cannot be used as a cache"):
        ask(server, cache)
    assert cache.read_bytes() == content
    assert server.seen == []


def test_database_of_another_program_or_version_is_refused(server: FaultServer, tmp_path: Path) -> None:
    cache = tmp_path / "other.sqlite"
    connection = sqlite3.connect(cache)
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    with pytest.raises(ConfigError, match="no cache of this version"):
        ask(server, cache)
    newer = tmp_path / "newer.sqlite"
    ask(server, newer)
    connection = sqlite3.connect(newer)
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(ConfigError, match="no cache of this version"):
        ask(server, newer)


def test_cache_in_a_missing_folder_is_refused_before_any_request(server: FaultServer, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be opened"):
        ask(server, tmp_path / "no" / "cache")
    with pytest.raises(ConfigError, match="cannot be opened"):
        AnswerCache(tmp_path / "absent", must_exist=True)
    assert server.seen == []


def test_cache_that_breaks_while_answers_come_stops_with_one_error(server: FaultServer, tmp_path: Path) -> None:
    cache = tmp_path / "answers.sqlite"
    ask(server, cache)
    connection = sqlite3.connect(cache)
    connection.execute("DROP TABLE usage")
    connection.close()
    with pytest.raises(ConfigError, match="cannot be used as a cache"):
        ask(server, cache, chat("new"))
