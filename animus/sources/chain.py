"""Several sources, asked one after another."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from animus import _check
from animus._secret import scrub
from animus.errors import ConfigurationError, TokenSourceError
from animus.sources.apart import Apart
from animus.sources.ask import ask
from animus.sources.fingerprint import fingerprint
from animus.sources.make import as_token_source
from animus.sources.protocol import TokenRequest, TokenSource
from animus.tokens.reasons import failure
from animus.tokens.token import Token

logger: logging.Logger = logging.getLogger(__name__)

NOT_HERE = "not_available"
_DEFAULT_LIMIT = 30.0  # seconds for a source that does not say how long it takes


class ChainTokenSource:
    """Asks its sources in order, and gives the first token.

    A source that says "not here" (:class:`~animus.errors.TokenSourceError` with reason ``not_available``: a variable that is not set, a
    program that is not installed) is passed over. So is one that failed, but then a warning tells, once, that another stands in for
    it; with ``stop_on_failure=True`` its failure is the chain's. If none has a token, the error has the reason of the first that
    failed, and what each of them ended in as ``.failures``.

    Nothing is asked before its turn comes, each fetch begins at the first source again, and no failure disables a source. Each source has
    its own ``timeout``; one that may hang (``own_thread``) is left behind when that is over. All sources must be for the same user:
    whichever is first to answer counts.

    A chain does not change; :meth:`insert_before`, :meth:`insert_after`, :meth:`replace` and :meth:`remove` give another one.

    Threads: any. Fork: works in the child. Pickling: travels if all its sources do.

    >>> from animus import EnvironmentTokenSource
    >>> chain = ChainTokenSource({"environment": EnvironmentTokenSource(), "login": "exec:corp-login --print-token"})
    >>> chain.insert_before("login", "file", lambda: open("/run/secrets/animus").read()).names
    ('environment', 'file', 'login')

    Args:
        sources: Names and sources, as a mapping or as pairs. A source is all that a client takes as ``token_source``.
        stop_on_failure: Ask the next source only if this one said "not here".

    Raises:
        ConfigurationError: no source, a name twice, or something that is no source.
    """

    def __init__(self, sources: Mapping[str, Any] | Iterable[tuple[str, Any]], *, stop_on_failure: bool = False) -> None:
        self._members = _checked(sources)
        self.stop_on_failure: bool = _check.boolean("stop_on_failure", stop_on_failure)
        self._apart = {name: Apart(source, _name_of(name, source)) for name, source in self._members.items() if _may_hang(source)}
        self._warned: set[tuple[str, str]] = set()
        self.name: str = f"chain of {', '.join(self._members)}"

    # ---- what it is made of ----------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its sources, in the order in which they are asked."""
        return tuple(self._members)

    def __getitem__(self, name: str) -> TokenSource:
        """Give the source of that name.

        Raises:
            KeyError: there is none.
        """
        return self._members[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def insert_before(self, name: str, new_name: str, source: Any) -> ChainTokenSource:
        """Give a chain with another source right before the one called ``name``.

        Raises:
            ConfigurationError: there is no such name, or ``new_name`` is taken.
        """
        return self._inserted(self._place(name), new_name, source)

    def insert_after(self, name: str, new_name: str, source: Any) -> ChainTokenSource:
        """Give a chain with another source right behind the one called ``name``; raises as :meth:`insert_before`."""
        return self._inserted(self._place(name) + 1, new_name, source)

    def replace(self, name: str, source: Any) -> ChainTokenSource:
        """Give a chain with ``source`` in the place, and under the name, of the one called ``name``; raises as :meth:`insert_before`."""
        self._place(name)
        return self._with([(member, source if member == name else old) for member, old in self._members.items()])

    def remove(self, name: str) -> ChainTokenSource:
        """Give a chain without the source called ``name``.

        Raises:
            ConfigurationError: there is no such name, or no source would be left.
        """
        self._place(name)
        return self._with([(member, source) for member, source in self._members.items() if member != name])

    def _inserted(self, place: int, name: str, source: Any) -> ChainTokenSource:
        pairs: list[tuple[str, Any]] = list(self._members.items())
        return self._with([*pairs[:place], (name, source), *pairs[place:]])

    def _place(self, name: str) -> int:
        if name not in self._members:
            raise ConfigurationError(f"the chain has no source {name!r}", hint=_check.near_miss(str(name), self._members))
        return self.names.index(name)

    def _with(self, pairs: Iterable[tuple[str, Any]]) -> ChainTokenSource:
        return type(self)(pairs, stop_on_failure=self.stop_on_failure)

    # ---- being a source --------------------------------------------------------------------------------

    @property
    def fingerprint(self) -> str:
        """Text that tells this chain from others: made of the names and fingerprints of its sources."""
        return fingerprint("chain", ",".join(self.names), {name: source.fingerprint for name, source in self._members.items()})

    @property
    def timeout(self) -> float:
        """Most seconds one fetch may take: what its sources may take together."""
        return sum(_limit(source) for source in self._members.values())

    @property
    def background(self) -> bool:
        """Whether all its sources may be asked in a short-lived thread."""
        return all(getattr(source, "background", True) for source in self._members.values())

    @property
    def local(self) -> bool:
        """Whether asking any of its sources costs nothing."""
        return all(getattr(source, "local", False) for source in self._members.values())

    @property
    def contains_callables(self) -> bool:
        """Whether one of its sources may answer differently from user to user without the fingerprint telling so."""
        return self._any("contains_callables")

    def for_api(self, api_base_url: str) -> ChainTokenSource:
        """Give this chain with its API keys bound to that API, where they know none."""
        bound = [(name, as_token_source(source, api_base_url=api_base_url)) for name, source in self._members.items()]
        return self if all(source is self._members[name] for name, source in bound) else self._with(bound)

    def fetch(self, request: TokenRequest) -> Token:
        """Give the token of the first source that has one.

        Raises:
            TokenSourceError: none has. ``timeout`` if there was no time to ask all.
        """
        failures: list[tuple[str, TokenSourceError]] = []
        for name, source in self._members.items():
            if request.left is not None and request.left <= 0:
                message = f"there was no time left to ask it, after {', '.join(asked for asked, _ in failures) or 'nobody'}"
                failures.append((name, failure("timeout", message, source=name)))
                break
            try:
                token = self._ask(name, source, request)
            except TokenSourceError as error:
                failures.append((name, _plain(error)))
                if self.stop_on_failure and error.reason != NOT_HERE:
                    break
            else:
                self._tell(failures, name)
                return token
        try:
            raise self._none_has(failures)
        finally:
            failures.clear()  # else errors, tracebacks and frame hold each other

    def _ask(self, name: str, source: TokenSource, request: TokenRequest) -> Token:
        ends_at = request.clock.monotonic() + _limit(source)
        request = replace(request, deadline=ends_at if request.deadline is None else min(request.deadline, ends_at))
        apart = self._apart.get(name)
        return ask(source, request, name=_name_of(name, source)) if apart is None else apart.ask(request)

    def close(self) -> None:
        """Close its sources."""
        for source in self._members.values():
            close = getattr(source, "close", None)
            if callable(close):
                close()

    def _none_has(self, failures: list[tuple[str, TokenSourceError]]) -> TokenSourceError:
        failed = [error for _, error in failures if error.reason != NOT_HERE]
        decisive = (failed or [error for _, error in failures])[0]
        said = "; ".join(f"{name}: {error.reason} ({error.message})" for name, error in failures)
        error = failure(decisive.reason, f"no source of the chain has a token: {said}", source=self.name, hint=decisive.hint)
        error.status, error.retry_after, error.failures = decisive.status, decisive.retry_after, tuple(failures)
        error.__cause__ = decisive
        return error

    def _tell(self, failures: list[tuple[str, TokenSourceError]], name: str) -> None:
        """Warn, once for each, that a source has stood in for one that failed."""
        for other, error in failures:
            if error.reason == NOT_HERE:
                continue
            new = (other, error.reason) not in self._warned
            self._warned.add((other, error.reason))
            level = logging.WARNING if new else logging.DEBUG
            logger.log(level, "the token comes from %r, since %r failed: %s", name, other, error)

    def _any(self, member: str) -> bool:
        return any(getattr(source, member, False) for source in self._members.values())

    def __repr__(self) -> str:
        return f"<ChainTokenSource {', '.join(self._members)}>"

    def __copy__(self) -> ChainTokenSource:
        return self

    def __deepcopy__(self, memo: object) -> ChainTokenSource:
        return self

    def __reduce__(self) -> Any:
        return _rebuilt, (type(self), dict(self._members), self.stop_on_failure)


def _rebuilt(kind: type[ChainTokenSource], sources: Mapping[str, Any], stop_on_failure: bool) -> ChainTokenSource:
    return kind(sources, stop_on_failure=stop_on_failure)


def _checked(sources: object) -> dict[str, TokenSource]:
    if isinstance(sources, str) or not isinstance(sources, Iterable):
        raise _check.refuse("sources", sources, 'a mapping such as {"environment": EnvironmentTokenSource()}, or pairs')
    members: dict[str, TokenSource] = {}
    for pair in sources.items() if isinstance(sources, Mapping) else sources:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise _check.refuse("sources", pair, "pairs of a name and a source")
        name = _check.text("the name of a source", pair[0])
        if name in members:
            raise ConfigurationError(f"the chain has two sources called {name!r}", hint="replace() puts one in the place of another")
        if pair[1] is None:
            raise _check.refuse(f"sources[{name!r}]", None, "a source")
        try:
            members[name] = as_token_source(pair[1])
        except ConfigurationError as error:
            raise ConfigurationError(f"sources[{name!r}]: {error.message}", hint=error.hint) from error.__cause__
    if not members:
        raise ConfigurationError("a chain needs at least one source")
    return members


def _name_of(name: str, source: TokenSource) -> str:
    return scrub(str(getattr(source, "name", None) or name))


def _may_hang(source: TokenSource) -> bool:
    return bool(getattr(source, "own_thread", False)) and bool(getattr(source, "background", True))


def _limit(source: TokenSource) -> float:
    return float(getattr(source, "timeout", None) or _DEFAULT_LIMIT)


def _plain(error: TokenSourceError) -> TokenSourceError:
    """Give the error without frames, which would keep it and all that is in them alive."""
    error.__traceback__ = None
    return error
