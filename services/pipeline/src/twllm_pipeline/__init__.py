"""The multi-stage loop of taiwan-llm as a service: today its quickstart, which curates a sample corpus."""

from twllm_pipeline._quickstart import quickstart

__all__ = ["quickstart"]
