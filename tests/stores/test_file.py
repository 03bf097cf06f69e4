"""Tokens in files: what is shared, what is refused, what survives."""

from __future__ import annotations

import contextlib
import copy
import errno
import logging
import os
import pickle
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from animus import AnimusClient, ConfigurationError, KeyringTokenStore
from animus.refresh.manager import TokenManager
from animus.stores import extra
from animus.stores.file import FileTokenStore
from animus.stores.folder import LARGEST, PrivateFolder
from animus.stores.protocol import StoredToken, store_key
from animus.testing import ManualClock
from animus.testing.suites import TokenStoreSuite
from tests.refresh.sources import Scripted
from tests.tokens.minting import SIGNATURE, mint

posix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have no owners and rights here")

KEY = store_key("url:x", "u1")
TOKEN = StoredToken(mint(4102444800.0), 4102444800.0, 1.5, 1000.0)


class TestFileTokenStore(TokenStoreSuite):
    """All that a store promises."""

    frees_within = 0.5  # with its holder

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "tokens"

    def make_store(self) -> FileTokenStore:
        return FileTokenStore(self.folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "tokens"


@pytest.fixture
def store(folder: Path) -> FileTokenStore:
    return FileTokenStore(folder)


def file_of(store: FileTokenStore, key: str = KEY) -> Path:
    return store.folder / f"animus-{key}.json"


# ---- the place -----------------------------------------------------------------------------------------


def test_the_default_is_in_the_users_cache_and_nothing_is_made_before_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    store = FileTokenStore()
    assert store.folder.parts[-2:] == ("animus", "tokens")
    assert str(tmp_path) in str(store.folder)
    assert store.load(KEY) is None
    store.delete(KEY)
    assert not store.folder.exists()


def test_home_and_relative_places_are_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert FileTokenStore("here/tokens").folder == tmp_path / "here" / "tokens"
    assert FileTokenStore("~/tokens").folder == Path(os.environ["HOME"]) / "tokens"
    with pytest.raises(ConfigurationError, match="folder"):
        FileTokenStore(" ")


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a home, such as many a container has."""
    pwd = pytest.importorskip("pwd")

    def unknown(uid: object) -> None:
        raise KeyError(uid)

    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("getpwuid", "getpwnam"):
        monkeypatch.setattr(pwd, name, unknown)


@pytest.mark.usefixtures("homeless")
@pytest.mark.parametrize(
    "make",
    [FileTokenStore, KeyringTokenStore, lambda: FileTokenStore("~/tokens"), lambda: FileTokenStore("~ada/tokens"), lambda: _client("file")],
)
def test_without_a_home_the_user_is_told_to_name_a_place(make: Callable[[], object], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r'Set HOME, or name a folder from the root on: token_store="file:PATH"'):
        make()
    assert FileTokenStore(tmp_path).folder == tmp_path
    _client(f"file:{tmp_path}").close()


def _client(token_store: str) -> AnimusClient:
    return AnimusClient("https://back.end/token", token_store=token_store)


def test_a_default_place_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda *args, **options: Path("~/.cache/animus"))
    with pytest.raises(ConfigurationError, match="cache folder, the default place"):
        FileTokenStore()


def test_what_is_missing_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extra, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"filelock.*animus-client\[file\]"):
        FileTokenStore()


@posix
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_folder_and_files_are_for_their_owner_alone(store: FileTokenStore, umask: int) -> None:
    before = os.umask(umask)
    try:
        with store.lock(KEY, 0):
            store.save(KEY, TOKEN)
            store.save(KEY, TOKEN)
    finally:
        os.umask(before)
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    files = list(store.folder.iterdir())
    assert len(files) == 2
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_any_key_makes_a_file_name(store: FileTokenStore) -> None:
    keys = ("..", "../../etc/passwd", "a/b", "", "x" * 1000, "CON", "é", "\udc80", "UPPER" * 13)
    for number, key in enumerate(keys):
        store.save(key, StoredToken(f"token-{number}"))
    for number, key in enumerate(keys):
        assert store.load(key) == StoredToken(f"token-{number}")
    assert {path.parent for path in store.folder.parent.rglob("*.json")} == {store.folder}


def test_one_file_for_each_key(store: FileTokenStore) -> None:
    keys = [store_key("url:x", f"user {number}") for number in range(20)]
    for key in keys:
        store.save(key, TOKEN)
    assert {path.name for path in store.folder.iterdir()} == {f"animus-{key}.json" for key in keys}


def test_a_look_costs_the_same_with_ten_thousand(store: FileTokenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.save(KEY, TOKEN)
    for number in range(10_000):
        (store.folder / f"animus-{number:064x}.json").touch(0o600)
    calls: list[str] = []
    for name in ("open", "listdir", "scandir", "stat", "read", "fstat"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args, _real=real, _name=name, **kwargs: calls.append(_name) or _real(*args, **kwargs))
    assert store.load(KEY) == TOKEN
    assert "listdir" not in calls
    assert "scandir" not in calls
    assert len(calls) <= 8
    assert store.load("another") is None


# ---- who may have a hand in it -------------------------------------------------------------------------


@posix
@pytest.mark.parametrize("mode", [0o750, 0o755, 0o701, 0o777])
def test_a_folder_that_is_open_to_others_is_not_used(store: FileTokenStore, mode: int) -> None:
    store.save(KEY, TOKEN)
    content = file_of(store).read_bytes()
    store.folder.chmod(mode)
    for act in (lambda: store.load(KEY), lambda: store.save(KEY, StoredToken("x")), lambda: store.lock(KEY, 0).__enter__()):
        with pytest.raises(PermissionError, match=rf"{store.folder} is open to others \(mode 0{mode:o}\); it should be 0700"):
            act()
    assert file_of(store).read_bytes() == content


@posix
def test_a_token_can_be_taken_out_of_a_folder_that_became_open_to_others(store: FileTokenStore) -> None:
    store.save(KEY, TOKEN)
    file_of(store).chmod(0o644)
    store.folder.chmod(0o755)
    store.delete(KEY)
    assert not file_of(store).exists()


@posix
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_that_is_open_to_others_is_not_believed_and_the_next_one_is_private(store: FileTokenStore, mode: int) -> None:
    store.save(KEY, TOKEN)
    file_of(store).chmod(mode)
    with pytest.raises(PermissionError, match="open to others"):
        store.load(KEY)
    store.save(KEY, TOKEN)
    assert store.load(KEY) == TOKEN
    assert stat.S_IMODE(file_of(store).stat().st_mode) == 0o600


@pytest.fixture
def not_as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the rights of lock files count, as they do for all but root."""
    really_open = os.open

    def open_if_allowed(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        with contextlib.suppress(FileNotFoundError):
            if str(path).endswith(".lock") and os.stat(path, dir_fd=dir_fd).st_mode & 0o600 != 0o600:
                raise PermissionError(errno.EACCES, "Permission denied")
        return really_open(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", open_if_allowed)


@posix
@pytest.mark.usefixtures("not_as_root")
@pytest.mark.parametrize("mode", [0o644, 0o666, 0o640, 0o444, 0o400, 0o000, 0o755])
def test_a_lock_file_with_other_rights_is_made_private_and_stays_the_lock_it_was(store: FileTokenStore, mode: int) -> None:
    path = store.folder / f"animus-{KEY}.lock"
    with store.lock(KEY, 0):
        path.chmod(mode)
        with pytest.raises(TimeoutError), FileTokenStore(store.folder).lock(KEY, 0):
            pass
    with store.lock(KEY, 0):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@posix
def test_where_files_have_no_rights_there_are_no_locks(store: FileTokenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.lock(KEY, 0):
        pass
    (store.folder / f"animus-{KEY}.lock").chmod(0o755)
    monkeypatch.setattr(os, "chmod", lambda *args, **options: None)
    with pytest.raises(PermissionError, match="open to others"), store.lock(KEY, 0):
        pass
    assert store._descriptors == set()


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() != 0, reason="only root can give files away")
def test_what_belongs_to_another_user_is_not_used(store: FileTokenStore) -> None:
    store.save(KEY, TOKEN)
    os.chown(file_of(store), 65534, -1)
    with pytest.raises(PermissionError, match=r"a file in .* belongs to another user"):
        store.load(KEY)
    store.save(KEY, TOKEN)
    assert store.load(KEY) == TOKEN
    os.chown(store.folder, 65534, -1)
    for act in (lambda: store.load(KEY), lambda: store.save(KEY, TOKEN), lambda: store.lock(KEY, 0).__enter__()):
        with pytest.raises(PermissionError, match="belongs to another user"):
            act()


@posix
def test_links_are_not_followed(store: FileTokenStore, tmp_path: Path) -> None:
    store.save(KEY, TOKEN)
    elsewhere = tmp_path / "precious"
    elsewhere.write_bytes(file_of(store).read_bytes())
    elsewhere.chmod(0o600)
    file_of(store).unlink()
    file_of(store).symlink_to(elsewhere)
    with pytest.raises(PermissionError, match="links are not followed"):
        store.load(KEY)
    store.save(KEY, StoredToken("new"))
    assert not file_of(store).is_symlink()
    assert store.load(KEY) == StoredToken("new")
    assert b"new" not in elsewhere.read_bytes()

    lock = store.folder / f"animus-{KEY}.lock"
    lock.symlink_to(elsewhere)
    with pytest.raises(PermissionError, match="links are not followed"):
        store.lock(KEY, 0).__enter__()


@posix
def test_a_folder_that_is_a_link_or_a_file_is_not_used(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(real)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    for name in ("link", "dangling", "file"):
        store = FileTokenStore(tmp_path / name)
        with pytest.raises(PermissionError, match="link"):
            store.save(KEY, TOKEN)
    assert list(real.iterdir()) == []
    assert not (tmp_path / "nowhere").exists()
    FileTokenStore(tmp_path / "link" / "below").save(KEY, TOKEN)  # the way there is the user's own affair


def _make_socket(path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch, socket.socket(socket.AF_UNIX) as bound:
        patch.chdir(path.parent)  # the name of a socket cannot be long
        bound.bind(path.name)


@posix
@pytest.mark.parametrize("ending", ["json", "lock", "failed"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, _make_socket])
def test_what_is_no_file_holds_nobody_up_and_is_one_condition(
    store: FileTokenStore, make: Callable[[Path], None], ending: str, caplog: pytest.LogCaptureFixture
) -> None:
    store.save("other", TOKEN)
    source = Scripted(*({"token": f"t{number}", "expires_in": 3600} for number in range(4)))
    make(store.folder / f"animus-{store_key('scripted', None)}.{ending}")
    manager = TokenManager(source, store=store)
    for number in range(3):
        assert manager.token().value == f"t{number}"
        manager.invalidate(f"t{number}")
    manager.clear()
    manager.close()
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert f"a file in {store.folder} is no ordinary file" in warnings[0]


# ---- damage --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"", b"{", b"null", b"\xff\xfe\x00", b'{"value": 7}', b"\x00" * 4096, b"A picture of a cat", b"[" * 100_000]
)
def test_a_damaged_or_foreign_file_is_replaced_by_the_next_token(store: FileTokenStore, content: bytes) -> None:
    store.save(KEY, TOKEN)
    file_of(store).write_bytes(content)
    with pytest.raises(ValueError, match="damaged, or none of ours"):
        store.load(KEY)
    store.save(KEY, TOKEN)
    assert store.load(KEY) == TOKEN


def test_half_a_file_is_damaged_wherever_it_ends(store: FileTokenStore) -> None:
    store.save(KEY, StoredToken("opaque", 2.0))
    whole = file_of(store).read_bytes()
    for length in range(len(whole)):
        file_of(store).write_bytes(whole[:length])
        with pytest.raises(ValueError, match="damaged"):
            store.load(KEY)


def test_a_huge_file_is_not_read_to_its_end(store: FileTokenStore) -> None:
    store.save(KEY, TOKEN)
    with file_of(store).open("wb") as file:
        file.truncate(1 << 33)
    with pytest.raises(ValueError, match="damaged"):
        store.load(KEY)
    assert LARGEST == 1 << 20


def _run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


def test_what_would_not_be_read_is_not_written(store: FileTokenStore) -> None:
    room = LARGEST - len(StoredToken("").to_json())
    store.save(KEY, StoredToken("x" * room))
    for size in (room + 1, 2 * LARGEST):
        with pytest.raises(OSError, match=rf"larger than {LARGEST} bytes is not kept in {store.folder}"):
            store.save(KEY, StoredToken("y" * size))
    assert store.load(KEY) == StoredToken("x" * room)


_FULL = """
import resource, sys
from animus.stores.file import FileTokenStore
from animus.stores.protocol import StoredToken
store = FileTokenStore(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
for _ in range(3):
    try:
        store.save(sys.argv[2], StoredToken("n" * 5000))
    except OSError as error:
        print(error)
print(store.load(sys.argv[2]).value)
"""


@posix
def test_a_full_disk_leaves_the_old_token_and_no_debris(store: FileTokenStore) -> None:
    with store.lock(KEY, 0):
        store.save(KEY, StoredToken("old"))
    result = _run(_FULL, store.folder, KEY)
    assert result.returncode == 0, result.stderr
    *errors, value = result.stdout.splitlines()
    assert value == "old"
    assert len(errors) == 3
    assert set(errors) == {f"[Errno 27] File too large: '{store.folder}'"}
    assert len(list(store.folder.iterdir())) == 2


_WRITES = """
import sys
from animus.stores.file import FileTokenStore
from animus.stores.protocol import StoredToken
store = FileTokenStore(sys.argv[1])
number = 0
print("writing", flush=True)
while True:
    number += 1
    store.save(sys.argv[2], StoredToken(f"{number % 10}" * (1000 + number % 50_000), float(number)))
"""


@posix
def test_kill_9_in_the_middle_of_writing_leaves_a_whole_token(store: FileTokenStore) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    store.save(KEY, StoredToken("0" * 1000, 0.0))
    for delay in (0.0, 0.003, 0.01, 0.02, 0.03):
        writer = subprocess.Popen([sys.executable, "-c", _WRITES, store.folder, KEY], stdout=subprocess.PIPE, env=environment)
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writing\n"
        time.sleep(delay)
        writer.kill()
        writer.wait(20)
        writer.stdout.close()
        loaded = store.load(KEY)
        assert loaded is not None
        assert len(set(loaded.value)) == 1
        assert loaded.expires_at is not None
    store.save(KEY, TOKEN)
    assert store.load(KEY) == TOKEN


def test_what_a_killed_writer_left_and_old_files_go_and_nothing_else_does(store: FileTokenStore) -> None:
    store.folder.mkdir(parents=True, mode=0o700)
    now = time.time()
    old = {f".animus-{KEY}.json.{'a' * 16}.tmp": 2 * 3600, f"animus-{'1' * 64}.json": 40 * 86400, f"animus-{'2' * 64}.lock": 40 * 86400}
    kept = {
        f".animus-{KEY}.json.{'b' * 16}.tmp": 60,
        f"animus-{'3' * 64}.json": 20 * 86400,
        f"animus-{'4' * 64}.lock": 20 * 86400,
        "thesis.tex": 400 * 86400,
        ".animus.tmp": 400 * 86400,
        f"{'1' * 64}.json": 400 * 86400,
        f".thesis.tex.{'a' * 16}.tmp": 400 * 86400,
    }
    for name, age in {**old, **kept}.items():
        (store.folder / name).touch(0o600)
        os.utime(store.folder / name, (now - age, now - age))
    store.save(KEY, TOKEN)
    assert {path.name for path in store.folder.iterdir()} == {*kept, f"animus-{KEY}.json"}
    (store.folder / next(iter(old))).touch(0o600)
    os.utime(store.folder / next(iter(old)), (0, 0))
    store.save(KEY, TOKEN)  # once is enough for one process
    assert (store.folder / next(iter(old))).exists()


@pytest.mark.skipif(os.utime not in os.supports_fd, reason="here nobody deletes a file that somebody has open")
def test_a_lock_that_is_used_is_not_old(store: FileTokenStore) -> None:
    sibling, path = FileTokenStore(store.folder), store.folder / f"animus-{KEY}.lock"
    for saves in (store, sibling):
        with store.lock(KEY, 0):
            pass
        os.utime(path, (0, 0))
        with store.lock(KEY, 0):
            saves.save("other", TOKEN)  # the first of its process, which looks for what is old
            with pytest.raises(TimeoutError), sibling.lock(KEY, 0):
                pass
        assert path.exists()


def test_a_folder_that_cannot_be_listed_is_written_to_all_the_same(store: FileTokenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> Any:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "listdir", refuse)
    store.save(KEY, TOKEN)
    assert store.load(KEY) == TOKEN


# ---- locks ---------------------------------------------------------------------------------------------


def test_the_lock_is_waited_for_by_the_clock(folder: Path) -> None:
    clock = ManualClock()
    store = FileTokenStore(folder, clock=clock)
    with store.lock(KEY, 5), pytest.raises(TimeoutError), store.lock(KEY, 5):
        pass
    waits = [wait for wait in clock.waits if wait is not None]
    assert sum(waits) == pytest.approx(5)
    assert max(waits) <= 0.05
    with store.lock(KEY, 0):
        pass
    assert store._descriptors == set()


def test_a_lock_on_a_file_that_was_thrown_away_is_taken_anew(store: FileTokenStore) -> None:
    real, thrown_away = PrivateFolder.open_to_lock, []

    def open_to_lock(folder: PrivateFolder, name: str) -> int:
        descriptor = real(folder, name)
        if not thrown_away:
            os.unlink(folder.path / name)
            thrown_away.append(name)
        return descriptor

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PrivateFolder, "open_to_lock", open_to_lock)
        with store.lock(KEY, 5), pytest.raises(TimeoutError), FileTokenStore(store.folder, clock=ManualClock()).lock(KEY, 1):
            pass
    assert thrown_away
    assert store._descriptors == set()


# ---- secrets and travelling ----------------------------------------------------------------------------


def test_it_travels_as_its_place(store: FileTokenStore) -> None:
    store.save(KEY, TOKEN)
    twin = pickle.loads(pickle.dumps(store))
    assert twin.folder == store.folder
    assert twin.load(KEY) == TOKEN
    assert copy.copy(store) is copy.deepcopy(store) is store
    assert SIGNATURE not in repr(store)


def test_a_relative_place_travels_as_the_folder_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    data = pickle.dumps(FileTokenStore("here/tokens"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    twin = pickle.loads(data)
    assert twin.folder == tmp_path / "here" / "tokens"
    assert pickle.loads(pickle.dumps(twin)).folder == twin.folder


def test_the_default_place_travels_as_the_default_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = pickle.dumps(FileTokenStore())
    for name in ("HOME", "USERPROFILE", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    assert tmp_path in pickle.loads(data).folder.parents


def test_on_a_system_without_owners_nothing_is_asked_about_them(monkeypatch: pytest.MonkeyPatch, store: FileTokenStore) -> None:
    from animus.stores import folder

    monkeypatch.setattr(folder, "_HAS_OWNERS", False)
    monkeypatch.setattr(folder, "_BY_DESCRIPTOR", False)
    monkeypatch.delattr(os, "geteuid", raising=False)
    store.save(KEY, TOKEN)
    store.folder.chmod(0o755)
    assert store.load(KEY) == TOKEN
    with store.lock(KEY, 0):
        store.delete(KEY)
    assert store.load(KEY) is None
