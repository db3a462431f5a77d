"""What can be drawn behind the points: the density of noised data, and the arrows of the denoiser's field."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.diffusion import denoisers, exact, likelihood, parameterizations
from diffuse_cli.diffusion.process import Process, angle_of, log_snr_of
from diffuse_cli.figures import grids
from diffuse_cli.figures.grids import ReferenceLaw
from diffuse_cli.models.model import Model
from diffuse_cli.report.packing import text_of
from diffuse_cli.report.scene import Drawing

LEVELS = 20
_CELLS = {"histogram": (240,), "plane": (80, 80)}  # of the density
_ARROWS = 19  # along either side of a plane
_SHARPEST = 0.4  # cells: a density less blurred than this would show the grid and not itself


def layer_levels(process: Process, sharpest: float = 0.0) -> np.ndarray:
    """The log-SNR [LEVELS] of levels equally far apart in atan(sigma / alpha), from t = 1/T, or from the angle
    `sharpest` if that is noisier, to t = 1."""
    ends = angle_of(process.schedule(jnp.array([1 / process.timesteps, 1.0], jnp.float32)))
    first = min(max(ends[0], sharpest), ends[1])
    return log_snr_of(np.linspace(first, ends[1], LEVELS))


def density_layer(model: Model, dataset: Dataset, drawing: Drawing) -> dict[str, Any] | None:
    """The density of noised data at the centres of cells, of one or two columns; None where there are more.

    Each level of a plane is a share of its own highest value, its square root in 8 bits; on a line all are shares of
    the highest of all, in 16 bits.
    """
    if drawing.kind not in _CELLS:
        return None
    ground, cells = grids.reference_law(model.config, dataset), _CELLS[drawing.kind]
    width = float(np.ptp(drawing.limits[0])) / cells[0]
    at = layer_levels(model.process, np.arctan(_SHARPEST * width))
    places = likelihood.grid(drawing.limits[:, 0], drawing.limits[:, 1], cells)[1]
    found = grids.densities_on_grid(ground.law, at, places)
    plane = drawing.kind == "plane"
    top = found.reshape(LEVELS, -1).max(axis=1) if plane else np.full(LEVELS, found.max())
    share = found / top.reshape(-1, *[1] * len(cells))
    coded = np.rint(255 * np.sqrt(share)).astype(np.uint8) if plane else np.rint(65535 * share).astype("<u2")
    return {
        "angle": angle_of(at).tolist(),
        "cells": cells,
        "values": text_of(np.swapaxes(coded, 1, 2) if plane else coded),  # a picture has its rows along x
        "top": float(found.max()),
        "smoothed": ground.smoothed,
    }


def field_layer(model: Model, dataset: Dataset, drawing: Drawing) -> dict[str, Any] | None:
    """v = alpha eps − sigma x0 of the model on a coarse grid of the plane, and the exact one's where it is known and
    the same: the flow between pairs is another.

    In the space of the frames v is the velocity dx/d(angle) of the flow, and with x it says the noise that is seen,
    eps = sigma x + alpha v, so that the score is −eps / sigma. None for other than two columns.
    """
    if drawing.kind != "plane":
        return None
    at = layer_levels(model.process)
    places = likelihood.grid(drawing.limits[:, 0], drawing.limits[:, 1], (_ARROWS, _ARROWS))[1]
    found = {"model": grids.fields_on_grid(model.for_sampling(), parameterizations.v(), at, places)}
    ground = grids.reference_law(model.config, dataset)
    if not ground.smoothed and model.trained and model.kind == "denoiser":
        found["exact"] = grids.fields_on_grid(_denoiser(ground), parameterizations.v(), at, places)
    return {
        "angle": angle_of(at).tolist(),
        "cells": _ARROWS,
        "score": model.kind == "denoiser",
        "values": {name: text_of(_squeezed(v)) for name, v in found.items()},
    }


def _squeezed(v: np.ndarray) -> np.ndarray:
    """Arrows [..., 2] with |v| / (1 + |v|) for their length, in 16 bits: far from fine data v is hundreds of times what
    it is among them, and both have to be seen."""
    return np.rint(v / (1 + np.linalg.norm(v, axis=-1, keepdims=True)) * 32767).astype("<i2")


def _denoiser(ground: ReferenceLaw) -> denoisers.Predict:
    return jax.tree_util.Partial(exact.denoiser(ground.law))
