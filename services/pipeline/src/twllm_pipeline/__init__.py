"""The loop of taiwan-llm as a service, today its quickstart: a corpus, an exam, judgements, sums, intents."""

from twllm_pipeline._quickstart import quickstart

__all__ = ["quickstart"]
