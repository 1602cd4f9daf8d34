import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest

import twllm_engines
import twllm_types
from twllm_engines import (
    BosRule,
    OpenAISettings,
    ReplaySettings,
    SchemaStyle,
    TransformersSettings,
    VllmSettings,
    load_engine,
    parse_spec,
    settings_to_json,
)
from twllm_types import ConfigError, MissingDependencyError

URL = "https://models.example/v1"


def test_string_specs_name_each_engine() -> None:
    assert parse_spec("hf:some/model") == TransformersSettings(model="some/model")
    assert parse_spec("vllm:some/model") == VllmSettings(model="some/model")
    assert parse_spec("replay:answers.jsonl") == ReplaySettings(file=Path("answers.jsonl"))
    assert parse_spec(f"openai:some@model@{URL}/") == OpenAISettings(model="some@model", base_url=URL)


def test_relative_paths_of_string_specs_start_at_the_base(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    assert parse_spec("replay:a.jsonl", base=tmp_path) == ReplaySettings(file=tmp_path / "a.jsonl")
    assert parse_spec("hf:tiny", base=tmp_path) == TransformersSettings(model=str(tmp_path / "tiny"))
    assert parse_spec("hf:some/model", base=tmp_path) == TransformersSettings(model="some/model")


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("", "is none of hf:MODEL"),
        ("model", "is none of hf:MODEL"),
        ("hf:", "is none of hf:MODEL"),
        ("hff:model", "did you mean 'hf'"),
        ("opnai:m@http://x", "did you mean 'openai'"),
        ("zzz:model", "give hf:MODEL"),
        ("openai:model", "lacks its address"),
        ("openai:@http://localhost/v1", "lacks its address"),
        ("openai:m@http://", "no http address"),
        ("openai:m@http://localhost:x/v1", "no address"),
        ("openai:m@http://u:secret@localhost/v1", "holds a user"),
        ("openai:m@http://localhost/v1?key=secret", "holds a query"),
        ("hf: ", "model is empty"),
        ("absent.yaml", "absent.yaml: cannot be read"),
    ],
)
def test_spec_that_cannot_be_used_names_the_fix(spec: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        parse_spec(spec)
    # What follows an address may be a key.
    assert "secret" not in str(caught.value)


def test_what_is_no_spec_is_refused() -> None:
    wrong: Any = {"engine": "hf"}
    with pytest.raises(ConfigError, match="dict is neither"):
        load_engine(wrong)


def test_missing_extra_names_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("twllm_engines._spec.find_spec", lambda _name: None)
    for spec, extra in (("hf:m", "transformers"), ("vllm:m", "vllm"), ("openai:m@http://localhost/v1", "openai")):
        with pytest.raises(MissingDependencyError, match=rf"pip install 'twllm-engines\[{extra}\]'"):
            load_engine(spec)
    with pytest.raises(MissingDependencyError, match="a YAML spec needs pyyaml and pydantic"):
        load_engine(tmp_path / "x.yaml")


def test_redact_is_refused_where_nothing_is_sent() -> None:
    with pytest.raises(ConfigError, match="sends nothing"):
        load_engine("replay:a.jsonl", redact=str.upper)


def write(folder: Path, text: str) -> Path:
    path = folder / "engine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_yaml_spec_holds_every_setting(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "chat.jinja").touch()
    path = write(tmp_path, "engine: hf\nmodel: tiny\nbos: never\nchat_template: chat.jinja\nseed: 010\nrevision: no\n")
    assert parse_spec(str(path)) == TransformersSettings(
        model=str(tmp_path / "tiny"),
        bos=BosRule.NEVER,
        chat_template=str(tmp_path / "chat.jinja"),
        seed=10,
        revision="no",
    )
    path = write(
        tmp_path,
        f"engine: openai\nmodel: m\nbase_url: {URL}\ncache: answers.sqlite\nschema_style: guided_json\n"
        "backoff_base_seconds: 1e-1\nextra_headers: {X-Team: bench}\nextra_body: {top_k: 3}\ntrust_env: true\n",
    )
    assert parse_spec(path) == OpenAISettings(
        model="m",
        base_url=URL,
        cache=tmp_path / "answers.sqlite",
        schema_style=SchemaStyle.GUIDED_JSON,
        backoff_base_seconds=0.1,
        extra_headers={"X-Team": "bench"},
        extra_body={"top_k": 3},
        trust_env=True,
    )
    path = write(tmp_path, "engine: vllm\nmodel: tiny-hub-id\ntensor_parallel_size: 2\n")
    assert parse_spec(path) == VllmSettings(model="tiny-hub-id", tensor_parallel_size=2)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is no mapping"),
        ("- hf", "is no mapping"),
        ("model: x", "'engine' is missing"),
        ("engine: [hf]", "'engine' is missing"),
        ("model: x\nengine: vlm", ":2: 'vlm' is not an engine; did you mean 'vllm'"),
        ("engine: hf", ":1: model is missing"),
        (
            "engine: hf\nmodel: x\nmax_model_length: 3",
            ":3: max_model_length is not a known key; did you mean 'max_model_len'",
        ),
        ("engine: hf\nmodel: x\nqqq: 3", ":3: qqq is not a known key; known keys are"),
        ("engine: hf\nmodel: x\nseed: '1'", ":3: seed has a value of the wrong type"),
        ("engine: hf\nmodel: x\nseed: -1", "seed is -1; give a number >= 0"),
        ("engine: hf\nmodel: x\nmodel: y", ":3: key 'model' stands twice, first in line 2"),
        ("engine: hf\nmodel: [", "is not YAML"),
        ("engine: hf\nmodel: \x00", "is not YAML"),
        ("engine: hf\nmodel: 2020-01-01: x", "is not YAML"),
        ("engine: hf\nmodel: x\nseed: 1e999", "not JSON"),
    ],
)
def test_yaml_spec_that_is_wrong_names_line_key_and_fix(tmp_path: Path, text: str, problem: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError, match=r"engine\.yaml") as caught:
        parse_spec(path)
    assert problem in str(caught.value)


