"""The promises of a token source, as tests."""

from __future__ import annotations

import copy
import pickle
import re
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from animus._cause import describe
from animus._clock import SYSTEM_CLOCK
from animus.errors import TokenSourceError
from animus.refresh.manager import TokenManager
from animus.sources.ask import ask
from animus.sources.protocol import TokenRequest, TokenSource
from animus.testing.suites.checks import PATIENCE, PROMPT, InThread, assert_hidden, close_it, in_thread, promised
from animus.testing.suites.travel import fingerprint_elsewhere, pickled
from animus.tokens.reasons import HINTS
from animus.tokens.response import read_value
from animus.tokens.token import Token

_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}")
_BELONGS = "an id, a time, a hash() or a memory address does not belong into a fingerprint"


class TokenSourceSuite:
    """The promises of a :class:`~animus.TokenSource`. Inherit it and write :meth:`make_source`; :meth:`make_failing_source` if it can fail.

    Attributes:
        secrets: Texts that nothing may show, beside the token itself: keys, passwords.
    """

    secrets: tuple[str, ...] = ()

    def make_source(self) -> TokenSource:
        """Give a new source that has a token, configured in the same way each time."""
        raise NotImplementedError("a test class that inherits TokenSourceSuite has a method make_source()")

    def make_failing_source(self) -> TokenSource | None:
        """Give a source that gets no token, because what it asks refuses, hangs or answers nonsense; None: that is not tested."""
        return None

    @pytest.fixture
    def source(self) -> Iterator[TokenSource]:
        """Give a source that is closed after the test."""
        source = self.make_source()
        yield source
        close_it(source)

    # ---- tokens ----------------------------------------------------------------------------------------

    def test_it_has_what_a_source_has(self, source: TokenSource) -> None:
        """``fetch`` and ``fingerprint`` are all that is needed."""
        assert isinstance(source, TokenSource), "a source has a method fetch() and an attribute or property fingerprint"

    def test_it_gives_a_usable_token(self, source: TokenSource) -> None:
        """What it returns is a token, its text, or a JSON answer with one in it, and not over."""
        assert _token(source).value

    def test_it_gives_a_token_again(self, source: TokenSource) -> None:
        """A token that ended, or was refused, is replaced by asking again."""
        assert _token(source).value
        assert _token(source, force=True).value

    def test_it_takes_every_request(self, source: TokenSource) -> None:
        """Requests have an identity and a deadline, or not."""
        for request in (
            TokenRequest(identity="ada"),
            TokenRequest(force=True, identity="ada", deadline=SYSTEM_CLOCK.monotonic() + PATIENCE),
        ):
            assert ask(source, request, name="source").value

    def test_it_can_be_asked_in_any_thread(self, source: TokenSource) -> None:
        """The client asks from one thread at a time, but not always from the same."""
        assert _token(source).value
        assert in_thread(lambda: _token(source), "a source can be asked in any thread").value

    def test_a_manager_gets_a_token_from_it(self, source: TokenSource) -> None:
        """All together: the client's own way of asking."""
        manager = TokenManager(source)
        try:
            assert manager.token(SYSTEM_CLOCK.monotonic() + PATIENCE).value
        finally:
            manager.close()

    # ---- failures --------------------------------------------------------------------------------------

    @pytest.mark.parametrize("left", [-1.0, 0.05], ids=["over", "near"])
    def test_a_deadline_ends_in_a_token_or_a_reason(self, source: TokenSource, left: float) -> None:
        """A source that waits gives up in time, with a :class:`~animus.TokenSourceError`; one that does not wait need not look."""
        outcome = _outcome(source, left)
        if isinstance(outcome, BaseException):
            assert isinstance(outcome, TokenSourceError), (
                f'a source that has no time left raises TokenSourceError(…, reason="timeout"), not {describe(outcome)}'
            )
            _assert_known(outcome)
            return
        try:
            read_value(outcome, now=SYSTEM_CLOCK.time(), source="source", opaque_ok=True)
        except TokenSourceError as error:
            advice = 'raise TokenSourceError(…, reason="timeout")'
            raise AssertionError(f"without time left fetch() gives what is no token: {advice}. {error}") from None

    def test_a_failure_shows_no_secret(self, source: TokenSource) -> None:
        """Nor does what it raises, with its causes; here when there is no time left."""
        secrets = (_token(source).value, *self.secrets)
        outcome = _outcome(source, -1.0)
        if isinstance(outcome, BaseException):
            assert_hidden(_shown(outcome), secrets)

    def test_a_source_that_fails_says_why_in_time_and_shows_no_secret(self) -> None:
        """Here with a second left, for what a source asks may hang."""
        source = self.make_failing_source()
        if source is None:
            pytest.skip("there is no make_failing_source()")
        try:
            outcome = _outcome(source, 1.0)
            assert isinstance(outcome, BaseException), "make_failing_source() gives a source that gets a token"
            assert_hidden(_shown(outcome), self.secrets)
            if isinstance(outcome, TokenSourceError):
                _assert_known(outcome)
        finally:
            close_it(source)

    # ---- being told from others ------------------------------------------------------------------------

    def test_equal_configuration_has_equal_fingerprints(self, source: TokenSource) -> None:
        """Processes that share a store find each other's tokens by it."""
        other = self.make_source()
        try:
            kind = type(source.fingerprint).__name__
            assert isinstance(source.fingerprint, str), f"fingerprint is a text, not a {kind}: a method that gives it is a @property"
            assert source.fingerprint.strip(), "a blank fingerprint tells a source from nothing: users would get each other's tokens"
            assert source.fingerprint == other.fingerprint, f"two sources with one configuration have two fingerprints: {_BELONGS}"
        finally:
            close_it(other)

    def test_its_fingerprint_is_the_same_in_every_process(self, source: TokenSource) -> None:
        """Looked for in a new process, if the source travels there."""
        fingerprint = source.fingerprint
        assert _ADDRESS.search(str(fingerprint)) is None, f"there is a memory address in the fingerprint: {_BELONGS}"
        try:
            data = pickle.dumps(source)
        except Exception:
            return  # another test looks at how it refuses
        assert fingerprint_elsewhere(data) in (None, fingerprint), f"in another process the fingerprint is another: {_BELONGS}"

    def test_its_fingerprint_stays(self, source: TokenSource) -> None:
        """A fetch does not change it."""
        before = source.fingerprint
        _token(source)
        assert source.fingerprint == before, "a fetch has changed the fingerprint: make it of the configuration alone"

    def test_optional_members_are_what_they_should_be(self, source: TokenSource) -> None:
        """A wrong type would be misunderstood in silence."""
        for name in ("background", "own_thread", "local", "contains_callables"):
            assert isinstance(getattr(source, name, False), bool), f"{name} is True or False"
        name = getattr(source, "name", "source")
        assert isinstance(name, str), "name is a text"
        assert name.strip(), "name is not blank"
        timeout = getattr(source, "timeout", None)
        is_number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
        assert timeout is None or (is_number and 0 < timeout < float("inf")), "timeout is seconds: a number, more than 0"

    # ---- secrets ---------------------------------------------------------------------------------------

    def test_nothing_shows_a_secret(self, source: TokenSource) -> None:
        """Neither the source nor its name or fingerprint shows a token: logs, error reports and debuggers print them."""
        token = _token(source).value
        shown = [repr(source), str(source), f"{source}", str(getattr(source, "name", "")), str(source.fingerprint)]
        assert_hidden("\n".join(shown), (token, *self.secrets))

    def test_it_travels_without_secrets_or_says_why_not(self, source: TokenSource) -> None:
        """It pickles as configuration, or refuses with an error that is not a riddle; a token never travels."""
        data = pickled(source, (_token(source).value, *self.secrets))
        if data is None:
            return
        twin = promised("what was pickled is loaded again", lambda: pickle.loads(data))
        try:
            assert twin.fingerprint == source.fingerprint, "a source that was pickled comes back with another fingerprint"
            assert _token(twin).value
        finally:
            close_it(twin)

    def test_a_copy_is_a_source(self, source: TokenSource) -> None:
        """Frameworks copy configuration."""
        for copied in (copy.copy, copy.deepcopy):
            advice = f"copy.{copied.__name__}() of a source gives a source: define __copy__() and __deepcopy__(), which may return self"
            twin = promised(advice, lambda copied=copied: copied(source))  # type: ignore[misc]
            assert twin.fingerprint == source.fingerprint, "a copy of a source has another fingerprint"
            assert promised(advice, lambda twin=twin: _token(twin)).value  # type: ignore[misc]

    # ---- its end ---------------------------------------------------------------------------------------

    def test_it_can_be_closed_twice_and_used_again(self, source: TokenSource) -> None:
        """A client closes its source, asked or not; another client may still have it."""
        promised("a source that was never asked can be closed", lambda: close_it(source))
        promised("a source that was closed can be asked", lambda: _token(source))
        for _ in range(2):
            promised("a source can be closed twice", lambda: close_it(source))
        assert promised("a source that was closed can be asked", lambda: _token(source)).value


