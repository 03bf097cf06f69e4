"""Have requests trust the benchmark's server beside all public authorities, with ``verify=True`` as people leave it."""

from __future__ import annotations

import certifi

from benchmarks.worker import Place


def trust(place: Place) -> None:
    """Put the bundle in certifi's place. To be called before requests is imported, which asks for it once."""
    certifi.where = lambda: place.bundle