def test_yaml_spec_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "engine.yaml"
    path.write_bytes("engine: hf\nmodel: 模型".encode("big5"))
    with pytest.raises(ConfigError, match="is not UTF-8"):
        parse_spec(path)


def test_wrong_type_in_a_secret_shows_no_value(tmp_path: Path) -> None:
    path = write(tmp_path, f"engine: openai\nmodel: m\nbase_url: {URL}\nextra_headers: sk-planted\n")
    with pytest.raises(ConfigError) as caught:
        parse_spec(path)
    assert "sk-planted" not in str(caught.value)
    assert ":4: extra_headers" in str(caught.value)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"max_in_flight": 0}, "max_in_flight"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"connect_timeout_seconds": 0}, "connect_timeout_seconds is 0; give a number > 0"),
        ({"deadline_seconds": float("inf")}, "deadline_seconds"),
        ({"requests_per_minute": 0.5}, "requests_per_minute"),
        ({"prompt_price": -1.0, "completion_price": 1.0}, "prompt_price"),
        ({"prompt_price": 1.0}, "one of prompt_price and completion_price"),
        ({"cached_prompt_price": 1.0}, "without prompt_price"),
        ({"client_key": Path("k")}, "client_key is given without"),
        ({"likelihood": "echo", "raw_prompts": False}, "raw_prompts: true"),
        ({"api_key_header": "Bad Header"}, "cannot be the name of a header"),
        ({"extra_headers": {"X": "a\r\nb"}}, "the value of header 'X'"),
        ({"base_url": "ftp://x/v1"}, "no http address"),
        ({"base_url": "https://x/ v1"}, "no http address"),
        ({"model": " "}, "model is empty"),
    ],
)
def test_openai_settings_out_of_range_are_refused(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        OpenAISettings(**{"model": "m", "base_url": URL, **values})


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"gpu_memory_utilization": 0.0}, "gpu_memory_utilization"),
        ({"gpu_memory_utilization": 1.1}, "gpu_memory_utilization"),
        ({"tensor_parallel_size": 0}, "tensor_parallel_size"),
        ({"max_model_len": 0}, "max_model_len"),
    ],
)
def test_vllm_settings_out_of_range_are_refused(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        VllmSettings(**{"model": "m", **values})


def test_settings_are_frozen_and_json() -> None:
    settings: Any = TransformersSettings(model="m")
    with pytest.raises(FrozenInstanceError):
        settings.model = "n"
    shown = settings_to_json(OpenAISettings(model="m", base_url=URL, cache=Path("a/b"), extra_headers={"X": "secret"}))
    assert (shown["cache"], shown["schema_style"], shown["extra_headers"]) == (
        "a/b",
        "response_format",
        {"X": "(hidden)"},
    )
    assert shown["proxy"] is None


def test_bare_package_imports_the_standard_library_and_types_only() -> None:
    program = (
        "import sys; import twllm_engines, json; from twllm_engines import load_engine; "
        "print(sorted({name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)))"
    )
    finished = subprocess.run(
        [sys.executable, "-S", "-c", _with_path(program)], capture_output=True, text=True, check=True
    )
    imported = {name.strip("' ") for name in finished.stdout.strip("[]\n").split(",")}
    assert imported - {"__main__"} == {"twllm_engines", "twllm_types"}


def _with_path(program: str) -> str:
    """Prepend the two packages' folders: -S leaves out site-packages, and what hooks into them."""
    folders = [str(Path(str(package.__file__)).parents[1]) for package in (twllm_engines, twllm_types)]
    return f"import sys; sys.path[:0] = {folders!r}; {program}"
