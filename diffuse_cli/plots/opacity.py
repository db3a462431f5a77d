"""The opacity with which points show their density, where many lie over each other."""

import numpy as np

from diffuse_cli.plots.panels import Scene, coordinates, marks, shown

_COVERED = 0.85  # also the opacity of a point that lies alone
_LEAST = 0.08


def showing_density(scene: Scene, cloud: np.ndarray) -> Scene:
    """The scene with points of a plane so transparent that many of them at one place are darker than a few.

    At a typical place of `cloud` [n, d], the points that lie over each other cover _COVERED of the paper. All panels
    of a figure take one opacity, of one cloud, so that the same shade means the same density.
    """
    if scene.kind not in ("plane", "projected"):
        return scene
    points = coordinates(cloud[np.isfinite(cloud).all(axis=1)], scene.basis)
    points = points[shown(len(points), scene)]
    mark = np.sqrt(marks(len(points), scene.side)[0]) / 72  # inches
    inches = np.array([scene.side, scene.height])
    cells = np.floor((points - scene.limits[:, 0]) / np.ptp(scene.limits, axis=1) * inches / mark)
    counts = np.unique(cells, axis=0, return_counts=True)[1]
    over_each_other = (counts**2).sum() / counts.sum()  # points in the cell of a point, on average
    opacity = 1 - (1 - _COVERED) ** (1 / over_each_other)
    return scene._replace(opacity=float(np.clip(opacity, _LEAST, _COVERED)))
