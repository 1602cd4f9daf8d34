"""Answers kept in a SQLite file, by the content of the request; successes only."""

import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from twllm_engines._ledger import ModelUsage, UsageLedger
from twllm_types import ConfigError

# "TWLC", so that no other database is taken for a cache.
_APPLICATION_ID = 0x54574C43
_SCHEMA_VERSION = 1
_PRIVATE = 0o600
_BUSY_SECONDS = 30.0

_SCHEMA = """
CREATE TABLE answer (key TEXT PRIMARY KEY, created REAL NOT NULL, request TEXT, response TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX answer_created ON answer (created);
CREATE TABLE usage (
    model TEXT NOT NULL, currency TEXT NOT NULL, answers INTEGER NOT NULL, without_usage INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL, cost REAL,
    PRIMARY KEY (model, currency)
) WITHOUT ROWID;
"""
_ADD_USAGE = """
INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (model, currency) DO UPDATE SET
    answers = answers + excluded.answers, without_usage = without_usage + excluded.without_usage,
    prompt_tokens = prompt_tokens + excluded.prompt_tokens,
    completion_tokens = completion_tokens + excluded.completion_tokens,
    cached_tokens = cached_tokens + excluded.cached_tokens,
    cost = CASE WHEN cost IS NULL THEN excluded.cost ELSE cost + coalesce(excluded.cost, 0) END
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSummary:
    """What a cache file holds.

    Attributes:
        num_answers: answers kept.
        num_with_request: those whose request is kept, too.
        ledgers: what all answers of servers took since the file was made, one per currency; how many of them the engine
            refused is not kept.
    """

    num_answers: int
    num_with_request: int
    ledgers: tuple[UsageLedger, ...]


class AnswerCache:
    """A cache file, readable by its owner only; several processes may share it. A context manager.

    One thread uses one instance.

    Args:
        path: the file, made where missing; its folder must exist.
        must_exist: refuse a missing file instead.

    Raises:
        ConfigError: it cannot be opened, or is no cache of this version.
    """

    def __init__(self, path: Path, *, must_exist: bool = False) -> None:
        self._path = path
        try:
            # SQLite gives its side files (-wal, -shm) the mode of the file.
            flags = os.O_RDWR | os.O_CLOEXEC | (0 if must_exist else os.O_CREAT)
            descriptor = os.open(path, flags, _PRIVATE)
            os.fchmod(descriptor, _PRIVATE)
            os.close(descriptor)
        except OSError as error:
            raise ConfigError(f"{path}: cannot be opened ({error.strerror}); check the path of the cache") from error
        self._connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the file."""
        self.close()

    def find(self, key: str, *, not_before: float) -> str | None:
        """Return the response kept for a key; None where there is none, or none made at or after `not_before`."""
        with self._speaking():
            row = self._connection.execute(
                "SELECT response FROM answer WHERE key = ? AND created >= ?", (key, not_before)
            ).fetchone()
        return None if row is None else str(row[0])

    def store(
        self, key: str, *, request: str | None, response: str, now: float, usage: ModelUsage, currency: str
    ) -> None:
        """Keep a response in place of an older one, and add what it took to the file's totals.

        Args:
            key: of the request.
            request: its body; None keeps the key only.
            response: the server's body.
            now: seconds since 1970.
            usage: what the answer took.
            currency: of its cost.
        """
        with self._transaction():
            self._connection.execute("INSERT OR REPLACE INTO answer VALUES (?, ?, ?, ?)", (key, now, request, response))
            self._add(usage, currency)

    def add_usage(self, usage: ModelUsage, currency: str) -> None:
        """Add what an answer took that is not kept to the file's totals."""
        with self._transaction():
            self._add(usage, currency)

    def _add(self, usage: ModelUsage, currency: str) -> None:
        self._connection.execute(
            _ADD_USAGE,
            (
                usage.model,
                currency,
                usage.num_answers,
                usage.num_without_usage,
                usage.num_prompt_tokens,
                usage.num_completion_tokens,
                usage.num_cached_tokens,
                usage.cost,
            ),
        )

    def purge(self, *, before: float | None = None) -> int:
        """Remove answers made before a time, or all where it is None; what they held is overwritten.

        The totals of tokens and cost stay.

        Returns:
            How many were removed.
        """
        with self._speaking():
            if before is None:
                cursor = self._connection.execute("DELETE FROM answer")
            else:
                cursor = self._connection.execute("DELETE FROM answer WHERE created < ?", (before,))
            self._connection.execute("VACUUM")
            # The log beside the file holds old pages until it is written back and cut.
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return cursor.rowcount

    def summary(self) -> CacheSummary:
        """Return what the file holds."""
        with self._speaking():
            num_answers, num_with_request = self._connection.execute(
                "SELECT count(*), count(request) FROM answer"
            ).fetchone()
            rows = self._connection.execute("SELECT * FROM usage ORDER BY currency, model").fetchall()
        by_currency: dict[str, list[ModelUsage]] = {}
        for model, currency, answers, without, prompt, completion, cached, cost in rows:
            usage = ModelUsage(
                model=model,
                num_answers=answers,
                num_without_usage=without,
                num_prompt_tokens=prompt,
                num_completion_tokens=completion,
                num_cached_tokens=cached,
                cost=cost,
            )
            by_currency.setdefault(currency, []).append(usage)
        ledgers = tuple(
            UsageLedger(models=tuple(models), num_attempts=0, num_failures=0, currency=currency)
            for currency, models in by_currency.items()
        )
        return CacheSummary(num_answers=num_answers, num_with_request=num_with_request, ledgers=ledgers)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._connection.close()

    def _prepare(self) -> None:
        with self._speaking():
            self._connection.execute("PRAGMA secure_delete = ON")
            (application,) = self._connection.execute("PRAGMA application_id").fetchone()
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
            (num_tables,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not application and not num_tables:
            self._create()
        elif application != _APPLICATION_ID or version != _SCHEMA_VERSION:
            raise ConfigError(f"{self._path}: is no cache of this version of twllm-engines; name another file")
        with self._speaking():
            # A lost answer is asked again, so a commit need not wait for the disk.
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")

    def _create(self) -> None:
        with self._transaction():
            # Another process may have been first.
            (num_tables,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if num_tables:
                return
            for statement in filter(str.strip, _SCHEMA.split(";")):
                self._connection.execute(statement)
            self._connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            self._connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")

    @contextmanager
    def _transaction(self) -> Generator[None]:
        with self._speaking():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    @contextmanager
    def _speaking(self) -> Generator[None]:
        """Turn what SQLite says into one line that names the file."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise ConfigError(f"{self._path}: cannot be used as a cache ({error}); name another file") from error
