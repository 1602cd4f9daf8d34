"""Servers with the chat-completions interface, over h11: asynchronous inside, synchronous outside."""

from twllm_engines._openai._engine import OpenAIEngine

__all__ = ["OpenAIEngine"]
