"""The command line: ``animus ask``, ``chat``, ``demo``, ``emulator``, ``token-server``."""
