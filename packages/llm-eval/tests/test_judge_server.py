"""The whole command against a server of our own on loopback: ledger, notes, kills with requests in flight."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "importable"))
sys.path.insert(0, str(Path(__file__).parents[2] / "twllm-engines" / "tests" / "importable"))

from fault_server import FaultServer, Reply, Seen
from judge_fakes import answer_by_hash, make_items

from llm_eval._items import item_to_json
from llm_eval._judge_stored import read_attempts, read_judge_run

NUM_IN_FLIGHT = 4
ITEMS = make_items(20)


def reply(seen: Seen) -> Reply:
    text = answer_by_hash(seen.body["messages"][-1]["content"], None)
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 400, "completion_tokens": 25}
    return Reply(body={"id": "1", "model": "toy-judge", "choices": [choice], "usage": usage})


@pytest.fixture
def server() -> Generator[FaultServer]:
    with FaultServer() as running:
        running.answer = reply
        yield running


@pytest.fixture
def items(tmp_path: Path) -> Path:
    path = tmp_path / "items.jsonl"
    rows = [json.dumps(item_to_json(item), ensure_ascii=False) for item in ITEMS]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def command(items: Path, server: FaultServer, output: Path, *words: str) -> list[str]:
    engine = items.parent / "engine.yaml"
    engine.write_text(
        f"engine: openai\nmodel: toy-judge\nbase_url: {server.url}\napi_key_env: null\n"
        f"max_in_flight: {NUM_IN_FLIGHT}\nprompt_price: 2.0\ncompletion_price: 10.0\n",
        encoding="utf-8",
    )
    program = "import sys; from llm_eval._cli import main; main()"
    named = ("judge", str(items), "--engine", str(engine), "--output", str(output), "--style", "structured")
    return [sys.executable, "-c", program, *named, *words]


def test_judge_against_a_server_shows_rate_cost_so_far_and_keeps_the_bill(
    items: Path, server: FaultServer, tmp_path: Path
) -> None:
    done = subprocess.run(
        command(items, server, tmp_path / "run"), capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert len(server.seen) == 40
    assert server.most_open <= NUM_IN_FLIGHT
    assert "judging: 40/40 judgements (100 %)" in done.stderr
    # The bill counts what the engine has, which may be a few answers ahead of those that were read.
    assert re.search(r"judging: 20 answers took 8,500 tokens, 0\.02\d\d USD so far", done.stderr)
    assert "tokens: 16,000 read, 1,000 written; 0.0420 USD" in done.stdout
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert summary["cost"] == pytest.approx(0.042)
    assert summary["reported_models"] == {"toy-judge": 40}


@pytest.mark.parametrize("num_answers", [4, 16])
def test_judge_killed_with_requests_in_flight_repeats_at_most_those(
    items: Path, server: FaultServer, tmp_path: Path, num_answers: int
) -> None:
    def hold(seen: Seen) -> Reply:
        # Answers stop when enough were given; what comes then stays in flight until the kill.
        return reply(seen) if len(server.seen) <= num_answers else Reply(stalls=True, body={})

    server.answer = hold
    output = tmp_path / "run"
    words = command(items, server, output)
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        # The note comes when the answer is on disk: nothing is left but what is in flight.
        assert any(f" {num_answers} answers took" in line for line in child.stderr)
        child.send_signal(signal.SIGKILL)
    num_kept = len(read_attempts(output))
    server.answer = reply
    num_before = len(server.seen)
    again = subprocess.run(command(items, server, output), capture_output=True, text=True, check=False, timeout=120)
    assert again.returncode == 0, again.stderr
    assert len(server.seen) - num_before == len(ITEMS) - num_kept
    assert num_before - num_kept <= NUM_IN_FLIGHT
    undisturbed = tmp_path / "other"
    subprocess.run(command(items, server, undisturbed), capture_output=True, check=True, timeout=120)
    assert read_judge_run(output).judgements == read_judge_run(undisturbed).judgements
