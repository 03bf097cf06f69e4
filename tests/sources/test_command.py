"""Programs as sources."""

from __future__ import annotations

import contextlib
import copy
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from animus.errors import ConfigurationError, TokenSourceError
from animus.refresh.manager import TokenManager
from animus.sources import process
from animus.sources.command import CommandTokenSource
from animus.sources.protocol import TokenRequest, TokenSource
from animus.tokens.token import Token
from tests.tokens.minting import SIGNATURE, mint

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the programs of these tests are shell scripts")

FAR = 4102444800
TOKEN = mint(FAR, sub="command")
SECRET = "hunter2-and-a-half"
SAY = """printf '{"token": "%s"}' """  # before an opaque token


def sh(script: str, *arguments: str, **settings: Any) -> CommandTokenSource:
    """Give the source that runs a shell script."""
    return CommandTokenSource(["/bin/sh", "-c", script, "sh", *arguments], **settings)


def token_of(source: CommandTokenSource, **request: Any) -> Token:
    return source.fetch(TokenRequest(**request))


def failure_of(source: CommandTokenSource, **request: Any) -> TokenSourceError:
    with pytest.raises(TokenSourceError) as caught:
        source.fetch(TokenRequest(**request))
    error = caught.value
    assert error.source == source.name
    assert error.hint
    return error


# ---- what is printed -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("printed", "value", "expires_at"),
    [
        (TOKEN, TOKEN, FAR),
        (f"\n  {TOKEN}\n", TOKEN, FAR),
        (f"\ufeff{TOKEN}\r\n", TOKEN, FAR),
        (f'{{"accessToken": "{TOKEN}"}}', TOKEN, FAR),
        (f'{{"animus": {{"token": "{TOKEN}"}}}}', TOKEN, FAR),
        ('{"access_token": "an-opaque-key"}', "an-opaque-key", None),
        (f'"{TOKEN}"', TOKEN, FAR),
    ],
)
def test_a_token_alone_or_json_around_it(printed: str, value: str, expires_at: float | None) -> None:
    source = sh('printf %s "$1"', printed)
    assert isinstance(source, TokenSource)
    token = token_of(source)
    assert (token.value, token.expires_at) == (value, expires_at)


def test_a_life_and_realtime_details_may_stand_beside_it() -> None:
    printed = f'{{"accessToken": "opaque", "expiresIn": 600, "livekit": {{"voice": {{"url": "wss://x", "token": "{TOKEN}"}}}}}}'
    token = token_of(sh('printf %s "$1"', printed))
    assert token.expires_at is not None
    assert token.livekit["voice"].url == "wss://x"


@pytest.mark.parametrize(
    ("printed", "reason", "said"),
    [
        ("", "wrong_shape", "printed nothing"),
        (" \n", "wrong_shape", "printed nothing"),
        (f"your token is {TOKEN}", "wrong_shape", "4 words"),
        (f"{TOKEN}\n{TOKEN}", "wrong_shape", "2 words"),
        ("{not json", "not_json", "begins like JSON"),
        ('{"key": "x"}', "wrong_shape", '{"key": string}'),
        ("[1]", "wrong_shape", "[number]"),
        ("caf\u00e9-token", "bad_jwt", "not usable"),
        ("Unauthorized", "bad_jwt", "not usable"),
        ("null", "bad_jwt", "not usable"),
        ('"an-opaque-key"', "bad_jwt", "not usable"),
        (".".join(mint(FAR).split(".")[:2]), "bad_jwt", "not usable"),
        (mint(1), "expired", "was over"),
    ],
)
def test_what_is_no_token(printed: str, reason: str, said: str) -> None:
    error = failure_of(sh('printf %s "$1"', printed))
    assert error.reason == reason
    assert said in str(error)
    assert SIGNATURE not in str(error)


def test_an_endless_answer_is_cut() -> None:
    error = failure_of(sh("while :; do printf '%0999d' 0; done"))
    assert error.reason == "too_large"


def test_a_mebibyte_is_read() -> None:
    error = failure_of(sh(f"head -c {1 << 20} /dev/zero | tr '\\0' x; head -c 3000000 /dev/zero | tr '\\0' y >&2; exit 1"))
    assert error.reason == "failed"
    assert "with exit code 1 (reason" in str(error)  # one endless word: it may have been part of a secret


