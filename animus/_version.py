"""The version, where rooms can read it without the package's table."""

__version__ = "0.1.0"
