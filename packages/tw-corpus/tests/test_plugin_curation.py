"""Plug-in measures in a curation: documents, account, report, and what makes it another run."""

import json
import sys
from pathlib import Path

import pytest

IMPORTABLE = Path(__file__).parent / "importable"
sys.path.insert(0, str(IMPORTABLE))
from plugin_runs import TEXTS, documents, rows, run, write_inputs, write_recipe  # noqa: E402 - found through the line above


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plugins")
    write_inputs(folder / "inputs")
    return folder


@pytest.fixture(scope="module")
def curated(folder: Path) -> Path:
    """Curate with one measure that rejects, one that fails and decides, and one that fails and only notes."""
    recipe = write_recipe(
        folder,
        {"name": "rain", "factory": "own_measures:share_of", "options": {"characters": "雨"}, "maximum": 0.075},
        {"name": "noted", "factory": "own_measures:fails_on", "options": {"word": "茶園"}},
        {"name": "length", "factory": "own_measures:fails_on", "options": {"word": "怪字"}, "minimum": 5},
    )
    for workers in (1, 3):
        done = run(
            "curate", folder / "inputs", "--output", folder / f"out{workers}", "--recipe", recipe, "--workers", workers
        )
        assert done.returncode == 3, done.stderr
        assert "measure length failed on 1 documents" in done.stdout
        assert "could not be read" not in done.stdout
    return folder / "out1"


def test_curate_notes_the_values_of_kept_documents(curated: Path) -> None:
    kept = documents(curated)
    assert sorted(kept) == ["near", "plain"]
    length = float(len(TEXTS["plain"]))
    assert (kept["plain"]["rain"], kept["plain"]["noted"], kept["plain"]["length"]) == (0.0, length, length)


def test_curate_keeps_a_document_that_a_measure_without_threshold_failed_on(curated: Path) -> None:
    near = documents(curated)["near"]
    assert near["noted"] is None
    assert near["noted_error"].startswith("KeyError")
    assert near["length"] == len(TEXTS["near"])


def test_curate_leaves_out_what_a_plugin_rejects_or_fails_on(curated: Path) -> None:
    rejected = {row["id"]: row for row in rows(curated / "rejected" / "plugin")}
    assert sorted(rejected) == ["odd", "rainy"]
    rainy, odd = rejected["rainy"], rejected["odd"]
    share = TEXTS["rainy"].count("雨") / len(TEXTS["rainy"])
    assert (rainy["reason"], rainy["value"], rainy["threshold"]) == ("max_rain", share, 0.075)
    assert rainy["measures"] == {"rain": share}
    assert (odd["reason"], odd["value"], odd["threshold"]) == ("failed_length", None, None)
    assert odd["metadata"]["length_error"].startswith("KeyError")
    assert list(odd["measures"]) == ["rain", "noted"]


def test_curate_accounts_for_failures_apart_from_rejections(curated: Path) -> None:
    summary = json.loads((curated / "summary.json").read_text(encoding="utf-8"))
    counts = summary["counts"]
    assert (counts["num_kept"], counts["num_rejected"], counts["num_unmeasured"], counts["num_faults"]) == (2, 1, 1, 0)
    # what a measure failed on says nothing about the share that passes
    assert (summary["pass_rate_by_genre"]["-"]["n"], summary["pass_rate_by_genre"]["-"]["mean"]) == (3, 2 / 3)
    by_name = {row["measure"]: row for row in summary["plugin_measures"]}
    assert {name: (row["num_measured"], row["num_failed"]) for name, row in by_name.items()} == {
        "rain": (4, 0),
        "noted": (2, 1),
        "length": (2, 1),
    }
    assert by_name["rain"]["rejected"] == {"max_rain": 1}
    assert json.loads((curated / "run.json").read_text(encoding="utf-8"))["num_faults"] == 2


def test_curate_with_plugins_gives_the_same_with_more_workers(curated: Path) -> None:
    other = curated.parent / "out3"
    assert documents(other) == documents(curated)
    assert rows(other / "rejected") == rows(curated / "rejected")
    summaries = [json.loads((path / "summary.json").read_text(encoding="utf-8")) for path in (curated, other)]
    assert {**summaries[0], "timing": 0} == {**summaries[1], "timing": 0}


def test_report_shows_the_plugin_measures(curated: Path) -> None:
    page = (curated / "report.html").read_text(encoding="utf-8")
    assert "Plug-in measures" in page
    assert "a plug-in measure with a threshold failed" in page
    assert "failed_length" in page
    # the share of this document lies within a tenth of the threshold
    assert abs(documents(curated)["near"]["rain"] - 0.075) <= 0.0075
    assert "max_rain" in page


def test_inspect_shows_what_a_plugin_rejected(curated: Path) -> None:
    shown = run("inspect", curated, "--reason", "max_rain").stdout
    assert "threshold 0.075" in shown
    assert "雨鞋都溼透了" in shown
    assert "怪字" in run("inspect", curated, "--reason", "failed_length").stdout


def test_curate_with_a_plugin_that_cannot_be_made_touches_nothing(folder: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, {"name": "own", "factory": "own_measures:share_of"})
    done = run("curate", folder / "inputs", "--output", tmp_path / "out", "--recipe", recipe)
    assert done.returncode == 2
    assert "measure 'own': options do not fit" in done.stderr
    assert not (tmp_path / "out").exists()


def test_curate_with_another_model_file_is_another_run(folder: Path, tmp_path: Path) -> None:
    words = tmp_path / "words"
    words.write_text("好", encoding="utf-8")
    recipe = write_recipe(
        tmp_path, {"name": "own", "factory": "own_measures:WordsOfFile", "options": {"words": str(words)}}
    )
    command = ("curate", folder / "inputs", "--output", tmp_path / "out", "--recipe", recipe)
    assert run(*command).returncode == 0
    assert "finished before" in run(*command).stdout
    words.write_text("壞", encoding="utf-8")
    done = run(*command)
    assert done.returncode == 2
    assert "models" in done.stderr
