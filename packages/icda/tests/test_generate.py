import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from icda._generate import read_generated, run_generate
from icda._generate_settings import GenerateSettings, plan_request
from icda._prompts import PromptStyle
from icda._recipe_data import DataFile, DataSettings
from icda._run_data import load_run_data
from twllm_runs import RunState, read_jsonl
from twllm_types import ArtifactError, ConfigError, Conversation, EngineError, EngineFailure, FailureKind, FinishReason

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from icda_fakes import INTENTS, FakeGenerator, FakeServer, SilentProgress, asked_intent, good_answer, write_data

SETTINGS = GenerateSettings(
    num_samples=2, num_per_intent=8, requests_per_round=3, max_requests_per_intent=12, block_size=4
)
NAMES = ("requests.jsonl", "candidates.jsonl", "rejected.jsonl", "summary.json")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    paths = write_data(tmp_path_factory.mktemp("data"))
    return load_run_data(DataSettings(files={name: DataFile(path=path) for name, path in paths.items()}, test="test"))


def generate(engine, data, output, settings=SETTINGS, *, seed=0, **options):
    return run_generate(engine, data, settings, seed=seed, output=output, progress=SilentProgress(), **options)


def contents(folder):
    return {name: (folder / name).read_bytes() for name in NAMES}


def rows_of(path) -> list[Any]:
    return list(read_jsonl(path))


def test_run_generate_fills_every_intent_and_accounts_for_every_line(data, tmp_path):
    run = generate(FakeGenerator(), data, tmp_path)
    assert run.state is RunState.NEW
    assert [(one.intent, one.end, one.num_kept) for one in run.yields] == [(name, "filled", 8) for name in INTENTS]
    assert [candidate.intent for candidate in run.candidates] == sorted(8 * INTENTS)
    rejected = list(read_jsonl(tmp_path / "rejected.jsonl"))
    assert {"empty", "echo"} <= {str(row["reason"]) for row in rejected}
    assert sum(one.num_lines for one in run.yields) == len(rejected) + 24 + sum(one.num_surplus for one in run.yields)
    assert len(list(read_jsonl(tmp_path / "candidates.jsonl"))) == 24
    raw = [text for row in rows_of(tmp_path / "requests.jsonl") for text in row["texts"]]
    assert all(any(candidate.text in text for text in raw) for candidate in run.candidates)


def test_run_generate_gives_no_copies_of_seeds_test_rows_or_each_other(data, tmp_path):
    run = generate(FakeGenerator(), data, tmp_path, replace(SETTINGS, num_per_intent=40, max_requests_per_intent=60))
    rows = [(candidate.intent, candidate.text) for candidate in run.candidates]
    assert len(set(rows)) == len(rows)
    assert not {text for _, text in rows} & {row.text for row in (*data.seeds, *data.test, *data.out_of_scope)}
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert {"seed_copy", "test_copy", "duplicate"} <= set(summary["rejected"])


def test_run_generate_counts_tokens_and_cost_of_all_requests(data, tmp_path):
    tokens = generate(FakeGenerator(), data, tmp_path).tokens
    rows = rows_of(tmp_path / "requests.jsonl")
    read, written = (sum(row["usage"][at] for row in rows) for at in (0, 1))
    assert (tokens.num_prompt_tokens, tokens.num_completion_tokens) == (read, written)
    assert tokens.cost == pytest.approx((read * 1.0 + written * 2.0) / 1e6)
    assert (tokens.currency, tokens.models, tokens.num_requests) == ("TWD", ("fake-model",), len(rows))


def test_run_generate_without_prices_has_no_cost(data, tmp_path):
    assert generate(FakeGenerator(prices=False), data, tmp_path).tokens.cost is None


