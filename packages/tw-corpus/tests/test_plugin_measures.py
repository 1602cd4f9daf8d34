"""Plug-in measures: what a recipe may say, how values decide, and what becomes of failures."""

import json
import math
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tw_corpus
from tw_corpus._plugin_measure import as_value, decide_value, value_margins
from tw_corpus._plugin_summary import QUANTILES, count_value, plugin_rows
from tw_corpus._plugins import Unmeasured, identify, load, measure_text
from tw_corpus._rules import Kept, Rejected
from tw_corpus._tally import Tally
from tw_corpus.curation import CurationRecipe
from tw_corpus.measures import PluginMeasure, local_path
from twllm_runs import parse_recipe, recipe_to_json
from twllm_types import ConfigError, DataError, MissingDependencyError

IMPORTABLE = Path(__file__).parent / "importable"
sys.path.insert(0, str(IMPORTABLE))
COMMAND = Path(sys.executable).parent / "tw-corpus"
names = st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789_", min_size=1, max_size=30).map(lambda name: f"x{name}x")
values = st.floats(-1e6, 1e6)
limits = st.none() | values


def plugin(factory: str, *, name: str = "own", **fields: Any) -> PluginMeasure:
    return PluginMeasure(name=name, factory=factory if ":" in factory else f"own_measures:{factory}", **fields)


# what a recipe may say


def test_recipe_with_plugin_measures_is_read_and_written_back() -> None:
    text = (
        "measures:\n"
        "- {name: perplexity, factory: kenlm, options: {model: zh.bin}, maximum: 900}\n"
        "- {name: tone, factory: 'my_package.tones:Tone.strict', options: {words: [好, 1, true], depth: null}}\n"
    )
    recipe = parse_recipe(text, CurationRecipe, source="r.yaml")
    assert recipe.measures == (
        PluginMeasure(name="perplexity", factory="kenlm", options={"model": "zh.bin"}, maximum=900),
        PluginMeasure(
            name="tone", factory="my_package.tones:Tone.strict", options={"words": ("好", 1, True), "depth": None}
        ),
    )
    assert parse_recipe(json.dumps(recipe_to_json(recipe)), CurationRecipe, source="again") == recipe


@pytest.mark.parametrize(
    ("measure", "problem"),
    [
        ({"name": "Perplexity", "factory": "kenlm"}, "lower-case letters"),
        ({"name": "", "factory": "kenlm"}, "lower-case letters"),
        ({"name": "a" * 41, "factory": "kenlm"}, "lower-case letters"),
        ({"name": "url", "factory": "kenlm"}, "which tw-corpus uses itself"),
        ({"name": "han_share", "factory": "kenlm"}, "which tw-corpus uses itself"),
        ({"name": "x_error", "factory": "kenlm"}, "which tw-corpus uses itself"),
        ({"name": "x", "factory": "kenlm.py"}, "import path like"),
        ({"name": "x", "factory": "a-b:c"}, "import path like"),
        ({"name": "x", "factory": "kenlm", "minimum": 2, "maximum": 1}, "so no text passes"),
        ({"name": "x", "factory": "kenlm", "options": {"a": {"b": 1}}}, "options"),
        ({"name": "x", "factory": "kenlm", "threshold": 1}, "not a known key"),
    ],
)
def test_recipe_with_an_impossible_measure_is_refused(measure: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        parse_recipe(json.dumps({"measures": [measure]}), CurationRecipe, source="r.yaml")


def test_recipe_with_two_measures_of_one_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="the name 'x' twice"):
        CurationRecipe(measures=(plugin("share_of", name="x"), plugin("fails_on", name="x")))


def test_measure_with_an_infinite_threshold_is_refused() -> None:
    with pytest.raises(ConfigError, match="give a finite number"):
        plugin("share_of", minimum=math.inf)


# how values decide


@given(values, limits, limits)
def test_a_value_is_rejected_exactly_where_it_lies_outside(value: float, low: float | None, high: float | None) -> None:
    if low is not None and high is not None and low > high:
        low, high = high, low
    measure = plugin("share_of", minimum=low, maximum=high)
    inside = (low is None or value >= low) and (high is None or value <= high)
    decision = decide_value(value, measure)
    assert isinstance(decision, Kept) == inside
    margins = {margin.reason: margin.distance for margin in value_margins(value, measure)}
    assert list(margins) == [name for name, limit in (("min_own", low), ("max_own", high)) if limit is not None]
    if isinstance(decision, Rejected):
        assert margins[decision.reason] <= 0
        assert (decision.value, decision.threshold) == (value, low if decision.reason == "min_own" else high)
    else:
        assert all(distance >= 0 for distance in margins.values())


