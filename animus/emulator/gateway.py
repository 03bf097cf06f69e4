"""Between connection and application: recording, faults, and the headers every answer has."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from email.utils import formatdate
from io import BytesIO
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

from animus.emulator.delivery import Delivery
from animus.emulator.faults import Fault
from animus.emulator.http1 import Connection
from animus.emulator.problem import error_body
from animus.emulator.recording import Credential, Kind, RecordedHeaders, RecordedRequest
from animus.emulator.reply import Reply, application_reply, plain_reply
from animus.emulator.state import EmulatorState

REQUEST_KEY = "animus.request"  # where the application finds the recorded request in its environment

_KINDS: tuple[tuple[str, Kind], ...] = (
    ("/token", "token"),
    ("/auth/generate-token", "auth"),
    ("/v2", "api"),
    ("/v3", "api"),
    ("/images", "image"),
)


class ApplicationGateway:
    """Has requests answered by a WSGI application, or by the fault armed for them."""

    def __init__(self, state: EmulatorState, application: Callable[..., Iterable[bytes]]) -> None:
        self._state = state
        self._application = application

    def answer(self, connection: Connection, body: bytes) -> None:
        """Answer the request that ``connection`` has read."""
        request = self._recorded(connection, body)
        recording = self._state.requests
        recording.add(request)
        try:
            fault = self._state.faults.take(request.method, request.path, request.kind)
            request.fault = fault is not None
            if fault is None or self._lets_answer(fault, connection):
                self._reply(connection, request, fault)
        except OSError:
            request.aborted = True
            raise
        finally:
            recording.finish(request)
            if self._state.on_request is not None:
                self._state.on_request(request)

    def _lets_answer(self, fault: Fault, connection: Connection) -> bool:
        interrupted = bool(fault.delay) and self._state.pause(fault.delay)
        dropped = fault.drop_after_request or (fault.reset and fault.tear_after is None)
        if interrupted or dropped:
            connection.close_connection = True
        if dropped and fault.reset:
            connection.abort()
        return not (interrupted or dropped)

    def _reply(self, connection: Connection, request: RecordedRequest, fault: Fault | None) -> None:
        reply = self._canned(request, fault) or application_reply(self._application, _environ(connection, request))
        try:
            request.status = reply.status
            Delivery(connection, fault, self._state.pause).send(reply, self._common_headers(request))
        finally:
            reply.close()

    def _canned(self, request: RecordedRequest, fault: Fault | None) -> Reply | None:
        if fault is not None and fault.status is not None:
            body = error_body(fault.status, "Armed fault", self._state.error_style) if fault.body is None else fault.body
            return plain_reply(fault.status, body)
        if request.kind == "preflight":
            return Reply(204, [], [])
        return None

    def _common_headers(self, request: RecordedRequest) -> list[tuple[str, str]]:
        headers = [
            ("Date", formatdate(self._state.now, usegmt=True)),
            ("Server", "animus-emulator"),
            ("X-Request-Id", request.request_id),
            ("Access-Control-Allow-Origin", request.headers.get("Origin", "*")),
            ("Access-Control-Expose-Headers", "X-Request-Id, Retry-After"),
        ]
        if "Origin" in request.headers:  # a browser sends cookies only to a server that names its origin
            headers += [("Access-Control-Allow-Credentials", "true"), ("Vary", "Origin")]
        if request.kind == "preflight":
            headers += [
                ("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS"),
                ("Access-Control-Allow-Headers", request.headers.get("Access-Control-Request-Headers", "*")),
                ("Access-Control-Max-Age", "600"),
            ]
        return headers

    def _recorded(self, connection: Connection, body: bytes) -> RecordedRequest:
        raw_path, _, query = connection.path.partition("?")
        headers = RecordedHeaders(list(connection.headers.items()))
        number = self._state.next_number()
        credential, user, token_id = self._bearer(headers)
        path = unquote(raw_path)
        return RecordedRequest(
            number=number,
            method=connection.command,
            path=path,
            query=query,
            headers=headers,
            body=body,
            kind="preflight" if connection.command == "OPTIONS" else _kind_of(path),
            connection=connection.number,
            time=self._state.now,
            request_id=f"req-{number:06d}",
            credential=credential,
            user=user,
            token_id=token_id,
        )

    def _bearer(self, headers: RecordedHeaders) -> tuple[Credential, str | None, str | None]:
        scheme, _, bearer = headers.get("Authorization", "").partition(" ")
        if not scheme:
            return "none", None, None
        if scheme.lower() == "bearer" and bearer == self._state.api_key:
            return "api_key", None, None
        claims = self._state.tokens.read(bearer.strip())
        return ("unknown", None, None) if claims is None else ("jwt", claims.user, claims.token_id)


def _kind_of(path: str) -> Kind:
    for prefix, kind in _KINDS:
        if path == prefix or path.startswith(f"{prefix}/"):
            return kind
    return "other"


def _environ(connection: Connection, request: RecordedRequest) -> dict[str, Any]:
    host, port = connection.connection.getsockname()[:2]
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        # PEP 3333: bytes of the path in the shape of a latin-1 string
        "PATH_INFO": unquote_to_bytes(connection.path.partition("?")[0]).decode("latin-1"),
        "QUERY_STRING": request.query,
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": connection.request_version,
        "CONTENT_LENGTH": str(len(request.body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(request.body),
        "wsgi.errors": BytesIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        REQUEST_KEY: request,
    }
    for name, value in request.headers.items():
        key = name.upper().replace("-", "_")
        environ.setdefault(key if key == "CONTENT_TYPE" else f"HTTP_{key}", value)
    return environ
