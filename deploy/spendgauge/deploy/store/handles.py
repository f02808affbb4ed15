"""Which engine handle runs a statement: a fresh one, or the one of its session?

A handle has a current database, settings and temporary tables, as a session of a ClickHouse server has. A query that
fails after it produced output leaves that output in its handle, and the next query on it returns it (seen with chdb
26.9): so every request gets a fresh handle (0.4 ms), and a session's handle is rinsed after an error.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from spendgauge.deploy.store.protocol import StoreError, StoreQuery, store_error
from spendgauge.deploy.store.sql import quote_text
from spendgauge.schemas import Clock

__all__ = ["Handles", "Lease", "apply_settings", "execute"]

_MAX_SESSIONS: Final = 64
"""A handle costs memory: the session that rested longest makes room."""


@dataclass
class Lease:
    """A handle for one statement; end it exactly once."""

    handle: Any
    end: Callable[[bool], None]
    """Give the handle back; True where the statement failed or was left in the middle."""
    undo: list[str] = field(default_factory=list)
    """Statements that take back what the request set, for a handle that lives on."""
    in_session: bool = False


@dataclass
class _Session:
    handle: Any
    expires: float
    busy: bool = True


class Handles:
    """Lends handles of one engine. Safe to use from several threads."""

    def __init__(self, connect: Callable[[], Any], clock: Clock) -> None:
        """Open handles with ``connect``; sessions end by ``clock``."""
        self._connect = connect
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions: dict[str, _Session] = {}

    def lease(self, query: StoreQuery) -> Lease:
        """Lend a handle. Raises ``StoreError`` where the session is in use or, if it must exist, unknown."""
        if not query.session:
            handle = self._connect()
            return Lease(handle, lambda _failed: handle.close())
        session = self._take(query)
        lease = Lease(session.handle, lambda failed: self._give_back(query, session, lease, failed), in_session=True)
        return lease

    def close(self) -> None:
        """Close the handles of all sessions."""
        with self._lock:
            for session in self._sessions.values():
                session.handle.close()
            self._sessions.clear()

    def _take(self, query: StoreQuery) -> _Session:
        with self._lock:
            self._sweep()
            session = self._sessions.get(query.session)
            if session is None and query.session_must_exist:
                raise StoreError(372, f"session {query.session!r} is not known, or it expired")
            if session is not None and session.busy:
                raise StoreError(373, f"session {query.session!r} is in use by another request")
            if session is None:
                session = self._sessions[query.session] = _Session(self._connect(), 0.0)
            session.busy = True
            return session

    def _give_back(self, query: StoreQuery, session: _Session, lease: Lease, failed: bool) -> None:
        ended = query.session_ends
        try:
            for statement in (*(["SELECT 1"] if failed else []), *lease.undo):
                execute(session.handle, statement)
        except StoreError:
            ended = True  # a handle that cannot be cleaned is not used again
        with self._lock:
            session.busy = False
            session.expires = self._clock.monotonic() + query.session_seconds
            if ended:
                self._drop(query.session)

    def _sweep(self) -> None:
        now = self._clock.monotonic()
        idle = sorted((s.expires, name) for name, s in self._sessions.items() if not s.busy)
        room = len(self._sessions) - _MAX_SESSIONS + 1
        for number, (expires, name) in enumerate(idle):
            if expires <= now or number < room:
                self._drop(name)

    def _drop(self, name: str) -> None:
        self._sessions.pop(name).handle.close()


def execute(
    handle: Any, sql: str | bytes, format_name: str = "TabSeparated", parameters: Mapping[str, str] | None = None
) -> Any:
    """Run a statement to its end. Raises ``StoreError``."""
    try:
        return handle.query(sql, format_name, params=dict(parameters or {}))
    except RuntimeError as error:
        raise store_error(str(error)) from None


def apply_settings(lease: Lease, settings: Mapping[str, str]) -> None:
    """Set what a request asks for; on a session's handle, note how to take it back."""
    for name in settings:
        if not name.isidentifier():
            raise StoreError(115, f"{name!r} is not the name of a setting")
    if not settings:
        return
    if lease.in_session:
        names = ", ".join(map(quote_text, settings))
        known = execute(
            lease.handle, f"SELECT name, value, changed FROM system.settings WHERE name IN ({names})", "TSVRaw"
        )
        for line in known.bytes().decode().splitlines():
            name, value, changed = line.split("\t")
            lease.undo.append(f"SET {name} = {quote_text(value) if changed == '1' else 'DEFAULT'}")
    execute(lease.handle, "SET " + ", ".join(f"{name} = {quote_text(value)}" for name, value in settings.items()))
