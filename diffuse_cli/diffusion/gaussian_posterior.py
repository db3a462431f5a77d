"""Mixtures of Gaussians, given a linear measurement or times a Gaussian: mixtures again, in any dimension.

With x ~ Σ w_k N(μ_k, S_k) and y = A x + noise, noise ~ N(0, R), the posterior is Σ w'_k N(μ'_k, S'_k):

    V_k = A S_k Aᵀ + R,  G_k = S_k Aᵀ V_k⁻¹,  μ'_k = μ_k + G_k (y − A μ_k),  S'_k = (I − G_k A) S_k,
    w'_k ∝ w_k N(y; A μ_k, V_k),  p(y) = Σ w_k N(y; A μ_k, V_k).

Bishop 2006, eqs. 2.113-2.117, with the inverse of S + AᵀR⁻¹A by Woodbury's identity, so that neither S nor R needs an
inverse: a measurement may be without noise. A Gaussian factor is the same with a measurement along its axes.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from diffuse_cli.diffusion import exact
from diffuse_cli.errors import DiffuseError

_LEAST = float(np.log(1e-30))  # of the log of the mass of a product, relative to the largest value of the factor
_FLAT = 1e-12  # eigenvalues of a precision or a covariance that are 0, relative to the largest
_NOTHING = 1e-40  # components with less probability than this are left out


class Posteriors(NamedTuple):
    """The posteriors of one mixture of k components for N measurements, which share all that does not depend on y.

    means [N, k, d] and covariances [k, d, d] (or [1, d, d] for all): of the components. shares [N, k]: their
    probabilities. log_evidence [N]: log p(y), nats.
    """

    means: np.ndarray
    covariances: np.ndarray
    shares: np.ndarray
    log_evidence: np.ndarray

    @property
    def mean(self) -> Float[np.ndarray, "N d"]:
        """The mean of each posterior."""
        return np.asarray(np.einsum("nk,nkd->nd", self.shares, self.means))

    @property
    def total_variance(self) -> Float[np.ndarray, " N"]:
        """The variance of each posterior, summed over columns."""
        within = np.broadcast_to(np.trace(self.covariances, axis1=1, axis2=2), self.shares.shape[1:])
        apart = ((self.means - self.mean[:, None]) ** 2).sum(axis=2)
        return np.asarray(np.einsum("nk,nk->n", self.shares, within + apart))

    def draw(self, rng: np.random.Generator, count: int) -> Float[np.ndarray, "N count d"]:
        """So many independent draws of each posterior."""
        total = np.cumsum(self.shares, axis=1)
        which = (rng.random((len(total), count, 1)) * total[:, -1:, None] >= total[:, None]).sum(axis=2)
        which = np.minimum(which, self.shares.shape[1] - 1)
        values, axes = np.linalg.eigh(self.covariances)
        roots = axes * np.sqrt(np.maximum(values, 0))[:, None, :]
        noise = rng.standard_normal((*which.shape, self.means.shape[2]))
        moved = noise @ roots[0].T if len(roots) == 1 else np.einsum("nsij,nsj->nsi", roots[which], noise)
        return np.asarray(np.take_along_axis(self.means, which[:, :, None], axis=1) + moved)


def posteriors_of(
    law: exact.Law, a: Float[np.ndarray, "m d"], y: Float[np.ndarray, "N m"], noise: Float[np.ndarray, "m m"]
) -> Posteriors:
    """The laws of x given y_i = a x + N(0, noise) for N measurements; all in the units of the law, its model space.

    Raises DiffuseError for a law that is no mixture of Gaussians, and where a measured direction has no variance at
    all, neither that of the noise nor that of a component.

    >>> prior = exact.gaussian(np.zeros(2), np.eye(2))
    >>> posteriors = posteriors_of(prior, np.array([[1.0, 0.0]]), np.array([[2.0], [4.0]]), np.eye(1))
    >>> posteriors.mean, posteriors.total_variance
    (array([[1., 0.],
           [2., 0.]]), array([1.5, 1.5]))
    """
    means, covariances, weights, _ = _mixture_of(law)
    apart = y[:, None] - means @ a.T  # [N, k, m]
    gain, log_each = _gains(a @ covariances @ a.T + noise, covariances @ a.T, apart)
    log_weights = np.log(np.maximum(weights, np.finfo(float).tiny)) + log_each
    most = log_weights.max(axis=1, keepdims=True)
    shares = np.exp(log_weights - most)
    total = shares.sum(axis=1, keepdims=True)
    moved = apart @ gain[0].T if len(gain) == 1 else np.einsum("kdm,nkm->nkd", gain, apart)
    # of the equal forms of S' this one (Joseph's) is symmetric, and stays positive, whatever the rounding
    rest = np.eye(means.shape[1]) - gain @ a
    covariances = rest @ covariances @ rest.swapaxes(1, 2) + gain @ noise @ gain.swapaxes(1, 2)
    return Posteriors(means + moved, covariances, shares / total, (most + np.log(total))[:, 0])


def posterior_of(
    law: exact.Law, a: Float[np.ndarray, "m d"], y: Float[np.ndarray, " m"], noise: Float[np.ndarray, "m m"]
) -> tuple[exact.Law, float]:
    """The law of x given y = a x + N(0, noise), and log p(y) in nats; all in the units of the law, its model space.

    Raises DiffuseError like `posteriors_of`.

    >>> prior = exact.gaussian(np.zeros(2), np.eye(2))
    >>> law, log_p = posterior_of(prior, np.array([[1.0, 0.0]]), np.array([2.0]), np.eye(1))
    >>> law.gaussians().means, round(log_p, 4)  # −½ log 4π − 1
    (array([[1., 0.]]), -2.2655)
    """
    one = posteriors_of(law, a, y[None], noise)
    kept = one.shares[0] > _NOTHING
    covariances = one.covariances if len(one.covariances) == 1 else one.covariances[kept]
    values = np.linalg.eigvalsh(covariances)
    least = np.sqrt(max(values.min(), 0.0)) if values.min() > _FLAT * values.max() else 0.0
    narrowest = max(least, _narrowed(_mixture_of(law).narrowest, a, noise))
    return exact.gaussians(one.means[0, kept], covariances, one.shares[0, kept], narrowest), float(one.log_evidence[0])


def times_gaussian(
    law: exact.Law, centre: Float[np.ndarray, " d"], precision: Float[np.ndarray, "d d"]
) -> tuple[exact.Law, float]:
    """The law p h / Z with h(x) = exp(−½ (x − centre)ᵀ precision (x − centre)), and log Z = log E_p h.

    precision: symmetric and not negative; of a rank below d for a factor that leaves some directions alone.

    Raises DiffuseError for a law that is no mixture of Gaussians, and where the product has no mass: Z < 1e-30.

    >>> law, log_z = times_gaussian(exact.gaussian(np.zeros(1), np.eye(1)), np.array([2.0]), np.eye(1))
    >>> law.gaussians().means, round(log_z, 4)  # −½ log 2 − 1
    (array([[1.]]), -1.3466)
    """
    values, axes = np.linalg.eigh(precision)
    if values.min() < -_FLAT * max(values.max(), 0.0) or not np.allclose(precision, precision.T):
        raise DiffuseError("the precision of a Gaussian factor must be symmetric, without negative eigenvalues")
    used = values > _FLAT * values.max()
    a = (np.sqrt(values[used]) * axes[:, used]).T
    if not used.any():
        return law, 0.0
    product, log_evidence = posterior_of(law, a, a @ centre, np.eye(len(a)))
    log_z = log_evidence + 0.5 * len(a) * float(np.log(2 * np.pi))
    refuse_no_mass(log_z)
    return product, log_z


def refuse_no_mass(log_z: float) -> None:
    """Raise DiffuseError if the mass of a product, relative to the largest value of the factor, is below 1e-30.

    >>> try:
    ...     refuse_no_mass(-10_000.0)
    ... except DiffuseError as error:
    ...     print(str(error)[:41])
    the product has no mass: Z = 1.1e-4343 of
    """
    if log_z < _LEAST:
        exponent = int(np.floor(log_z / np.log(10)))
        z = f"{np.exp(log_z - exponent * np.log(10)):.2g}e{exponent}"
        raise DiffuseError(
            f"the product has no mass: Z = {z} of the largest value of the factor, which "
            "must be large somewhere near the data"
        )


def _mixture_of(law: exact.Law) -> exact.Gaussians:
    if law.gaussians is None:
        raise DiffuseError(
            "a closed form needs a mixture of Gaussians, and this law is none; take a set with noise and without boxes"
        )
    return law.gaussians()


def _gains(variance: np.ndarray, cross: np.ndarray, apart: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """G [k or 1, d, m] and log N(y; A μ_k, V_k) [N, k].

    From V [k or 1, m, m], S Aᵀ [k or 1, d, m] and y − A μ [N, k, m].
    """
    values = np.linalg.eigvalsh(variance)
    if (values.min(axis=1) <= _FLAT * values.max(axis=1)).any():
        raise DiffuseError("a measurement without noise of what has no variance: give it noise, or the data some")
    gain = np.linalg.solve(variance, cross.swapaxes(1, 2)).swapaxes(1, 2)
    root = np.linalg.inv(np.linalg.cholesky(variance))
    white = apart @ root[0].T if len(root) == 1 else np.einsum("kmj,nkj->nkm", root, apart)
    log_norm = np.log(values).sum(axis=1) + apart.shape[2] * np.log(2 * np.pi)
    return gain, -0.5 * (np.sum(white**2, axis=2) + log_norm)


def _narrowed(narrowest: float, a: np.ndarray, noise: np.ndarray) -> float:
    """The least standard deviation after the measurement, where overlapping components had `narrowest` together."""
    least = np.linalg.eigvalsh(noise).min()
    if least <= 0 or narrowest == 0:
        return 0.0
    return float((narrowest**-2 + np.linalg.norm(a, 2) ** 2 / least) ** -0.5)
