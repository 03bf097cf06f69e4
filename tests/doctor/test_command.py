"""What the command prints, and with which code it ends."""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import animus
from animus.cli.commands import animus as command
from animus.cli.main import main
from animus.doctor import examine
from animus.doctor.walk import CHECKS
from animus.emulator import Emulator
from tests.doctor.asking import APP, Doctor

ROOT = Path(__file__).parent.parent.parent
PARENT = str(Path(animus.__file__).parent.parent)
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")


def run(emulator: Emulator, *options: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    arguments = [sys.executable, "-m", "animus", "doctor", emulator.token_url, "--api-base-url", emulator.api_base_url, *options]
    environment = {**os.environ, "PYTHONPATH": PARENT, **variables}
    return subprocess.run(arguments, capture_output=True, check=False, env=environment)


def test_a_line_for_each_check_and_an_arrow_for_each_cure(emulator: Emulator) -> None:
    emulator.token_status = 404
    result = run(emulator, PYTHONIOENCODING="utf-8")
    lines = result.stdout.decode().splitlines()
    assert (result.returncode, result.stderr) == (1, b"")
    assert [line.split()[1] for line in lines[:-1] if line[0] != " "] == list(CHECKS)
    assert {line[0] for line in lines[:-1]} == {"✓", "✗", "–", " "}
    at = next(number for number, line in enumerate(lines) if line.startswith("✗"))
    assert re.fullmatch(r"✗ provider\.answer +the token provider answered 404", lines[at])
    assert lines[at + 1].strip().startswith("→ Check the URL")
    assert lines[-1] == "1 of 17 checks failed; begin with the first: provider.answer."


def test_nothing_wrong(emulator: Emulator) -> None:
    result = CliRunner().invoke(command, ["doctor", emulator.token_url, "--api-base-url", emulator.api_base_url], standalone_mode=False)
    assert (result.return_value, result.output.splitlines()[-1]) == (0, "Nothing wrong was found.")


def test_a_terminal_without_the_marks(emulator: Emulator) -> None:
    emulator.token_status = 404
    lines = run(emulator, PYTHONIOENCODING="ascii").stdout.decode("ascii").splitlines()
    assert {line[0] for line in lines[:-1]} == {"+", "x", "-", " "}
    assert any(line.strip().startswith("> Check the URL") for line in lines)


def test_the_shape_of_json(emulator: Emulator, doctor: Doctor) -> None:
    found = doctor(emulator.token_url, "--api-base-url", emulator.api_base_url, "--origin", APP)
    assert list(found.report) == ["format", "healthy", "source", "api_base_url", "origin", "versions", "checks", "exit_code"]
    assert (found.report["format"], found.report["healthy"], found.report["exit_code"]) == (1, True, 0)
    assert (found.report["source"], found.report["origin"]) == (emulator.token_url, APP)
    assert {"animus-client", "python", "requests", "urllib3", "openssl"} == set(found.report["versions"])
    assert [finding["check"] for finding in found.report["checks"]] == list(CHECKS)
    assert all(list(finding) == ["check", "status", "text", "advice", "reason"] for finding in found.report["checks"])


@pytest.mark.parametrize("arguments", [(), ("https://backend.invalid/token",), ("nonsense",)])
def test_the_same_checks_in_every_report(doctor: Doctor, arguments: tuple[str, ...]) -> None:
    assert [finding["check"] for finding in doctor(*arguments).report["checks"]] == list(CHECKS)


@pytest.mark.parametrize(
    "options",
    [["--origin", "app.example.com"], ["-H", "no colon"], ["-H", "@nowhere"], ["--timeout", "0"], ["--unknown"], ["a", "b"]],
)
def test_wrong_usage_is_2_and_asks_nothing(emulator: Emulator, options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["doctor", *([] if options[0] == "a" else [emulator.token_url]), *options]
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, bool(err), len(emulator.requests)) == ("", True, 0)


def test_wrong_usage_with_json_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--origin", "x", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["exit_code"] == 2


def test_headers_from_a_file(emulator: Emulator, doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "headers").write_text("X-User: user-ada\n\nX-Other: a: b\n")
    doctor(emulator.token_url, "--api-base-url", emulator.api_base_url, "-H", f"@{tmp_path / 'headers'}", "--method", "get")
    asked = emulator.requests.last("token")
    assert (asked.user, asked.headers["X-Other"], asked.method) == ("user-ada", "a: b", "GET")


def test_in_a_notebook(emulator: Emulator) -> None:
    emulator.arm(kind="token", status=302, headers={"Location": "/<script>alert(1)</script>"})
    report = examine(emulator.token_url, api_base_url=emulator.api_base_url)
    assert "<script>" not in report._repr_html_()
    assert "✗" in report._repr_html_()
    assert str(pickle.loads(pickle.dumps(report))) == str(report)
    assert report["provider.answer"] in report.failures
    with pytest.raises(KeyError):
        _ = report["nonsense"]


def test_findings_come_one_by_one(emulator: Emulator) -> None:
    seen: list[tuple[str, int]] = []
    report = examine(
        emulator.token_url,
        api_base_url=emulator.api_base_url,
        on_finding=lambda finding: seen.append((finding.check, len(emulator.requests))),
    )
    assert [check for check, _ in seen] == [finding.check for finding in report.findings]
    assert (seen[0][1], seen[-1][1]) == (0, 3), "the first is told before anything is asked"


def test_other_commands_do_not_load_it() -> None:
    code = "import sys, animus.cli.commands; print([name for name in sys.modules if name.startswith('animus.doctor')])"
    environment = {**os.environ, "PYTHONPATH": PARENT}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert result.stdout == "[]\n"


def test_every_check_is_documented() -> None:
    assert all(f"`{check}`" in PAGE for check in CHECKS)


def test_every_reason_is_documented() -> None:
    said = set()
    for path in (ROOT / "animus" / "doctor").glob("*.py"):
        said |= set(re.findall(r'reason="(\w+)"', path.read_text(encoding="utf-8")))
    assert len(said) > 10
    assert not {reason for reason in said if f"`{reason}`" not in PAGE}
