import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from step_kto._data import load_solutions
from step_kto._judge_spec import JudgeSettings, open_judge, same_judge
from step_kto._judges import StepItem
from step_kto._judges_llm import LlmStepJudge
from step_kto._label_settings import LabelSettings, step_cut
from step_kto._problems import Problem
from step_kto._sample_settings import SampleSettings
from step_kto._stage_label import run_label
from step_kto._stage_sample import run_sample
from step_kto._steps import segment_steps
from twllm_engines import RecordingEngine
from twllm_runs import RunState
from twllm_types import ArtifactError, Completion, ConfigError, FinishReason

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from step_fakes import (
    FakeEngine,
    SilentProgress,
    fails_on,
    problems,
    right_answer,
    summary_of,
    wrong_answer,
    wrong_step,
)

ARITHMETIC = LabelSettings(block_size=3)
VERDICTS = '{"verdicts": ["wrong", "right"]}'
TRUTH = LabelSettings(judge=JudgeSettings(judge="arithmetic-truth"))


def make_samples(folder, answer=None, known=None, num_samples=3, **engine):
    known = problems() if known is None else known
    settings = SampleSettings(num_samples=num_samples, max_tokens=50, block_size=4)
    run_sample(FakeEngine(known, answer=answer, **engine), known, settings, output=folder, progress=SilentProgress())
    return folder


def labelled(samples, output, settings=ARITHMETIC, progress=None, **options):
    return run_label(samples, settings, output=output, progress=progress or SilentProgress(), **options)


def always(make):
    return lambda problem, _: make(problem)


@pytest.mark.parametrize(
    ("make", "outcome", "labels"),
    [(right_answer, True, (True, None)), (wrong_step, True, (False, None)), (wrong_answer, False, (True, None))],
)
def test_run_label_judges_outcome_and_equations(tmp_path, make, outcome, labels):
    samples = make_samples(tmp_path / "s", always(make))
    run = labelled(samples, tmp_path / "l")
    assert {(one.solution.outcome, one.solution.step_labels) for one in run.solutions} == {(outcome, labels)}
    assert load_solutions(tmp_path / "l" / "solutions.jsonl") == tuple(one.solution for one in run.solutions)


def test_run_label_truth_judge_sees_that_a_box_does_not_follow(tmp_path):
    samples = make_samples(tmp_path / "s", always(wrong_answer))
    assert {one.solution.step_labels for one in labelled(samples, tmp_path / "l", TRUTH).solutions} == {(True, False)}


def test_run_label_without_judge_knows_outcomes_only(tmp_path):
    samples = make_samples(tmp_path / "s")
    run = labelled(samples, tmp_path / "l", LabelSettings(judge=JudgeSettings(judge="none")))
    assert summary_of(run)["steps"] == {"right": 0, "wrong": 0, "unknown": 24}
    assert summary_of(run)["step_judge"] == {"judge": "none"}


def test_run_label_interrupted_gives_the_same_bytes(tmp_path):
    samples = make_samples(tmp_path / "s")
    whole = labelled(samples, tmp_path / "whole")

    def stop(name, count):
        if (name, count) == ("labelling", 5):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        labelled(samples, tmp_path / "parts", progress=SilentProgress(stop))
    resumed = labelled(samples, tmp_path / "parts")
    assert (resumed.state, resumed.summary) == (RunState.CONTINUED, whole.summary)
    assert labelled(samples, tmp_path / "parts").state is RunState.FINISHED


def test_run_label_counts_failed_and_blank_samples_which_are_no_solutions(tmp_path):
    first, second = (problem.prompt for problem in problems()[:2])

    def answer(problem, request):
        return "  \n" if problem.prompt == second else fails_on(first)(problem, request)

    run = labelled(make_samples(tmp_path / "s", answer), tmp_path / "l")
    assert (summary_of(run)["num_failed_samples"], summary_of(run)["num_blank_samples"]) == (3, 3)
    assert (len(run.solutions), run.num_faults) == (6, 6)


@pytest.mark.parametrize(("truncates", "requires", "outcome"), [(True, False, False), (False, True, False)])
def test_last_number_of_a_text_without_marked_answer_is_no_answer(tmp_path, truncates, requires, outcome):
    known = (Problem(prompt="Compute 3 + 4.\n", answer="7"),)
    samples = make_samples(tmp_path / "s", lambda *_: "So we get 7", known, truncates=truncates, num_samples=1)
    run = labelled(samples, tmp_path / "l", LabelSettings(require_marked_answer=requires))
    assert [(one.solution.outcome, one.verdict) for one in run.solutions] == [(outcome, "unmarked_answer")]


class JudgeModel(FakeEngine):
    """Writes one text after the other; holds texts to a schema."""

    def __init__(self, texts):
        super().__init__(())
        self._texts = list(texts)

    @property
    def capabilities(self):
        return replace(super().capabilities, json_schema=True)

    def stream(self, requests):
        for index, _ in enumerate(requests):
            yield index, Completion(texts=(self._texts.pop(0),), finish_reasons=(FinishReason.STOP,))


