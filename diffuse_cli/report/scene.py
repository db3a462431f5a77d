"""The trajectories of points for the page: coordinates, limits, frames, colours."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from diffuse_cli.datasets.dataset import Dataset, as_points
from diffuse_cli.diffusion.process import Process, angle_of
from diffuse_cli.figures.paths import Trajectory, forward_trajectory, reverse_trajectory
from diffuse_cli.models.defaults import DENOISER
from diffuse_cli.models.draw import Method, draw_samples
from diffuse_cli.models.model import Model
from diffuse_cli.plots.columns import Columns
from diffuse_cli.plots.panels import kind_of
from diffuse_cli.plots.point_colors import by_rank, principal_axes
from diffuse_cli.plots.style import LIGHT
from diffuse_cli.report.packing import packed, packed_size, text_of

SAMPLER_FRAMES = 41  # of a sampler's trajectory; the page interpolates between them
_CURVES = 40  # more of them would hide each other
_COLUMNS = 128  # values of a curve that are drawn
_NOISE = 1.570796326794  # an angle just below π/2
_KNOTS = 1001  # times at which the schedule is stored
PAGE_SHADES = 32  # of points
_LETTERS = 1_400_000  # of the page that hold the points of all samplers
_AXES = {"histogram": 1, "plane": 2, "projected": 2, "space": 3}


class Ways(NamedTuple):
    """The forward trajectory of the data, and the reverse trajectory of each method, all with the clean end first."""

    data: Trajectory
    samplers: list[Trajectory]


class Projection(NamedTuple):
    """The projection and the limits by which samples are drawn.

    kind: as plots.panels.kind_of. axes [d, a]: a sample x [d] is drawn at x @ axes, a linear map, which can be applied
    to x0 and to the noise separately. limits [a, 2]: of the panels; for curves [1, 2], of the value.
    """

    kind: str
    axes: np.ndarray
    limits: np.ndarray

    @property
    def bounds(self) -> tuple[float, float]:
        """The interval of the packed coordinates: the limits, extended by their width on both sides."""
        low, high = float(self.limits.min()), float(self.limits.max())
        return 2 * low - high, 2 * high - low


def most(model: Model, methods: list[Method]) -> int:
    """The largest number of samples that fits into a page with these methods."""
    kind = kind_of(as_points(model.view), model.dim)
    if kind == "curves":
        return _CURVES
    frames = 2 + sum(min(method.steps + 1, SAMPLER_FRAMES) for method in methods)  # two: data and noise
    shades = 2 + len(methods)  # by the noise, and by the clean end of each trajectory
    return int(_LETTERS / (packed_size(3 * frames * _AXES[kind]) / 3 + shades * 4 / 3))


def travel(model: Model, dataset: Dataset, methods: list[Method], count: int, seed: int) -> Ways:
    """The trajectories of `count` points; the data end in the same noise from which every method starts.

    Samples of a model without a denoiser are where they are at all times.

    Raises UsageError and DiffuseError like `models.draw.draw_samples`.
    """
    if model.direct is not None:
        denoiser = Method(DENOISER.sampler, "uniform", DENOISER.sampler_steps)
        data = forward_trajectory(model._replace(direct=None), denoiser, dataset, count, seed)
        points = model.standard.to_model(draw_samples(model, methods[0], count, seed).samples)
        ends = np.array([0, -1])
        return Ways(data, [Trajectory(np.stack([points, points]), data.log_snr[ends], data.t[ends])])
    back = [
        reverse_trajectory(model, draw_samples(model, method, count, seed, trajectory=True)).back()
        for method in methods
    ]
    return Ways(forward_trajectory(model, methods[0], dataset, count, seed), back)


def thinned(way: Trajectory) -> Trajectory:
    """At most SAMPLER_FRAMES frames of a trajectory, clean end first, at rising times.

    Of several frames at one time the first is taken, which in a reverse trajectory is the last one computed.
    """
    way = way.at(np.concatenate([[True], np.diff(way.t) > 0]))
    return way.at(np.unique(np.rint(np.linspace(0, len(way.t) - 1, SAMPLER_FRAMES)).astype(int)))


def projection_of(model: Model, ways: Ways) -> Projection:
    """The Projection that shows all these trajectories in panels of equal scale."""
    kind = kind_of(as_points(model.view), model.dim)
    if kind == "curves":
        axes = np.eye(model.dim)[:, np.unique(np.linspace(0, model.dim - 1, _COLUMNS).astype(int))]
    else:
        axes = np.eye(model.dim)[:, : _AXES[kind]] if kind != "projected" else principal_axes(ways.data.x[0], 2)[1]
    clouds = [way.x @ axes for way in (ways.data, *ways.samplers)]
    values = np.concatenate([cloud.reshape(-1, 1 if kind == "curves" else axes.shape[1]) for cloud in clouds])
    low, high = np.quantile(values, [0.0015, 0.9985], axis=0)
    half = 0.54 * max(float((high - low).max()), 1e-3)
    middle = (low + high) / 2
    return Projection(kind, axes, np.stack([middle - half, middle + half], axis=1))


def scene_document(model: Model, methods: list[Method], ways: Ways, projection: Projection) -> dict[str, Any]:
    """The part of the document from which the page draws the points.

    The forward trajectory is stored as clean samples and noises, from which x = alpha x0 + sigma eps follows at any
    time; that of a sampler as frames [k, n, a] at times [k].
    """
    eps = noises(ways.data)
    first = {
        "title": "forward",
        "note": "data turning into noise",
        "x0": packed(ways.data.x[0] @ projection.axes, *projection.bounds),
        "eps": packed(eps @ projection.axes, *projection.bounds),
        "by_end": _groups(ways.data.x[0]),
    }
    rest = [_sampler(method, way, projection) for method, way in zip(methods, ways.samplers, strict=True)]
    return {
        "kind": projection.kind,
        "count": len(eps),
        "axes": projection.axes.shape[1],
        "names": _axis_names(model, projection),
        "limits": projection.limits.tolist(),
        "bounds": projection.bounds,
        "by_start": _groups(eps),
        "shades": PAGE_SHADES,
        "panels": [first, *rest],
        "data_units": _data_units(model, projection),
    }


def _axis_names(model: Model, projection: Projection) -> list[str]:
    """The names of the coordinates that are drawn: columns, or principal axes; of curves there are none."""
    if projection.kind == "curves":
        return []
    return list(Columns(model.columns, "model").of_axes(projection.kind))


def noises(data: Trajectory) -> np.ndarray:
    """The noise eps [n, d] of each point of a forward trajectory with the clean end first: x = alpha x0 + sigma eps."""
    angle = angle_of(data.log_snr[-1:])
    return (data.x[-1] - np.cos(angle) * data.x[0]) / np.sin(angle)


def schedule_curve(process: Process) -> dict[str, Any]:
    """The angle [_KNOTS] at equally spaced times from 0 to 1: alpha is its cosine and sigma its sine."""
    log_snr = np.asarray(process.schedule(jnp.linspace(0, 1, _KNOTS, dtype=jnp.float32)))
    below = np.minimum(angle_of(log_snr), _NOISE)  # after rounding up, an angle might exceed π/2
    return {"angle": [round(each, 12) for each in below.tolist()]}


def _sampler(method: Method, way: Trajectory, projection: Projection) -> dict[str, Any]:
    frames = thinned(way)
    return {
        "title": method.sampler,
        "note": f"{method.steps:,} step{'s' * (method.steps > 1)}, grid {method.grid}" if method.grid else "at once",
        "t": [round(each, 6) for each in frames.t.tolist()],
        "levels": sorted({round(each, 4) for each in way.t.tolist()}),
        "x": packed(frames.x @ projection.axes, *projection.bounds),
        "by_end": _groups(way.x[0]),
    }


def _groups(cloud: np.ndarray) -> str:
    """The shade of each point, in base64, by its rank along the first principal axis of its cloud [n, d]."""
    mean, axes = principal_axes(cloud, 1)
    return text_of(by_rank((cloud - mean) @ axes[:, 0], LIGHT, PAGE_SHADES).group.astype(np.uint8))


def _data_units(model: Model, projection: Projection) -> dict[str, Any] | None:
    """The mean and scale that turn drawn coordinates into data units; None where coordinates are no columns."""
    if projection.kind in ("projected", "curves"):
        return None
    return {"mean": model.standard.mean.tolist(), "scale": model.standard.scale.tolist()}