@pytest.mark.parametrize("kind", [FakeGenerator, FakeServer])
@pytest.mark.parametrize("breaks_at", [1, 4, 9, 14])
def test_run_generate_interrupted_gives_the_same_bytes(data, tmp_path, kind, breaks_at):
    def stop(count):
        if count == breaks_at:
            raise KeyboardInterrupt

    generate(kind(), data, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        generate(kind(on_answer=stop), data, tmp_path / "parts")
    assert generate(kind(), data, tmp_path / "parts").state is RunState.CONTINUED
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def test_run_generate_killed_again_and_again_gives_the_same_bytes(data, tmp_path):
    generate(FakeGenerator(), data, tmp_path / "whole")
    script = Path(__file__).parent / "importable" / "kill_generate.py"
    for answers in (1, 3, 6, 20):
        done = subprocess.run(
            [sys.executable, script, tmp_path, str(answers)],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ,
        )
        assert done.returncode in {-signal.SIGKILL, 0}, done.stderr
    generate(FakeGenerator(), data, tmp_path / "parts")
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def test_run_generate_asks_a_paid_server_for_missing_requests_only(data, tmp_path):
    def stop(count):
        if count == 6:
            raise KeyboardInterrupt

    whole = generate(FakeServer(), data, tmp_path / "whole").num_asked
    with pytest.raises(KeyboardInterrupt):
        generate(FakeServer(on_answer=stop), data, tmp_path / "parts")
    assert generate(FakeServer(), data, tmp_path / "parts").num_asked == whole - 5


def test_run_generate_finished_asks_nothing_and_says_the_same(data, tmp_path):
    first = generate(FakeGenerator(), data, tmp_path)
    engine = FakeGenerator()
    again = generate(engine, data, tmp_path)
    assert (again.state, again.num_asked, engine.requests) == (RunState.FINISHED, 0, [])
    assert (again.candidates, again.yields, again.tokens) == (first.candidates, first.yields, first.tokens)
    assert read_generated(tmp_path) == again


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda *_: "", "empty"),
        (lambda prompt, *_: f"is my {asked_intent(prompt)} fine", "duplicate"),
    ],
    ids=["nothing", "same_line"],
)
def test_generator_with_nothing_new_to_say_ends_by_budget(data, tmp_path, answer, reason):
    run = generate(FakeGenerator(answer), data, tmp_path)
    assert {one.end for one in run.yields} == {"budget_spent"}
    assert {one.num_requests for one in run.yields} == {SETTINGS.max_requests_per_intent}
    assert all(one.rejected[reason] >= 23 for one in run.yields)
    assert len(run.unfilled) == 3
    assert json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))["unfilled"] == sorted(INTENTS)


def test_completion_cut_off_at_the_limit_is_no_candidate(data, tmp_path):
    run = generate(FakeGenerator(finish_reason=FinishReason.LENGTH), data, tmp_path)
    assert run.candidates == ()
    assert all("truncated" in one.rejected for one in run.yields)


def failing(kind, *intents):
    def answer(prompt, seed, sample):
        if asked_intent(prompt) in intents:
            return EngineFailure(kind=kind, message="no answer in time")
        return good_answer(prompt, seed, sample)

    return answer


def test_failed_requests_are_counted_and_can_be_asked_again(data, tmp_path):
    run = generate(FakeGenerator(failing(FailureKind.TIMEOUT, "lost_card")), data, tmp_path)
    assert run.num_faults == SETTINGS.max_requests_per_intent
    assert [(one.intent, one.num_failed) for one in run.unfilled] == [("lost_card", 12)]
    assert generate(FakeGenerator(), data, tmp_path).num_faults == 12
    mended = generate(FakeServer(), data, tmp_path, retry_failures=True)
    assert (mended.num_faults, mended.unfilled) == (0, ())
    assert mended.num_asked < 12


def test_retry_keeps_the_account_of_what_was_paid(data, tmp_path):
    def flaky(prompt, seed, sample):
        good = good_answer(prompt, seed, sample)
        return EngineFailure(kind=FailureKind.TIMEOUT, message="slow") if seed % 2 and sample == 1 else good

    before = generate(FakeServer(flaky), data, tmp_path)
    after = generate(FakeServer(), data, tmp_path, retry_failures=True)
    assert after.num_faults <= before.num_faults
    assert after.tokens.num_completion_tokens >= before.tokens.num_completion_tokens
    assert read_generated(tmp_path).candidates == after.candidates


