import sys
from pathlib import Path

import pytest

from step_kto._evaluation import evaluation_figures
from step_kto._judge_spec import JudgeSettings
from step_kto._label_settings import LabelSettings
from step_kto._sample_settings import SampleSettings
from step_kto._stage_evaluate import EvaluateSettings, estimate_from_json, estimate_to_json, run_evaluate
from step_kto._stage_label import LabelledSolution
from step_kto._stage_sample import GREEDY, Sample
from twllm_runs import RunState
from twllm_types import ConfigError, StepwiseSolution

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from step_fakes import FakeEngine, FakeServer, SilentProgress, fails_on, problems, wrong_step

SETTINGS = EvaluateSettings(
    sample=SampleSettings(num_samples=4, max_tokens=50),
    label=LabelSettings(judge=JudgeSettings(judge="arithmetic-truth")),
    ks=(4,),
)
ARITHMETIC = {"judge": "arithmetic"}


def evaluated(engine, output, settings=SETTINGS, progress=None, **options):
    return run_evaluate(engine, problems(), settings, output=output, progress=progress or SilentProgress(), **options)


def sample(prompt, number, text: str | None = "x", reason="stop"):
    return Sample(prompt=prompt, number=number, text=text, finish_reason=None if text is None else reason)


def solution(prompt, number, outcome, labels):
    return LabelledSolution(
        solution=StepwiseSolution(prompt=prompt, steps=("s",) * len(labels), step_labels=labels, outcome=outcome),
        number=number,
        verdict="",
        finish_reason="stop",
    )


def figures(samples, solutions, *, ks=(2,), num_samples=2):
    return evaluation_figures(
        samples,
        solutions,
        ks=ks,
        num_samples=num_samples,
        golds={one.prompt: "\\boxed{1}" for one in samples},
        equivalent=lambda one, other: one == other,
    ).estimates


def test_figures_agree_with_hand_counts():
    samples = [
        *(sample("p", number, "\\boxed{1}") for number in (GREEDY, 0)),
        sample("p", 1, "\\boxed{2}"),
        *(sample("q", number, "\\boxed{3}") for number in (GREEDY, 0, 1)),
    ]
    solutions = [
        solution("p", GREEDY, True, (True, False)),
        solution("p", 0, True, (True, True)),
        solution("p", 1, False, (False, None)),
        *(solution("q", number, False, (True,)) for number in (GREEDY, 0, 1)),
    ]
    found = {name: estimate.mean for name, estimate in figures(samples, solutions).items()}
    assert found == pytest.approx(
        {
            "pass@1_greedy": 0.5,
            "pass@1_sampled": 0.25,
            "pass@2": 0.5,
            "maj@2": 0.5,
            "stepwise_errors_greedy": 1.0,
            "stepwise_errors_sampled": 0.0,
            "wrong_steps_sampled": 0.2,
            "steps_per_solution": 1.5,
        }
    )


def test_sampled_figures_are_clustered_by_problem():
    samples = [sample(prompt, number) for prompt in "pqr" for number in (GREEDY, 0, 1)]
    solutions = [solution(one.prompt, one.number, one.prompt == "p", (True,)) for one in samples]
    found = figures(samples, solutions)
    assert (found["pass@1_sampled"].n, found["pass@1_sampled"].num_clusters) == (6, 3)
    assert found["pass@1_sampled"].stderr == pytest.approx(0.2854, abs=1e-4)


def test_failed_sample_is_unscored_and_blank_one_wrong():
    samples = [sample("p", GREEDY, None), sample("p", 0, None), sample("p", 1, " ")]
    found = figures(samples, [])
    assert (found["pass@1_greedy"].n, found["pass@1_greedy"].num_unscored) == (0, 1)
    assert (found["pass@1_sampled"].mean, found["pass@1_sampled"].num_unscored) == (0.0, 1)
    assert (found["pass@2"].mean, found["pass@2"].num_unscored) == (None, 1)
    assert found["maj@2"].mean == 0.0


def test_problem_whose_samples_all_failed_has_no_majority():
    found = figures([sample("p", number, None) for number in (GREEDY, 0, 1)], [])
    assert (found["maj@2"].n, found["maj@2"].num_unscored) == (0, 1)


def test_run_evaluate_sees_step_errors_behind_right_answers(tmp_path):
    run = evaluated(FakeEngine(problems(), answer=lambda problem, _: wrong_step(problem)), tmp_path)
    assert run.estimates["pass@1_greedy"].mean == 1.0
    assert run.estimates["stepwise_errors_greedy"].mean == 1.0
    assert run.num_faults == 0


def test_run_evaluate_interrupted_gives_the_same_summary(tmp_path):
    whole = evaluated(FakeEngine(problems()), tmp_path / "whole")

    def stop(name, count):
        if (name, count) == ("labelling", 3):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluated(FakeEngine(problems(), breaks_at=5), tmp_path / "parts")
    with pytest.raises(KeyboardInterrupt):
        evaluated(FakeEngine(problems()), tmp_path / "parts", progress=SilentProgress(stop))
    resumed = evaluated(FakeEngine(problems()), tmp_path / "parts")
    assert (resumed.state, resumed.summary) == (RunState.CONTINUED, whole.summary)
    again = evaluated(FakeEngine(problems()), tmp_path / "parts")
    assert (again.state, again.estimates) == (RunState.FINISHED, whole.estimates)


def test_run_evaluate_asks_again_where_the_engine_failed(tmp_path):
    run = evaluated(FakeServer(problems(), answer=fails_on(problems()[0].prompt)), tmp_path)
    assert (run.num_faults, run.estimates["pass@1_greedy"].num_unscored) == (5, 1)
    server = FakeServer(problems())
    assert evaluated(server, tmp_path, retry_failures=True).num_faults == 0
    assert len(server.requests) == 5


def test_run_evaluate_refuses_the_judge_that_trained_unless_it_is_allowed(tmp_path):
    settings = EvaluateSettings(sample=SETTINGS.sample, ks=(4,))
    with pytest.raises(ConfigError, match="flatters the result"):
        evaluated(FakeEngine(problems()), tmp_path / "a", settings, training_judge=ARITHMETIC)
    assert not (tmp_path / "a").exists()
    allowed = EvaluateSettings(sample=SETTINGS.sample, ks=(4,), allow_same_judge=True)
    evaluated(FakeEngine(problems()), tmp_path / "b", allowed, training_judge=ARITHMETIC)
    evaluated(FakeEngine(problems()), tmp_path / "c", training_judge=ARITHMETIC)


@pytest.mark.parametrize(
    "changes", [{"ks": (9,)}, {"ks": (0,)}, {"sample": SampleSettings(num_samples=1, temperature=0)}]
)
def test_evaluate_settings_out_of_range_are_refused(changes):
    with pytest.raises(ConfigError, match=r"ks holds|is 0"):
        EvaluateSettings(**changes)


def test_estimates_come_back_from_json(tmp_path):
    run = evaluated(FakeEngine(problems()), tmp_path)
    for estimate in run.estimates.values():
        assert estimate_from_json(estimate_to_json(estimate)) == estimate
