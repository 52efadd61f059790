"""`python -m fsmbot`."""

try:
    from fsmbot.cli import run
except KeyboardInterrupt:  # within the first tenth of a second
    raise SystemExit(130) from None

if __name__ == "__main__":
    run()
