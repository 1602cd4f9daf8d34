import builtins
import sys
from pathlib import Path
from typing import Any

import pytest
from fault_server import FaultServer, Reply, Seen, ToyServer

from twllm_engines import OpenAISettings, SchemaStyle, load_engine
from twllm_engines import _cli as cli
from twllm_engines._probe import Finding, Verdict, probe
from twllm_runs import run_app
from twllm_types import EngineError, GenerationRequest


def found(server: FaultServer, **values: Any) -> dict[str, Finding]:
    settings = OpenAISettings(**{"model": "toy", "base_url": server.url, "backoff_base_seconds": 0.001, **values})
    return {finding.name: finding for finding in probe(settings)}


def verdicts(findings: dict[str, Finding]) -> dict[str, Verdict]:
    return {name: finding.verdict for name, finding in findings.items()}


def test_probe_of_an_able_server_finds_all_of_it(server: FaultServer) -> None:
    server.answer = ToyServer(reasoning="想")
    findings = found(server, max_top_logprobs=5, likelihood="echo")
    assert set(verdicts(findings).values()) == {Verdict.YES}
    assert not [finding for finding in findings.values() if finding.setting]
    assert findings["model"].detail == "toy"


def test_probe_of_a_poor_server_says_what_to_write(server: FaultServer) -> None:
    toy = ToyServer(has_logprobs=False, has_schema=False, has_samples=False, is_reproducible=False, has_echo=False)

    def answer(seen: Seen) -> Reply:
        if not seen.path.endswith("/chat/completions"):
            return Reply(status=404)
        reply = toy(seen)
        del reply.body["usage"]
        return reply

    server.answer = answer
    findings = found(server, likelihood="echo", max_tokens_field="max_tokens")
    wanted = {
        "raw prompts": "raw_prompts: false",
        "log-probabilities": "max_top_logprobs: null",
        "JSON Schema": "schema_style: none",
        "likelihood": "likelihood: off",
    }
    assert {name: finding.setting for name, finding in findings.items() if finding.setting} == wanted
    no = {"token counts", "reasoning", "raw prompts", "log-probabilities", "several samples", "seed", "JSON Schema"}
    assert {name for name, verdict in verdicts(findings).items() if verdict is Verdict.NO} == {*no, "likelihood"}
    assert verdicts(findings)["stop strings"] is Verdict.UNCLEAR


def test_probe_finds_another_way_of_schemas_limits_and_echo(server: FaultServer) -> None:
    toy = ToyServer()

    def answer(seen: Seen) -> Reply:
        body = seen.body
        if "response_format" in body or (body.get("echo") and body["max_tokens"] == 0):
            return Reply(status=400)
        if "max_tokens" in body and "messages" in body:
            body = {name: value for name, value in body.items() if name != "max_tokens"} | {"max_completion_tokens": 99}
        elif "max_completion_tokens" in body:
            body = dict(body)
        return toy(Seen(method=seen.method, path=seen.path, headers=seen.headers, body=body))

    server.answer = answer
    findings = found(server, max_top_logprobs=5, likelihood="echo")
    assert findings["JSON Schema"].setting == "schema_style: structured_outputs"
    assert findings["limit of tokens"].setting == "max_tokens_field: max_completion_tokens"
    assert findings["likelihood"].setting == "echo_max_tokens: 1"


def test_probe_is_unsure_where_nothing_can_be_told_apart(server: FaultServer) -> None:
    server.answer = lambda _seen: Reply(body={"choices": [{"message": {"content": ""}, "finish_reason": "stop"}]})
    findings = found(server, schema_style=SchemaStyle.NONE)
    assert (findings["seed"].verdict, findings["stop strings"].verdict) == (Verdict.UNCLEAR, Verdict.UNCLEAR)
    assert findings["limit of tokens"].detail == "heeds neither name"
    assert findings["model"].detail == "not named"
    assert findings["JSON Schema"].setting is None


def test_probe_tells_when_parameters_are_refused(server: FaultServer) -> None:
    toy = ToyServer()

    def answer(seen: Seen) -> Reply:
        return Reply(status=400) if {"seed", "stop", "n"} & set(seen.body) else toy(seen)

    server.answer = answer
    findings = found(server)
    assert {findings[name].verdict for name in ("seed", "stop strings", "several samples")} == {Verdict.NO}


def test_probe_tells_when_stop_strings_are_ignored(server: FaultServer) -> None:
    toy = ToyServer()

    def answer(seen: Seen) -> Reply:
        body = {name: value for name, value in seen.body.items() if name != "stop"}
        return toy(Seen(method=seen.method, path=seen.path, headers=seen.headers, body=body))

    server.answer = answer
    assert found(server)["stop strings"].verdict is Verdict.NO


def test_probe_of_a_server_that_does_not_answer_is_an_error(server: FaultServer) -> None:
    server.answer = lambda _seen: Reply(status=401)
    with pytest.raises(EngineError, match="authentication"):
        found(server)


def run(*words: str) -> int:
    return run_app(cli.make_engines_app(), list(words))


def test_probe_command_prints_a_table_and_exits_by_what_it_found(
    server: FaultServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("probe", f"openai:toy@{server.url}") == 3
    shown = capsys.readouterr().out
    assert "log-probabilities" in shown
    assert "max_top_logprobs: 5" in shown
    spec = tmp_path / "server.yaml"
    spec.write_text(f"engine: openai\nmodel: toy\nbase_url: {server.url}\nmax_top_logprobs: 5\n", encoding="utf-8")
    assert run("probe", str(spec)) == 0


def test_probe_command_with_another_engine_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("probe", "hf:model") == 2
    assert "probe asks servers" in capsys.readouterr().err


def test_cache_commands_show_and_purge(server: FaultServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache = tmp_path / "answers.sqlite"
    for price in (None, 1.0):
        settings = OpenAISettings(
            model="toy", base_url=server.url, cache=cache, prompt_price=price, completion_price=price
        )
        with load_engine(settings) as engine:
            engine.generate([GenerationRequest(prompt=f"abc {price}")])
        assert run("cache", "show", str(cache)) == 0
    shown = capsys.readouterr().out
    assert "1 answers, 1 with their request" in shown
    assert "toy: 1 answers, 8 tokens read, 8 written, no price" in shown
    assert "0.0000 USD" in shown
    assert run("cache", "purge", str(cache), "--older-than-days", "1") == 0
    assert run("cache", "purge", str(cache)) == 0
    assert capsys.readouterr().out.splitlines() == ["0 answers removed", "2 answers removed"]
    assert run("cache", "purge", str(cache), "--older-than-days", "-1") == 2
    assert run("cache", "show", str(tmp_path / "absent")) == 2


def test_command_without_the_engine_s_extra_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert run("cache", "show", str(tmp_path / "x")) == 2
    assert "twllm-engines[openai]" in capsys.readouterr().err


def test_command_without_its_own_extra_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = builtins.__import__

    def fail(name: str, *rest: Any) -> Any:
        if name == "twllm_runs":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", fail)
    assert cli.main() == 2
    assert "twllm-engines[cli,openai]" in capsys.readouterr().err


def test_main_runs_the_command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["twllm-engines", "--help"])
    assert cli.main() == 0
    assert "probe" in capsys.readouterr().out
