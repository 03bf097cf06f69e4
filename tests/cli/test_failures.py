from __future__ import annotations

import json

import click
import pytest

from animus import errors
from animus.cli.failures import CODES_TEXT, as_mapping, exit_code, one_line, reported

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3MDAwMDAwMDB9.c2lnbmF0dXJlLW9mLWEtdG9rZW4"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ConfigurationError("x"), 2),
        (errors.AuthenticationError("x"), 3),
        (errors.TokenSourceError("x"), 3),
        (errors.UnauthorizedError("x"), 3),
        (errors.ApiError("x", status=418), 4),
        (errors.BadRequestError("x"), 4),
        (errors.PaymentRequiredError("x"), 4),
        (errors.RateLimitError("x"), 4),
        (errors.ServerError("x"), 5),
        (errors.ResponseDecodeError("x"), 5),
        (errors.ApiConnectionError("x"), 6),
        (errors.ApiTimeoutError("x"), 7),
        (errors.StreamTimeoutError("x"), 7),
        (errors.StreamInterruptedError("x"), 8),
        (errors.StreamDecodeError("x"), 8),
        (errors.StreamApiError("x", status=500), 8),
        (errors.AnimusError("x"), 1),
        (RuntimeError("x"), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_exit_code_by_class(error: Exception, code: int) -> None:
    assert exit_code(error) == code
    assert f"{code} " in CODES_TEXT


def test_an_error_is_one_line_with_its_hint() -> None:
    error = errors.TokenSourceError("no\ntoken", reason="not_found", status=404, hint="Check the URL")
    assert one_line(error) == "TokenSourceError: no token (reason: not_found, status 404). Check the URL"


def test_no_token_in_a_report() -> None:
    error = errors.ApiError(f"refused {TOKEN}")
    assert TOKEN not in one_line(error) + json.dumps(as_mapping(error))


def test_json_report_has_what_is_known() -> None:
    error = errors.RateLimitError("slow down", status=429, retry_after=3.0, request_id="r-1", hint="Wait")
    assert as_mapping(error) == {
        "error": {"type": "RateLimitError", "message": "slow down", "hint": "Wait", "status": 429, "request_id": "r-1", "retry_after": 3.0},
        "exit_code": 4,
    }


def _failing(error: BaseException) -> click.Command:
    @click.command()
    @click.option("--json", "as_json", is_flag=True)
    @reported
    def command(as_json: bool) -> None:
        raise error

    return command


def _run(command: click.Command, *arguments: str) -> object:
    return command.main(args=list(arguments), standalone_mode=False)


def test_failure_is_a_line_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(_failing(errors.ServerError("broken", status=500))) == 5
    assert capsys.readouterr() == ("", "animus: ServerError: broken (status 500)\n")


def test_failure_in_json_is_an_object_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(_failing(errors.ServerError("broken", status=500)), "--json") == 5
    out, err = capsys.readouterr()
    assert (json.loads(out)["exit_code"], err) == (5, "")


def test_debug_shows_the_traceback_without_tokens(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(_failing(RuntimeError(f"odd {TOKEN}")), "--debug") == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert TOKEN not in err


def test_wrong_usage_is_left_to_click() -> None:
    with pytest.raises(click.UsageError):
        _run(_failing(click.UsageError("x")))
