import json
import sys
from pathlib import Path

import pytest

from icda._recipe import IcdaRecipe
from icda._recipe_data import DataFile, DataSettings
from icda._run_data import load_run_data
from icda._selection_rules import SelectionKind
from twllm_runs import hash_file, load_recipe, parse_recipe, recipe_to_json
from twllm_types import ConfigError, DataError

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from icda_fakes import INTENTS, write_data, write_rows

RECIPES = Path(__file__).parents[3] / "recipes" / "icda"


@pytest.fixture
def paths(tmp_path):
    return write_data(tmp_path / "data")


def load(paths, **settings):
    return load_run_data(DataSettings(files={name: DataFile(path=path) for name, path in paths.items()}, **settings))


@pytest.mark.parametrize("name", ["banking77-5shot.yaml", "help-desk-zh-tw.yaml"])
def test_recipe_of_the_repository_is_read_and_comes_back_from_its_json(name):
    recipe = load_recipe(RECIPES / name, IcdaRecipe)
    assert recipe.select.kind is SelectionKind.PVI_CLASS
    assert parse_recipe(json.dumps(recipe_to_json(recipe)), IcdaRecipe, source="json") == recipe


def test_recipe_names_line_and_key_of_what_it_cannot_use():
    with pytest.raises(ConfigError, match=r"x.yaml:2: generate.num_per_intents is not a known key"):
        parse_recipe("generate:\n  num_per_intents: 3\n", IcdaRecipe, source="x.yaml")
    with pytest.raises(ConfigError, match="set the recipe's own 'seed'"):
        parse_recipe("select: {seed: 3}", IcdaRecipe, source="x.yaml")
    with pytest.raises(ConfigError, match="num_shots is 0"):
        parse_recipe("data: {num_shots: 0}", IcdaRecipe, source="x.yaml")


def test_recipe_passes_its_seed_to_the_selection(paths):
    recipe = IcdaRecipe(seed=7).with_options(files=paths, engine="hf:x")
    assert (recipe.select_job.rules.seed, recipe.engine) == (7, "hf:x")
    assert (recipe.data.test, recipe.data.validation, recipe.data.candidates) == ("test", "validation", None)
    assert recipe.with_options(seed=8).seed == 8


def test_model_of_the_features_is_given_by_an_option():
    recipe = load_recipe(RECIPES / "banking77-5shot.yaml", IcdaRecipe)
    assert recipe.with_options(features_model="minilm").classifier.features.model == "minilm"
    with pytest.raises(ConfigError, match="character n-grams"):
        IcdaRecipe().with_options(features_model="minilm")


def test_data_are_read_by_role_and_rows_out_of_scope_stand_apart(paths):
    data = load(paths, validation="validation", test="test")
    assert data.intents == tuple(sorted(INTENTS))
    assert (len(data.seeds), len(data.validation), len(data.test), len(data.out_of_scope)) == (18, 12, 24, 3)
    assert [one.name for one in data.inputs] == ["seeds", "test", "validation"]
    assert len(data.seeds_of("lost_card")) == 6


def test_few_shots_are_drawn_by_seed(paths):
    first, again, other = (load(paths, num_shots=2, shots_seed=seed) for seed in (0, 0, 1))
    assert first.seeds == again.seeds
    assert first.seeds != other.seeds
    assert len(first.seeds) == 6


def test_rows_are_taken_by_an_index_file_that_names_its_data(paths, tmp_path):
    index = tmp_path / "index.json"
    few = {"few": {"source_split": "seeds", "rows": [0, 1, 6, 7, 12, 13]}}
    index.write_text(json.dumps({**few, "sha256": {"seeds": hash_file(paths["seeds"])}}), encoding="utf-8")
    data = load(paths, index=index, seeds="few", test="test")
    assert len(data.seeds) == 6
    assert data.inputs[-1].name == "index"
    index.write_text(json.dumps({**few, "sha256": {"seeds": "0" * 64}}), encoding="utf-8")
    with pytest.raises(DataError, match="use the data that the splits were made for"):
        load(paths, index=index, seeds="few")


def test_file_of_another_hash_than_the_recipe_wants_is_refused(paths):
    files = {"seeds": DataFile(path=paths["seeds"], sha256="0" * 64)}
    with pytest.raises(DataError, match=r"data\.files\.seeds wants 0000"):
        load_run_data(DataSettings(files=files))


def test_path_or_name_that_is_missing_is_named(paths):
    with pytest.raises(ConfigError, match="give --file seeds=PATH"):
        load_run_data(DataSettings(files={"seeds": DataFile()}))
    with pytest.raises(ConfigError, match="no rows called 'dev' among seeds"):
        load(paths, test="dev")
    with pytest.raises(ConfigError, match="no rows called 'seeds' among no files"):
        load_run_data(DataSettings())


def write(path, rows):
    path.write_text(
        "".join(json.dumps({"text": text, "intent": intent}) + "\n" for text, intent in rows), encoding="utf-8"
    )
    return path


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("a b", "x"), ("c d", "y"), ("e f", "oos")], "1 seeds are out of scope"),
        ([("a b", "x"), ("c d", "x")], "seeds have 1 intent"),
        ([("a b", "card_lost"), ("c d", "Card lost")], "same name after cleaning"),
        ([("a b", "x"), (" ", "y")], "text is empty"),
    ],
    ids=["out_of_scope", "one_intent", "same_name", "empty_utterance"],
)
def test_seeds_that_cannot_be_used_are_refused(tmp_path, rows, message):
    path = write(tmp_path / "seeds.jsonl", rows)
    with pytest.raises(DataError, match=message):
        load({"seeds": path})


def test_labels_that_the_seeds_lack_are_refused(paths, tmp_path):
    paths["test"] = write(tmp_path / "test.jsonl", [("a b", "lost_card"), ("c d", "unheard_of")])
    with pytest.raises(DataError, match="1 rows have intents that the seeds lack, such as 'unheard_of'"):
        load(paths, test="test")


def test_repeated_seeds_and_validation_rows_count_once(paths, tmp_path):
    twice = tmp_path / "twice.jsonl"
    twice.write_bytes(paths["seeds"].read_bytes() * 2)
    data = load({"seeds": twice, "validation": twice}, validation="validation")
    assert (len(data.seeds), len(data.validation)) == (18, 18)


def test_out_of_scope_rows_may_have_a_file_of_their_own(paths, tmp_path):
    paths["strange"] = write_rows(tmp_path / "strange.jsonl", range(0), outside=("la la",))
    assert len(load(paths, test="test", out_of_scope="strange").out_of_scope) == 4


def test_banking77_recipe_reads_the_shared_data_and_its_pool(shared_data):
    recipe = load_recipe(RECIPES / "banking77-5shot.yaml", IcdaRecipe).with_options(
        files={
            "train": shared_data("intent/banking77/train.csv"),
            "test": shared_data("intent/banking77/test.csv"),
            "candidates": shared_data("intent/generated_pools/banking77_protaugment_train10.jsonl"),
        },
        index=shared_data("intent/index_splits/banking77.json"),
    )
    data = load_run_data(recipe.data)
    assert (len(data.intents), len(data.seeds), len(data.test)) == (77, 385, 3080)
    assert len(data.candidates or ()) == 3855
