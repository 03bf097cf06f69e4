from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import animus
from animus.cli.main import main

PARENT = str(Path(animus.__file__).parent.parent)


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": PARENT, "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_missing_package_is_one_line_that_names_the_extra(missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; from animus.cli.main import main; sys.exit(main(['ask', 'x']))"
    result = run_python("-c", code)
    assert result.returncode == 2
    assert result.stderr == 'animus: the command line needs click and rich: pip install "animus-client[cli]"\n'


@pytest.mark.parametrize("command", ["demo", "emulator"])
def test_missing_flask_is_one_line_that_names_the_extra(command: str) -> None:
    code = f"import sys; sys.modules['flask'] = None; from animus.cli.main import main; sys.exit(main([{command!r}]))"
    result = run_python("-c", code)
    assert result.returncode == 2
    assert result.stderr == 'animus: ConfigurationError: this command needs Flask. pip install "animus-client[cli,emulator]"\n'


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert animus.__version__ in capsys.readouterr().out


def test_help_names_the_commands_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert all(word in out for word in ("ask", "chat", "demo", "doctor", "emulator", "token-server", "3 authentication"))


def test_wrong_usage_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask"]) == 2
    assert "Missing argument" in capsys.readouterr().err


def test_unknown_command_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["aks"]) == 2
    assert "aks" in capsys.readouterr().err


def test_module_is_the_command() -> None:
    result = run_python("-m", "animus", "--version")
    assert (result.returncode, result.stderr) == (0, "")
    assert animus.__version__ in result.stdout
