"""``completions()``: exactly one call, with its events and its place in the history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from animus import _fork
from animus.conversation.history import context_of
from animus.conversation.messages import ChatMessage, answer_of
from animus.conversation.payload import Parameters, request_body, with_system
from animus.conversation.room import Room
from animus.http.timeouts import Timeouts
from animus.models.chat import ChatCompletion
from animus.resources.completions import complete
from animus.transport.policy import RetryPolicy

if TYPE_CHECKING:
    from animus.conversation.progress import TextProgress
    from animus.streaming.stream import ChatStream


class Question(NamedTuple):
    """One call: what is asked, and with what.

    Attributes:
        messages: As the caller gave them.
        history: Whether the conversation's history is read and written.
    """

    messages: Sequence[ChatMessage]
    parameters: Parameters
    history: bool
    timeouts: Timeouts | None = None
    retry: RetryPolicy | None = None


class OneCall:
    """A running ``completions()`` call; as observer of its stream it tells events and keeps the history."""

    def __init__(self, room: Room, question: Question) -> None:
        self._room = room
        self._question = question
        self._system, self._others = with_system(question.parameters.config, question.messages)
        self._made_ids: dict[str, Any] | None = None
        self._made_progress: TextProgress | None = None
        self._context, self._fresh = context_of(room.history, self._others) if question.history else ([], self._others)

    # no cached_property: until Python 3.12 those have a lock, one for all objects of the class, that a forked child inherits
    @property
    def _ids(self) -> dict[str, Any]:
        """Where the events belong; made when somebody listens."""
        if self._made_ids is None:
            self._made_ids = self._room.ids(self._room.new_id("conv"))
        return self._made_ids

    @property
    def _progress(self) -> TextProgress:
        if self._made_progress is None:
            with _fork.forks_wait:
                from animus.conversation.progress import TextProgress  # and the events, for who listens

            self._made_progress = TextProgress(self._ids)
        return self._made_progress

    def ask(self) -> ChatCompletion:
        """Have a whole answer.

        Emits ``message_start``, then ``message_complete`` or ``message_error``.
        """
        question = self._question
        self._start()
        try:
            completion = complete(self._room.session, self._body(stream=False), timeouts=question.timeouts, retry=question.retry)
        except Exception as error:
            self.failed(error)
            raise
        self.complete(completion)
        return completion

    def stream(self) -> ChatStream:
        """Have a streamed answer; the events come as it is read."""
        question = self._question
        self._start()
        try:
            return complete(
                self._room.session,
                self._body(stream=True),
                stream=True,
                observer=self,
                timeouts=question.timeouts,
                retry=question.retry,
            )
        except Exception as error:
            self.failed(error)
            raise

    def _start(self) -> None:
        emitter = self._room.emitter
        if emitter.heard["message_start"] and emitter.wants("message_start"):
            with _fork.forks_wait:
                from animus.events import MessageStart

            said = [message.content for message in self._others if message.role == "user" and isinstance(message.content, str)]
            self._room.say(MessageStart(content=said[-1] if said else "", **self._ids))

    def _body(self, *, stream: bool) -> dict[str, Any]:
        parameters = self._question.parameters
        messages = [*self._system, *self._context, *self._others]
        return request_body(parameters, messages, stream=stream, auto_turn=parameters.turns.enabled and not stream)

    # ---- as observer of the stream ---------------------------------------------------------------------

    def delta(self, text: str) -> None:
        """Tell a further piece of text."""
        heard = self._room.emitter.heard
        if (heard["message_tokens"] or heard["message_progress"]) and self._is_followed():
            for event in self._progress.add(text):
                self._room.say(event)

    def _is_followed(self) -> bool:
        emitter = self._room.emitter
        return emitter.wants("message_tokens") or emitter.wants("message_progress")

    def complete(self, completion: ChatCompletion) -> None:
        """Store question and answer together, then tell."""
        emitter = self._room.emitter
        heard = emitter.heard["message_complete"] and emitter.wants("message_complete")
        if not heard and not self._question.history:
            return
        answer = answer_of(completion)
        if self._question.history:
            self._room.history.add([*self._fresh, answer])
        if heard:
            with _fork.forks_wait:
                from animus.conversation.progress import message_complete

            self._room.say(message_complete(answer, completion, self._ids))

    def failed(self, error: Exception) -> None:
        """Tell that there is no answer; the history stays as it was."""
        if self._room.emitter.wants("message_error"):
            with _fork.forks_wait:
                from animus.events import MessageError

            self._room.say(MessageError(error=error, **self._ids))
