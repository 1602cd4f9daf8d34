"""For test suites: a judge's run as an assertion.

from llm_eval.testing import assert_judged

def test_the_new_model_is_good_enough():
assert_judged("runs/new", minimums={"relevance": 3.5}, baseline="runs/old", margins={"overall": 0.1})
"""

from collections.abc import Mapping
from pathlib import Path

from llm_eval._gate import GateResult, GateRules, check_run
from llm_eval._show import gate_lines

__all__ = ["assert_judged"]


def assert_judged(
    run: Path | str,
    *,
    minimums: Mapping[str, float] | None = None,
    baseline: Path | str | None = None,
    margins: Mapping[str, float] | None = None,
    max_failure_share: float = 0.0,
    by_mean: bool = False,
    allow_different: bool = False,
) -> GateResult:
    """Assert what `llm-eval check` tests.

    Args:
        run: folder of a finished run.
        minimums: least score by dimension, `overall` among them; the lower end of the interval must reach it.
        baseline: folder of the run to compare with.
        margins: by dimension, how much lower than the baseline a score may be; tested at the lower end of the interval
            of the paired difference.
        max_failure_share: most judgements that may fail; one whose samples failed in part counts by that part.
        by_mean: test means instead of the ends of intervals.
        allow_different: compare with a baseline of another judge.

    Returns:
        The tests, all of which hold.

    Raises:
        AssertionError: a test fails; the message is the table of all tests.
        ConfigError, ArtifactError, DataError: as `check_run`.
    """
    rules = GateRules(
        minimums=minimums or {},
        margins=margins or {},
        max_failure_share=max_failure_share,
        by_mean=by_mean,
        allow_different=allow_different,
    )
    result = check_run(Path(run), rules, baseline=None if baseline is None else Path(baseline))
    if not result.passed:
        raise AssertionError("\n".join([f"{run} was judged too low:", *gate_lines(result)]))
    return result
