"""The error a user can mend: one line that says what is wrong, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """Bad input. `launch` prints the message as one line and exits with status 2."""


@contextmanager
def located(place: str) -> Iterator[None]:
    """Put the place, such as a file's name, before the message of a UserError."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{place}: {error}") from error
