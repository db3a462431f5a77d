"""The errors that a user can cause. The command line shows one line, `Error: …`, and exits with their `exit_code`."""

from collections.abc import Iterable


class DiffuseError(Exception):
    """Something failed for a reason the user can act on: a missing file, a broken checkpoint, a full disk."""

    exit_code = 1


class UsageError(DiffuseError):
    """A request that makes no sense: an unknown name, an impossible number, options that exclude each other."""

    exit_code = 2


class DivergedError(DiffuseError):
    """Training produced a loss that is not a finite number; the last good checkpoint is kept."""

    exit_code = 3


def unknown(what: str, given: str, known: Iterable[str]) -> UsageError:
    """The error for a name that is not among the known ones; it shows the nearest of them, then all.

    >>> print(unknown("sampler", "dimm", ["ddpm", "ddim"]))
    unknown sampler 'dimm'; did you mean 'ddim'? Known: ddpm, ddim.
    """
    import difflib

    known = list(known)
    near = difflib.get_close_matches(given, known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return UsageError(f"unknown {what} {given!r}{hint} Known: {', '.join(known) or 'none'}.")