def test_engine_that_is_down_stops_the_run_before_the_budget_is_spent(data, tmp_path):
    engine = FakeGenerator(failing(FailureKind.CONNECTION, *INTENTS))
    with pytest.raises(EngineError, match=r"all 9 requests of round 1 failed .*--retry-failures"):
        generate(engine, data, tmp_path)
    assert len(engine.requests) == 9
    assert generate(FakeGenerator(), data, tmp_path, retry_failures=True).unfilled == ()


def test_run_generate_of_other_settings_seed_or_seeds_is_refused(data, tmp_path):
    generate(FakeGenerator(), data, tmp_path)
    with pytest.raises(ArtifactError, match="num_per_intent"):
        generate(FakeGenerator(), data, tmp_path, replace(SETTINGS, num_per_intent=9))
    with pytest.raises(ArtifactError, match="seed"):
        generate(FakeGenerator(), data, tmp_path, seed=1)
    with pytest.raises(ArtifactError, match="seeds_sha256"):
        generate(FakeGenerator(), replace(data, seeds=data.seeds[1:]), tmp_path)


def test_changed_file_of_a_finished_run_is_refused(data, tmp_path):
    generate(FakeGenerator(), data, tmp_path)
    path = tmp_path / "candidates.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace("account", "purse"), encoding="utf-8")
    with pytest.raises(ArtifactError, match="was changed"):
        generate(FakeGenerator(), data, tmp_path)


def test_damaged_line_of_an_unfinished_run_is_refused(data, tmp_path):
    def stop(count):
        if count == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(FakeGenerator(on_answer=stop), data, tmp_path)
    path = tmp_path / "requests.jsonl"
    text = path.read_text(encoding="utf-8")
    for row in (
        {"a": 1},
        {**json.loads(text.splitlines()[0]), "texts": []},
        {**json.loads(text.splitlines()[0]), "number": "1"},
    ):
        path.write_text(json.dumps(row) + "\n" + text, encoding="utf-8")
        with pytest.raises(ArtifactError, match="is damaged"):
            generate(FakeGenerator(), data, tmp_path)


def test_request_depends_on_seed_intent_and_number_alone(data):
    seeds = data.seeds_of("lost_card")
    requests = [plan_request("lost_card", number, seeds, SETTINGS, seed=seed) for seed in (0, 1) for number in range(4)]
    again = plan_request("lost_card", 3, seeds, SETTINGS, seed=1)
    assert again == requests[-1]
    assert len({one.request.params.seed for one in requests}) == 8
    assert len({one.id for one in requests}) >= 7
    assert len({one.seed_ids for one in requests[:4]}) > 1


def test_prompt_is_raw_text_for_sahu_and_a_message_for_the_chat_styles(data):
    seeds = data.seeds_of("lost_card")
    raw = plan_request("lost_card", 0, seeds, SETTINGS, seed=0).request
    assert isinstance(raw.prompt, str)
    assert raw.params.stop == ("\n",)
    for settings in (replace(SETTINGS, form="chat"), replace(SETTINGS, style=PromptStyle.ZH_TW, num_new=3)):
        asked = plan_request("lost_card", 0, seeds, settings, seed=0)
        assert isinstance(asked.request.prompt, Conversation)
        assert asked.request.prompt.messages[-1].content == asked.prompt


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_samples": 0}, "num_samples is 0"),
        ({"num_examples": 0}, "num_examples is 0"),
        ({"temperature": 0.0}, "same utterance again and again"),
        ({"top_p": 0.0}, "top_p is 0"),
    ],
)
def test_settings_out_of_range_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        GenerateSettings(**change)
