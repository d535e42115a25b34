"""Errors that a user can cause: one line, exit code 2."""

from __future__ import annotations

import functools
from pathlib import Path

import click


class OneLine(click.ClickException):
    """An error shown as one line, without the usage text of click's own usage errors."""

    exit_code = 2


def one_line_errors(command):
    """Turn a ValueError or OSError of a command into one line and exit code 2."""

    @functools.wraps(command)
    def wrapped(*args, **options):
        try:
            return command(*args, **options)
        except ValueError as error:
            raise OneLine(" ".join(str(error).split())) from None
        except BrokenPipeError:  # the reader of the output, such as `head`, has seen enough
            raise
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            raise OneLine(f"{error.strerror or error}{where}: choose another folder") from None

    return wrapped


def short(path: Path) -> str:
    """Return a path as seen from the current folder, where it lies below it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
