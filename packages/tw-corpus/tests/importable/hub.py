"""A small server that speaks what huggingface_hub asks of the hub for one file."""

import hashlib
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

REPOSITORY = "invented/words"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Serves `files` by path, at `COMMIT`, which is the branch `main`; `seen` lists the requests.

    A hub that is out of order answers every request with 400, which the client does not try again.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.files = files
        self.seen: list[str] = []
        self.out_of_order = False

    @property
    def address(self) -> str:
        """For HF_ENDPOINT."""
        return f"http://127.0.0.1:{self.server_port}"


class _Answer(BaseHTTPRequestHandler):
    # the base class calls methods by these names
    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def _answer(self) -> None:
        hub = self.server
        assert isinstance(hub, Hub)
        hub.seen.append(f"{self.command} {self.path}")
        owner, name, kind, revision, path = (*self.path.strip("/").split("/", 4), "", "", "", "")[:5]
        content = hub.files.get(path, b"")
        if f"{owner}/{name}" != REPOSITORY or kind != "resolve":
            problem = "RepoNotFound"
        elif revision not in ("main", COMMIT):
            problem = "RevisionNotFound"
        else:
            problem = "" if content else "EntryNotFound"
        self.send_response(400 if hub.out_of_order else 404 if problem else 200)
        if problem and not hub.out_of_order:
            self.send_header("X-Error-Code", problem)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


@contextmanager
def serving(files: dict[str, bytes]) -> Generator[Hub]:
    """Run a hub while the block runs."""
    with Hub(files) as hub:
        thread = Thread(target=hub.serve_forever, daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()
