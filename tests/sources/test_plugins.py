"""Sources that other packages bring."""

from __future__ import annotations

import subprocess
import sys
import traceback
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from animus import AnimusClient
from animus.errors import ConfigurationError
from animus.sources.command import CommandTokenSource
from animus.sources.make import as_token_source
from animus.sources.plugins import GROUP, source_by_name
from animus.sources.protocol import TokenRequest

SECRET = "s3cret-behind-the-colon"
SOUND = """
from animus.errors import ConfigurationError

class SoundTokenSource:
    fingerprint = "sound"

    def __init__(self, rest):
        if rest == "nothing":
            raise ConfigurationError("sound: wants a path")
        if rest.startswith("s3cret-talk"):
            try:
                open(rest)
            except OSError as error:
                talk = ConfigurationError(f"sound: no {rest}", hint=f"Not {rest}")
                talk.__notes__, talk.rest = [f"it was {rest}"], rest
                raise talk from error
        if rest.startswith("s3cret-noted"):
            error = ValueError("no such thing")
            error.__notes__ = [f"it was {rest}"]
            raise error
        if rest == "exit":
            raise SystemExit(2)
        if rest.startswith("s3cret"):
            raise ValueError(f"cannot read {rest}")
        self.rest = rest

    def fetch(self, request):
        return f"token-{self.rest}"

def nothing(rest):
    return None

number = 7
"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Have packages installed: a module, and the lines of its entry points."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(package: str, entry: str, module: str = "sound_plugin", code: str = SOUND) -> None:
        (tmp_path / f"{module}.py").write_text(code)
        folder = tmp_path / f"{package.replace('-', '_')}-1.2.dist-info"
        folder.mkdir(exist_ok=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        (folder / "entry_points.txt").write_text(f"[{GROUP}]\n{entry}\n")
        monkeypatch.delitem(sys.modules, module, raising=False)

    return install


def refused(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        as_token_source(text)
    said = str(caught.value)
    assert SECRET not in said
    return said


def test_a_source_is_found_by_its_name(install: Install) -> None:
    install("animus-sound", "sound = sound_plugin:SoundTokenSource")
    source = as_token_source(" sound:secret/animus:2?x=y ")
    assert source.fetch(TokenRequest()) == "token-secret/animus:2?x=y"
    with AnimusClient("sound:", api_base_url="https://api.test/v3") as client:
        assert client.token_source.rest == ""


def test_a_command_is_built_in() -> None:
    source = as_token_source("exec:/opt/corp/login --print 'a b'")
    assert isinstance(source, CommandTokenSource)
    assert source.fingerprint == CommandTokenSource(["/opt/corp/login", "--print", "a b"]).fingerprint
    assert "unclosed" not in refused("exec:login 'unclosed")
    assert "the command is empty" in refused("exec:")


def test_nobody_takes_the_place_of_what_is_built_in(install: Install) -> None:
    install("evil", "exec = sound_plugin:SoundTokenSource")
    assert isinstance(as_token_source("exec:login"), CommandTokenSource)


def test_an_unknown_name_is_told_with_the_near_and_the_installed_ones(install: Install) -> None:
    install("animus-sound", "sound = sound_plugin:SoundTokenSource")
    said = refused(f"suond:{SECRET}")
    assert "no token source 'suond' installed" in said
    assert "Did you mean 'sound'? There are: exec, sound" in said


@pytest.mark.parametrize("text", ["Us3r:hunter2", f"a1:{SECRET}", "UPPER:x", f"{'a' * 40}:x"])
def test_what_may_be_part_of_a_token_is_not_shown(text: str) -> None:
    said = refused(text)
    assert "StaticTokenSource" in said
    assert text.partition(":")[0] not in said.replace("There are: exec", "")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import hvac_that_nobody_has", "ModuleNotFoundError: No module named 'hvac_that_nobody_has'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("syntax error", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("", "AttributeError"),
    ],
)
def test_a_package_that_cannot_be_imported_is_named_with_the_cause(install: Install, code: str, said: str) -> None:
    install("animus-broken", "broken = broken_plugin:Source", "broken_plugin", code)
    with pytest.raises(ConfigurationError) as caught:
        as_token_source(f"broken:{SECRET}")
    text = str(caught.value)
    assert text.startswith("the token source 'broken' of animus-broken 1.2 cannot be loaded (broken_plugin:Source)")
    assert said in text
    assert type(caught.value.__cause__).__name__ == said.partition(":")[0]


def test_what_it_makes_must_be_a_source(install: Install) -> None:
    install("animus-odd", "sound = sound_plugin:SoundTokenSource\nempty = sound_plugin:nothing\nnumber = sound_plugin:number")
    assert "gives a NoneType, which is no source: it lacks fetch and fingerprint" in refused("empty:x")
    assert "is no function or class but a int" in refused("number:x")
    said = refused(f"sound:{SECRET}")
    assert "gives no source for this text: ValueError: cannot read [redacted]" in said
    assert refused("sound:nothing").startswith("sound: wants a path")
    assert "gives no source for this text: SystemExit: 2" in refused("sound:exit")


def test_an_object_whose_property_raises_is_a_source_and_a_class_is_none(install: Install) -> None:
    code = """
