.PHONY: check test lint types format quickstart

check: lint types test       ## what a change must pass before it is proposed; .ci/run is the whole

test:                        ## all tests; set TWLLM_DATA to the shared data for those that need it
	uv run pytest

lint:                        ## style, formatting, import layers
	uv run ruff check
	uv run ruff format --check
	uv run lint-imports

types:
	uv run pyright

format:
	uv run ruff check --fix
	uv run ruff format

quickstart:
	uv run taiwan-llm quickstart
