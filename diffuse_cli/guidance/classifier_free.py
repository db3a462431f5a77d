"""Guidance by two denoisers and no weights: plain, in an interval, by a weaker run, projected, and CFG++."""

from functools import partial
from typing import Annotated, Any

import jax.numpy as jnp
from jaxtyping import Array, Float
from msgspec import Meta

from diffuse_cli.diffusion.denoisers import Predict, Prediction
from diffuse_cli.diffusion.process import Level
from diffuse_cli.guidance.base import Guidance, Scale, denoiser_of, mixed, moved

_SHORT, _LONG = 1e-12, 1e9  # vectors shorter than the first have no direction; none is longer than the second

Ratio = Annotated[float, Meta(ge=0, le=1e6)]  # a noise level as sigma / alpha


def cfg(*, w: Scale) -> Guidance:
    """Classifier-free guidance: u + w (c − u) at every noise level. Ho & Salimans 2022, eq. 6, whose w is this w − 1.

    w: 1 is the conditional denoiser, 0 the unconditional one. The law that it is said to sample, π_w ∝ p(x | c)^w
    p(x)^(1 − w), is not the one that it samples, except for w = 0 and 1: adding noise to a power of a density is not
    the power of the density with noise added (Bradley & Nakkiran 2024). `fkc` corrects this by weights.

    >>> import jax
    >>> from diffuse_cli.diffusion.process import unscaled
    >>> halves = [jax.tree_util.Partial(lambda x, level, to=to: Prediction(to + 0 * x, x - to)) for to in (1.0, 0.0)]
    >>> print(cfg(w=3).combine(*halves)(jnp.ones((1, 2)), unscaled(0.0)).x0)
    [[3. 3.]]
    """
    return Guidance("cfg", partial(denoiser_of, _everywhere, (w,)), w)


def interval(*, w: Scale, low: Ratio = 0.0, high: Ratio = 1.0) -> Guidance:
    """`cfg` where low < σ/α ≤ high, and the conditional denoiser elsewhere. Kynkäänniemi et al. 2024, section 3.

    low, high: the noise in units of the signal, for data of unit variance. Both denoisers are evaluated at all levels.

    >>> interval(w=3, low=0.1).w, interval(w=3).needs
    (3, 'unconditional')
    """
    return Guidance("interval", partial(denoiser_of, _within, (w, low, high)), w)


def auto(*, run: str, w: Scale) -> Guidance:
    """Autoguidance: g + w (D − g), where g is the denoiser of a smaller or less trained run. Karras et al. 2024.

    run: the name of that run. Its data and noise levels must be those of the run that is guided. w: 1 is the denoiser
    D itself, 0 the guide.

    >>> auto(run="moons-small", w=2).needs, auto(run="moons-small", w=2).guide
    ('guide', 'moons-small')
    """
    return Guidance("auto", partial(denoiser_of, _everywhere, (w,)), w, needs="guide", guide=run)


def apg(
    *,
    w: Scale,
    eta: Annotated[float, Meta(ge=0, le=1)] = 0.0,
    r: Annotated[float, Meta(gt=0, le=1e6)] | None = None,
) -> Guidance:
    """Adaptive projected guidance of x0: c + (w − 1) (d⊥ + eta d∥), with d = c − u. Sadat et al. 2024, algorithm 1.

    d∥ is the part of d along c, a vector from the mean of the data. eta: how much of it is kept; 1 is `cfg`. r: the
    length to which a longer d is shortened first, model space; without it no d is. Departure: there is no momentum. A
    running mean of d over the steps would make the denoiser depend on where a sampler has asked it before: it would
    have no flow, no likelihood, and no limit for many steps.

    >>> apg(w=3).w, apg(w=3, r=2.5).needs
    (3, 'unconditional')
    """
    return Guidance("apg", partial(denoiser_of, _projected, (w, eta, _LONG if r is None else r)), w)


def cfgpp(*, lam: Annotated[float, Meta(ge=0, le=10)]) -> Guidance:
    """CFG++: the x0 of u + lam (c − u), but the noise of u. Chung et al. 2024, algorithm 2, whose λ is this lam.

    Only steps of the form alpha' x0 + sigma' eps make sense of this pair. Such a step is one of `cfg` with w = lam / (1
    − e^(−h/2)), where h is the length of the step in log-SNR. So the guidance grows with the number of steps without
    limit, and there is no law π_w that it is said to sample.

    >>> cfgpp(lam=0.5).samplers, cfgpp(lam=0.5).w is None
    (('ddim', 'dpm_1', 'ddpm'), True)
    """
    return Guidance("cfgpp", partial(denoiser_of, _renoised, (lam,)), None, samplers=("ddim", "dpm_1", "ddpm"))


def _everywhere(w: Any, c: Predict, u: Predict, x: Float[Array, "n d"], level: Level) -> Prediction:
    return mixed(c(x, level), u(x, level), w)


def _within(w: Any, low: Any, high: Any, c: Predict, u: Predict, x: Float[Array, "n d"], level: Level) -> Prediction:
    ratio = jnp.exp(-level.log_snr / 2)
    return mixed(c(x, level), u(x, level), jnp.where((low < ratio) & (ratio <= high), w, 1.0))


def _projected(w: Any, eta: Any, r: Any, c: Predict, u: Predict, x: Float[Array, "n d"], level: Level) -> Prediction:
    given = c(x, level)
    d = given.x0 - u(x, level).x0
    d *= jnp.minimum(1.0, r / _length(d))
    along = given.x0 / _length(given.x0)
    parallel = jnp.sum(d * along, axis=-1, keepdims=True) * along
    return moved(given, (w - 1) * (d + (eta - 1) * parallel), level)


def _renoised(lam: Any, c: Predict, u: Predict, x: Float[Array, "n d"], level: Level) -> Prediction:
    plain = u(x, level)
    return Prediction(mixed(c(x, level), plain, lam).x0, plain.eps)


def _length(vectors: Float[Array, "n d"]) -> Float[Array, "n 1"]:
    return jnp.sqrt(jnp.sum(vectors**2, axis=-1, keepdims=True) + _SHORT**2)  # with a derivative at 0
