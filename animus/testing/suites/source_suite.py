"""The promises of a token source, as tests."""

from __future__ import annotations

import copy
import pickle
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from animus._clock import SYSTEM_CLOCK
from animus.errors import TokenSourceError
from animus.refresh.manager import TokenManager
from animus.sources.ask import ask
from animus.sources.protocol import TokenRequest, TokenSource
from animus.testing.suites.checks import PATIENCE, assert_hidden, close_it, in_thread
from animus.tokens.token import Token


class TokenSourceSuite:
    """The promises of a :class:`~animus.TokenSource`. Inherit it and write :meth:`make_source`.

    Attributes:
        secrets: Texts that nothing may show, beside the token itself: keys, passwords.
    """

    secrets: tuple[str, ...] = ()

    def make_source(self) -> TokenSource:
        """Give a new source that has a token, configured in the same way each time."""
        raise NotImplementedError("a test class that inherits TokenSourceSuite has a method make_source()")

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

    def test_a_deadline_that_is_over_ends_in_a_token_or_a_reason(self, source: TokenSource) -> None:
        """A source that waits gives up in time, with a :class:`~animus.TokenSourceError`; one that does not wait need not look."""
        try:
            assert source.fetch(TokenRequest(deadline=SYSTEM_CLOCK.monotonic() - 1))
        except TokenSourceError as error:
            assert error.reason

    def test_it_can_be_asked_in_any_thread(self, source: TokenSource) -> None:
        """The client asks from one thread at a time, but not always from the same."""
        assert _token(source).value
        assert in_thread(lambda: _token(source)).value

    def test_a_manager_gets_a_token_from_it(self, source: TokenSource) -> None:
        """All together: the client's own way of asking."""
        manager = TokenManager(source)
        try:
            assert manager.token(SYSTEM_CLOCK.monotonic() + PATIENCE).value
        finally:
            manager.close()

    # ---- being told from others ------------------------------------------------------------------------

    def test_equal_configuration_has_equal_fingerprints(self, source: TokenSource) -> None:
        """Processes that share a store find each other's tokens by it, so it must not change from process to process."""
        other = self.make_source()
        try:
            assert isinstance(source.fingerprint, str)
            assert source.fingerprint
            assert source.fingerprint == other.fingerprint, "an id, a time or a memory address does not belong into a fingerprint"
        finally:
            close_it(other)

    def test_its_fingerprint_stays(self, source: TokenSource) -> None:
        """A fetch does not change it."""
        before = source.fingerprint
        _token(source)
        assert source.fingerprint == before

    def test_optional_members_are_what_they_should_be(self, source: TokenSource) -> None:
        """A wrong type would be misunderstood in silence."""
        for name in ("background", "own_thread", "local", "contains_callables"):
            assert isinstance(getattr(source, name, False), bool), f"{name} is True or False"
        name = getattr(source, "name", "source")
        assert isinstance(name, str), "name is a text"
        assert name.strip(), "name is not blank"
        timeout = getattr(source, "timeout", None)
        assert timeout is None or (isinstance(timeout, (int, float)) and 0 < timeout < float("inf")), "timeout is seconds"

    # ---- secrets ---------------------------------------------------------------------------------------

    def test_nothing_shows_a_secret(self, source: TokenSource) -> None:
        """Neither the source nor its name or fingerprint shows a token: logs, error reports and debuggers print them."""
        token = _token(source).value
        shown = [repr(source), str(source), f"{source}", str(getattr(source, "name", "")), source.fingerprint]
        assert_hidden("\n".join(shown), (token, *self.secrets))

    def test_a_failure_shows_no_secret(self, source: TokenSource) -> None:
        """Nor does what it raises, with its causes; here when there is no time left."""
        secrets = (_token(source).value, *self.secrets)
        try:
            source.fetch(TokenRequest(deadline=SYSTEM_CLOCK.monotonic() - 1))
        except TokenSourceError as error:
            assert_hidden("\n".join([*traceback.format_exception(error), repr(error), repr(error.hint)]), secrets)

    def test_it_travels_without_secrets_or_says_why_not(self, source: TokenSource) -> None:
        """It pickles as configuration, or refuses with an error that is not a riddle; a token never travels."""
        token = _token(source).value
        try:
            data = pickle.dumps(source)
        except (TypeError, AttributeError, pickle.PicklingError) as refusal:
            assert str(refusal), "say why it is not pickled, and what to use instead"
            assert_hidden(str(refusal), (token, *self.secrets))
            return
        assert_hidden(data.decode("latin-1"), (token, *self.secrets))
        twin = pickle.loads(data)
        try:
            assert twin.fingerprint == source.fingerprint
            assert _token(twin).value
        finally:
            close_it(twin)

    def test_a_copy_is_a_source(self, source: TokenSource) -> None:
        """Frameworks copy configuration."""
        twin = copy.copy(source)
        assert twin.fingerprint == source.fingerprint
        assert _token(twin).value

    # ---- its end ---------------------------------------------------------------------------------------

    def test_it_can_be_closed_twice_and_used_again(self, source: TokenSource) -> None:
        """A client closes its source; another client may still have it."""
        _token(source)
        close_it(source)
        close_it(source)
        assert _token(source).value


def _token(source: TokenSource, **request: Any) -> Token:
    return ask(source, TokenRequest(**request), name="source")