# ---- how it ends ---------------------------------------------------------------------------------------


def test_exit_code_and_stderr_are_in_the_error() -> None:
    error = failure_of(sh("echo 'not signed in:' >&2; echo 'run corp-login first' >&2; exit 3"))
    assert error.reason == "failed"
    assert "ended with exit code 3: not signed in: run corp-login first" in str(error)


def test_a_signal_is_named() -> None:
    assert "was ended by SIGTERM" in str(failure_of(sh("kill -TERM $$")))


def test_stderr_of_a_success_is_nobodys_business() -> None:
    assert token_of(sh(f"echo warning >&2; echo {TOKEN}")).value == TOKEN


def test_stderr_is_shortened_to_its_end() -> None:
    error = failure_of(sh("i=0; while [ $i -lt 2000 ]; do echo line-$i >&2; i=$((i+1)); done; echo the end >&2; exit 1"))
    assert "line-1999 the end" in str(error)
    assert "line-1900 " not in str(error)
    assert len(str(error)) < 600


@pytest.mark.parametrize(
    ("script", "kept"),
    [
        ('echo "rejected: $1" >&2; exit 1', "rejected:"),
        ("echo Authorization: Bearer abcdefghijklmnop >&2; exit 1", "Authorization:"),
        ('echo "$1"; echo "gave $1" >&2; exit 1', "gave"),
        ('set -x; : "$SECRET_OF_TEST"; exit 1', "+ :"),
        ('set -x; : "$MY_API_KEY"; exit 1', "+ :"),
        ('echo client_secret: opaquetokenvalue >&2; exit 1', "client_secret:"),
        ('echo "https://ada:opaquetokenvalue@idp.example/?api_key=opaquetokenvalue" >&2; exit 1', "idp.example"),
        ('echo "key hvs.CAESIJ4r5t6y7u8i9o0pASDFGHJK is over" >&2; exit 1', "is over"),
        ('echo "unknown option $2" >&2; exit 1', "--password="),
        ('head -c 9000 /dev/zero | tr "\\0" x >&2; echo "$1" >&2; exit 1', "exit code 1"),
    ],
)
def test_stderr_shows_no_secret(script: str, kept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", f"{SECRET} and more of it")
    source = sh(script, TOKEN, f"--password={SECRET}", env={"SECRET_OF_TEST": f"{SECRET}-too"})
    text = str(failure_of(source))
    assert kept in text
    for secret in (SIGNATURE, SECRET, "abcdefghijklmnop", "CAESIJ", "opaquetokenvalue"):
        assert secret not in text


def said_of(stderr: str, folder: Path) -> str:
    (folder / "said").write_text(stderr)
    return str(failure_of(sh('cat "$1" >&2; exit 2', str(folder / "said"))))


@pytest.mark.parametrize("kept", [len("tok-en"), len("opaque-tok-en"), len(" opaque-tok-en"), len("earer opaque-tok-en")])
@pytest.mark.parametrize("end", ["\n", " ", "\nthe end", " the end"])
def test_a_secret_is_not_shown_when_stderr_is_cut_before_or_in_it(kept: int, end: str, tmp_path: Path) -> None:
    padding = end[0] * (8192 - kept - len(end))
    said = said_of(f"Authorization: Bearer opaque-tok-en{padding}{end}", tmp_path)
    assert "tok-en" not in said
    if "\n" in end:
        assert end.strip() in said


def test_the_end_of_a_long_line_is_shown(tmp_path: Path) -> None:
    assert "and this is the end" in said_of("x y " * 3000 + "and this is the end\n", tmp_path)


def test_control_characters_of_stderr_are_shown_as_such() -> None:
    assert "\x1b" not in str(failure_of(sh("printf '\\033[31mred\\033[0m' >&2; exit 1")))


# ---- time ----------------------------------------------------------------------------------------------


def _wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    with contextlib.suppress(OSError):  # a zombie that nobody reaps, in a container without init
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return False


def test_a_program_that_hangs_is_killed_with_all_it_has_started(tmp_path: Path) -> None:
    script = 'sleep 600 & echo $! > "$1/child"; echo waiting for a login >&2; echo $$ > "$1/self"; wait'
    for patience in (0.1, 0.4, 1.6, 6.4):  # a busy machine may need more than a moment to get so far
        error = failure_of(sh(script, str(tmp_path), timeout=patience))
        assert error.reason == "timeout"
        if (tmp_path / "self").exists() and (tmp_path / "self").read_text().strip():
            break
    assert "waiting for a login" in str(error)
    for name in ("self", "child"):
        pid = int((tmp_path / name).read_text())
        _wait_until(lambda pid=pid: _is_gone(pid))  # type: ignore[misc]


def test_the_deadline_of_the_request_counts_too() -> None:
    assert failure_of(sh("sleep 600", timeout=60), deadline=time.monotonic() + 0.1).reason == "timeout"
    assert "no time left" in str(failure_of(sh("sleep 600"), deadline=time.monotonic() - 1))


def test_a_program_that_closes_its_pipes_and_stays_is_waited_for() -> None:
    assert failure_of(sh("exec >&- 2>&-; sleep 600", timeout=0.1)).reason == "timeout"


def test_the_end_of_the_program_counts_not_that_of_its_pipes(tmp_path: Path) -> None:
    # a daemon that the program starts keeps its pipes open
    source = sh('sleep 600 & echo $! > "$1/daemon"; echo $2', str(tmp_path), TOKEN, timeout=20)
    began = time.monotonic()
    assert token_of(source).value == TOKEN
    assert time.monotonic() - began < 15
    os.kill(int((tmp_path / "daemon").read_text()), 9)  # it was left alone


def test_an_interrupt_kills_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: Any) -> None:
        _wait_until((tmp_path / "self").exists)
        _wait_until(lambda: bool((tmp_path / "self").read_text().strip()))
        raise KeyboardInterrupt

    monkeypatch.setattr(process, "_followed", interrupt)
    with pytest.raises(KeyboardInterrupt):
        token_of(sh('echo $$ > "$1/self"; sleep 600', str(tmp_path)))
    pid = int((tmp_path / "self").read_text())
    _wait_until(lambda: _is_gone(pid))


