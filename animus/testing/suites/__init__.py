"""What every token source and every token store promises, as tests to inherit.

A package that brings a source or store has one class in its tests, with one factory method:

.. code-block:: python

    from animus.testing.suites import TokenSourceSuite

    class TestVaultTokenSource(TokenSourceSuite):
        def make_source(self):
            return VaultTokenSource("secret/animus")

The tests speak of promises alone: what a client relies on, whatever is inside. The sources and stores of this package inherit them, too.
They are for pytest (``pip install pytest``), and not for ``unittest``: they use its fixtures and parameters. Fixtures may be used as in
any class (``@pytest.fixture(autouse=True)`` on a method sets something up).
"""

from animus.testing.suites.source_suite import TokenSourceSuite
from animus.testing.suites.store_suite import TokenStoreSuite

__all__ = ["TokenSourceSuite", "TokenStoreSuite"]
