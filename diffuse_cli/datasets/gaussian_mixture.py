"""Datasets whose law is a Gaussian mixture, exactly or to within a negligible difference."""

from typing import TYPE_CHECKING

import numpy as np

from diffuse_cli.datasets.dataset import Classes, Dataset, LabelledDraw, Standardiser, labelled

if TYPE_CHECKING:
    from diffuse_cli.diffusion.exact import Law


def gaussian_mixture(
    means: np.ndarray,
    covariances: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray | None = None,
    draw: LabelledDraw | None = None,
    narrowest: float | None = None,
) -> Dataset:
    """The mixture of N(means[i], covariances[i]) with weights [k]; components with equal labels form a class.

    means: [k, d], data units. covariances: [k, d, d], or one [d, d] for all. labels: [k], integers 0, 1, … without
    gaps. weights: equal unless given. draw: draws points and labels from the law that the mixture approximates; by
    default from the mixture. narrowest: the least standard deviation of any feature of the density, data units, if the
    components are narrower than that.

    The constants of standardisation are computed from the mixture, with one scale for all columns.

    >>> places = np.array([[0.0], [2.0]])
    >>> two = gaussian_mixture(places, np.zeros((1, 1)) + 0.25, labels=np.arange(2), weights=np.array([0.5, 0.5]))
    >>> two.standard.mean, two.standard.scale**2
    (array([1.]), array([1.25]))
    """
    count, dim = means.shape
    covariances = np.broadcast_to(covariances, (count, dim, dim))
    weights = np.full(count, 1 / count) if weights is None else weights
    std = _std_of_round(covariances) if dim > 2 else None
    factors = None if draw or std is not None else np.linalg.cholesky(covariances)

    def draw_components(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        which = rng.choice(count, n, p=weights)
        noise = rng.standard_normal((n, dim))
        noise = np.einsum("nij,nj->ni", factors[which], noise) if std is None else std * noise
        return means[which] + noise, labels[which]

    mean = weights @ means
    squares = ((means - mean) ** 2).sum(axis=1) + np.trace(covariances, axis1=1, axis2=2)
    standard = Standardiser(mean, np.full(dim, np.sqrt(weights @ squares / dim)))

    def law_of(chosen: np.ndarray) -> "Law":
        from diffuse_cli.diffusion import exact
        from diffuse_cli.diffusion.gaussian_entropy import entropy_of_gaussians

        share = weights[chosen].sum()
        own = weights[chosen] / share if share else np.full(chosen.sum(), 1 / chosen.sum())  # of a class never drawn
        gaussians = standard.to_model(means[chosen]), covariances[chosen] / standard.scale[0] ** 2, own
        if std is None:
            law = exact.gaussians(*gaussians, narrowest and narrowest / standard.scale[0])
        else:
            law = exact.mixture(gaussians[0], std / standard.scale[0], own)
        if dim <= 2:
            return law
        return law._replace(entropy=lambda level: entropy_of_gaussians(*gaussians, level))

    shares = np.bincount(labels, weights=weights)
    classes = Classes(shares, draw or draw_components, lambda label: law_of(labels == label))
    return labelled(classes, standard, lambda: law_of(np.full(count, True)))


def _std_of_round(covariances: np.ndarray) -> float | None:
    """The standard deviation of equal round Gaussians, None for others. In many columns their axes would be dear."""
    variance = float(covariances[0, 0, 0])
    return variance**0.5 if (covariances == variance * np.eye(covariances.shape[1])).all() else None
