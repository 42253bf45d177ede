"""The command line, `popsparse`. What a command needs beyond its options is imported when it runs."""

from .app import app, main

__all__ = ["app", "main"]
