import dataclasses

import pytest

from twllm_engines import (
    OpenAISettings,
    ReplaySettings,
    TransformersSettings,
    VllmSettings,
    answer_settings,
    settings_to_json,
)

LOCAL = {
    "model",
    "revision",
    "tokenizer",
    "gguf_file",
    "dtype",
    "quantization",
    "max_model_len",
    "bos",
    "chat_template",
    "trust_remote_code",
    "seed",
}
# A new setting has to be put here, or among those of transport in _answer_settings.
DECIDES: dict[type, set[str]] = {
    TransformersSettings: {*LOCAL, "attn_implementation", "truncation", "share_prefixes"},
    VllmSettings: {*LOCAL, "max_logprobs"},
    OpenAISettings: {
        "model",
        "base_url",
        "reported_model",
        "extra_query",
        "extra_body",
        "max_tokens_field",
        "schema_style",
        "max_top_logprobs",
        "raw_prompts",
        "think_blocks",
        "likelihood",
        "echo_max_tokens",
        "seed",
    },
    ReplaySettings: {"file", "missing"},
}
TRANSPORT: dict[type, set[str]] = {
    TransformersSettings: {"device", "batch_tokens"},
    VllmSettings: {"tensor_parallel_size", "gpu_memory_utilization", "enable_prefix_caching", "enforce_eager"},
    OpenAISettings: {
        "api_key_env",
        "api_key_header",
        "api_key_prefix",
        "allow_key_over_http",
        "extra_headers",
        "headers_from_env",
        "ca_bundle",
        "client_certificate",
        "client_key",
        "proxy",
        "trust_env",
        "connect_timeout_seconds",
        "read_timeout_seconds",
        "attempt_timeout_seconds",
        "deadline_seconds",
        "max_in_flight",
        "requests_per_minute",
        "tokens_per_minute",
        "max_attempts",
        "backoff_base_seconds",
        "backoff_max_seconds",
        "max_retry_after_seconds",
        "cache",
        "cache_max_age_seconds",
        "cache_requests",
        "prompt_price",
        "completion_price",
        "cached_prompt_price",
        "currency",
    },
    ReplaySettings: set(),
}


@pytest.mark.parametrize("settings", DECIDES, ids=lambda settings: settings.__name__)
def test_answer_settings_every_field_of_every_engine_is_decided(settings: type) -> None:
    names = {field.name for field in dataclasses.fields(settings)}
    assert DECIDES[settings] | TRANSPORT[settings] == names
    assert set(answer_settings(dict.fromkeys(names))) == DECIDES[settings]


def test_answer_settings_keep_values_and_names_that_are_not_known() -> None:
    settings = settings_to_json(TransformersSettings(model="m", batch_tokens=9))
    kept = answer_settings(settings | {"opening_tokens": [1], "sends_key": True})
    assert kept["model"] == "m"
    assert kept["opening_tokens"] == [1]
    assert not {"batch_tokens", "sends_key"} & set(kept)