def test_without_waiting_for_pipes_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_followed", process._awaited)
    assert token_of(sh(f"echo warning >&2; echo {TOKEN}")).value == TOKEN
    assert "exit code 3: sorry" in str(failure_of(sh("echo sorry >&2; exit 3")))
    assert failure_of(sh("sleep 600", timeout=0.1)).reason == "timeout"
    assert failure_of(sh("head -c 2000000 /dev/zero")).reason == "too_large"


# ---- starting ------------------------------------------------------------------------------------------


def test_a_program_that_is_not_installed_is_not_here() -> None:
    source = CommandTokenSource("no-such-program-anywhere --token")
    error = failure_of(source)
    assert error.reason == "not_available"
    assert "'no-such-program-anywhere'" in str(error)
    assert isinstance(error.__cause__, FileNotFoundError)


def test_a_restricted_path_is_named() -> None:
    assert 'put "PATH" into inherit=' in str(failure_of(CommandTokenSource("no-such-program", inherit=["HOME"])))


def test_what_cannot_be_started(tmp_path: Path) -> None:
    script = tmp_path / "token"
    script.write_text("no first line")
    assert "Permission denied" in str(failure_of(CommandTokenSource([script])))
    script.chmod(0o755)
    error = failure_of(CommandTokenSource([script]))
    assert (error.reason, "#!/bin/sh" in str(error)) == ("failed", True)


