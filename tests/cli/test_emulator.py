from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

import animus
from animus.cli.main import main

PARENT = str(Path(animus.__file__).parent.parent)


@pytest.mark.skipif(sys.platform == "win32", reason="signals to a child are another matter on Windows")
def test_emulator_serves_until_interrupted() -> None:
    environment = {**os.environ, "PYTHONPATH": PARENT}
    command = [sys.executable, "-m", "animus", "emulator", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            [url] = re.findall(r"answers on (http://127\.0\.0\.1:\d+);", process.stdout.readline())
            token = requests.post(f"{url}/token", timeout=10).json()["accessToken"]
            for line in process.stdout:
                if line.startswith("POST"):
                    break
            assert line == "POST /token 200\n"
            assert token not in line
        finally:
            process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")


def test_port_in_use_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert main(["emulator", "--port", str(other.getsockname()[1])]) == 2
    err = capsys.readouterr().err
    assert (err.count("\n"), "cannot listen" in err) == (1, True)


def test_bad_script_exits_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "script.json"
    script.write_text("no JSON")
    assert main(["emulator", "--port", "0", "--script", str(script)]) == 2
    assert "is no JSON" in capsys.readouterr().err
