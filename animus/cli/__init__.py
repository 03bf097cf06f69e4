"""The command line: ``animus ask``, ``animus demo``, ``animus emulator``."""
