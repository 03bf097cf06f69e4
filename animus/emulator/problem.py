"""Errors the emulator answers, in the shapes that real services use."""

from __future__ import annotations

from typing import Any, Literal, get_args

ErrorStyle = Literal["detail", "message", "error", "openai"]
ERROR_STYLES: tuple[str, ...] = get_args(ErrorStyle)

_CODES = {400: "INVALID_INPUT", 401: "UNAUTHORIZED", 403: "FORBIDDEN", 404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 422: "INVALID_INPUT"}


class Problem(Exception):
    """The request cannot be answered with success. ``errors`` is the list of a FastAPI validation error."""

    def __init__(self, status: int, text: str, *, errors: list[dict[str, Any]] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.errors = errors

    def body(self, style: ErrorStyle) -> dict[str, Any]:
        """Give the JSON body; a validation error always has FastAPI's ``detail`` list."""
        if self.errors is not None:
            return {"detail": self.errors}
        return error_body(self.status, self.text, style)


def error_body(status: int, text: str, style: ErrorStyle) -> dict[str, Any]:
    """Give the body for an error: ``{"detail": …}``, ``{"code": …, "message": …}``, ``{"error": …}``, or OpenAI's error object."""
    code = _CODES.get(status, "SERVER_ERROR" if status >= 500 else "ERROR")
    if style == "message":
        return {"code": code, "message": text}
    if style == "error":
        return {"error": text}
    if style == "openai":
        return {"error": {"message": text, "type": code.lower(), "param": None, "code": None}}
    return {"detail": text}