def _token(source: TokenSource, **request: Any) -> Token:
    return ask(source, TokenRequest(**request), name="source")


def _outcome(source: TokenSource, left: float) -> Any:
    """Give what a fetch with so many seconds left returns, or the exception it raises; fail if it takes much longer."""

    def fetch() -> Any:
        try:
            return source.fetch(TokenRequest(deadline=SYSTEM_CLOCK.monotonic() + left))
        except Exception as error:
            return error

    # the client leaves a fetch behind that has a thread of its own
    patience = PATIENCE if getattr(source, "own_thread", False) else PROMPT
    late = (
        f"with {max(left, 0.0):g} s left, fetch() takes {patience:g} s longer: give up after request.left seconds, "
        'with TokenSourceError(…, reason="timeout")'
    )
    return InThread(fetch).finish(max(left, 0.0) + patience, late)


def _assert_known(error: TokenSourceError) -> None:
    assert error.reason in HINTS, f"{error.reason!r} is not one of the reasons: {', '.join(sorted(HINTS))}"


def _shown(error: BaseException) -> str:
    """Give all that logs, error reports and debuggers show of an error and those behind it."""
    texts = traceback.format_exception(error)
    behind: list[BaseException] = [error]
    for link in behind:
        attributes = list(vars(link).values())
        texts += [str(link), *map(repr, (link, *attributes, *(getattr(each, "headers", None) for each in attributes)))]
        further = (link.__cause__, link.__context__, *link.args)
        behind += [other for other in further if isinstance(other, BaseException) and other not in behind]
    return "\n".join(texts)