def test_llm_judge_labels_steps_and_its_failures_are_counted(tmp_path):
    known = problems(2)
    samples = make_samples(tmp_path / "s", always(wrong_step), known, num_samples=1)
    recording = tmp_path / "judge.jsonl"
    items = [StepItem(problem=p.prompt, reference=p.reference, steps=segment_steps(wrong_step(p))) for p in known]
    with RecordingEngine(JudgeModel([VERDICTS, "I cannot say."]), recording) as engine:
        LlmStepJudge(engine).judge_many(items)
    run = labelled(samples, tmp_path / "l", LabelSettings(judge=JudgeSettings(judge=f"llm:replay:{recording}")))
    assert [one.solution.step_labels for one in run.solutions] == [(False, True), (None, None)]
    assert (summary_of(run)["judge_failures"], run.num_faults) == ({"no_json": 1}, 1)
    assert summary_of(run)["step_judge"]["judge"] == "llm"
    assert str(tmp_path) not in json.dumps(summary_of(run)["step_judge"])


def test_retry_asks_again_only_where_the_engine_of_the_judge_failed(tmp_path):
    known = problems(2)
    samples = make_samples(tmp_path / "s", always(wrong_step), known, num_samples=1)
    spec = tmp_path / "judge.yaml"
    spec.write_text("engine: replay\nfile: judge.jsonl\nmissing: failure\n", encoding="utf-8")
    recording = tmp_path / "judge.jsonl"
    items = [StepItem(problem=p.prompt, reference=p.reference, steps=segment_steps(wrong_step(p))) for p in known]
    with RecordingEngine(JudgeModel([VERDICTS]), recording) as engine:
        LlmStepJudge(engine).judge_many(items[:1])
    settings = LabelSettings(judge=JudgeSettings(judge=f"llm:{spec}"))
    first = labelled(samples, tmp_path / "l", settings)
    assert summary_of(first)["judge_failures"] == {"engine": 1}
    again = labelled(samples, tmp_path / "l", settings, retry_failures=True)
    assert (again.summary, again.state) == (first.summary, RunState.CONTINUED)


def test_run_label_refuses_what_is_no_finished_run_of_samples(tmp_path):
    samples = make_samples(tmp_path / "s")
    done = labelled(samples, tmp_path / "l")
    with pytest.raises(ArtifactError, match="no finished run of step-kto sample"):
        labelled(done.folder, tmp_path / "m")
    with pytest.raises(ArtifactError, match=r"steps"):
        labelled(samples, tmp_path / "l", LabelSettings(steps="markers", block_size=3))


def test_run_label_refuses_changed_samples_and_changed_solutions(tmp_path):
    samples = make_samples(tmp_path / "s")
    done = labelled(samples, tmp_path / "l")
    path = done.folder / "solutions.jsonl"
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    with pytest.raises(ArtifactError, match="was changed"):
        labelled(samples, tmp_path / "l")
    (samples / "samples.jsonl").unlink()
    with pytest.raises(ArtifactError, match="cannot be read"):
        labelled(samples, tmp_path / "l")


def test_truth_judge_needs_expressions():
    known = (Problem(prompt="How many?", answer="7"),)
    with (
        pytest.raises(ConfigError, match="needs an 'expression'"),
        open_judge(JudgeSettings(judge="arithmetic-truth"), known),
    ):
        pass


@pytest.mark.parametrize("word", ["", "guess", "llm", "llm:", "reward-model:", "arithmetic:x", "none:"])
def test_unknown_judge_is_refused(word):
    with pytest.raises(ConfigError, match="judge is"):
        JudgeSettings(judge=word)


@pytest.mark.parametrize("changes", [{"threshold": 1.0}, {"max_reasoning_tokens": -1}])
def test_judge_values_out_of_range_are_refused(changes):
    with pytest.raises(ConfigError, match=r"threshold|max_reasoning_tokens"):
        JudgeSettings(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": "words"}, "steps is 'words'"),
        ({"steps": "regex:("}, "no regular expression"),
        ({"block_size": 0}, "block_size"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
    ],
)
def test_label_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        LabelSettings(**changes)


def test_step_cut_reads_a_regular_expression():
    assert segment_steps("=> a\n=> b", step_cut("regex:^=>")) == ("=> a\n", "=> b")


@given(st.sampled_from(["llm", "reward-model"]), st.booleans(), st.booleans())
def test_same_judge_goes_by_weights_and_not_by_name_or_prompt(kind, same_weights, same_name):
    one = {"judge": kind, "model": "a", "sha256": {"weights": "1"}, "language": "en"}
    other = {"judge": kind, "model": "a" if same_name else "b", "sha256": {"weights": "1" if same_weights else "2"}}
    assert same_judge(one, other) is same_weights
    assert same_judge({**one, "sha256": {}}, {**other, "sha256": {}}) is same_name


def test_judges_of_different_kinds_differ():
    assert not same_judge({"judge": "arithmetic"}, {"judge": "arithmetic-truth"})
    assert same_judge({"judge": "arithmetic"}, {"judge": "arithmetic"})
