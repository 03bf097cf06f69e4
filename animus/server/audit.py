"""Who got a token, and who did not and why: an event and a line in the log for each request."""

from __future__ import annotations

import json
import logging
from typing import Any

from animus._secret import scrub
from animus.events import Emitter, TokenIssued, TokenRefused
from animus.server import users
from animus.server.refusal import Refused

logger: logging.Logger = logging.getLogger(__name__)
_LONGEST_ADDRESS = 60


class Audit:
    """Emits ``token_issued`` and ``token_refused``, and writes each as one line of JSON to the log ``animus.server.audit`` (INFO).

    No token, key or header is in either; a receiver that raises is logged and disturbs nobody.

    Threads: any.
    """

    def __init__(self, sender: Any) -> None:
        self.emitter: Emitter = Emitter(sender)

    def issued(self, user: Any, remote_address: str | None, reason: str) -> None:
        """Tell that ``user`` got a token."""
        if self._wanted(TokenIssued.name):
            self._tell(TokenIssued(user=users.shown(user), remote_address=_address(remote_address), reason=reason))

    def refused(self, refused: Refused, remote_address: str | None) -> None:
        """Tell that there was no token."""
        if self._wanted(TokenRefused.name):
            event = TokenRefused(
                user=None if refused.user is None else users.shown(refused.user),
                remote_address=_address(remote_address),
                reason=refused.reason,
                status=refused.status,
                cause=refused.cause,
            )
            self._tell(event)

    def _wanted(self, name: str) -> bool:
        return self.emitter.wants(name) or logger.isEnabledFor(logging.INFO)

    def _tell(self, event: TokenIssued | TokenRefused) -> None:
        if logger.isEnabledFor(logging.INFO):
            fields = {name: getattr(event, name, None) for name in ("user", "remote_address", "reason", "status", "cause")}
            line = {"event": event.name, **{name: value for name, value in fields.items() if value is not None}}
            # ASCII: whatever a user is called, it is one line. The fields come as attributes of the record, too
            logger.info("%s", json.dumps(line), extra={"animus_audit": line})
        if self.emitter.wants(event.name):
            self.emitter.emit(event)


def _address(text: str | None) -> str | None:
    """Give an address as it may be shown; behind a careless proxy it is whatever the client wrote into a header."""
    return None if text is None else scrub(text)[:_LONGEST_ADDRESS]
