"""Build sdist and wheel, check them, install the wheel into a new environment and use it there.

Usage: check_build.py FOLDER (emptied first)
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path


def run(*command: str | Path, cwd: Path | None = None) -> None:
    print("+", *command, flush=True)
    subprocess.run([str(part) for part in command], check=True, cwd=cwd)


def check_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    strange = [n for n in names if not n.startswith(("animus/", "animus_client-"))]
    assert not strange, f"the wheel holds what it should not: {strange}"
    assert "animus/py.typed" in names, "the wheel lacks py.typed"
    assert not [n for n in names if "/test_" in n or "conftest" in n], "the wheel holds tests"


def check_sdist(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    lacking = {"LICENSE", "README.md", "CHANGELOG.md", "tox.ini", "setup.cfg", "animus/py.typed", "tests/conftest.py"} - names
    assert not lacking, f"the sdist lacks {lacking}"


def use(wheel: Path, folder: Path) -> None:
    """Install the wheel as a stranger would: alone first, then with the extras of the command line."""
    venv.create(folder / "venv", with_pip=True)
    programs = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
    run(programs / "python", "-m", "pip", "install", "-q", wheel)
    run(programs / "python", "-c", "import animus; [getattr(animus, name) for name in animus.__all__]", cwd=folder)
    bare = subprocess.run([programs / "animus", "ask", "hi"], capture_output=True, text=True, check=False)
    assert bare.returncode == 2, bare.stderr
    assert 'pip install "animus-client[cli]"' in bare.stderr, bare.stderr
    run(programs / "python", "-m", "pip", "install", "-q", f"{wheel}[cli,emulator]")
    run(programs / "animus", "demo", cwd=folder)


def main() -> None:
    folder = Path(sys.argv[1]).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    run(sys.executable, "-m", "build", "--outdir", folder / "dist", Path(__file__).parent.parent)
    [wheel] = (folder / "dist").glob("*.whl")
    [sdist] = (folder / "dist").glob("*.tar.gz")
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist)
    check_wheel(wheel)
    check_sdist(sdist)
    use(wheel, folder)


main()
