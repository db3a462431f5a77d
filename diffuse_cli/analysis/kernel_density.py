"""A density for points whose law is not known: Gaussian kernels whose shape and width follow from the points."""

from typing import NamedTuple

import numpy as np

from diffuse_cli.datasets.dataset import equal_rows
from diffuse_cli.diffusion import exact

_MOST = 2048  # kernels; of more points every second, third, … is used
_FOLDS = 5
_NEIGHBOURS = (8, 32, 128)  # whose covariance is the shape of a kernel
_WIDTHS = tuple(np.geomspace(0.1, 1.5, 9).tolist())  # factors of the standard deviations of that covariance
_ROUND = 0.01  # of the mean variance is added to each direction, so that no kernel is flat
_FEWEST = 2 * _FOLDS  # different points of which widths can be compared


class Kernels(NamedTuple):
    """How kernels follow from points. neighbours: how many give a kernel its covariance, None for all points together;
    width: the factor of the standard deviations."""

    neighbours: int | None
    width: float


def kernel_density(points: np.ndarray) -> exact.Law:
    """The kernel density estimate of points [n, d], or of some thousands of them.

    The kernel at a point has the covariance of the points around it (manifold Parzen windows, Vincent & Bengio 2003),
    times the square of a width. How many are around it and the width are those with the highest likelihood of points
    that are left out, a fifth at a time (Habbema et al. 1974). One covariance for all kernels is preferred unless
    others are better by more than two standard errors of their difference. Equal points are left out together, since
    copies would make the best width zero.

    >>> law = kernel_density(np.random.default_rng(0).standard_normal((500, 1)))
    >>> from diffuse_cli.diffusion.process import CLEAN
    >>> 1.3 < law.entropy(CLEAN) < 1.5  # of the normal law itself 1.42
    True
    """
    some = np.asarray(points, np.float64)[:: -(-len(points) // _MOST)]
    group, counts = equal_rows(some)
    places = some[np.unique(group, return_index=True)[1]]
    covariances = _covariances(places, counts, best_kernels(places, counts))
    return exact.gaussians(places, covariances, counts / counts.sum())


def best_kernels(points: np.ndarray, counts: np.ndarray) -> Kernels:
    """The kernels with the highest likelihood of left-out points [n, d], which differ and occur `counts` [n] times.

    For fewer than ten points it is Scott's rule (1992, eq. 6.42): one covariance, and the width n^(-1/(d+4)).
    """
    n, d = points.shape
    if n < _FEWEST:
        return Kernels(None, n ** (-1 / (d + 4)))
    fold = np.random.default_rng(0).permutation(n) % _FOLDS
    choices: list[int | None] = [None, *(k for k in _NEIGHBOURS if k <= n // 4)]
    log_p = {Kernels(choice, width): np.empty(n) for choice in choices for width in _WIDTHS}
    for left_out in (fold == number for number in range(_FOLDS)):
        kept, kept_counts = points[~left_out], counts[~left_out]
        for choice in choices:
            covariances = _covariances(kept, kept_counts, Kernels(choice, 1.0))
            distances, log_norm = _distances(points[left_out], kept, covariances)
            for width in _WIDTHS:
                log_p[Kernels(choice, width)][left_out] = _log_density(distances, log_norm, kept_counts, width, d)

    def best(candidates: list[Kernels]) -> Kernels:
        return max(candidates, key=lambda kernels: float(counts @ log_p[kernels]))

    simple, any_shape = best([Kernels(None, width) for width in _WIDTHS]), best(list(log_p))
    gain = log_p[any_shape] - log_p[simple]
    mean = np.average(gain, weights=counts)
    error = np.sqrt(np.average((gain - mean) ** 2, weights=counts) / n)
    return any_shape if mean > 2 * error else simple


def _covariances(points: np.ndarray, counts: np.ndarray, kernels: Kernels) -> np.ndarray:
    """The covariance [n, d, d] of the kernel at each point."""
    from scipy.spatial import cKDTree

    n, d = points.shape
    if kernels.neighbours is None or kernels.neighbours >= n:
        whole = np.cov(points.T, aweights=counts).reshape(d, d) if n > 1 else np.zeros((d, d))
        covariances = np.broadcast_to(whole, (n, d, d))
    else:
        near = cKDTree(points).query(points, k=kernels.neighbours + 1)[1]
        apart = points[near] - points[:, None]
        covariances = np.einsum("nki,nkj->nij", apart, apart) / kernels.neighbours
    variance = np.trace(covariances, axis1=1, axis2=2) / d
    return kernels.width**2 * (covariances + _ROUND * variance[:, None, None] * np.eye(d))


def _distances(x: np.ndarray, points: np.ndarray, covariances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squared distances [m, n] of x [m, d] from points [n, d] in units of their covariances, and ½ log|covariance|."""
    inverse = np.linalg.inv(covariances)
    turned = np.einsum("nij,nj->ni", inverse, points)
    squares = (x[:, :, None] * x[:, None]).reshape(len(x), -1) @ inverse.reshape(len(points), -1).T
    distances = squares - 2 * x @ turned.T + np.einsum("ni,ni->n", turned, points)
    return np.maximum(distances, 0), 0.5 * np.linalg.slogdet(covariances)[1]


def _log_density(distances: np.ndarray, log_norm: np.ndarray, counts: np.ndarray, width: float, d: int) -> np.ndarray:
    """log p [m] of a mixture with these distances [m, n], whose kernels are `width` times as wide."""
    log_each = np.log(counts) - log_norm - distances / (2 * width**2)
    top = log_each.max(axis=1)
    log_sum = top + np.log(np.exp(log_each - top[:, None]).sum(axis=1))
    return np.asarray(log_sum - np.log(counts.sum()) - d * (np.log(width) + 0.5 * np.log(2 * np.pi)))
