"""A real model behind the OpenAI-compatible interface, on loopback: what a server of one's own would be."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from twllm_engines import Engine
from twllm_types import Completion, Conversation, GenerationRequest, Message, Role, SamplingParams


class ModelServer:
    """Serves an engine's model under `/v1`; requests are answered one by one, as the model computes."""

    def __init__(self, engine: Engine) -> None:
        self.num_requests = 0
        lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with lock:
                    outer.num_requests += 1
                    data = json.dumps(_answer(engine, self.path, body)).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            # the base class names the argument
            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                del format, args

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


def _answer(engine: Engine, path: str, body: dict[str, Any]) -> dict[str, Any]:
    is_chat = path.endswith("/chat/completions")
    (completion,) = engine.generate([_request(body, is_chat=is_chat)])
    assert isinstance(completion, Completion)
    assert completion.usage is not None
    pairs = list(zip(completion.texts, completion.finish_reasons, strict=True))
    return {
        "id": "1",
        "object": "chat.completion" if is_chat else "text_completion",
        "model": body["model"],
        "choices": [
            {
                "index": index,
                "finish_reason": reason.value,
                **({"message": {"role": "assistant", "content": text}} if is_chat else {"text": text}),
            }
            for index, (text, reason) in enumerate(pairs)
        ],
        "usage": {
            "prompt_tokens": completion.usage.num_prompt_tokens,
            "completion_tokens": completion.usage.num_completion_tokens,
        },
    }


def _request(body: dict[str, Any], *, is_chat: bool) -> GenerationRequest:
    messages = (
        tuple(Message(role=Role(one["role"]), content=one["content"]) for one in body["messages"]) if is_chat else ()
    )
    params = SamplingParams(
        max_tokens=body.get("max_tokens") or body["max_completion_tokens"],
        temperature=body["temperature"],
        top_p=body.get("top_p", 1.0),
        num_samples=body.get("n", 1),
        stop=tuple(body.get("stop") or ()),
        seed=body["seed"],
    )
    return GenerationRequest(prompt=Conversation(messages=messages) if is_chat else body["prompt"], params=params)
