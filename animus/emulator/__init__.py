"""A stand-in for the Animus platform on your own machine, for tests, demonstrations and work without a network.

>>> from animus.emulator import Emulator                                     # doctest: +SKIP
>>> with Emulator() as emulator:                                             # doctest: +SKIP
...     client = AnimusClient(emulator.token_url, api_base_url=emulator.api_base_url, chat=...)
...     client.chat.send("Hello!")
...     emulator.requests.count(kind="api")

It is the other side of the wire and shares no code with the client. It needs Flask: ``pip install "animus-client[emulator]"``.
"""

from __future__ import annotations

try:
    import flask as _flask  # noqa: F401
except ImportError as _error:
    raise ImportError('The emulator needs Flask. Install it with: pip install "animus-client[emulator]"', name="flask") from _error

from animus.emulator.emulator import Emulator, serve
from animus.emulator.faults import ArmedFault, Fault
from animus.emulator.recording import RecordedRequest, Recording
from animus.emulator.script import Script

__all__ = ["ArmedFault", "Emulator", "Fault", "RecordedRequest", "Recording", "Script", "serve"]
