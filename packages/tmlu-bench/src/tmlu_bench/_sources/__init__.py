"""Loaders of exam questions from files and from the hub."""

from tmlu_bench._sources._load import load_questions

__all__ = ["load_questions"]
