"""Checkpoints: one safetensors file with all arrays by name, and the settings as text in its header. No pickle.

The header holds a checksum of all the rest, since one changed bit would give other samples and no error.
"""

import hashlib
import json
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import msgspec
import numpy as np
import safetensors
import safetensors.numpy
from safetensors import SafetensorError

from diffuse_cli import __version__, files
from diffuse_cli.errors import DiffuseError

_KEY, _FORMAT, _CHECKSUM = "diffuse", "2", "checksum"
_WITHOUT_CHECKSUM = "1"  # the format of older checkpoints, which can still be read
_MOST_PROBLEMS = 8  # that a message lists


def flatten(tree: Any, prefix: str) -> dict[str, np.ndarray]:
    """The arrays of a pytree by dotted path.

    >>> list(flatten({"first": {"bias": np.zeros(3)}}, "weights"))
    ['weights.first.bias']
    """
    return {name: np.asarray(leaf) for name, leaf in _named(tree, prefix)}


def restore(template: Any, tensors: Mapping[str, np.ndarray], prefix: str) -> Any:
    """The pytree with the structure of `template` and the arrays of `tensors`.

    Raises DiffuseError, which lists the arrays that are missing, unexpected, or of another shape or type.
    """
    wanted = _named(template, prefix)
    problems = [f"{name} is missing" for name, _ in wanted if name not in tensors]
    names = {name for name, _ in wanted}
    problems += [f"{name} is unexpected" for name in tensors if name.partition(".")[0] == prefix and name not in names]
    problems += [
        f"{name} is {tensors[name].dtype}{list(tensors[name].shape)}, not {leaf.dtype}{list(leaf.shape)}"
        for name, leaf in wanted
        if name in tensors and (tensors[name].shape != leaf.shape or tensors[name].dtype != leaf.dtype)
    ]
    if problems:
        more = len(problems) - _MOST_PROBLEMS
        listed = "; ".join(problems[:_MOST_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")
        raise DiffuseError(f"the checkpoint does not fit its settings: {listed}")
    return jax.tree.unflatten(jax.tree.structure(template), [jax.device_put(tensors[name]) for name, _ in wanted])


def _named(tree: Any, prefix: str) -> list[tuple[str, Any]]:
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return [
        (f"{prefix}.{jax.tree_util.keystr(path, simple=True, separator='.')}".rstrip("."), leaf)
        for path, leaf in leaves
    ]


def save_checkpoint(path: Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write a checkpoint, whole or not at all. Raises DiffuseError where it cannot be written."""
    header = {"versions": json.dumps(versions()), **metadata, "format": _FORMAT}
    arrays = {name: np.asarray(value, order="C") for name, value in tensors.items()}
    header[_CHECKSUM] = _checksum(arrays, header)
    # one entry, because safetensors writes several in no fixed order and equal runs should be equal files
    files.write_file(path, safetensors.numpy.save(arrays, {_KEY: json.dumps(header, sort_keys=True)}))


def load_checkpoint(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays and the metadata of a checkpoint. Raises DiffuseError if it is missing, damaged or foreign."""
    header = _read_header(path)
    try:
        tensors = safetensors.numpy.load(path.read_bytes())
    except (OSError, SafetensorError) as error:
        raise DiffuseError(f"cannot read checkpoint {path}: {error}") from error
    checksum = header.pop(_CHECKSUM, None)
    if header["format"] != _WITHOUT_CHECKSUM and checksum != _checksum(tensors, header):
        raise DiffuseError(f"{path} is damaged: its checksum is not that of its contents")
    return tensors, header


def _checksum(tensors: Mapping[str, np.ndarray], header: Mapping[str, str]) -> str:
    """SHA-256 of all arrays with their names, types and shapes, and of the header."""
    digest = hashlib.sha256(json.dumps(dict(header), sort_keys=True).encode())
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def read_header(path: Path) -> dict[str, str]:
    """The metadata of a checkpoint, without its arrays and unchecked against them. Raises DiffuseError like
    `load_checkpoint`."""
    header = _read_header(path)
    header.pop(_CHECKSUM, None)
    return header


def _read_header(path: Path) -> dict[str, str]:
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = msgspec.json.decode((file.metadata() or {}).get(_KEY, "{}"), type=dict[str, str])
    except OSError as error:
        raise DiffuseError(f"cannot read checkpoint {path}: {error.strerror or error}") from error
    except (SafetensorError, ValueError) as error:  # those of msgspec too
        raise DiffuseError(f"{path} is damaged or not a checkpoint: {error}") from error
    if not metadata:
        raise DiffuseError(f"{path} is not a diffuse checkpoint, but another safetensors file")
    if metadata.get("format") not in (_FORMAT, _WITHOUT_CHECKSUM):
        raise DiffuseError(
            f"{path} is a checkpoint of format {metadata.get('format')!r}; this version reads {_FORMAT!r}"
        )
    return metadata


def versions() -> dict[str, str]:
    """The versions of `diffuse`, Python and the packages that decide what a training run computes."""
    names = {"diffuse": __version__, "python": platform.python_version()}
    return names | {package: version(package) for package in ("jax", "flax", "optax", "numpy")}
