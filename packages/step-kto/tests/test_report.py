import sys
from pathlib import Path

import pytest

from step_kto._judge_spec import JudgeSettings
from step_kto._label_settings import LabelSettings
from step_kto._report import write_report
from step_kto._sample_settings import SampleSettings
from step_kto._stage_evaluate import EvaluateSettings, run_evaluate
from twllm_types import ArtifactError, ConfigError

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from step_fakes import FakeEngine, SilentProgress, make_labels, problems, right_answer, wrong_answer


def evaluated(output, answer):
    settings = EvaluateSettings(
        sample=SampleSettings(num_samples=2, max_tokens=50),
        label=LabelSettings(judge=JudgeSettings(judge="arithmetic-truth")),
        ks=(2,),
    )
    engine = FakeEngine(problems(), answer=lambda problem, _: answer(problem))
    run_evaluate(engine, problems(), settings, output=output, progress=SilentProgress())
    return output


def test_report_puts_evaluations_beside_each_other(tmp_path):
    good, bad = evaluated(tmp_path / "good", right_answer), evaluated(tmp_path / "bad", wrong_answer)
    write_report([good, bad], tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "good" in page
    assert "maj@2" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_report_names_figures_in_order_and_shows_intervals(tmp_path):
    write_report([evaluated(tmp_path / "good", right_answer)], tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    places = [page.index(name) for name in ("pass@1_greedy", "pass@2", "maj@2", "stepwise_errors_greedy")]
    assert places == sorted(places)


def test_report_of_folders_with_one_name_shows_their_paths(tmp_path):
    paths = [evaluated(tmp_path / name / "run", right_answer) for name in ("a", "b")]
    write_report(paths, tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "a/run" in page
    assert "b/run" in page


def test_report_refuses_nothing_twice_the_same_and_other_runs(tmp_path):
    with pytest.raises(ConfigError, match="no run is given"):
        write_report([], tmp_path / "r.html")
    run = evaluated(tmp_path / "e", right_answer)
    with pytest.raises(ConfigError, match="given twice"):
        write_report([run, run], tmp_path / "r.html")
    with pytest.raises(ArtifactError, match="neither a loop nor a finished run"):
        write_report([make_labels(tmp_path)], tmp_path / "r.html")


def test_jobs_and_training_hold_what_they_name():
    import step_kto.jobs
    import step_kto.training

    for module in (step_kto.jobs, step_kto.training):
        assert [name for name in module.__all__ if not hasattr(module, name)] == []
        assert module.__doc__
