import sys
from pathlib import Path

import pytest

from step_kto._problems import Problem, load_problems, write_problems
from step_kto._sample_settings import SampleSettings, sample_seed
from step_kto._stage_sample import plan_samples, run_sample
from twllm_runs import RunState, read_jsonl
from twllm_types import ArtifactError, ConfigError, Conversation, DataError

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from step_fakes import FakeEngine, FakeServer, SilentProgress, by_seed, fails_on, problems

SETTINGS = SampleSettings(num_samples=3, max_tokens=50, block_size=4)


def sampled(engine, output, settings=SETTINGS, **options):
    return run_sample(engine, problems(), settings, output=output, progress=SilentProgress(), **options)


def test_run_sample_gives_every_sample_in_order_whatever_the_engine_s(tmp_path):
    run = sampled(FakeEngine(problems()), tmp_path)
    keys = [(problem.prompt, number) for problem in problems() for number in range(3)]
    assert [sample.key for sample in run.samples] == keys
    assert [(row["prompt"], row["number"]) for row in read_jsonl(tmp_path / "samples.jsonl")] == keys
    assert (run.state, run.num_asked, run.num_failed) == (RunState.NEW, 12, 0)


@pytest.mark.parametrize("kind", [FakeEngine, FakeServer])
@pytest.mark.parametrize("breaks_at", [1, 2, 6, 12])
def test_run_sample_interrupted_gives_the_same_bytes(tmp_path, kind, breaks_at):
    sampled(kind(problems()), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        sampled(kind(problems(), breaks_at=breaks_at), tmp_path / "parts")
    resumed = sampled(kind(problems()), tmp_path / "parts")
    assert resumed.state is RunState.CONTINUED
    left, right = ((tmp_path / name / "samples.jsonl").read_bytes() for name in ("whole", "parts"))
    assert left == right


def test_run_sample_asks_a_paid_server_for_missing_samples_only(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        sampled(FakeServer(problems(), breaks_at=7), tmp_path)
    assert sampled(FakeServer(problems()), tmp_path).num_asked == 6


def test_run_sample_asks_a_local_model_for_whole_blocks(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        sampled(FakeEngine(problems(), breaks_at=7), tmp_path)
    assert sampled(FakeEngine(problems()), tmp_path).num_asked == 8


def test_run_sample_finished_asks_nothing(tmp_path):
    sampled(FakeEngine(problems()), tmp_path)
    engine = FakeEngine(problems())
    again = sampled(engine, tmp_path)
    assert (again.state, again.num_asked, engine.requests) == (RunState.FINISHED, 0, [])


def test_run_sample_counts_failures_which_are_no_solutions_and_can_be_asked_again(tmp_path):
    bad = problems()[1].prompt
    run = sampled(FakeEngine(problems(), answer=fails_on(bad)), tmp_path)
    assert run.num_failed == 3
    failed = [sample for sample in run.samples if sample.failure]
    assert {(sample.prompt, sample.text, sample.failure) for sample in failed} == {(bad, None, "timeout")}
    assert sampled(FakeEngine(problems()), tmp_path).num_failed == 3
    mended = sampled(FakeServer(problems()), tmp_path, retry_failures=True)
    assert (mended.num_failed, mended.num_asked) == (0, 3)


def test_run_sample_counts_what_was_cut_off(tmp_path):
    assert sampled(FakeEngine(problems(), truncates=True), tmp_path).num_truncated == 12


def test_run_sample_of_other_settings_or_model_is_refused(tmp_path):
    sampled(FakeEngine(problems()), tmp_path)
    with pytest.raises(ArtifactError, match="max_tokens"):
        sampled(FakeEngine(problems()), tmp_path, SampleSettings(num_samples=3, max_tokens=51, block_size=4))
    with pytest.raises(ArtifactError, match="other"):
        sampled(FakeEngine(problems(), name="other"), tmp_path)


def test_run_sample_changed_file_is_refused(tmp_path):
    sampled(FakeEngine(problems()), tmp_path)
    path = tmp_path / "samples.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace("Step 1", "Step 2"), encoding="utf-8")
    with pytest.raises(ArtifactError, match="was changed"):
        sampled(FakeEngine(problems()), tmp_path)


def test_run_sample_damaged_line_of_an_unfinished_run_is_refused(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        sampled(FakeEngine(problems(), breaks_at=3), tmp_path)
    path = tmp_path / "samples.jsonl"
    path.write_text('{"a": 1}\n' + path.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(ArtifactError, match="is damaged"):
        sampled(FakeEngine(problems()), tmp_path)


def test_seeds_depend_on_seed_problem_and_number_alone():
    few, many = plan_samples(problems(2), SETTINGS), plan_samples(problems(4), SETTINGS)
    assert many[:6] == few
    seeds = [planned.request.params.seed for planned in many]
    assert len(set(seeds)) == 12
    assert sample_seed(1, "a", 0) != sample_seed(2, "a", 0)


def test_greedy_sample_comes_first_and_has_no_seed():
    plan = plan_samples(problems(1), SETTINGS, with_greedy=True)
    assert [planned.number for planned in plan] == [-1, 0, 1, 2]
    assert (plan[0].request.params.temperature, plan[0].request.params.seed) == (0.0, None)


def test_chat_format_makes_the_prompt_a_user_message():
    settings = SampleSettings(prompt_format="chat", system_prompt="Think.")
    prompt = plan_samples(problems(1), settings)[0].request.prompt
    assert isinstance(prompt, Conversation)
    assert [message.content for message in prompt.messages] == ["Think.", problems(1)[0].prompt]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_samples": 0}, "num_samples is 0"),
        ({"block_size": 0}, "block_size is 0"),
        ({"temperature": 0.0}, "4 equal samples"),
        ({"system_prompt": "x"}, "prompt_format"),
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"top_p": 2.0}, "top_p is 2.0"),
    ],
)
def test_sample_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        SampleSettings(**changes)


def test_problems_come_back_from_their_file(tmp_path):
    write_problems(tmp_path / "p.jsonl", problems())
    assert load_problems(tmp_path / "p.jsonl") == problems()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no problem"),
        ('{"prompt": "a"}\n', ":1: field 'answer' is missing"),
        ('{"prompt": " ", "answer": "1"}\n', ":1: 'prompt' is blank"),
        ('{"prompt": "a", "answer": "1"}\n{"prompt": "a", "answer": "2"}\n', ":2: the prompt stands twice"),
        ('{"prompt": "a", "answer": 1}\n', ":1: 'answer' is int"),
    ],
    ids=["empty", "missing", "blank", "twice", "number"],
)
def test_problem_file_with_a_fault_names_line_and_field(tmp_path, text, message):
    path = tmp_path / "p.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        load_problems(path)


def test_by_seed_gives_right_and_wrong_texts():
    problem = Problem(prompt="p", answer="1", reference="## Step 1: 1 + 0 = 1\n## Step 2: \\boxed{1}")
    plan = plan_samples([problem], SampleSettings(num_samples=8))
    assert len({by_seed(problem, planned.request) for planned in plan}) == 3