@pytest.mark.parametrize("first_line", ["#!/no/such/interpreter", "#!/bin/sh\r"])
def test_a_script_without_its_interpreter_is_there(first_line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "corp-login"
    script.write_bytes(f"{first_line}\necho x\n".encode())
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    for source in (
        CommandTokenSource([script]),
        CommandTokenSource("corp-login"),
        CommandTokenSource("./corp-login", folder=tmp_path),
        CommandTokenSource("corp-login", inherit=[], env={"PATH": "."}, folder=tmp_path),
    ):
        error = failure_of(source)
        assert error.reason == "failed"
        assert "the program 'corp-login' is there, but not the interpreter it names" in str(error)
        assert "behind #!" in str(error)
    assert failure_of(CommandTokenSource("./corp-login", folder="/")).reason == "not_available"


def test_a_file_in_path_does_not_hide_that_the_program_is_not_here(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    source = CommandTokenSource("no-such-program", inherit=[], env={"PATH": f"/bin:{tmp_path}/file"})
    assert failure_of(source).reason == "not_available"


def test_a_folder_that_is_none_is_told_from_a_program_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder, said in (("nowhere", "the folder to run the command in does not exist"), ("file", "is no folder")):
        for command in ("echo x", "no-such-program-anywhere"):
            error = failure_of(CommandTokenSource(command, folder=tmp_path / folder))
            assert (error.reason, error.hint) == ("failed", "Check folder=")
            assert said in str(error)


@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may enter all folders")
def test_a_folder_that_must_not_be_entered_is_no_fault_of_the_program(tmp_path: Path) -> None:
    tmp_path.chmod(0o600)
    error = failure_of(CommandTokenSource("echo x", folder=tmp_path))
    tmp_path.chmod(0o700)
    assert (error.reason, error.hint) == ("failed", "Check folder=")


def test_a_line_is_split_but_nothing_in_it_is_expanded(tmp_path: Path) -> None:
    source = CommandTokenSource("""printf '{"token": "%s"}' "$(touch${IFS}x)*;$HOME|" """, folder=tmp_path)
    assert token_of(source).value == "$(touch${IFS}x)*;$HOME|"
    assert list(tmp_path.iterdir()) == []


def test_it_runs_where_it_is_told(tmp_path: Path) -> None:
    assert token_of(sh(f'{SAY} "$(pwd -P)"', folder=tmp_path)).value == str(tmp_path.resolve())


@pytest.mark.parametrize(
    "command",
    ["", "  ", [], [""], [" ", "x"], ["a", 7], ["a\0b"], "echo 'unclosed", None, 7, b"echo", {"echo"}],
)
def test_impossible_commands_are_refused(command: Any) -> None:
    with pytest.raises(ConfigurationError):
        CommandTokenSource(command)


@pytest.mark.parametrize(
    "settings",
    [{"timeout": 0}, {"timeout": "1"}, {"inherit": "PATH"}, {"inherit": [7]}, {"inherit": 7}, {"env": ["A"]}, {"env": {"A=B": "x"}},
     {"env": {"": "x"}}, {"env": {"A": 7}}, {"env": {7: "x"}}, {"folder": "a\0b"}],
)  # fmt: skip
def test_impossible_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        CommandTokenSource("echo x", **settings)


# ---- its environment -----------------------------------------------------------------------------------


def test_it_sees_our_environment_or_what_is_named_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEEN", "seen")
    monkeypatch.setenv("HIDDEN", "hidden")
    assert token_of(sh(f"{SAY} $SEEN-$HIDDEN")).value == "seen-hidden"
    assert token_of(sh(f"{SAY} $SEEN-$HIDDEN", inherit=["SEEN", "PATH"])).value == "seen-"
    assert token_of(sh(f"{SAY} $SEEN-$HIDDEN", inherit=[], env={"HIDDEN": "given"})).value == "-given"


def test_values_may_be_functions() -> None:
    count = iter("123")
    source = sh(f"{SAY} $NUMBER", env={"NUMBER": lambda: next(count)})
    assert [token_of(source).value for _ in range(3)] == ["1", "2", "3"]
    assert source.contains_callables
    error = failure_of(source)
    assert "the function for env['NUMBER'] raised StopIteration" in str(error)
    assert "env['NUMBER']" in str(failure_of(sh("echo x", env={"NUMBER": lambda: 7})))  # type: ignore[dict-item, return-value]


def test_it_is_told_what_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMUS_TOKEN_FORCE", "left over")
    source = sh(f'{SAY} "$ANIMUS_TOKEN_FORCE-$ANIMUS_TOKEN_IDENTITY"')
    assert token_of(source).value == "-"
    assert token_of(source, force=True, identity="ada").value == "1-ada"


def test_it_gets_no_input() -> None:
    assert token_of(sh(f"read -r x; {SAY} end-$x")).value == "end-"


def test_users_of_the_system_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    fingerprint = sh("corp-login").fingerprint
    monkeypatch.setenv("USER", "another")
    monkeypatch.setenv("LOGNAME", "another")
    assert sh("corp-login").fingerprint == fingerprint
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    assert sh("corp-login").fingerprint != fingerprint


# ---- forks and threads ---------------------------------------------------------------------------------


def test_it_runs_in_a_thread_that_nobody_waits_for() -> None:
    source = sh(f"echo {TOKEN}")
    found: list[Token] = []
    threads = [threading.Thread(target=lambda: found.append(token_of(source))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [token.value for token in found] == [TOKEN] * 8


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_forked_while_it_runs_works_and_delays_nobody(tmp_path: Path) -> None:
    # in a process of its own: that of the tests has threads of other people
    code = """
import os, sys, threading, time
from animus.refresh.manager import TokenManager
from animus.sources.command import CommandTokenSource

folder = sys.argv[1]
script = '''echo x >> "$1/started"; while [ ! -e "$1/go" ]; do sleep 0.01; done; printf '{"token": "token-%s"}' $$'''
manager = TokenManager(CommandTokenSource(["/bin/sh", "-c", script, "sh", folder], timeout=20))
found = []
thread = threading.Thread(target=lambda: found.append(manager.token().value))
thread.start()
while not os.path.exists(folder + "/started"):
    time.sleep(0.005)
parent = os.getpid()
child = os.fork()
if child == 0:
    open(folder + "/go", "w").close()
    value = manager.token().value
    while not os.path.exists(folder + "/parent") and os.getppid() == parent:  # the pipes of the parent's program are still open here
        time.sleep(0.005)
    os._exit(0 if value.startswith("token-") else 1)
thread.join(15)
assert found, "the child that holds the pipes held up its parent"
open(folder + "/parent", "w").close()
assert os.waitpid(child, 0)[1] == 0
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "PYTHONWARNINGS": "ignore"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=60, env=environment)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_forked_while_it_is_started_delays_nobody() -> None:
    # a child that lives on would keep the pipe by which a parent is told that its program was started
    code = """
import os, signal, sys, threading, time
from animus.sources.process import run

started = threading.Event()
real = os.close

def close(descriptor):  # what Popen does first when the program runs
    if not started.is_set():
        started.set()
        time.sleep(0.05)
    real(descriptor)

outcomes = []
thread = threading.Thread(target=lambda: outcomes.append(run(["/bin/echo", "x"], environment={}, folder=None, timeout=20, max_bytes=9)))
os.close = close
thread.start()
started.wait()
child = os.fork()
if child == 0:
    signal.pause()
try:
    thread.join(15)
    assert outcomes and outcomes[0].output == b"x\\n", "the child held up its parent"
finally:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "PYTHONWARNINGS": "ignore"}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=environment)


# ---- showing and travelling ----------------------------------------------------------------------------


def test_it_is_known_by_its_program() -> None:
    source = CommandTokenSource(["/opt/corp/login", "--password", SECRET], env={"KEY": SECRET})
    assert source.name == "command login"
    assert repr(source) == "<CommandTokenSource login>"
    for text in (repr(vars(source)), source.fingerprint, str(source)):
        assert SECRET not in text
    assert not source.contains_callables


def test_fingerprints_tell_commands_apart() -> None:
    makers: list[Callable[[], CommandTokenSource]] = [
        lambda: CommandTokenSource("login"),
        lambda: CommandTokenSource("login now"),
        lambda: CommandTokenSource(["login", "now then"]),
        lambda: CommandTokenSource("/opt/login"),
        lambda: CommandTokenSource("login", inherit=["PATH"]),
        lambda: CommandTokenSource("login", env={"A": "1"}),
        lambda: CommandTokenSource("login", folder="/"),
    ]
    assert len({make().fingerprint for make in makers}) == len(makers)
    assert all(make().fingerprint == make().fingerprint for make in makers)
    assert CommandTokenSource("login now").fingerprint == CommandTokenSource(["login", "now"]).fingerprint


def _number() -> str:
    return "42"


def test_it_travels_without_literal_values() -> None:
    source = sh(f"{SAY} token-$NUMBER", env={"NUMBER": _number}, timeout=5, inherit=["PATH"], folder="/")
    twin = pickle.loads(pickle.dumps(source))
    assert token_of(twin).value == "token-42"
    assert twin.fingerprint == source.fingerprint
    assert (twin.timeout, twin.contains_callables) == (5, True)
    assert copy.deepcopy(source) is source
    assert copy.copy(source) is source
    with pytest.raises(TypeError, match=r"env\['KEY'\]"):
        pickle.dumps(sh("echo x", env={"KEY": SECRET}))


def test_a_manager_asks_it_once() -> None:
    manager = TokenManager(sh(f"echo {TOKEN}"))
    assert manager.token() is manager.token()
    manager.close()
