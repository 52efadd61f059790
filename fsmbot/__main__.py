"""`python -m fsmbot`."""

from fsmbot.cli import run

if __name__ == "__main__":
    run()
