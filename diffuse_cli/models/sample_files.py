"""The files that samples and likelihoods are written to: .npz, .npy and .csv, or CSV on stdout. No pickle."""

import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from diffuse_cli import files
from diffuse_cli.datasets.dataset import Standardiser
from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.models.draw import Drawn

STDOUT = Path("-")
_KNOWN = (".npz", ".npy", ".csv")


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

    .csv: a header of the names of the `columns` [d], then a line for each sample. .npy: the array, float32. .npz:
    `samples`; with a trajectory also `trajectory` [steps + 1, n, d] and `x0_hat` [steps, n, d] in model units,
    `log_snr`, `alpha` and `sigma` [steps + 1] from noisiest to clean, and `mean`, `scale` [d]: data = mean + scale ·
    model. Raises DiffuseError where the file cannot be written.
    """
    _write(path, _arrays(drawn, standard), columns, drawn.samples)


def write_log_p(path: Path, points: np.ndarray, log_p: np.ndarray, stderr: np.ndarray, columns: Sequence[str]) -> None:
    """Write points [n, d] in data units, their log p [n] in nats, and its standard errors [n].

    .csv: the points under the names of their `columns` [d], then log_p and stderr. .npy: log_p alone. .npz: `log_p`,
    `stderr` and `points`. Raises DiffuseError where the file cannot be written.
    """
    table = np.column_stack([points, log_p, stderr])
    arrays = {"log_p": log_p, "stderr": stderr, "points": points}
    _write(path, arrays, [*columns, "log_p", "stderr"], table)


def _write(path: Path, arrays: dict[str, Any], header: Sequence[str], table: np.ndarray) -> None:
    """Write the arrays as .npz, the first of them as .npy, or the table as CSV."""
    buffer = io.BytesIO()
    if path.suffix == ".npz":
        np.savez(buffer, **arrays)
    elif path.suffix == ".npy":
        np.save(buffer, next(iter(arrays.values())).astype(np.float32), allow_pickle=False)
    else:
        names = io.StringIO()
        csv.writer(names, lineterminator="\n").writerow(header)  # a name may hold a comma or a quote
        buffer.write(names.getvalue().encode())
        np.savetxt(buffer, table, fmt="%.9g", delimiter=",")
    if path == STDOUT:
        sys.stdout.write(buffer.getvalue().decode())
    else:
        files.write_file(path, buffer.getvalue())


def _arrays(drawn: Drawn, standard: Standardiser) -> dict[str, np.ndarray]:
    if drawn.path is None:
        return {"samples": drawn.samples.astype(np.float32)}
    return {
        "samples": drawn.samples.astype(np.float32),
        "trajectory": drawn.path.x,
        "x0_hat": drawn.path.x0,
        **drawn.levels._asdict(),
        **standard._asdict(),
    }
