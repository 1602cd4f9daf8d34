"""Which settings of an engine decide an answer, and which only how it travels, how fast, and at what price."""

from twllm_types import JsonObject

# By name, over all engines. Whatever is not here decides: a setting that one engine needs for transport alone and
# another for answers (`seed`), one that may do either (`extra_query`), and those of engines that are not ours.
_TRANSPORT = frozenset(
    {
        "allow_key_over_http",
        "api_key_env",
        "api_key_header",
        "api_key_prefix",
        "attempt_timeout_seconds",
        "backoff_base_seconds",
        "backoff_max_seconds",
        "batch_tokens",
        "ca_bundle",
        "cache",
        "cache_max_age_seconds",
        "cache_requests",
        "cached_prompt_price",
        "client_certificate",
        "client_key",
        "completion_price",
        "connect_timeout_seconds",
        "currency",
        "deadline_seconds",
        "device",
        "enable_prefix_caching",
        "enforce_eager",
        "extra_headers",
        "gpu_memory_utilization",
        "headers_from_env",
        "max_attempts",
        "max_in_flight",
        "max_retry_after_seconds",
        "prompt_price",
        "proxy",
        "read_timeout_seconds",
        "requests_per_minute",
        "sends_key",
        "tensor_parallel_size",
        "tokens_per_minute",
        "trust_env",
    }
)


def answer_settings(settings: JsonObject) -> JsonObject:
    """Return the settings that decide an answer; two runs that agree in them may be one run.

    Left out are those of speed, transport, key, cache and price: beyond rounding, they change no answer. A name that is
    not known decides.

    Args:
        settings: as `Engine.settings` gives them.
    """
    return {name: value for name, value in settings.items() if name not in _TRANSPORT}
