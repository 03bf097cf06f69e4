"""A program of yours as a source: one that prints a token."""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from animus import _check, _strict_json
from animus._cause import safe_cause
from animus._credential import names_credential
from animus._secret import Secret, scrub
from animus.errors import ConfigurationError, TokenSourceError
from animus.sources.command_line import checked_variables, plain, split, variable_names
from animus.sources.complaint import fit_to_show
from animus.sources.credentials import contains_callables, evaluate
from animus.sources.fingerprint import fingerprint
from animus.sources.process import Outcome, run
from animus.sources.protocol import TokenRequest
from animus.tokens.reasons import DOCUMENTED_SHAPES, failure
from animus.tokens.response import read_value
from animus.tokens.token import Token

MAX_BYTES = 1 << 20
FORCE, IDENTITY = "ANIMUS_TOKEN_FORCE", "ANIMUS_TOKEN_IDENTITY"

_SHORTEST_TOKEN = 12  # characters of a word on stdout that stderr must not repeat
_PRINT_HINT = f"It must print the token alone, or JSON such as {DOCUMENTED_SHAPES}, on stdout; everything else belongs on stderr"


class CommandTokenSource:
    """Runs a program for each token, such as the login tool of your organisation. No shell is involved.

    The program prints to stdout either the token alone, which is a JWT then, or JSON as a token provider would answer:
    ``{"accessToken": …}``, with ``expiresIn`` or LiveKit details beside it if there are any. A token in JSON may be opaque; a word that
    stands alone could be anything, such as ``null`` or a complaint. It succeeds with exit code 0; what it
    writes to stderr is in the error otherwise, shortened, and without anything that looks like a secret.

    Two environment variables tell it what is asked for: ``ANIMUS_TOKEN_FORCE`` is ``1`` when the token it gave before was refused (do
    not print a kept one), ``ANIMUS_TOKEN_IDENTITY`` whom the token is for, if the client has an identity.

    Threads: any. Fork: works in the child, also when the fork happens while the program runs. Pickling: program, arguments and names
    of variables travel; refused with a literal value in ``env``. Arguments are no place for secrets: every user of the machine can
    see them. Different users of the system never share a token in a store; if one user has several logins, give the client an ``identity``.

    Args:
        command: A list (the program, then its arguments), or one line, split as a POSIX shell does but with nothing expanded.
            ``token_source="exec:<line>"`` means the same.
        timeout: Seconds for one run. When they are over, the program and all it has started are killed.
        inherit: The names of the environment variables that the program gets to see; None: all. Without ``PATH`` it must be given
            by its full path.
        env: Further variables. Values may be functions, which are called for each run.
        folder: Where it runs; default: where this process is.

    Raises:
        ConfigurationError: a setting that is not possible. That the program is not there is found out when it is needed.
    """

    def __init__(
        self,
        command: str | Sequence[str],
        *,
        timeout: float = 10.0,
        inherit: Iterable[str] | None = None,
        env: Mapping[str, str | Callable[[], str]] | None = None,
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        self._arguments = tuple(Secret(part) for part in split(command))
        self.timeout: float = _check.seconds("timeout", timeout, zero=False)
        self._inherit = None if inherit is None else variable_names(inherit)
        self._env = checked_variables(env or {})
        self._folder = None if folder is None else plain("folder", os.fspath(folder))
        self._program = scrub(PurePath(self._arguments[0]).name)[:60]
        self.name: str = f"command {self._program}"

    @property
    def contains_callables(self) -> bool:
        """Whether its environment may differ from user to user without the fingerprint telling so."""
        return contains_callables(self._env)

    @property
    def fingerprint(self) -> str:
        """Text that tells this source from others, and from that of another user of the system, who gets tokens of their own.

        No argument or value can be read from it.
        """
        return fingerprint("command", self._program, _user(), self._arguments, self._inherit, self._env, self._folder)

    def fetch(self, request: TokenRequest) -> Token:
        """Run the program.

        Raises:
            TokenSourceError: it is not installed (``not_available``), did not end in time (``timeout``) or not well (``failed``),
                or what it printed is no usable token.
        """
        environment = self._environment(request)
        outcome = self._run(environment, request)
        if outcome.cut == "timeout":
            raise self._failure("timeout", "the command did not end within its time and was killed", outcome, environment)
        if outcome.cut == "too_large":
            message = f"the command printed more than {MAX_BYTES} bytes and was killed"
            raise failure("too_large", message, source=self.name, hint=_PRINT_HINT)
        if outcome.code != 0:
            raise self._failure("failed", f"the command {_ending(outcome.code)}", outcome, environment)
        value = self._value(_text(outcome.output), outcome, environment)
        return read_value(value, now=request.clock.time(), source=self.name, opaque_ok=not isinstance(value, str))

    # ---- running ---------------------------------------------------------------------------------------

    def _environment(self, request: TokenRequest) -> dict[str, Secret]:
        """Give the program's environment; its values are shown nowhere."""
        environment = {name: Secret(value) for name, value in os.environ.items() if self._inherit is None or name in self._inherit}
        given = evaluate("env", self._env, self.name)
        error: TokenSourceError
        try:
            environment.update(checked_variables(given))
        except ConfigurationError as refused:
            error = failure("failed", f"the command cannot be run: {refused.message}", source=self.name, hint="Check env=")
        else:
            told = {FORCE: "1" if request.force else None, IDENTITY: request.identity}
            for name, text in told.items():
                if text is None:
                    environment.pop(name, None)
                else:
                    environment[name] = Secret(text)
            return environment
        try:
            raise error
        finally:
            del error  # else error, cause, traceback and frame hold each other

    def _run(self, environment: Mapping[str, str], request: TokenRequest) -> Outcome:
        timeout = self.timeout if request.left is None else min(self.timeout, request.left)
        if timeout <= 0:
            raise failure("timeout", "there was no time left to run the command", source=self.name)
        error: TokenSourceError
        try:
            return run(self._arguments, environment=environment, folder=self._folder, timeout=timeout, max_bytes=MAX_BYTES)
        except (OSError, ValueError) as raised:
            error = self._not_started(raised, environment)
            error.__cause__ = safe_cause(raised, self._secrets(environment))
        try:
            raise error  # outside of the except clause: a context would keep what the cause must not show
        finally:
            del error  # else error, cause, traceback and frame hold each other

    def _not_started(self, raised: OSError | ValueError, environment: Mapping[str, str]) -> TokenSourceError:
        trouble = None if self._folder is None else _trouble_with(self._folder)
        if trouble is not None:
            return failure("failed", f"the folder to run the command in {trouble}", source=self.name, hint="Check folder=")
        if isinstance(raised, (FileNotFoundError, NotADirectoryError)):  # the latter for a file in PATH where a folder should be
            return self._not_found(environment)
        why = getattr(raised, "strerror", None) or type(raised).__name__
        hint = "The program must be executable, and a script needs a first line such as #!/bin/sh"
        return failure("failed", f"the program {self._program!r} cannot be started: {why}", source=self.name, hint=hint)

    def _not_found(self, environment: Mapping[str, str]) -> TokenSourceError:
        if self._is_there(environment):  # the system says the same of a program and of what is to run it
            hint = "Check the first line of the script: what it names behind #! must be installed, and a carriage return must not end it"
            message = f"the program {self._program!r} is there, but not the interpreter it names"
            return failure("failed", message, source=self.name, hint=hint)
        hint = "Install it, give its full path, or check PATH"
        if self._inherit is not None and "PATH" not in self._inherit and "PATH" not in self._env:
            hint = 'Give its full path, or put "PATH" into inherit=: the program is looked for in the PATH it gets'
        return failure("not_available", f"there is no program {self._program!r}", source=self.name, hint=hint)

    def _is_there(self, environment: Mapping[str, str]) -> bool:
        """Tell whether there is a file where the program was looked for; not on Windows, where a name alone is no program."""
        program = self._arguments[0]
        folders = [""] if os.path.dirname(program) else os.get_exec_path(environment)
        return os.name == "posix" and any(os.path.isfile(os.path.join(self._folder or "", folder, program)) for folder in folders)

    # ---- reading ---------------------------------------------------------------------------------------

    def _value(self, text: Secret, outcome: Outcome, environment: Mapping[str, str]) -> Any:
        """Give the token's text, or the JSON around it."""
        if not text:
            raise self._failure("wrong_shape", "the command printed nothing", outcome, environment, _PRINT_HINT)
        if text[0] in '{["':
            try:
                value = _strict_json.loads(text)
            except ValueError:
                message = "what the command printed begins like JSON, but is none"
                raise failure("not_json", message, source=self.name, hint=_PRINT_HINT) from None
            return Secret(value) if isinstance(value, str) else value
        if len(text.split()) > 1:
            message = f"the command printed {len(text.split())} words where one token is expected"
            raise failure("wrong_shape", message, source=self.name, hint=_PRINT_HINT)
        return text

    def _failure(
        self, reason: str, message: str, outcome: Outcome, environment: Mapping[str, str], hint: str | None = None
    ) -> TokenSourceError:
        """Give an error with what the program said on stderr."""
        printed = [Secret(word) for word in _text(outcome.output).split() if len(word) >= _SHORTEST_TOKEN]
        said = fit_to_show(_text(outcome.errors), [*self._secrets(environment), *printed])
        return failure(reason, f"{message}: {said}" if said else message, source=self.name, hint=hint or _HINTS.get(reason))

    def _secrets(self, environment: Mapping[str, str]) -> list[Secret]:
        """Give what must not be shown although the program may print it (``set -x``, a usage message)."""
        found = [value for name, value in environment.items() if name in self._env or names_credential(name)]
        found += [word for text in found for word in text.split()]  # lines and words are printed alone, too
        for part in self._arguments[1:]:
            if part.startswith("-"):
                found.append(part.partition("=")[2])
            elif not os.path.exists(part):
                found.append(part)
        return sorted(map(Secret, filter(None, found)), key=len, reverse=True)  # a long one may contain a short one

    # ---- showing and travelling ------------------------------------------------------------------------

    def __repr__(self) -> str:
        return f"<CommandTokenSource {self._program}>"

    def __copy__(self) -> CommandTokenSource:
        return self

    def __deepcopy__(self, memo: object) -> CommandTokenSource:
        return self

    def __reduce__(self) -> Any:
        literal = [f"env[{name!r}]" for name, value in self._env.items() if not callable(value)]
        if literal:
            raise TypeError(
                f"{self!r} is not pickled: {', '.join(literal)} may be a secret. "
                "Give it as a function (of a module, so that pickle finds it), or set the variable where the program runs"
            )
        arguments = [str(part) for part in self._arguments]
        settings: dict[str, Any] = {
            "timeout": self.timeout,
            "inherit": self._inherit,
            "env": self._env,
            "folder": self._folder,
        }
        return functools.partial(type(self), **settings), (arguments,)


_HINTS = {
    "failed": "Run the command by hand to see what it lacks; it must end with exit code 0",
    "timeout": "Raise timeout=, or find out what it waits for: it gets no input and no terminal",
}


def _user() -> str:
    """Give whom the operating system takes us for; not what a variable says, where there is anything better."""
    if sys.platform == "win32":
        return os.environ.get("USERNAME", "")
    from pwd import getpwuid

    try:
        return getpwuid(os.geteuid()).pw_name
    except KeyError:  # containers run under numbers without a name
        return str(os.geteuid())


def _trouble_with(folder: str) -> str | None:
    """Give why nothing can be run in the folder, if so."""
    if not os.path.isdir(folder):
        return "is no folder" if os.path.exists(folder) else "does not exist"
    return None if os.access(folder, os.X_OK) else "must not be entered"


def _text(printed: bytes) -> Secret:
    return Secret(printed.decode("utf-8", "replace").lstrip("\ufeff").strip())


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
