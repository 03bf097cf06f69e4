from __future__ import annotations

from collections.abc import Iterator

import pytest
from fake_vault import FakeVault


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeVault]:
    """Give a Vault, to which the environment leads."""
    with FakeVault() as vault:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "VAULT_NAMESPACE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("VAULT_ADDR", vault.url)
        monkeypatch.setenv("VAULT_TOKEN", vault.token)
        yield vault
