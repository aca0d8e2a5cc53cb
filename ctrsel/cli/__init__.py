"""The command line: thin commands over the api; no heavy library loads before a command needs it."""

from ctrsel.cli.app import main

__all__ = ["main"]
