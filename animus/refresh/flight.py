"""Single flight: however many threads want the same thing, the work is done once, and all get its outcome.

Who works: the first caller, in its own thread. If it wants to leave before the work's time limit, or the work asks for
it, a short-lived daemon thread works instead, in a copy of the caller's context variables, and the caller waits like all
others. A waiter leaves by its own deadline, or when the time limit of the work is over; the others are not disturbed.

A worker that is interrupted (``KeyboardInterrupt``, ``SystemExit``) hands the flight over to one of those who wait.
"""

from __future__ import annotations

import contextvars
import copy
import enum
import logging
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from animus import _fork
from animus._clock import Clock
from animus.errors import AnimusError
from animus.refresh.turns import Turns

logger: logging.Logger = logging.getLogger(__name__)
T = TypeVar("T")

# what this thread, or the one that it works for, works at
_at_work: contextvars.ContextVar[tuple[Flight[Any], ...]] = contextvars.ContextVar("animus_at_work", default=())
_GRACE = 0.25  # seconds that a worker in its caller's thread gets beyond the limit, to say itself what took so long
_CLOSING = 2.0  # seconds close() waits for working threads


class Refusal(enum.Enum):
    """Why a caller gets no outcome."""

    DEADLINE = "its own deadline is over"
    LIMIT = "the time limit of the work is over"
    RECURSION = "the work asks for its own outcome"
    INTERRUPT = "the work was interrupted where nobody is to be told"


class Flight(Generic[T]):
    """One run of the work, and its outcome.

    Attributes:
        renewal: Nobody needs the outcome yet.
        started_at, ends_at: Times on the monotonic clock.
        leave_by: When who works in its own thread wants to leave: no later than ``ends_at``.
        forgotten: Its outcome must not be used: who rides on it asks anew.
        over: ``value`` or ``error`` is the outcome.
        let_go: Lets go of what the work holds, should it be given up; None: it holds nothing.
        afterwards: What is still to be told of an outcome that was delivered.
    """

    __slots__ = (
        *("afterwards", "changed", "ending", "ends_at", "error", "forgotten", "leave_by", "led", "let_go"),
        *("over", "renewal", "riders", "started_at", "value"),
    )

    def __init__(self, now: float, limit: float, *, renewal: bool = False) -> None:
        self.renewal: bool = renewal
        self.started_at: float = now
        self.ends_at: float = now + limit
        self.leave_by: float = self.ends_at
        self.forgotten: bool = False
        self.over: bool = False
        self.ending: bool = False
        self.led: bool = False
        self.let_go: Callable[[], None] | None = None
        self.afterwards: Callable[[], None] | None = None
        self.riders: int = 0
        self.value: T | None = None
        self.error: AnimusError | None = None
        self.changed: threading.Event = threading.Event()


class _Errand:
    """A thread that works for a caller: what interrupted it is raised there."""

    __slots__ = ("ended", "interrupt", "thread")

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.interrupt: BaseException | None = None
        self.thread: threading.Thread | None = None


