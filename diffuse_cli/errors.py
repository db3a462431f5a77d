"""The errors a user can cause. Each is shown as one line, `Error: …`, and ends the process with its own exit status."""

from collections.abc import Iterable


class DiffuseError(Exception):
    """Something failed for a reason the user can act on: a missing file, a broken checkpoint, a full disk."""

    exit_code = 1


class UsageError(DiffuseError):
    """What was asked for has no meaning: an unknown name, an impossible number, options that exclude each other."""

    exit_code = 2


class DivergedError(DiffuseError):
    """Training produced a loss that is not a finite number; the last good checkpoint is kept."""

    exit_code = 3


def unknown(what: str, given: str, known: Iterable[str]) -> UsageError:
    """The error for a name that is not among the known ones: names the nearest, then all of them."""
    import difflib

    known = list(known)
    near = difflib.get_close_matches(given, known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return UsageError(f"unknown {what} {given!r}{hint} Known: {', '.join(known) or 'none'}.")
