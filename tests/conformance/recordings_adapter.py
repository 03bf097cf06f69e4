"""Translates between the referee and the package, and nothing else: names, units, and what counts as a result."""

from __future__ import annotations

import itertools
import random
import threading
from concurrent.futures import wait
from typing import Any

from animus import AnimusClient, RetryPolicy
from animus._check import snake_case
from animus._clock import SystemClock
from animus.events import SIGNALS

_MILLISECONDS = {"minDelay", "maxDelay", "followUpDelay"}


class ScaledClock(SystemClock):
    """Stretches every wait; the life of tokens is not scaled."""

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def wait(self, event: threading.Event, timeout: float | None) -> bool:
        return super().wait(event, None if timeout is None else timeout * self.scale)


class ScriptedRandom(random.Random):
    """Draws from a list."""

    def __init__(self, values: Any) -> None:
        super().__init__()
        self.values = iter(values)

    def random(self) -> float:
        return float(next(self.values))


def _turns(options: Any) -> Any:
    if not isinstance(options, dict):
        return options
    return {snake_case(k): v / 1000 if k in _MILLISECONDS and isinstance(v, (int, float)) else v for k, v in options.items()}


def _chat(options: Any) -> Any:
    if not isinstance(options, dict):
        return options
    names = {"systemMessage": "system_message", "historySize": "history_size", "autoTurn": "auto_turn"}
    return {names.get(k, k): _turns(v) if k == "autoTurn" else v for k, v in options.items()}


def _parameters(request: dict[str, Any]) -> dict[str, Any]:
    return {"auto_turn" if k == "autoTurn" else k: _turns(v) if k == "autoTurn" else v for k, v in request.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict) or hasattr(value, "items"):
        return {k: _plain(v) for k, v in value.items()}
    return value


