"""Sources that break one promise each."""

from __future__ import annotations

import itertools
import os
import threading
import time
from typing import Any

from animus.errors import TokenSourceError
from animus.sources.protocol import TokenRequest
from tests.tokens.minting import mint

TOKEN = mint(4102444800, sub="suite")
SECRET = "s3cret-of-the-suite"


class Sound:
    fingerprint: Any = "sound"

    def fetch(self, request: TokenRequest) -> Any:
        return self.late() if request.left is not None and request.left < 0 else TOKEN

    def late(self) -> Any:
        raise TokenSourceError("no time left", reason="timeout")


# ---- tokens --------------------------------------------------------------------------------------------


class NoToken(Sound):
    def fetch(self, request: TokenRequest) -> Any:
        return {"nothing": 1}


class Once(Sound):
    asked = False

    def fetch(self, request: TokenRequest) -> Any:
        if self.asked:
            raise RuntimeError("asked before")
        self.asked = True
        return TOKEN


class NotForce(Sound):
    def fetch(self, request: TokenRequest) -> Any:
        assert not request.force
        return TOKEN


class OfOneThread(Sound):
    thread = 0

    def fetch(self, request: TokenRequest) -> Any:
        self.thread = self.thread or threading.get_ident()
        if self.thread != threading.get_ident():
            raise RuntimeError("another thread")
        return TOKEN


# ---- failures ------------------------------------------------------------------------------------------


class NeverLate(Sound):
    """It looks at no deadline, and takes long."""

    def fetch(self, request: TokenRequest) -> Any:
        time.sleep(3 if request.deadline is not None else 0)
        return TOKEN


class LeftBehind(NeverLate):
    """Which is fine: it has a thread of its own."""

    own_thread = True


class GarbageWhenLate(Sound):
    def late(self) -> Any:
        return 42


class OtherErrorWhenLate(Sound):
    def late(self) -> Any:
        raise TimeoutError("late")


class OwnReason(Sound):
    def late(self) -> Any:
        raise TokenSourceError("late", reason="too late!")


class Telling(Sound):
    def late(self) -> Any:
        raise TokenSourceError(f"no time for {TOKEN}", reason="timeout")


class TellingBehind(Sound):
    def late(self) -> Any:
        try:
            raise ValueError(SECRET)
        except ValueError:
            raise TokenSourceError("no time", reason="timeout") from None


class _Request:
    headers = {"X-Key": SECRET}  # as requests has them


class TellingInHeaders(Sound):
    def late(self) -> Any:
        error = ConnectionError("no answer")
        error.request = _Request()  # type: ignore[attr-defined]
        raise TokenSourceError("no time", reason="timeout") from error


class Refused(Sound):
    """It never has a token."""

    def fetch(self, request: TokenRequest) -> Any:
        raise TokenSourceError("refused", reason="unauthorized")


class RefusedWithKey(Sound):
    def fetch(self, request: TokenRequest) -> Any:
        raise TokenSourceError(f"refused {SECRET}", reason="unauthorized")


class Hangs(Sound):
    def fetch(self, request: TokenRequest) -> Any:
        time.sleep(5)


# ---- fingerprints --------------------------------------------------------------------------------------


class ByNumber(Sound):
    numbers = itertools.count()

    def __init__(self) -> None:
        self.fingerprint = f"source {next(self.numbers)}"


class ByHash(Sound):
    @property
    def fingerprint(self) -> str:  # type: ignore[override]
        return f"source:{hash('https://vault.example')}"


class ByProcess(Sound):
    @property
    def fingerprint(self) -> str:  # type: ignore[override]
        return f"source:{os.getpid()}"


class ByAddress(Sound):
    @property
    def fingerprint(self) -> str:  # type: ignore[override]
        return f"source:{Sound.fetch}"

    def __reduce__(self) -> Any:
        raise TypeError("it is not pickled")


class Blank(Sound):
    fingerprint = " "


class AMethod(Sound):
    def fingerprint(self) -> str:
        return "source"


class Learning(Sound):
    fetched = False

    @property
    def fingerprint(self) -> str:  # type: ignore[override]
        return f"source:{self.fetched}"

    def fetch(self, request: TokenRequest) -> Any:
        self.fetched = True
        return TOKEN


# ---- secrets, travelling, members ----------------------------------------------------------------------


class Shown(Sound):
    def __repr__(self) -> str:
        return f"<Shown {TOKEN}>"


class Kept(Sound):
    def __init__(self) -> None:
        self.kept = TOKEN


class Riddle(Sound):
    def __init__(self) -> None:
        self.guard = threading.Lock()


class RefusesOtherwise(Sound):
    def __reduce__(self) -> Any:
        raise RuntimeError("no")


class RefusesCopies(Sound):
    def __reduce__(self) -> Any:
        raise TypeError("it holds a key; give it as a function")


class BackgroundText(Sound):
    background = "no"


class TimeoutTrue(Sound):
    timeout = True


# ---- the end -------------------------------------------------------------------------------------------


class ClosedForEver(Sound):
    closed = False

    def fetch(self, request: TokenRequest) -> Any:
        assert not self.closed
        return TOKEN

    def close(self) -> None:
        self.closed = True


class ClosedOnce(Sound):
    closed = 0

    def fetch(self, request: TokenRequest) -> Any:
        self.closed = 0
        return TOKEN

    def close(self) -> None:
        self.closed += 1
        if self.closed > 1:
            raise RuntimeError("closed already")


class ClosedWhenAsked(Sound):
    session: Any = None

    def fetch(self, request: TokenRequest) -> Any:
        self.session = []
        return TOKEN

    def close(self) -> None:
        self.session.clear()
