"""How sources and stores travel: as configuration, or not at all."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys

from animus._cause import describe
from animus.testing.suites.checks import assert_hidden

_STARTING = 60.0  # seconds that a Python may take which imports what a source needs
_ELSEWHERE = """
import json, pickle, sys
given = json.load(sys.stdin)
sys.path[:] = given["path"]
fingerprint = pickle.loads(bytes.fromhex(given["source"])).fingerprint
print()
print(json.dumps(fingerprint))
"""


def pickled(thing: object, secrets: tuple[str, ...]) -> bytes | None:
    """Give ``thing`` pickled, or None if it refuses as it should; fail if it is a riddle why, or if a secret travels."""
    try:
        data = pickle.dumps(thing)
    except (TypeError, AttributeError, pickle.PicklingError) as refusal:
        # without a frame of anybody's own it is pickle that stumbles, over a lock or a function inside
        explained = bool(str(refusal)) and refusal.__traceback__ is not None and refusal.__traceback__.tb_next is not None
        assert explained, (
            f"{describe(refusal)}: that is a riddle to who pickles a client. Write __reduce__(), which gives the class and its arguments, "
            "or raises a TypeError that says why not, and what to use instead"
        )
        assert_hidden(str(refusal), secrets)
        return None
    except Exception as error:
        raise AssertionError(f"what is not pickled says so with a TypeError, not with {describe(error)}") from error
    assert_hidden(data.decode("latin-1"), secrets)
    return data


def fingerprint_elsewhere(source: bytes) -> str | None:
    """Give the fingerprint of a pickled source in a new process, where texts have other hashes.

    None if it cannot be loaded there, such as one whose class is in a test file that only pytest finds.
    """
    given = json.dumps({"path": sys.path, "source": source.hex()})
    environment = {**os.environ, "PYTHONHASHSEED": "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"}
    command = [sys.executable, "-c", _ELSEWHERE]
    result = subprocess.run(command, input=given, env=environment, capture_output=True, text=True, timeout=_STARTING, check=False)
    return None if result.returncode else str(json.loads(result.stdout.splitlines()[-1]))