@pytest.mark.parametrize("number", [0, -3, 1.5, np.float32(1.5), np.float64(2), np.int64(7)])
def test_numbers_of_any_kind_are_values(number: float) -> None:
    assert as_value(number) == float(number)
    assert type(as_value(number)) is float


@pytest.mark.parametrize("other", [True, None, "0.5", math.nan, math.inf, -math.inf, [1.0], 1j])
def test_anything_but_a_finite_number_is_no_value(other: object) -> None:
    with pytest.raises(DataError, match="a measure returns a finite number"):
        as_value(other)


def test_a_measure_that_fails_gives_the_error_in_one_line() -> None:
    measure = load(plugin("fails_on", options={"word": "怪字"}))
    assert measure_text(measure, "好") == 1.0
    assert measure_text(measure, "怪字") == Unmeasured(error=r"KeyError: '怪字\nunknown'")
    assert isinstance(measure_text(load(plugin("returning", options={"what": "nan"})), "好"), Unmeasured)
    quoted = measure_text(load(plugin("fails_on", options={"word": "請電0940-000-118。"})), "請電0940-000-118。")
    assert quoted == Unmeasured(error=r"KeyError: '請電[遮蔽:手機號碼]。\nunknown'")
    long = measure_text(load(plugin("fails_on", options={"word": "字" * 500})), "字" * 500)
    assert isinstance(long, Unmeasured)
    assert len(long.error) == 201


class UnspeakableError(Exception):
    """An exception that cannot say what it is."""

    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (SystemExit(0), "SystemExit: 0"),
        (GeneratorExit(), "GeneratorExit:"),
        (ValueError("bad \ud800"), "ValueError: bad ?"),
        (UnspeakableError(), "UnspeakableError: no message"),
    ],
)
def test_a_measure_that_ends_in_any_way_is_a_counted_failure_of_one_text(raised: BaseException, error: str) -> None:
    def measure(text: str) -> float:
        raise raised

    assert measure_text(measure, "好") == Unmeasured(error=error)


@pytest.mark.parametrize("value", [sys.float_info.max, -sys.float_info.max, 5e-324])
def test_values_at_the_ends_of_the_range_can_be_summed_up(value: float) -> None:
    tally = Tally()
    count_value(tally, "own", "passed", value)
    assert "Infinity" not in json.dumps(plugin_rows(tally))


def test_names_that_readers_and_blocks_write_are_refused() -> None:
    source = Path(tw_corpus.__file__).parent
    written = {
        name
        for path in source.rglob("*.py")
        for name in re.findall(r'metadata\["([a-z_]+)"\]', path.read_text(encoding="utf-8"))
    }
    assert {"fields", "position", "variant", "measures"} <= written
    for name in sorted(written):
        with pytest.raises(ConfigError, match="give another name"):
            PluginMeasure(name=name, factory="own_measures:share_of")


def test_memory_running_out_is_no_property_of_the_text() -> None:
    def hungry(_text: str) -> float:
        raise MemoryError

    with pytest.raises(MemoryError):
        measure_text(hungry, "好")


def test_a_process_makes_a_measure_once_and_options_keep_their_types(tmp_path: Path) -> None:
    (tmp_path / "words").write_text("好", encoding="utf-8")
    measure = plugin("WordsOfFile", options={"words": str(tmp_path / "words"), "bonus": (1, 0.5)})
    assert load(measure) is load(measure)
    assert load(measure)("好壞") == 2.0


# what is counted


@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=60), st.integers(0, 60))
def test_quantiles_do_not_depend_on_tasks_and_are_right_to_two_digits(numbers: list[float], cut: int) -> None:
    parts = [Tally(), Tally()]
    for position, number in enumerate(numbers):
        count_value(parts[position >= cut], "own", "passed", number)
    rows = plugin_rows(parts[0].merged(parts[1]))
    assert plugin_rows(parts[1].merged(parts[0])) == rows
    row: Any = rows[0]
    assert (row["num_measured"], row["num_failed"], list(row["quantiles"])) == (len(numbers), 0, list(QUANTILES))
    assert row["quantiles"]["min"] == pytest.approx(min(numbers), rel=0.051, abs=1e-300)
    assert row["quantiles"]["max"] == pytest.approx(max(numbers), rel=0.051, abs=1e-300)
    ordered = sorted(numbers)
    median = ordered[math.ceil(len(ordered) / 2) - 1]
    assert row["quantiles"]["median"] == pytest.approx(median, rel=0.051, abs=1e-300)