class Adapter:
    """See the referee's description of its adapters."""

    def __init__(self, options: dict[str, Any], base_url: str, random: Any, time_scale: float) -> None:
        self.options = options
        self.clock = ScaledClock(time_scale)
        self.random = ScriptedRandom(random)
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.futures: list[Any] = []
        self.refs: dict[str, Any] = {}
        self.clients: list[AnimusClient] = []
        self.client = self._make(options)

    def _make(self, options: dict[str, Any]) -> AnimusClient:
        names = {"tokenProviderUrl": "token_provider_url", "apiBaseUrl": "api_base_url"}
        settings = {names.get(k, k): v for k, v in options.items() if k not in ("tokenStorage", "retries")}
        if "chat" in settings:
            settings["chat"] = _chat(settings["chat"])
        retry = RetryPolicy(repeats=options.get("retries", 0))
        client = AnimusClient(**settings, retry=retry, clock=self.clock, random=self.random)
        self.clients.append(client)
        for name in SIGNALS:
            client.on(name, self._note)
        return client

    def _note(self, event: Any) -> None:
        payload = {name: _plain(getattr(event, name)) for name in event.__dataclass_fields__}
        self.seen.append((event.name, {k: v for k, v in payload.items() if v is not None}))

    # ---- actions ---------------------------------------------------------------------------------------

    def run(self, action: dict[str, Any]) -> object:
        return getattr(self, "do_" + action["do"], self._unknown)(action)

    def _unknown(self, action: dict[str, Any]) -> object:
        raise NotImplementedError(action["do"])

    def _request(self, action: dict[str, Any]) -> Any:
        ref = action.get("ref")
        if ref is None:
            return action["request"]
        return self.refs.setdefault(ref, action.get("request"))

    def do_send(self, action: dict[str, Any]) -> object:
        future = self.client.chat.submit(action["text"], **_parameters(action.get("options") or {}))
        self.futures.append(future)
        return future

    def do_completions(self, action: dict[str, Any]) -> object:
        answer = self.client.chat.completions(**_parameters(self._request(action)))
        if hasattr(answer, "final"):
            with answer as stream:
                return {"chunks": [chunk.raw for chunk in stream]}
        return answer.raw

    def do_completions_stream(self, action: dict[str, Any]) -> object:
        chunks: list[Any] = []
        limit = action.get("break_after")
        try:
            with self.client.chat.completions(**{**_parameters(self._request(action)), "stream": True}) as stream:
                for chunk in itertools.islice(stream, limit):
                    chunks.append(chunk.raw)
        except Exception as error:
            error.chunks = chunks  # type: ignore[attr-defined]
            raise
        return {"chunks": chunks}

    def do_generate_image(self, action: dict[str, Any]) -> object:
        return str(self.client.generate_image(action["prompt"], action.get("input_image_url")))

    def do_media_completions(self, action: dict[str, Any]) -> object:
        return self.client.media.completions(**action["request"]).raw

    def do_media_analyze(self, action: dict[str, Any]) -> object:
        return self.client.media.analyze(**action["request"]).raw

    def do_media_status(self, action: dict[str, Any]) -> object:
        return self.client.media.get_analysis_status(action["job_id"]).raw

    def do_get_history(self, action: dict[str, Any]) -> object:
        return self.client.chat.get_chat_history()

    def do_set_history(self, action: dict[str, Any]) -> object:
        return self.client.chat.set_chat_history(action["history"])

    def do_clear_history(self, action: dict[str, Any]) -> object:
        return self.client.chat.clear_chat_history()

    def do_update_history_message(self, action: dict[str, Any]) -> object:
        self.client.chat.update_history_message(action["index"], action["update"])
        return True

    def do_delete_history_message(self, action: dict[str, Any]) -> object:
        self.client.chat.delete_history_message(action["index"])
        return True

    def do_cancel_pending_turns(self, action: dict[str, Any]) -> object:
        return self.client.chat.cancel_pending_turns()

    def do_clear_auth_token(self, action: dict[str, Any]) -> object:
        self.client.clear_auth_token()
        return True

    def do_get_livekit_details(self, action: dict[str, Any]) -> object:
        details = self.client.get_livekit_details(action["context"])
        return {"url": details.url, "token": details.token}

    def do_update_chat_config(self, action: dict[str, Any]) -> object:
        self.client.update_chat_config(_chat(action["config"]))
        return True

    def do_update_compliance_config(self, action: dict[str, Any]) -> object:
        self.client.update_compliance_config(action["config"])
        return True

    def do_new_client(self, action: dict[str, Any]) -> object:
        self.client = self._make(action.get("options") or self.options)
        return True

    def do_construct(self, action: dict[str, Any]) -> object:
        self._make(action["options"])
        return "ok"

    def do_on_throw(self, action: dict[str, Any]) -> object:
        def receiver(event: Any) -> None:
            raise RuntimeError(action["message"])

        self.client.on(action["event"], receiver)
        return True

    def do_dump_ref(self, action: dict[str, Any]) -> object:
        return self.refs[action["ref"]]

    def do_dump_client_options(self, action: dict[str, Any]) -> object:
        return self.options

    # ---- the rest --------------------------------------------------------------------------------------

    def wait_idle(self, timeout: float) -> bool:
        return not wait(list(self.futures), timeout).not_done

    def events(self) -> list[tuple[str, dict[str, Any]]]:
        return list(self.seen)

    def history(self) -> list[dict[str, Any]]:
        return self.client.chat.get_chat_history()

    def classify(self, exc: BaseException) -> dict[str, Any]:
        out: dict[str, Any] = {"name": type(exc).__name__, "message": str(exc)}
        if getattr(exc, "status", None) is not None:
            out["status"] = exc.status  # type: ignore[attr-defined]
        if getattr(exc, "error_data", None) is not None:
            out["data"] = exc.error_data  # type: ignore[attr-defined]
        return out

    def typing_delays(self) -> list[float]:
        return [
            payload["delay"] * 1000
            for name, payload in self.seen
            if name == "message_start" and payload["message_type"] == "auto" and payload["turn_index"] > 0
        ]

    def close(self) -> None:
        for client in self.clients:
            client.close()
