"""The files that samples and likelihoods are written to: .npz, .npy and .csv, or CSV on stdout. No pickle."""

import csv
import io
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from diffuse_cli import files
from diffuse_cli.datasets.dataset import Standardiser
from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.models.draw import Drawn

STDOUT = Path("-")
_KNOWN = (".npz", ".npy", ".csv")
_DIGITS = 6  # of a column's scale that are written at least: about what single precision has in model space
_MORE = 4  # decimals that are tried beyond these before all are written
_ALL = 400  # decimals: as many as any float64 has


def check_samples_path(path: Path, *, trajectory: bool = False) -> None:
    """Check, before anything is computed, that samples can be written to `path`.

    Raises UsageError for an unknown ending, for a folder, and for a file type that cannot hold the trajectory that is
    asked for; DiffuseError where the folder does not exist.
    """
    if path != STDOUT and path.suffix not in _KNOWN:
        raise UsageError(f"cannot write to {path.name!r}; known endings are {', '.join(_KNOWN)}, and - for stdout")
    if trajectory and path.suffix != ".npz":
        raise UsageError(f"only a .npz file holds a trajectory, not {str(path)!r}")
    if path.is_dir():
        raise UsageError(f"{path} is a folder, not a file")
    if not path.parent.is_dir():
        raise DiffuseError(f"cannot write {path}: there is no folder {path.parent}")


def write_samples(path: Path, drawn: Drawn, standard: Standardiser, columns: Sequence[str]) -> None:
    """Write samples [n, d] in data units, in the format that the ending of the path names.

    .csv: a header of the names of the `columns` [d], then a line for each sample, with the digits that tell samples
    apart, and `label` where samples were told one, or the columns that were given. .npy: the array, float64. .npz:
    `samples`, float64, and `label` [n], text, or `given` [c] with the names `given_columns` [c]; with a trajectory also
    `trajectory` [steps + 1, n, d] and `x0_hat` [steps, n, d] in model units, `log_snr`, `alpha` and `sigma` [steps + 1]
    from noisiest to clean, and `mean`, `scale` [d]: data = mean + scale · model.

    Raises DiffuseError where the file cannot be written.
    """
    labels = [] if drawn.labels is None else [drawn.labels.tolist()]
    given = drawn.given or {}
    header = [*columns, *(["label"] if labels else []), *given]

    def table() -> list[list[str]]:
        told = [[repr(value).removesuffix(".0")] * len(drawn.samples) for value in given.values()]
        return [*_told_apart(drawn.samples, standard.scale), *labels, *told]

    _write(path, _arrays(drawn, standard), header, table)


def write_log_p(
    path: Path,
    points: np.ndarray,
    log_p: np.ndarray,
    stderr: np.ndarray,
    columns: Sequence[str],
    scale: np.ndarray | None = None,
) -> None:
    """Write points [n, d] in data units, their log p [n] in nats, and its standard errors [n].

    .csv: the points under the names of their `columns` [d], then log_p and stderr. .npy: log_p alone. .npz: `log_p`,
    `stderr` and `points`. scale [d]: the scale of each column, where the points have been through model space in single
    precision, which leaves digits without a meaning; points without it are written with all of theirs. Raises
    DiffuseError where the file cannot be written.
    """
    arrays = {"log_p": log_p, "stderr": stderr, "points": points}

    def table() -> list[list[str]]:
        judged = [[f"{value:.9g}" for value in column.tolist()] for column in (log_p, stderr)]
        return [*_told_apart(points, np.zeros(points.shape[1]) if scale is None else scale), *judged]

    _write(path, arrays, [*columns, "log_p", "stderr"], table)


def write_label_log_p(
    path: Path,
    points: np.ndarray,
    log_p: np.ndarray,
    names: Sequence[str],
    log_p_whole: np.ndarray,
    columns: Sequence[str],
    scale: np.ndarray | None = None,
) -> None:
    """Write points [n, d], their log p given each of k labels, log_p [k, n], and log_p_whole [n], that of p(x).

    .csv: the points, then `log_p`, that of p(x), and `log_p | NAME` for each label. .npy: log_p alone. .npz: `log_p`
    [k, n], `labels` [k], `log_p_whole` and `points`. scale: as in `write_log_p`. Raises DiffuseError where the file
    cannot be written.
    """
    arrays = {"log_p": log_p, "labels": np.array(names), "log_p_whole": log_p_whole, "points": points}

    def table() -> list[list[str]]:
        judged = [[f"{value:.9g}" for value in column.tolist()] for column in (log_p_whole, *log_p)]
        return [*_told_apart(points, np.zeros(points.shape[1]) if scale is None else scale), *judged]

    _write(path, arrays, [*columns, "log_p", *(f"log_p | {name}" for name in names)], table)


def _told_apart(points: np.ndarray, scale: np.ndarray) -> list[list[str]]:
    """The columns of points [n, d] as text: each with as many decimals as tell its values apart, and at least those of
    a millionth of its `scale` [d]; with all that a float64 has where the scale is 0."""
    return [_column(column, float(each)) for column, each in zip(np.asarray(points, float).T, scale, strict=True)]


def _column(values: np.ndarray, scale: float) -> list[str]:
    distinct = len(np.unique(values))
    first = _DIGITS - math.floor(math.log10(scale)) if scale > 0 else _ALL
    for decimals in range(first, first + _MORE):
        rounded = [round(value, decimals) for value in values.tolist()]
        if len(set(rounded)) == distinct:
            break
    else:
        rounded = values.tolist()
    return [repr(value).removesuffix(".0") for value in rounded]  # repr: the fewest digits that give the same float64


def _write(
    path: Path, arrays: dict[str, Any], header: Sequence[str], columns: Callable[[], Sequence[Sequence[str]]]
) -> None:
    """Write the arrays as .npz, the first of them as .npy, or the columns of text as CSV."""
    buffer = io.BytesIO()
    if path.suffix == ".npz":
        np.savez(buffer, **arrays)
    elif path.suffix == ".npy":
        np.save(buffer, next(iter(arrays.values())), allow_pickle=False)
    else:
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")  # a name may hold a comma or a quote
        lines.writerow(header)
        lines.writerows(zip(*columns(), strict=True))
        buffer.write(text.getvalue().encode())
    write_bytes(path, buffer.getvalue())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, or text on stdout. Raises DiffuseError where the file cannot be written."""
    if path == STDOUT:
        sys.stdout.write(content.decode())
    else:
        files.write_file(path, content)


def _arrays(drawn: Drawn, standard: Standardiser) -> dict[str, np.ndarray]:
    arrays = {"samples": drawn.samples} | ({} if drawn.labels is None else {"label": drawn.labels})
    if drawn.given is not None:
        arrays |= {"given": np.array(list(drawn.given.values())), "given_columns": np.array(list(drawn.given))}
    if drawn.path is None:
        return arrays
    return {
        **arrays,
        "trajectory": drawn.path.x,
        "x0_hat": drawn.path.x0,
        **drawn.levels._asdict(),
        **standard._asdict(),
    }
