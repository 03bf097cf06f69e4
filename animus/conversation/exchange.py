"""One exchange: a message, its answer in turns, an image, follow-ups; each with its own outcome, cut at any time."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from animus import _fork
from animus.conversation.history import window_of
from animus.conversation.imaging import image_events
from animus.conversation.messages import ChatMessage, answer_of
from animus.conversation.payload import with_system
from animus.conversation.plan import Plan, ask
from animus.conversation.progress import message_complete
from animus.conversation.reply import Reply
from animus.conversation.room import Room
from animus.conversation.turns import Piece, split_turns, turn_messages, typing_delay
from animus.errors import AnimusError
from animus.events import Event, ExchangeCancelled, MessageComplete, MessageError, MessageStart, TurnsComplete
from animus.models.chat import ChatCompletion
from animus.resources.images import GeneratedImage
from animus.tools.calls import calls_of
from animus.tools.result import ToolResult
from animus.tools.runner import ToolRun
from animus.transport.call import Cancellation


class Exchange:
    """A running exchange: iterate it to have it happen, in the iterating thread.

    Threads: one iterates, any may :meth:`cut` it. The lock guards what is pending and whether it was cut: a turn is
    either delivered (and then in the history) or cut, never both, never neither.
    """

    _lock = _fork.Lock()

    def __init__(self, room: Room, plan: Plan) -> None:
        self._room = room
        self._plan = plan
        self.conversation_id: str = room.new_id("conv")
        self._lock = threading.RLock()
        self._cut = threading.Event()
        self._cancellation = Cancellation()
        self._pending_turns = 0
        self._follow_up_pending = False
        self._follow_ups_left = plan.turns.max_sequential_follow_ups
        self._cancelled: ExchangeCancelled | None = None
        self._began: Event | None = None
        # what a follow-up is asked with: what was stored before, then this exchange
        self._context = room.history.window() if plan.history else []
        self._said: list[ChatMessage] = []
        self._unstored: list[ChatMessage] = [ChatMessage(role="user", content=plan.text)]
        self._calling: ChatMessage | None = None  # the stored answer whose calls are being made
        self._texts: list[str] = []
        self._text = ""
        self._images: list[GeneratedImage] = []
        self._completions: list[ChatCompletion] = []
        self._errors: list[Exception] = []
        self._tool_calls: tuple[Mapping[str, Any], ...] = ()
        toolbox = plan.parameters.toolbox
        self._tools = ToolRun(toolbox, limits=plan.tool_limits, clock=room.clock) if toolbox else None
        _fork.register(self)

    def _reset_after_fork(self) -> None:
        self._lock = threading.RLock()
        was_cut, self._cut = self._cut.is_set(), threading.Event()  # an event has a lock, too
        if was_cut:
            self._cut.set()
        self._cancellation._reset_after_fork()

    # ---- from outside ----------------------------------------------------------------------------------

    def begin(self) -> Event:
        """Say ``message_start``, once; give it."""
        if self._began is None:
            content = self._plan.text if isinstance(self._plan.text, str) else ""
            self._began = self._room.say(MessageStart(content=content, **self._ids("regular")))
        return self._began

    def cut(self, *, everything: bool = False) -> int:
        """Cut pending turns and a pending follow-up; give how many turns.

        Emits ``exchange_cancelled`` if there was something to cut.

        Args:
            everything: Also end the first call, if that is still under way.
        """
        with self._lock:
            turns, follow_up = self._pending_turns, self._follow_up_pending
            if self._cut.is_set() or not (turns or follow_up or everything):
                return 0
            self._pending_turns, self._follow_up_pending = 0, False
            self._cancelled = ExchangeCancelled(pending_turns=turns, follow_up=follow_up, **self._ids("regular"))
            self._cut.set()
        self._cancellation.cancel()
        self._room.say(self._cancelled)
        return turns

    def reply(self) -> Reply:
        """Give what was said so far."""
        last = self._completions[-1] if self._completions else None
        reasoning = [answer.reasoning for answer in map(answer_of, self._completions) if answer.reasoning]
        return Reply(
            text=self._text,
            messages=tuple(self._texts),
            images=tuple(self._images),
            tool_calls=self._tool_calls,
            reasoning="\n\n".join(reasoning) or None,
            usage=_summed_usage(self._completions),
            finish_reason=last.finish_reason if last is not None else None,
            compliance_violations=tuple(v for completion in self._completions for v in completion.compliance_violations),
            cancelled=self._cancelled is not None,
            conversation_id=self.conversation_id,
            errors=tuple(self._errors),
            completions=tuple(self._completions),
        )

    # ---- the exchange ----------------------------------------------------------------------------------

    def events(self) -> Iterator[Event]:
        """Have the exchange happen; give its events, each after its receivers were told.

        Raises:
            AnimusError: the first call failed; ``.partial`` has what had arrived.
        """
        finished = False
        try:
            yield self.begin()
            yield from self._first_answer()
            yield from self._follow_ups()
            finished = True
        except GeneratorExit:  # the caller left the loop
            raise
        except BaseException as error:
            finished = isinstance(error, Exception)
            if getattr(error, "partial", None) is None and (self._completions or not isinstance(error, AnimusError)):
                error.partial = self.reply()  # type: ignore[attr-defined]
            raise
        finally:
            if not finished:
                self.cut(everything=True)
        if self._cancelled is not None:
            yield self._cancelled

    def _first_answer(self) -> Iterator[Event]:
        try:
            completion = yield from self._ask(self._ids("regular"))
            completion = yield from self._call_tools(completion, "regular")
        except Exception as error:
            if self._cut.is_set():
                return
            yield self._room.say(MessageError(error=error, **self._ids("regular")))
            raise
        yield from self._deliver(completion, "regular")

    def _ask(self, ids: dict[str, Any], *, follow_up: bool = False) -> Generator[Event, None, ChatCompletion]:
        """Ask with all that was said so far, and the user's message while that is not answered."""
        system, _ = with_system(self._plan.parameters.config, ())
        messages = [*system, *self._context, *window_of(self._said), *self._unstored]
        return ask(self._room, self._plan, messages, ids, self._cancellation, follow_up=follow_up)

    def _call_tools(self, completion: ChatCompletion, message_type: str) -> Generator[Event, None, ChatCompletion]:
        """Make the calls that an answer wants and ask again, until one wants none that we can make; give that one."""
        run = self._tools
        while run is not None and run.toolbox.can_run(calls := calls_of(completion)):
            before = len(run.results)
            try:
                yield from self._deliver(completion, message_type, calls)
                if not self._has_open_calls:  # cut before the words that the calls came with were said
                    return completion
                with closing(run.steps(calls, ids=self._ids(message_type), cut=self._cut)) as steps:
                    for event in steps:
                        yield self._room.say(event)
            finally:  # whatever ended the round: a call without its result would spoil every later request
                if self._has_open_calls:
                    self._store_results(run.results[before:] or run.unmade(calls))
            completion = yield from self._ask(self._ids(message_type))
        return completion

    @property
    def _has_open_calls(self) -> bool:
        return bool(self._said and self._said[-1].tool_calls)

    def _store_results(self, results: Sequence[ToolResult]) -> None:
        # an empty text says nothing and is not stored; its JSON says that it is empty
        messages = [ChatMessage(role="tool", tool_call_id=result.call_id, content=result.content or '""') for result in results]
        with self._lock:
            if self._plan.history:
                self._room.history.add(messages, answers=self._calling)
            self._said += messages

    def _deliver(self, completion: ChatCompletion, message_type: str, calls: Sequence[Mapping[str, Any]] | None = None) -> Iterator[Event]:
        """Say an answer: in turns, or whole; then the image that it promises.

        Args:
            calls: Its tool calls if we are about to make them, each with an id.
        """
        with self._lock:
            if self._cut.is_set():
                return
            self._completions.append(completion)
        turns = self._plan.turns
        pieces = split_turns(completion.text, completion.turns, turns, more_follows=completion.next is True) if self._plan.splits else []
        answer = answer_of(completion)
        if calls is not None:
            answer = replace(answer, tool_calls=tuple(calls))
        if len(pieces) > 1:
            yield from self._say_turns(completion, answer, pieces)
        else:
            yield from self._say_whole(completion, answer, message_type)
        if self._cut.is_set():
            return
        self._tool_calls = answer.tool_calls
        if self._plan.makes_image(completion):
            yield from self._image(str(completion.image_prompt))

    def _say_whole(self, completion: ChatCompletion, answer: ChatMessage, message_type: str) -> Iterator[Event]:
        if self._commit(answer, answer.content or "", "\n\n", follow_up=self._announces_more(completion)):
            yield self._room.say(message_complete(answer, completion, self._ids(message_type)))

    def _say_turns(self, completion: ChatCompletion, answer: ChatMessage, pieces: list[Piece]) -> Iterator[Event]:
        total = len(pieces)
        with self._lock:
            if self._cut.is_set():
                return
            self._pending_turns = total
            self._follow_up_pending = self._announces_more(completion)
        messages = turn_messages(answer, pieces, self._room.new_id("group"))
        for index, message in enumerate(messages):
            said: dict[str, Any] = {
                "content": message.content,
                "turn_index": index,
                "total_turns": total,
                "tool_calls": message.tool_calls,
                "compliance_violations": message.compliance_violations,
                **self._ids("auto"),
            }
            if self._cut.is_set():
                return
            delay = typing_delay(message.content, self._plan.turns, self._room.rng) if index and self._plan.pace else 0.0
            yield self._room.say(MessageStart(delay=delay, **said))
            if delay:
                self._room.clock.wait(self._cut, delay)
            if not self._commit(message, message.content, message.separator or "\n\n"):
                return
            reason = completion.finish_reason if index == total - 1 else None
            yield self._room.say(MessageComplete(reasoning=message.reasoning, finish_reason=reason, **said))
        yield self._room.say(TurnsComplete(total_turns=total, **self._ids("auto")))

    def _commit(self, message: ChatMessage, text: str, separator: str, *, follow_up: bool | None = None) -> bool:
        """Store a piece of the answer, the user's message before the first; False if it was cut instead.

        Args:
            follow_up: Of a whole answer: whether it announces a follow-up, which is pending as soon as the answer is said.
        """
        with self._lock:
            if self._cut.is_set():
                return False
            if follow_up is None:
                self._pending_turns -= 1
            else:
                self._follow_up_pending = follow_up
            new = [*self._unstored, message]
            self._unstored = []
            if self._plan.history:
                calls = self._tools is not None and self._tools.toolbox.can_run(message.tool_calls)
                stored = self._room.history.add(new, calls_under_way=calls)
                self._calling = stored[-1] if calls else None
            self._said += [entry.cleaned() for entry in new]
        if text:
            self._texts.append(text)
            self._text = f"{self._text}{separator}{text}" if self._text else text
        return True

    # ---- image and follow-ups --------------------------------------------------------------------------

    def _image(self, prompt: str) -> Iterator[Event]:
        plan = self._plan
        options: dict[str, Any] = {"timeouts": plan.timeouts, "retry": plan.retry, "cancellation": self._cancellation}
        try:
            image = yield from image_events(self._room, prompt, None, self._ids("regular"), note=plan.history, **options)
        except Exception as error:  # announced; what was said before counts
            self._errors.append(error)
        else:
            self._images.append(image)

    def _announces_more(self, completion: ChatCompletion) -> bool:
        wanted = completion.next is True and not completion.tool_calls and not self._plan.makes_image(completion)
        return wanted and self._follow_ups_left > 0

    def _follow_ups(self) -> Iterator[Event]:
        """Ask further, as often as the answers say so and the settings allow."""
        while self._follow_up_pending:
            if self._room.clock.wait(self._cut, self._plan.turns.follow_up_delay):
                return
            self._follow_ups_left -= 1
            yield self._room.say(MessageStart(content="", **self._ids("followup")))
            try:
                completion = yield from self._ask(self._ids("followup"), follow_up=True)
                completion = yield from self._call_tools(completion, "followup")
            except Exception as error:
                with self._lock:
                    self._follow_up_pending = False
                    if self._cut.is_set():
                        return
                self._errors.append(error)
                yield self._room.say(MessageError(error=error, **self._ids("followup")))
                return
            yield from self._deliver(completion, "followup")

    # ---- payloads --------------------------------------------------------------------------------------

    def _ids(self, message_type: str) -> dict[str, Any]:
        return self._room.ids(self.conversation_id, message_type)


def _summed_usage(completions: list[ChatCompletion]) -> dict[str, int]:
    total: dict[str, int] = {}
    for completion in completions:
        if completion.usage is not None:
            for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
                total[name] = total.get(name, 0) + (getattr(completion.usage, name) or 0)
    return total
