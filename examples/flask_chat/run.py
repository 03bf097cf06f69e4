"""Try the page: ``python run.py``, against the emulator, or with ``ANIMUS_API_KEY`` and ``CHAT_USERS`` against the platform."""

from app import create_app
from demo import run

if __name__ == "__main__":
    run(create_app)
