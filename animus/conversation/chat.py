"""The public conversation."""

from __future__ import annotations

import atexit
import threading
import weakref
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, NoReturn, overload

from animus import _check, _fork
from animus._emitter import Receiver, Subscription
from animus._weak import members
from animus.config import ChatConfig
from animus.conversation.history import ChatHistory, context_of
from animus.conversation.messages import ChatMessage, read_messages
from animus.conversation.once import OneCall, Question
from animus.conversation.payload import Parameters, read_parameters, refuse_stream_with_turns, toolbox_of
from animus.conversation.room import Room
from animus.errors import ConfigurationError
from animus.http.timeouts import Timeouts
from animus.models.chat import ChatCompletion
from animus.transport.policy import RetryPolicy

if TYPE_CHECKING:  # exchanges, tools and streams are imported where they begin: a first call needs none of them
    from concurrent.futures import Future

    from animus.conversation.exchange import Exchange
    from animus.conversation.plan import Plan
    from animus.conversation.reply import Reply
    from animus.events import Event
    from animus.streaming.stream import ChatStream
    from animus.tools.limits import ToolLimits
    from animus.tools.loop import ToolRunResult
    from animus.tools.toolbox import Toolbox


class Conversation:
    """One conversation: its history, its configuration, its exchanges.

    ``client.chat`` is one; ``client.conversation(…)`` gives further ones on the same connections.

    Threads: any. The lock guards the configuration and the set of running exchanges. Two exchanges may run at once;
    each takes and keeps what was stored when it began.
    Fork: the child has the history and the configuration, and no running exchange. Pickling: refused; the client travels, and the
    history does.

    Args:
        room: What its exchanges share.
        config: Defaults of all calls; None: every call is refused.
        timeouts, retry: Instead of the session's.
    """

    _lock = _fork.Lock()

    def __init__(
        self, room: Room, config: ChatConfig | None, *, timeouts: Timeouts | None = None, retry: RetryPolicy | None = None
    ) -> None:
        self._room = room
        self._config = config
        self._timeouts = timeouts
        self._retry = retry
        self._lock = threading.RLock()
        self._running: list[Exchange] = []
        self._toolbox: tuple[ChatConfig, Toolbox | None] | None = None
        _fork.register(self)
        _living.add(self)

    def _reset_after_fork(self) -> None:
        self._lock = threading.RLock()
        self._running = []

    @property
    def chat_id(self) -> str:
        """The id of this conversation, as on its events."""
        return self._room.chat_id

    @property
    def history(self) -> ChatHistory:
        """The stored messages."""
        return self._room.history

    @property
    def config(self) -> ChatConfig:
        """The settings in force.

        Raises:
            ConfigurationError: there are none.
        """
        if self._config is None:
            raise ConfigurationError(
                "there is no chat configuration", hint="Pass chat=ChatConfig(model=…, system_message=…) to the client"
            )
        return self._config

    @overload
    def on(self, name: str) -> Callable[[Any], Any]: ...
    @overload
    def on(self, name: str, receiver: Receiver) -> Subscription: ...
    def on(self, name: str, receiver: Receiver | None = None) -> Any:
        """Listen to events of this conversation alone; see :meth:`animus.events.Emitter.on`."""
        with _fork.forks_wait:
            import animus.events  # noqa: F401  # so that the first event finds its payload there

        return self._room.emitter.on(name) if receiver is None else self._room.emitter.on(name, receiver)

    def update_config(self, changes: Mapping[str, Any]) -> ChatConfig:
        """Change settings for the exchanges that begin from now on; running ones keep theirs.

        Raises:
            ConfigurationError: a setting is unknown or not allowed. Nothing changes.
        """
        with self._lock:
            if self._config is None:
                new = ChatConfig.make(changes, "chat")
            else:
                new = self._config.changed(changes, "chat")
            self._config = new
            self._room.history.resize(new.history_size)  # in here, so that two changes at once end with one of them
        return new

    # ---- one call --------------------------------------------------------------------------------------

    @overload
    def completions(
        self,
        messages: object,
        *,
        stream: Literal[False] | None = ...,
        history: bool = ...,
        timeouts: object = ...,
        retry: object = ...,
        **parameters: Any,
    ) -> ChatCompletion: ...
    @overload
    def completions(
        self,
        messages: object,
        *,
        stream: Literal[True],
        history: bool = ...,
        timeouts: object = ...,
        retry: object = ...,
        **parameters: Any,
    ) -> ChatStream: ...
    @overload
    def completions(
        self,
        messages: object,
        *,
        stream: bool | None,
        history: bool = ...,
        timeouts: object = ...,
        retry: object = ...,
        **parameters: Any,
    ) -> ChatCompletion | ChatStream: ...
    def completions(
        self,
        messages: object,
        *,
        stream: bool | None = None,
        history: bool = True,
        timeouts: object = None,
        retry: object = None,
        **parameters: Any,
    ) -> ChatCompletion | ChatStream:
        """Make exactly one call (plus repetitions): no turns, no image, no follow-up.

        Args:
            messages: A list of ``{"role", "content", …}``. A system message among them replaces the configured one for
                this call.
            stream: True gives a :class:`~animus.streaming.stream.ChatStream`, to be used in a ``with`` block.
            history: False neither reads nor writes the history.
            timeouts, retry: For this call; see :class:`~animus.Timeouts` and :class:`~animus.RetryPolicy`.
            **parameters: As in :class:`~animus.ChatConfig`; left out: as configured; None: not sent.

        Emits ``message_start``, (``message_tokens``, ``message_progress``,) ``message_complete`` or ``message_error``.

        Raises:
            ValueError: a message is not valid; the text names its index. Nothing was sent.
            TypeError: an unknown parameter.
            ConfigurationError: a parameter is not allowed, or there is no configuration.
            ApiError, ApiConnectionError, AuthenticationError: the call failed.
        """
        _fork.check_pid()
        config = self.config
        checked = self._parameters(config, parameters, stream, "completions()")
        question = Question(
            messages=read_messages(messages),
            parameters=checked,
            history=_check.boolean("history", history) and config.history_size > 0,
            timeouts=self._timeouts_for(timeouts),
            retry=self._retry_for(retry),
        )
        call = OneCall(self._room, question)
        return call.stream() if stream else call.ask()

    def _parameters(self, config: ChatConfig, options: Mapping[str, Any], stream: bool | None, where: str) -> Parameters:
        parameters = read_parameters(config, options, where=where, toolbox=self._configured_tools(config))
        if stream is not None:
            _check.boolean("stream", stream)
        if stream and parameters.turns_given and parameters.turns.enabled:
            raise refuse_stream_with_turns()
        return parameters

    def _configured_tools(self, config: ChatConfig) -> Toolbox | None:
        """Give the toolbox of a configuration, made once: schemas of functions cost more than a call."""
        made = self._toolbox
        if made is None or made[0] is not config:
            made = self._toolbox = (config, toolbox_of(config.tools))
        return made[1]

    def _timeouts_for(self, value: object) -> Timeouts | None:
        return self._timeouts if value is None else Timeouts.make(value, self._timeouts or self._room.session.timeouts)

    def _retry_for(self, value: object) -> RetryPolicy | None:
        return self._retry if value is None else RetryPolicy.make(value, self._retry or self._room.session.retry)

    def run_tools(
        self,
        messages: object,
        tools: Any,
        *,
        limits: ToolLimits | Mapping[str, Any] | None = None,
        history: bool = True,
        timeouts: object = None,
        retry: object = None,
        **parameters: Any,
    ) -> ToolRunResult:
        """Ask, make the calls that the model wants, tell it the results, and so on until it wants none.

        Each step is a :meth:`completions` call. In the history all of it enters together, once it has come to its end.

        Args:
            messages: What the conversation goes on with.
            tools: Functions and definitions, or a :class:`~animus.tools.Toolbox` with hooks and options.
            limits: How far it may go; see :class:`~animus.tools.ToolLimits`.
            history: False neither reads nor writes the history.
            **parameters: As for :meth:`completions`.

        Emits the events of :meth:`completions`, and ``tool_call_start``, ``tool_call_complete``, ``tool_call_error``.

        Raises:
            ToolError: a limit was reached; ``.partial`` has all that was gathered.
            AnimusError: what :meth:`completions` raises.
        """
        with _fork.forks_wait:
            from animus.tools.loop import run_tools

        toolbox = toolbox_of(tools)
        if not toolbox:
            raise ConfigurationError("tools has no function in it", hint="completions() takes mere definitions")
        stored = self._room.history if history and self.config.history_size else None
        given = read_messages(messages)
        context, fresh = ([], given) if stored is None else context_of(stored, given)
        start = [message.to_wire() for message in [*context, *given]]

        def ask(conversation: list[dict[str, Any]]) -> ChatCompletion:
            return self.completions(
                conversation, stream=False, history=False, timeouts=timeouts, retry=retry, tools=toolbox, **parameters
            )

        ids = self._room.ids(self._room.new_id("conv"))
        result = run_tools(ask, start, toolbox, limits=limits, clock=self._room.clock, say=self._room.say, ids=ids)
        if stored is not None:
            stored.add([*fresh, *read_messages(result.messages[len(start) :])])
        return result

    # ---- exchanges -------------------------------------------------------------------------------------

    def send(self, text: object, **options: Any) -> Reply:
        """Say something and have all that is said in answer: turns, image and follow-ups included.

        Cuts pending turns and follow-ups of earlier exchanges of this conversation.

        Args:
            text: What the user says: text, or a list of content parts.
            **options: ``stream`` (whether the answer is streamed; default: as configured, else yes unless turns are on),
                ``pace=False`` (no typing delays), ``history=False``, ``tool_limits``, ``timeouts``, ``retry``, and all
                parameters of :meth:`completions`. ``tools`` that are functions are called, and the model is asked on,
                until it calls none; see :class:`~animus.tools.Toolbox` and :class:`~animus.tools.ToolLimits`.

        Emits the events of :meth:`stream`.

        Raises:
            What :meth:`completions` raises; ``.partial`` of the error has what had arrived.
        """
        exchange = self._begin(text, options)
        for _ in self._run(exchange):
            pass
        return exchange.reply()

    def stream(self, text: object, **options: Any) -> Generator[Event, None, None]:
        """Give the same exchange as an iterator of its events, in the thread that iterates.

        The exchange begins with the first step. Closing the iterator, or leaving its loop, cuts the exchange.

        Gives (and emits) ``message_start``, ``message_tokens``, ``message_progress``, ``message_complete``,
        ``message_error``, ``turns_complete``, ``exchange_cancelled`` and the image events.
        """
        self._plan(text, options)  # what is wrong with the arguments is said here, not at the first step
        return self._streamed(text, options)

    def _streamed(self, text: object, options: Mapping[str, Any]) -> Generator[Event, None, None]:
        yield from self._run(self._begin(text, options))

    def submit(self, text: object, **options: Any) -> Future[Reply]:
        """Do what :meth:`send` does in a daemon thread, and give a future of its reply.

        The arguments are checked, earlier exchanges cut, and ``message_start`` emitted before this returns. A running
        exchange can be cut by :meth:`cancel_pending_turns`; the interpreter's exit does not wait for it.
        """
        with _fork.forks_wait:
            from concurrent.futures import Future

        future: Future[Reply] = Future()
        future.set_running_or_notify_cancel()
        exchange = self._begin(text, options)

        def work() -> None:
            try:
                for _ in self._run(exchange):
                    pass
                future.set_result(exchange.reply())
            except BaseException as error:
                future.set_exception(error)

        thread = threading.Thread(target=work, name="animus-exchange", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the machine has no thread left
            self._forget(exchange)
            raise
        return future

    def _plan(self, text: object, options: Mapping[str, Any]) -> Plan:
        _fork.check_pid()
        with _fork.forks_wait:
            from animus.conversation.plan import Plan
            from animus.tools.limits import ToolLimits

        config = self.config
        further = dict(options)
        stream = further.pop("stream", None)
        pace, history = further.pop("pace", True), further.pop("history", True)
        timeouts, retry = further.pop("timeouts", None), further.pop("retry", None)
        tool_limits = ToolLimits.make(further.pop("tool_limits", None))
        parameters = self._parameters(config, further, stream, "send()")
        content = _checked_text(text)
        if stream is None:
            stream = not parameters.turns.enabled and config.stream is not False
        return Plan(
            text=content,
            parameters=parameters,
            stream=bool(stream),
            pace=_check.boolean("pace", pace),
            history=_check.boolean("history", history) and config.history_size > 0,
            tool_limits=tool_limits,
            timeouts=self._timeouts_for(timeouts),
            retry=self._retry_for(retry),
        )

    def _begin(self, text: object, options: Mapping[str, Any]) -> Exchange:
        with _fork.forks_wait:
            from animus.conversation.exchange import Exchange

        plan = self._plan(text, options)
        self._cut_running()
        exchange = Exchange(self._room, plan)
        with self._lock:
            self._running.append(exchange)
        try:
            exchange.begin()
        except BaseException:  # a strict receiver raised: it never runs
            self._forget(exchange)
            raise
        return exchange

    def _run(self, exchange: Exchange) -> Iterator[Event]:
        try:
            yield from exchange.events()
        finally:
            self._forget(exchange)

    def _forget(self, exchange: Exchange) -> None:
        with self._lock:
            if exchange in self._running:
                self._running.remove(exchange)

    def _cut_running(self, *, everything: bool = False) -> int:
        with self._lock:
            running = list(self._running)
        return sum(exchange.cut(everything=everything) for exchange in running)

    def cancel_pending_turns(self) -> int:
        """Cut pending turns and follow-ups of running exchanges; give how many turns.

        Emits ``exchange_cancelled`` for each exchange that had something pending.
        """
        return self._cut_running()

    def close(self) -> None:
        """Cut everything that runs, first calls included."""
        self._cut_running(everything=True)

    # ---- history ---------------------------------------------------------------------------------------

    def get_chat_history(self) -> list[dict[str, Any]]:
        """Give the stored messages as mappings, oldest first; a copy."""
        return self.history.to_list()

    def set_chat_history(self, messages: object) -> int:
        """Put other messages in the place of all; give how many were stored. See :meth:`ChatHistory.set`."""
        return self.history.set(messages)

    def update_history_message(self, index: int, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change the named fields of one message; give it as stored. See :meth:`ChatHistory.update`."""
        return self.history.update(index, changes).to_dict()

    def delete_history_message(self, index: int) -> dict[str, Any]:
        """Take one message out and give it. See :meth:`ChatHistory.delete`."""
        return self.history.delete(index).to_dict()

    def clear_chat_history(self) -> int:
        """Take all messages out, and cut pending turns and follow-ups; give how many messages there were."""
        self._cut_running()
        return self.history.clear()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Conversation is not pickled; pickle the client, and the history (or history.to_list())")

    def __repr__(self) -> str:
        return f"<Conversation {self.chat_id} with {len(self.history)} messages>"


def _checked_text(text: object) -> Any:
    if isinstance(text, str):
        return text
    if isinstance(text, (list, tuple)):
        message: ChatMessage = read_messages([{"role": "user", "content": text}], where="text")[0]
        return message.content
    raise ValueError(f"the text must be a string or a list of content parts, not a {type(text).__name__}")


_living: weakref.WeakSet[Conversation] = weakref.WeakSet()


@atexit.register
def _cut_at_exit() -> None:
    """End what still runs in daemon threads before the interpreter takes their modules away."""
    for conversation in members(_living):
        conversation.close()
