"""Stores that break one promise each; what is sound about them is the store that the documentation writes."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from animus.stores.protocol import StoredToken
from tests.testing.documented import documented

if TYPE_CHECKING:
    Documented: Any
else:
    Documented = documented("write-a-token-store").SqliteTokenStore


class Sound(Documented):
    """With a place for failures."""

    def __init__(self, path: str, *, lease: float = 60.0) -> None:
        super().__init__(path, lease=lease)
        with self._open() as database:
            database.execute("create table if not exists failures (key text primary key, text text, until real)")

    def save_failure(self, key: str, text: str, seconds: float) -> None:
        with self._open() as database:
            database.execute("replace into failures values (?, ?, ?)", [key, text, time.time() + seconds])

    def load_failure(self, key: str) -> str | None:
        with self._open() as database:
            row = database.execute("select text from failures where key = ? and until > ?", [key, time.time()]).fetchone()
        return None if row is None else str(row[0])

    def delete(self, key: str) -> None:
        super().delete(key)
        with self._open() as database:
            database.execute("delete from failures where key = ?", [key])


# ---- tokens --------------------------------------------------------------------------------------------


class LosesLiveKit(Sound):
    def save(self, key: str, stored: StoredToken) -> None:
        super().save(key, StoredToken(stored.value, stored.expires_at, stored.skew, stored.issued_at))


class DropsWhatIsOver(Sound):
    def load(self, key: str) -> StoredToken | None:
        stored: StoredToken | None = super().load(key)
        return None if stored is None or (stored.expires_at or 9e9) < 2 else stored


class GivesText(Sound):
    def load(self, key: str) -> Any:
        stored = super().load(key)
        return stored and stored.to_json()


class MixesKeys(Sound):
    def load(self, key: str) -> Any:
        return super().load("key")

    def save(self, key: str, stored: StoredToken) -> None:
        super().save("key", stored)


class RaisesForTheUnknown(Sound):
    def load(self, key: str) -> Any:
        stored = super().load(key)
        if stored is None:
            raise KeyError(key[:6])
        return stored


class CannotDeleteNothing(Sound):
    def delete(self, key: str) -> None:
        if self.load(key) is None:
            raise KeyError(key[:6])
        super().delete(key)


class NotShared(Sound):
    number = 0

    def __init__(self, path: str, *, lease: float = 60.0) -> None:
        NotShared.number += 1
        super().__init__(f"{path}{NotShared.number}", lease=lease)


class DeletesFirst(Sound):
    def save(self, key: str, stored: StoredToken) -> None:
        with self._open() as database:
            database.execute("delete from tokens where key = ?", [key])
            time.sleep(0.003)
            database.execute("replace into tokens values (?, ?)", [key, stored.to_json()])


class OfOneThread(Sound):
    def __init__(self, path: str, *, lease: float = 60.0) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        super().__init__(path, lease=lease)

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        yield self.connection

    def close(self) -> None:
        self.connection.close()


class OfOneProcess(Sound):
    def __init__(self, path: str, *, lease: float = 60.0) -> None:
        super().__init__(path, lease=lease)
        self.pid = os.getpid()

    def load(self, key: str) -> Any:
        if os.getpid() != self.pid:
            raise ConnectionError("in a fork")
        return super().load(key)


# ---- failures ------------------------------------------------------------------------------------------


class SavesFailuresOnly(Documented):
    def save_failure(self, key: str, text: str, seconds: float) -> None:
        pass


class Misspelt(Documented):
    def save_failures(self, key: str, text: str, seconds: float) -> None:
        pass

    def load_failures(self, key: str) -> str | None:
        return None


class FailureTakesTheToken(Sound):
    def save_failure(self, key: str, text: str, seconds: float) -> None:
        super().save_failure(key, text, seconds)
        Documented.delete(self, key)


class FailureForEver(Sound):
    def save_failure(self, key: str, text: str, seconds: float) -> None:
        super().save_failure(key, text, 1e6)


class FailureStays(Sound):
    def delete(self, key: str) -> None:
        Documented.delete(self, key)


# ---- locks ---------------------------------------------------------------------------------------------


class NoLock(Sound):
    def lock(self, key: str, timeout: float) -> Any:
        return contextlib.nullcontext()


class _Threads(Sound):
    """Keeps threads out with plain locks."""

    def _of(self, key: str) -> threading.Lock:
        raise NotImplementedError

    @contextlib.contextmanager
    def lock(self, key: str, timeout: float) -> Iterator[None]:
        lock = self._of(key)
        if not lock.acquire(timeout=timeout):
            raise TimeoutError("busy")
        try:
            yield
        finally:
            lock.release()


class LockOfAnObject(_Threads):
    def __init__(self, path: str, *, lease: float = 60.0) -> None:
        super().__init__(path, lease=lease)
        self.locks: dict[str, threading.Lock] = {}

    def _of(self, key: str) -> threading.Lock:
        return self.locks.setdefault(key, threading.Lock())


class LockOfAProcess(_Threads):
    locks: ClassVar[dict[tuple[str, str], threading.Lock]] = {}

    def _of(self, key: str) -> threading.Lock:
        return self.locks.setdefault((self.path, key), threading.Lock())


class OneLock(Sound):
    def lock(self, key: str, timeout: float) -> Any:
        return super().lock("key", min(timeout, 0.05))


class Stuck(Sound):
    """It ignores the timeout."""

    def lock(self, key: str, timeout: float) -> Any:
        return super().lock(key, 5)


class StuckWhenToldNone(Sound):
    def lock(self, key: str, timeout: float) -> Any:
        return super().lock(key, timeout or 5)


class GivesUpAtOnce(Sound):
    def lock(self, key: str, timeout: float) -> Any:
        return super().lock(key, 0)


class OtherError(Sound):
    @contextlib.contextmanager
    def lock(self, key: str, timeout: float) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(super().lock(key, timeout))
            except TimeoutError:
                raise RuntimeError("busy") from None
            yield


class GivesFalse(Sound):
    @contextlib.contextmanager
    def lock(self, key: str, timeout: float) -> Iterator[bool]:
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(super().lock(key, timeout))
            except TimeoutError:
                yield False
            else:
                yield True


class RaisesWhenCalled(Sound):
    """Which is fine."""

    def lock(self, key: str, timeout: float) -> Any:
        with contextlib.ExitStack() as stack:
            stack.enter_context(super().lock(key, timeout))
            return stack.pop_all()


class Swallows(Sound):
    @contextlib.contextmanager
    def lock(self, key: str, timeout: float) -> Iterator[None]:
        with super().lock(key, timeout), contextlib.suppress(Exception):
            yield


class KeptAfterAnException(Sound):
    @contextlib.contextmanager
    def lock(self, key: str, timeout: float) -> Iterator[None]:
        lock = super().lock(key, timeout)
        lock.__enter__()
        self.kept = lock  # else it would be freed with the object
        yield
        lock.__exit__(None, None, None)


class ShortLease(Sound):
    def __init__(self, path: str, *, lease: float = 60.0) -> None:
        super().__init__(path, lease=0.2)


class Endless(Sound):
    def __init__(self, path: str, *, lease: float = 60.0) -> None:
        super().__init__(path, lease=1e9)


class FreesTheNext(Sound):
    def __init__(self, path: str, *, lease: float = 60.0) -> None:
        super().__init__(path, lease=1.0)

    @contextlib.contextmanager
    def lock(self, key: str, timeout: float) -> Iterator[None]:
        with super().lock(key, timeout):
            try:
                yield
            finally:
                with self._open() as database:
                    database.execute("delete from locks where key = ?", [key])


# ---- secrets, travelling -------------------------------------------------------------------------------


class ShowsLiveKit(Sound):
    def save(self, key: str, stored: StoredToken) -> None:
        super().save(key, stored)
        self.kept = [str.__str__(details.token) for details in stored.livekit.values()]

    def __repr__(self) -> str:
        return f"<Store {getattr(self, 'kept', '')}>"


class CarriesTokens(Sound):
    def save(self, key: str, stored: StoredToken) -> None:
        super().save(key, stored)
        self.kept = stored.to_json()


class Riddle(Sound):
    def __init__(self, path: str, *, lease: float = 60.0) -> None:
        super().__init__(path, lease=lease)
        self.guard = threading.Lock()


class RefusesOtherwise(Sound):
    def __reduce__(self) -> Any:
        raise RuntimeError("no")