class Riddle:
    fetch = print
    @property
    def fingerprint(self):
        raise RuntimeError("not yet")

def of_class(text):
    return Riddle

def of_object(text):
    return Riddle()
"""
    install("animus-riddle", "class = riddle_plugin:of_class\nobject = riddle_plugin:of_object", "riddle_plugin", code)
    assert "gives the class Riddle, not an object of it" in refused("class:x")
    assert type(as_token_source("object:x")).__name__ == "Riddle"


def test_a_plugins_own_error_does_not_show_its_text_either(install: Install) -> None:
    install("animus-sound", "sound = sound_plugin:SoundTokenSource")
    with pytest.raises(ConfigurationError) as caught:
        as_token_source("sound:s3cret-talkative")
    assert str(caught.value) == "sound: no [redacted]. Not [redacted]"
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.args) + repr(vars(caught.value))
    assert "s3cret-talkative" not in shown.replace('as_token_source("sound:s3cret-talkative")', "")
    assert "ConcealedError" in shown


def test_nor_do_the_notes_of_what_it_raises(install: Install) -> None:
    install("animus-sound", "sound = sound_plugin:SoundTokenSource")
    with pytest.raises(ConfigurationError) as caught:
        as_token_source("sound:s3cret-noted")
    shown = "".join(traceback.format_exception(caught.value))
    assert "s3cret-noted" not in shown.replace('as_token_source("sound:s3cret-noted")', "")
    assert "no such thing" in shown


def test_two_packages_with_one_name_are_both_named(install: Install) -> None:
    install("animus-one", "twin = sound_plugin:SoundTokenSource")
    install("animus-two", "twin = other_plugin:SoundTokenSource", "other_plugin")
    assert "'twin' is in several packages: animus-one 1.2 and animus-two 1.2" in refused("twin:x")


def test_only_the_named_package_is_imported(install: Install) -> None:
    install("animus-sound", "sound = sound_plugin:SoundTokenSource")
    install("animus-broken", "broken = broken_plugin:Source", "broken_plugin", "raise SystemExit")
    assert {point.name for point in entry_points(group=GROUP)} >= {"sound", "broken"}
    as_token_source("sound:x")


def test_a_url_does_not_look_for_packages() -> None:
    code = (
        "import sys; from animus.sources.make import as_token_source; as_token_source('https://back.end/token'); "
        "as_token_source(lambda: 'x'); assert 'animus.sources.plugins' not in sys.modules; assert 'subprocess' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_text_without_a_name_is_no_name() -> None:
    with pytest.raises(ConfigurationError):
        source_by_name("no name here")
