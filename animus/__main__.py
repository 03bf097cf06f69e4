"""``python -m animus`` is the command ``animus``."""

from animus.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
