"""The layers behind and over the points: the density of noised data, and the arrows of the denoiser's field."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.diffusion import denoisers, exact, likelihood, parameterizations
from diffuse_cli.diffusion.process import Process, angle_of, log_snr_of
from diffuse_cli.figures import grids
from diffuse_cli.models.data import truth_of
from diffuse_cli.models.model import Model
from diffuse_cli.report.packing import text_of
from diffuse_cli.report.scene import Projection

LEVELS = 20
_CELLS = {"histogram": (240,), "plane": (80, 80)}  # of the density
_ARROWS = 19  # along either side of a plane
_SHARPEST = 0.4  # cells: noise of a smaller standard deviation leaves details that the grid cannot show


def layer_levels(process: Process, sharpest: float = 0.0) -> np.ndarray:
    """The log-SNR [LEVELS] of levels equally spaced in the angle atan(sigma / alpha), from t = 1/T, or from the angle
    `sharpest` if that is noisier, to t = 1."""
    ends = angle_of(np.asarray(process.schedule(jnp.array([1 / process.timesteps, 1.0], jnp.float32))))
    first = min(max(ends[0], sharpest), ends[1])
    return log_snr_of(np.linspace(first, ends[1], LEVELS))


def density_layer(model: Model, dataset: Dataset, projection: Projection) -> dict[str, Any] | None:
    """The density of noised data of one or two columns, at the centres of cells; None for more columns.

    In a plane the values of each level are divided by their maximum, and the square root is stored in 8 bits. On a line
    all values are divided by the maximum over all levels, and stored in 16 bits.
    """
    if projection.kind not in _CELLS:
        return None
    reference, cells = grids.reference_law(model.config, dataset), _CELLS[projection.kind]
    width = float(np.ptp(projection.limits[0])) / cells[0]
    at = layer_levels(model.process, np.arctan(_SHARPEST * width))
    places = likelihood.grid(projection.limits[:, 0], projection.limits[:, 1], cells)[1]
    density = grids.densities_on_grid(reference.law, at, places)
    plane = projection.kind == "plane"
    top = density.reshape(LEVELS, -1).max(axis=1) if plane else np.full(LEVELS, density.max())
    share = density / top.reshape(-1, *[1] * len(cells))
    coded = np.rint(255 * np.sqrt(share)).astype(np.uint8) if plane else np.rint(65535 * share).astype("<u2")
    return {
        "angle": angle_of(at).tolist(),
        "cells": cells,
        "values": text_of(np.swapaxes(coded, 1, 2) if plane else coded),  # an image is stored row by row along x
        "top": float(density.max()),
        "smoothed": reference.smoothed,
    }


def field_layer(model: Model, dataset: Dataset, projection: Projection) -> dict[str, Any] | None:
    """v = alpha eps − sigma x0 of the model on a coarse grid of the plane, and the exact v; None unless d = 2, and
    for a model without a denoiser.

    The exact v is left out where the law is unknown, and for a flow between pairs, whose velocity is another field. In
    the space of the frames v is the velocity dx/d(angle) of the flow. Together with x it gives the predicted noise,
    eps = sigma x + alpha v, and the score −eps / sigma.
    """
    if projection.kind != "plane" or model.direct is not None:
        return None
    at = layer_levels(model.process)
    places = likelihood.grid(projection.limits[:, 0], projection.limits[:, 1], (_ARROWS, _ARROWS))[1]
    fields = {
        "model": grids.fields_on_grid(
            model._replace(each_row=False).for_sampling(len(places)), parameterizations.v(), at, places
        )
    }
    law = truth_of(dataset)
    if law is not None and not model.is_exact and model.kind == "denoiser":
        fields["exact"] = grids.fields_on_grid(_denoiser(law), parameterizations.v(), at, places)
    return {
        "angle": angle_of(at).tolist(),
        "cells": _ARROWS,
        "score": model.kind == "denoiser",
        "values": {name: text_of(_squeezed(v)) for name, v in fields.items()},
    }


def _squeezed(v: np.ndarray) -> np.ndarray:
    """Arrows [..., 2] with the direction of v and the length |v| / (1 + |v|), in 16 bits: far from the data |v| can be
    hundreds of times as large as near them, and both must be visible."""
    return np.rint(v / (1 + np.linalg.norm(v, axis=-1, keepdims=True)) * 32767).astype("<i2")


def _denoiser(law: exact.Law) -> denoisers.Predict:
    return jax.tree_util.Partial(exact.denoiser(law))
