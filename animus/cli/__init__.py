"""The command line: ``animus ask``, ``chat``, ``demo``, ``doctor``, ``emulator``, ``token-server``."""
