"""Causes of errors, without what they would show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from animus._secret import scrub

_LONGEST = 300


class ConcealedError(Exception):
    """Stands in for an exception whose text showed a secret: its type, and its text without that."""


def safe_cause(error: BaseException, secrets: Iterable[str] = (), *, drop_requests: bool = False) -> BaseException:
    """Give ``error``, or a stand-in if its text, or that of an exception behind it, shows a secret.

    Args:
        secrets: What must not be shown, beyond all that looks like a token.
        drop_requests: Take the ``request`` and ``response`` off exceptions of requests: they hold headers.
    """
    secrets = tuple(secrets)
    chain = list(_chain(error))
    if any(_shows(link, secrets) for link in chain):
        return ConcealedError(describe(error, secrets))
    if drop_requests:
        for link in chain:
            for name in ("request", "response"):
                if getattr(link, name, None) is not None:
                    setattr(link, name, None)
    return error


def describe(error: BaseException, secrets: Iterable[str] = ()) -> str:
    """Give type and text of ``error`` in one line, without secrets."""
    text = " ".join(scrub(str(error), secrets).split())[:_LONGEST]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _shows(error: BaseException, secrets: tuple[str, ...]) -> bool:
    return any(scrub(text, secrets) != text for text in (str(error), repr(error)))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Give ``error`` and all exceptions reachable from it: causes, contexts, and those requests and urllib3 wrap."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        link = waiting.pop()
        if id(link) in seen:  # chains can be rings (jd/tenacity#658)
            continue
        seen.add(id(link))
        yield link
        behind = (link.__cause__, link.__context__, getattr(link, "reason", None), *link.args)
        waiting.extend(other for other in behind if isinstance(other, BaseException))
