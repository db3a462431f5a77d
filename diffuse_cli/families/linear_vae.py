"""What a linear VAE learns, from the eigenvalues of the data alone: probabilistic PCA."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Collapse(NamedTuple):
    """How many of the latents of a linear VAE are active at its optimum, and the noise s of its decoder there."""

    active: int
    latents: int
    noise: float


def predicted_collapse(
    eigenvalues: Float[np.ndarray, " d"], latents: int, beta: float, noise: float | None = None
) -> Collapse:
    """The Collapse for data whose covariance has these eigenvalues, any order; noise: s, or None where it is learned.

    With q(z | x) at its best, the loss of a latent with weight w along an eigenvector of eigenvalue λ is
    β/2 (λ / (w² + β s²) + log(w² + β s²) − log β s²), which is least at w² = λ − β s², or w = 0 where that is
    negative. So latent i is active if and only if λ_i > β s² (Lucas et al. 2019; Tipping & Bishop 1999 for β = 1).
    With k active ones, a learned noise has s² = Σ_(i > k) λ_i / (d − β k), the mean of what is left out for β = 1.

    >>> predicted_collapse(np.array([4.0, 1.0, 0.1, 0.1]), latents=3, beta=1.0, noise=0.5)
    Collapse(active=2, latents=3, noise=0.5)
    >>> round(predicted_collapse(np.array([4.0, 1.0, 0.1, 0.1]), latents=2, beta=1.0).noise, 3)
    0.316
    """
    largest_first = np.sort(np.asarray(eigenvalues, np.float64))[::-1]
    dim = len(largest_first)
    if noise is not None:
        active = int((largest_first[:latents] > beta * noise**2).sum())
        return Collapse(active, latents, noise)
    best = None
    for active in range(min(latents, dim) + 1):
        if dim - beta * active <= 0:
            break
        square = largest_first[active:].sum() / (dim - beta * active)
        if square <= 0:
            continue
        kept = beta / 2 * (1 + np.log(largest_first[:active] / (beta * square))).sum()
        loss = kept + largest_first[active:].sum() / (2 * square) + dim / 2 * np.log(square)
        if (largest_first[:active] >= beta * square).all() and (best is None or loss < best[0]):
            best = loss, active, float(np.sqrt(square))
    if best is None:
        raise ValueError("data without spread have no noise to learn")
    return Collapse(best[1], latents, best[2])
