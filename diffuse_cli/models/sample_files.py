"""The files that samples and likelihoods are written to: .npz, .npy and .csv, or CSV on stdout. Never pickle."""

import io
import sys
from pathlib import Path

import numpy as np

from diffuse_cli import files
from diffuse_cli.datasets.dataset import Standardiser
from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.models.draw import Drawn

STDOUT = Path("-")
_KNOWN = (".npz", ".npy", ".csv")


def check_samples_path(path: Path, *, trajectory: bool = False) -> None:
    """Raise, before anything is computed, if nothing could be written there: UsageError for an unknown ending or a path
    that must hold a trajectory and cannot, DiffuseError for a folder that does not exist."""
    if path != STDOUT and path.suffix not in _KNOWN:
        raise UsageError(f"cannot write to {path.name!r}; known endings are {', '.join(_KNOWN)}, and - for stdout")
    if trajectory and path.suffix != ".npz":
        raise UsageError(f"only a .npz file holds a trajectory, not {str(path)!r}")
    if path.is_dir():
        raise UsageError(f"{path} is a folder, not a file")
    if not path.parent.is_dir():
        raise DiffuseError(f"cannot write {path}: there is no folder {path.parent}")


def write_samples(path: Path, drawn: Drawn, standard: Standardiser) -> None:
    """Write samples [n, d] in data units, by the path's ending.

    .csv: a header x,y,z (x0,x1,… beyond three columns), then a line each. .npy: the array, float32. .npz: `samples`;
    with a path also `trajectory` [steps + 1, n, d] and `x0_hat` [steps, n, d] in model units, `log_snr`, `alpha` and
    `sigma` [steps + 1] from noisiest to clean, and `mean`, `scale` [d]: data = mean + scale · model.
    """
    _write(path, _arrays(drawn, standard), columns(drawn.samples.shape[1]), drawn.samples)


def write_log_p(path: Path, points: np.ndarray, log_p: np.ndarray, stderr: np.ndarray) -> None:
    """Write log p [n] of points [n, d] (data units; nats), and the standard error of each, by the path's ending.

    .csv: the point's columns, then log_p and stderr. .npy: log_p alone. .npz: `log_p`, `stderr` and `points`.
    """
    table = np.column_stack([points, log_p, stderr])
    arrays = {"log_p": log_p, "stderr": stderr, "points": points}
    _write(path, arrays, [*columns(points.shape[1]), "log_p", "stderr"], table)


def _write(path: Path, arrays: dict[str, np.ndarray], header: list[str], table: np.ndarray) -> None:
    """The arrays as .npz, the first of them as .npy, or the table as CSV."""
    buffer = io.BytesIO()
    if path.suffix == ".npz":
        np.savez(buffer, **arrays)
    elif path.suffix == ".npy":
        np.save(buffer, next(iter(arrays.values())).astype(np.float32), allow_pickle=False)
    else:
        np.savetxt(buffer, table, fmt="%.9g", delimiter=",", header=",".join(header), comments="")
    if path == STDOUT:
        sys.stdout.write(buffer.getvalue().decode())
    else:
        files.write_file(path, buffer.getvalue())


def columns(dim: int) -> list[str]:
    """The names of `dim` coordinates."""
    return list("xyz"[:dim]) if dim <= 3 else [f"x{i}" for i in range(dim)]


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
