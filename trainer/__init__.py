"""The trainer: makes what the handlers read. `python -m trainer --help` lists its commands."""