class SingleFlight(Generic[T]):
    """Runs ``work`` once for all who ask at the same time.

    One thread works at a time. With ``own_thread`` one that does not come back within the time limit is given up, and the next flight
    works beside it (see :class:`~animus.refresh.turns.Turns`).

    Threads: any. The lock guards which flight there is, who leads it, and the list of threads; it is never held while
    working or waiting. Fork: the child has no flight and no thread.

    Args:
        work: What to do. It raises only :class:`~animus.errors.AnimusError`, or what interrupts.
        settle: Told of the outcome before anybody else; what it returns is called after all others know, too.
        refusal: Makes the error for who gets no outcome.
        limit: Seconds for one flight.
        own_thread: Never work in the caller's thread.
        caller_only: Never work in another thread.
    """

    _lock = _fork.Lock()

    def __init__(
        self,
        work: Callable[[Flight[T]], T],
        settle: Callable[[Flight[T], T | None, AnimusError | None], Callable[[], None] | None],
        refusal: Callable[[Refusal], AnimusError],
        *,
        clock: Clock,
        limit: float,
        own_thread: bool = False,
        caller_only: bool = False,
    ) -> None:
        self._work = work
        self._settle = settle
        self._refusal = refusal
        self._clock = clock
        self._limit = limit
        self._own_thread = own_thread
        self._caller_only = caller_only
        self._closed = False
        self._current: Flight[T] | None = None
        self._turns = Turns(clock, gives_up=own_thread)
        self._reset_after_fork()
        _fork.register(self)

    def _reset_after_fork(self) -> None:
        self._lock = threading.RLock()
        if self._current is not None:
            self._current.changed = threading.Event()  # a source may have forked: its thread ends the flight in the child, too
        self._current = None
        self._errands: set[_Errand] = set()

    @property
    def idle(self) -> bool:
        """Whether there is no flight."""
        return self._current is None

    def join(self, ready: Callable[[], T | None], deadline: float | None) -> T:
        """Give what ``ready`` gives, or the outcome of the flight, which begins now if there is none.

        Args:
            ready: Asked before a flight begins: one that just ended may have made it needless. May raise.
            deadline: A time on the monotonic clock by which to leave, or None.

        Raises:
            AnimusError: the failure of the flight, a copy for each; or that time is up.
        """
        while True:
            self._drop_lost()
            with self._lock:
                flight = self._current
                if flight is None:
                    found = ready()
                    if found is not None:
                        return found
                    now = self._clock.monotonic()
                    if deadline is not None and now >= deadline:
                        raise self._refusal(Refusal.DEADLINE)
                    flight = self._current = Flight(now, self._limit)
                flight.riders += 1
            value, error = self._ride(flight, deadline)
            if value is not None:
                return value
            if error is not None:
                try:
                    raise error
                finally:
                    del error

    def renew(self, needed: Callable[[], bool]) -> bool:
        """Begin a flight that nobody waits for, if there is none; give False if no thread could be had for it.

        It runs in a thread of its own, or here if work must not leave its caller.
        """
        lost = self._current
        if lost is not None and self._is_lost(lost):
            self._end(lost, None, self._refusal(Refusal.LIMIT))
            _give_up(lost)
        with self._lock:
            if self._current is not None or not needed():
                return True
            flight: Flight[T] = Flight(self._clock.monotonic(), self._limit, renewal=True)
            flight.led = True
            self._current = flight
        if self._caller_only:
            self._lead_here(flight)
            return True
        if not self._closed and self._send(flight, None):
            return True
        self._abandon(flight)
        return False

    def _is_lost(self, flight: Flight[T]) -> bool:
        """Tell whether a flight should be over, and nobody is there to say so."""
        return self._own_thread and flight.led and not flight.riders and self._clock.monotonic() >= flight.ends_at

    def _drop_lost(self) -> None:
        """Let nobody wait for a flight that is lost."""
        with self._lock:
            flight = self._current
            if flight is None or not self._is_lost(flight):
                return
            flight.forgotten = True
            self._current = None
        _give_up(flight)

    def forget(self) -> None:
        """Let the outcome of what is under way be used by nobody, be it so late that its flight is over."""
        with self._lock:
            flight, self._current = self._current, None
            if flight is not None:
                flight.forgotten = True
                flight.changed.set()
            self._turns.forget()

    def deliver(self, flight: Flight[T], value: T) -> None:
        """Let all have the outcome before the work is quite done. Receivers hear of it when it is.

        To be called by the work, with what it will give.
        """
        flight.afterwards = self._conclude(flight, value, None) or _nothing

    def close(self) -> None:
        """Start no thread any more, and wait for those that work, a bounded time."""
        self._closed = True
        with self._lock:
            errands = list(self._errands)
        end = self._clock.monotonic() + _CLOSING
        for errand in errands:
            if errand.thread is None or errand.thread is threading.current_thread():
                continue
            if self._clock.wait(errand.ended, end - self._clock.monotonic()):
                errand.thread.join()
            else:
                logger.debug("%s still works; it is a daemon and ends by its time limit", errand.thread.name)

    # ---- riding ----------------------------------------------------------------------------------------

    def _ride(self, flight: Flight[T], deadline: float | None) -> tuple[T | None, AnimusError | None]:
        """Stay until the flight is over, and give its outcome; lead it if nobody does. Neither means that it is forgotten."""
        leading = False
        errand: _Errand | None = None
        try:
            while True:
                if errand is not None and errand.interrupt is not None:
                    raise errand.interrupt
                with self._lock:
                    if flight.forgotten:
                        return None, None
                    if flight.over:
                        return flight.value, None if flight.error is None else copy_of(flight.error)
                    if not flight.led:
                        flight.led = leading = True
                        flight.ends_at = flight.leave_by = self._clock.monotonic() + self._limit
                    changed = flight.changed
                if leading:
                    errand = self._lead(flight, deadline)
                    leading = False
                    continue
                self._wait(flight, changed, deadline)
        finally:
            with self._lock:
                flight.riders -= 1
                _drop_error(flight)
            if leading or not (flight.led or flight.over):  # interrupted, or the last one to leave one that was
                self._abandon(flight)

    def _wait(self, flight: Flight[T], changed: threading.Event, deadline: float | None) -> None:
        if any(work is flight for work in _at_work.get()):
            raise self._refusal(Refusal.RECURSION)
        limit = flight.ends_at + (0.0 if self._own_thread else _GRACE)
        until = limit if deadline is None else min(limit, deadline)
        if self._clock.wait(changed, until - self._clock.monotonic()):
            return
        if deadline is not None and deadline <= limit:
            raise self._refusal(Refusal.DEADLINE)
        self._end(flight, None, self._refusal(Refusal.LIMIT))
        if self._own_thread:
            _give_up(flight)

    # ---- leading ---------------------------------------------------------------------------------------

    def _lead(self, flight: Flight[T], deadline: float | None) -> _Errand | None:
        """Work here, or give the thread that works."""
        leave_by = flight.ends_at if deadline is None else min(deadline, flight.ends_at)
        if (self._own_thread or leave_by < flight.ends_at) and not self._caller_only and not self._closed:
            errand = _Errand()
            if self._send(flight, errand):
                return errand
        flight.leave_by = leave_by
        self._run(flight)
        return None

    def _lead_here(self, flight: Flight[T]) -> None:
        try:
            self._run(flight)
        except BaseException:
            self._abandon(flight)
            raise

    def _send(self, flight: Flight[T], errand: _Errand | None) -> bool:
        """Have a thread work; False if there is none to be had."""
        errand_or_renewal = errand or _Errand()
        context = contextvars.copy_context()
        thread = threading.Thread(
            target=context.run, args=(self._run_apart, flight, errand_or_renewal, errand is not None), name="animus-token", daemon=True
        )
        errand_or_renewal.thread = thread
        with self._lock:
            self._errands.add(errand_or_renewal)
        try:
            thread.start()
        except RuntimeError as error:  # no more threads, or the interpreter shuts down
            logger.debug("no thread for a token: %s", error)
            with self._lock:
                self._errands.discard(errand_or_renewal)
            return False
        return True

    def _run_apart(self, flight: Flight[T], errand: _Errand, has_caller: bool) -> None:
        try:
            self._run(flight)
        except BaseException as error:
            if flight.over:  # a strict receiver raised; the emitter has logged it
                logger.debug("a receiver of a token event raised %s", type(error).__name__)
            else:
                errand.interrupt = error if has_caller else None
                if has_caller or flight.riders:
                    self._abandon(flight)
                else:
                    self._end(flight, None, self._refusal(Refusal.INTERRUPT))
        finally:
            with self._lock:
                self._errands.discard(errand)
            errand.ended.set()

    def _run(self, flight: Flight[T]) -> None:
        given_up = self._turns.take(flight, flight.leave_by)
        if given_up is None:
            if flight.forgotten:
                return
            if flight.leave_by < flight.ends_at:
                raise self._refusal(Refusal.DEADLINE)  # one of the others leads on
            self._end(flight, None, self._refusal(Refusal.LIMIT))
            return
        at_work = _at_work.set((*_at_work.get(), flight))
        try:
            for other in given_up:
                _give_up(other)
            try:
                value = self._work(flight)
            finally:
                self._turns.leave(flight)
        except AnimusError as error:
            if not flight.over and self._clock.monotonic() >= flight.leave_by < flight.ends_at:
                raise  # it was in a hurry that the others are not in: one of them leads on
            self._end(flight, None, error)
        else:
            self._end(flight, value, None)
        finally:
            _at_work.reset(at_work)

    def _end(self, flight: Flight[T], value: T | None, error: AnimusError | None) -> None:
        afterwards = flight.afterwards or self._conclude(flight, value, error)
        flight.afterwards = None
        if afterwards is not None:
            afterwards()

    def _conclude(self, flight: Flight[T], value: T | None, error: AnimusError | None) -> Callable[[], None] | None:
        """Settle the outcome and wake those who wait; give what is to be told."""
        with self._lock:
            first, flight.ending = not flight.ending, True
        if not first and value is None:
            return None
        if error is not None:
            error.__traceback__ = None  # copies are raised, with tracebacks of their own
        afterwards = self._settle(flight, value, error)
        if first:
            with self._lock:
                flight.value, flight.error, flight.over = value, error, True
                if self._current is flight:
                    self._current = None
                flight.changed.set()
                _drop_error(flight)
        return afterwards

    def _abandon(self, flight: Flight[T]) -> None:
        """Hand a flight whose leader was interrupted over to one of its riders."""
        with self._lock:
            if flight.over:
                return
            if not flight.riders:  # nobody to lead it
                flight.forgotten = True
                if self._current is flight:
                    self._current = None
            flight.led = False
            flight.renewal = False
            woken, flight.changed = flight.changed, threading.Event()
            woken.set()


def _nothing() -> None:
    """Tell nobody."""


def _give_up(flight: Any) -> None:
    """Take from a flight that does not come back what others wait for."""
    let_go = flight.let_go
    if let_go is not None:
        let_go()


def _drop_error(flight: Flight[T]) -> None:
    """Break the circle error, cause, traceback, frames, flight, when nobody will ask for the outcome any more."""
    if not flight.riders and flight.over:
        flight.error = None


def copy_of(error: AnimusError) -> AnimusError:
    """Give an exception of its own to each who gets one: raising the same from many threads mixes their tracebacks."""
    twin = copy.copy(error)
    twin.__cause__ = error.__cause__
    twin.__suppress_context__ = True
    return twin