def test_failures_are_counted_and_are_no_values() -> None:
    tally = Tally()
    count_value(tally, "own", "failed_own", None)
    count_value(tally, "other", "min_other", -0.0)
    assert plugin_rows(tally) == [
        {
            "measure": "other",
            "num_measured": 1,
            "num_passed": 0,
            "num_failed": 0,
            "rejected": {"min_other": 1},
            "quantiles": dict.fromkeys(QUANTILES, 0.0),
        },
        {
            "measure": "own",
            "num_measured": 0,
            "num_passed": 0,
            "num_failed": 1,
            "rejected": {},
            "quantiles": None,
        },
    ]


# what a run is told before it begins


@pytest.mark.parametrize(
    ("measure", "problem"),
    [
        (plugin("no_such_module_at_all:thing"), "cannot be imported .*PYTHONPATH"),
        (plugin("no_such_thing"), "cannot be imported .*no_such_thing"),
        (plugin("fails_on_import:thing"), "RuntimeError: no licence file"),
        (plugin("NOT_CALLABLE"), "is no class or function"),
        (plugin("share_of"), "options do not fit .*'characters'.*it takes"),
        (plugin("share_of", options={"characters": "雨", "words": 1}), "options do not fit .*'words'"),
        (plugin("broken"), "OSError: it is Monday"),
        (plugin("no_measure"), "returned int, which cannot be called"),
        (plugin("OddResources"), "other things than strings"),
        (plugin("FailingResources"), "LookupError: no such list"),
        (plugin("WordsOfFile", options={"words": "no/such/file"}), "no/such/file: no such file"),
        (plugin("WordsOfFile", options={"words": "hf://only-a-name"}), "write hf://owner/name/path"),
        (plugin("WordsOfFile", options={"words": "hf://a--b/c..d/file"}), "check owner, name, path"),
        (plugin("WordsOfFile", options={"words": "hf://nobody/nothing/file@v1"}), "run `tw-corpus prefetch`"),
        (PluginMeasure(name="own", factory="kenlm"), "options do not fit 'kenlm'"),
    ],
)
def test_a_measure_that_cannot_be_made_is_refused_by_name(measure: PluginMeasure, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        identify([measure])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("package", ["kenlm", "fasttext"])
def test_a_shipped_measure_without_its_package_names_the_extra(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # as if it were not installed
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / "model").write_bytes(b"")
    options: dict[str, Any] = {"model": str(tmp_path / "model")} | ({"label": "x"} if package == "fasttext" else {})
    measure = PluginMeasure(name="own", factory=package, options=options)
    with pytest.raises(MissingDependencyError, match=rf"measure 'own': .*pip install 'tw-corpus\[{package}\]'"):
        identify([measure])


def test_a_factory_without_a_signature_is_called_and_judged_by_what_it_makes() -> None:
    with pytest.raises(ConfigError, match="'builtins:dict' returned dict"):
        identify([plugin("builtins:dict")])


def test_identity_holds_the_hashes_of_code_and_files(tmp_path: Path) -> None:
    words = tmp_path / "words"
    words.write_text("好", encoding="utf-8")
    measures = [plugin("WordsOfFile", options={"words": str(words)})]
    seen: list[int] = []
    identity = identify(measures, on_bytes=seen.append)
    assert seen == [3]
    (model,) = identity.models
    assert (model.spec, model.revision, len(model.sha256["weights"])) == (str(words), None, 64)
    code: Any = identity.code["own"]
    assert code["distributions"] == {}
    assert len(code["module_sha256"]) == 64
    words.write_text("壞", encoding="utf-8")
    assert identify(measures).models != identity.models


def test_identity_of_an_installed_package_names_its_version() -> None:
    code: Any = identify([plugin("numpy:vectorize")]).code["own"]
    assert code["distributions"] == {"numpy": np.__version__}


def test_local_path_of_a_file_is_the_path(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    assert local_path(str(tmp_path / "a")) == tmp_path / "a"
    with pytest.raises(ConfigError, match="no such file"):
        local_path(str(tmp_path))
