"""Keys that a server must not give back: what was sent in headers is looked for in whatever comes.

An answer that holds a key is dropped whole and not masked. A text in which something was replaced is not what the model
wrote, and its tokens would no longer join to it; and a server that shows keys is one that its user has to hear of.
"""

import json
from collections.abc import Mapping

from twllm_engines._openai._answers import EchoAnswer, Reading

# A shorter value would be found in texts that have nothing to do with it.
_LEAST_CHARS = 8


class SentSecrets:
    """Values of headers that came from the environment.

    Args:
        values: by name of the header, without prefix, printable ASCII; those below eight characters are not looked for.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self._plain = {name: value for name, value in values.items() if len(value) >= _LEAST_CHARS}
        self._quoted = {name: json.dumps(value)[1:-1] for name, value in self._plain.items()}

    def found_in(self, content: str) -> str | None:
        """Return the header whose value stands in a body, plain or behind JSON's escapes; None where none does."""
        name = _first(self._plain, content)
        # Every character may be escaped, so what has escapes is read, and written again in the one way.
        if name is not None or not self._plain or "\\" not in content:
            return name
        try:
            written = json.dumps(json.loads(content), ensure_ascii=False)
        except (ValueError, RecursionError):
            return None
        return _first(self._quoted, written)

    def found_in_tokens(self, reading: Reading) -> str | None:
        """Return the header whose value the tokens of an answer join to; None where none does."""
        if not self._plain:
            return None
        if isinstance(reading, EchoAnswer):
            return _first(self._plain, "".join(token.text for token in reading.tokens))
        samples = reading.logprobs or ()
        return _first(self._plain, "\n".join("".join(token.token for token in sample) for sample in samples))


def _first(values: Mapping[str, str], text: str) -> str | None:
    return next((name for name, value in values.items() if value in text), None)
