"""Bringing what nodes without network need, from a hub on this machine."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tw_corpus.curation import CurationRecipe, prefetch

IMPORTABLE = Path(__file__).parent / "importable"
sys.path.insert(0, str(IMPORTABLE))
from hub import COMMIT, REPOSITORY, Hub, serving  # noqa: E402 - found through the line above

COMMAND = Path(sys.executable).parent / "tw-corpus"
CONTENT = "今天氣很好".encode()
LOCATION = f"hf://{REPOSITORY}/lists/good.txt"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
TEXT = "今天天氣很好，我們一早就到河邊散步，走到中午才回家吃飯。"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving({"lists/good.txt": CONTENT}) as hub:
        yield hub


def recipe_of(folder: Path, factory: str, **options: object) -> Path:
    path = folder / "own.yaml"
    measure = {"name": "good", "factory": factory, "options": options}
    path.write_text(json.dumps({"measures": [measure], "near_dedup": None}), encoding="utf-8")
    return path


def run(folder: Path, *words: object, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run the command with a home of its own, where nothing was brought yet."""
    own = {"PYTHONPATH": str(IMPORTABLE), "HF_HOME": str(folder / "home"), "COLUMNS": "300", "NO_COLOR": "1"}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")} | own | variables
    command = [COMMAND, "--quiet", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def manifest_of(output: Path) -> dict[str, Any]:
    return json.loads((output / "run.json").read_text(encoding="utf-8"))["manifest"]


def test_prefetch_brings_a_file_that_curate_then_finds_without_network(hub: Hub, tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, "own_measures:WordsOfFile", words=LOCATION)
    (tmp_path / "a.txt").write_text(TEXT, encoding="utf-8")
    curate = ("curate", tmp_path / "a.txt", "--output", tmp_path / "out", "--recipe", recipe)

    before = run(tmp_path, *curate, HF_ENDPOINT=hub.address)
    assert before.returncode == 2
    assert f"{LOCATION} is not on this machine; run `tw-corpus prefetch`" in before.stderr
    assert hub.seen == []
    assert not (tmp_path / "out").exists()

    done = run(tmp_path, "prefetch", recipe, HF_ENDPOINT=hub.address)
    assert done.returncode == 0, done.stderr
    assert {COMMIT, SHA256, LOCATION} <= set(done.stdout.replace("│", " ").split())
    assert "Made without network: good" in done.stdout
    assert "variant.npz" in done.stdout

    num_requests = len(hub.seen)
    after = run(tmp_path, *curate, HF_ENDPOINT=hub.address)
    assert after.returncode == 0, after.stderr
    assert len(hub.seen) == num_requests
    assert manifest_of(tmp_path / "out")["models"] == [
        {"spec": LOCATION, "revision": COMMIT, "sha256": {"weights": SHA256}, "reported_id": None}
    ]


def test_prefetch_into_a_folder_says_what_the_nodes_must_know(hub: Hub, tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, "own_measures:WordsOfFile", words=f"{LOCATION}@{COMMIT}")
    shared = tmp_path / "shared"
    done = run(tmp_path, "prefetch", recipe, "--to", shared, HF_ENDPOINT=hub.address)
    assert done.returncode == 0, done.stderr
    assert f"On the nodes: export HF_HUB_CACHE={shared}" in done.stdout
    assert [path.read_bytes() for path in shared.rglob("good.txt")] == [CONTENT]
    (tmp_path / "a.txt").write_text(TEXT, encoding="utf-8")
    curate = ("curate", tmp_path / "a.txt", "--output", tmp_path / "out", "--recipe", recipe)
    assert run(tmp_path, *curate).returncode == 2
    assert run(tmp_path, *curate, HF_HUB_CACHE=str(shared)).returncode == 0


def test_prefetch_again_brings_nothing_and_says_the_same(hub: Hub, tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, "own_measures:WordsOfFile", words=f"{LOCATION}@{COMMIT}")
    first = run(tmp_path, "prefetch", recipe, HF_ENDPOINT=hub.address)
    num_requests = len(hub.seen)
    second = run(tmp_path, "prefetch", recipe, HF_ENDPOINT=hub.address)
    assert (second.returncode, second.stdout) == (0, first.stdout)
    assert len(hub.seen) == num_requests


@pytest.mark.parametrize(
    "location", ["hf://nobody/words/lists/good.txt", f"{LOCATION}@v9", f"hf://{REPOSITORY}/lists/bad.txt"]
)
def test_prefetch_of_what_the_hub_does_not_have_is_a_wrong_recipe(hub: Hub, tmp_path: Path, location: str) -> None:
    recipe = recipe_of(tmp_path, "own_measures:WordsOfFile", words=location)
    done = run(tmp_path, "prefetch", recipe, HF_ENDPOINT=hub.address)
    assert done.returncode == 2
    assert f"{location}: the hub has no such file" in done.stderr
    assert done.stderr.count("\n") == 1


def test_prefetch_from_a_hub_out_of_order_can_be_run_again(hub: Hub, tmp_path: Path) -> None:
    hub.out_of_order = True
    recipe = recipe_of(tmp_path, "own_measures:WordsOfFile", words=LOCATION)
    done = run(tmp_path, "prefetch", recipe, HF_ENDPOINT=hub.address)
    assert done.returncode == 1
    assert f"{LOCATION} could not be brought" in done.stderr
    assert "run the same command again" in done.stderr
    hub.out_of_order = False
    assert run(tmp_path, "prefetch", recipe, HF_ENDPOINT=hub.address).returncode == 0


def test_prefetch_of_a_measure_that_cannot_be_made_says_so(hub: Hub, tmp_path: Path) -> None:
    done = run(tmp_path, "prefetch", recipe_of(tmp_path, "own_measures:broken", why="no licence"))
    assert done.returncode == 2
    assert "measure 'good': 'own_measures:broken' failed (OSError: no licence)" in done.stderr


def test_prefetch_makes_measures_where_the_hub_is_switched_off(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, "own_measures:downloads_itself", location=REPOSITORY)
    done = run(tmp_path, "prefetch", recipe)
    assert done.returncode == 2
    assert "OfflineModeIsEnabled" in done.stderr or "LocalEntryNotFoundError" in done.stderr


def test_prefetch_whose_process_dies_says_so(tmp_path: Path) -> None:
    done = run(tmp_path, "prefetch", recipe_of(tmp_path, "own_measures:dies"))
    assert done.returncode == 1
    assert "the process that made measure 'good' died" in done.stderr


def test_prefetch_of_a_local_file_lists_it(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_bytes(CONTENT)
    done = run(tmp_path, "prefetch", recipe_of(tmp_path, "own_measures:WordsOfFile", words=str(words)))
    assert done.returncode == 0, done.stderr
    assert str(words) in done.stdout
    assert SHA256 in done.stdout
    words.unlink()
    done = run(tmp_path, "prefetch", tmp_path / "own.yaml")
    assert done.returncode == 2
    assert "no such file; check the path" in done.stderr


def test_prefetch_of_a_recipe_without_plugins_needs_nothing_more(tmp_path: Path) -> None:
    done = run(tmp_path, "prefetch", "web")
    assert done.returncode == 0, done.stderr
    assert "no plug-in measures; nothing more is needed" in done.stdout


def test_prefetch_lists_every_table_and_model_that_ships() -> None:
    done = prefetch(CurationRecipe())
    assert {"models/variant.npz", "tables/terms.tsv"} <= {file.resource.location for file in done.files}
    assert all(len(file.resource.sha256) == 64 and file.resource.num_bytes > 0 for file in done.files)
    assert (done.measures, done.cache) == ((), None)
