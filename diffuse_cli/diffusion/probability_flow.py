"""The probability-flow ODE, in coordinates that suit a solver with steps of its own. Song et al. 2021, eq. 13.

Under variance preservation alpha = cos phi, sigma = sin phi, and with the denoiser's x0 and eps the flow is

    dx/dphi = v(x, phi) = alpha eps - sigma x0                           (Salimans & Ho 2022, appendix D),

the derivative of x = alpha x0 + sigma eps with x0 and eps held, averaged over the pairs that x may have come from.
All scalings describe this one flow: x here is x / hypot(alpha, sigma) there, at the level with the same log-SNR, and
that is where the denoiser is asked.

The solver's time is s, with sigma / alpha = tau = w sinh s: log-SNR where noise outweighs w, sigma where it does not,
and the clean level is s = 0. Data of standard deviation w flow as cosh s, in units of x / alpha. Steps in phi would
have to shrink on the way to pure noise, where a network goes on varying with log-SNR, and come to half as many again.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import Array

from diffuse_cli.diffusion.denoisers import Predict
from diffuse_cli.diffusion.process import LOWEST_LOG_SNR, Level, Scaling

_WIDTH = 0.1  # w above
EVALS = 6  # network evaluations in a step of Tsit5, whose seventh is the next step's first


def time_of(log_snr: Array) -> Array:
    """The solver's time s of a log-SNR."""
    return jnp.arcsinh(jnp.exp(-jnp.maximum(log_snr, LOWEST_LOG_SNR) / 2) / _WIDTH)


def velocity_and_divergence(predict: Predict, scaling: Scaling, s: Array, x: Array) -> Array:
    """dx/ds at one point x [d] of the variance-preserving flow."""
    tau = _WIDTH * jnp.sinh(s)
    log_snr = -2 * jnp.log(tau)
    level = Level(log_snr, *scaling(log_snr))
    norm = jnp.hypot(level.alpha, level.sigma)
    p = predict(norm * x[None], level)
    v = (level.alpha * p.eps - level.sigma * p.x0)[0] / norm
    return v * jnp.hypot(_WIDTH, tau) / (1 + tau**2)  # dphi/ds


def solve_flow(
    field: Callable[[Array, Any, None], Any],
    times: Array,
    start: Any,
    tolerance: Array,
    *,
    max_steps: int,
    every: bool = False,
    norm: Callable[[Any], Array] | None = None,
) -> tuple[Any, Array, Array]:
    """Carry `start` along d/ds = field(s, y, None) from times[0] to times[-1] by Tsit5, in steps of its own choice.

    Returns y at the end, with an axis of 1 before its own, or with `every` at all `times`; whether it was found; and
    the number of steps. `norm` makes a number of the errors of a step: the root mean square, unless another is given.
    """
    import diffrax  # half a second, which those who solve no ODE need not wait for

    own = {} if norm is None else {"norm": norm}
    controller = diffrax.PIDController(rtol=tolerance, atol=tolerance, pcoeff=0.4, icoeff=0.3, **own)
    found = diffrax.diffeqsolve(
        diffrax.ODETerm(field),
        diffrax.Tsit5(),
        t0=times[0],
        t1=times[-1],
        dt0=None,
        y0=start,
        saveat=diffrax.SaveAt(ts=times) if every else diffrax.SaveAt(t1=True),
        stepsize_controller=controller,
        max_steps=max_steps,
        throw=False,
        adjoint=diffrax.ForwardMode(),  # nothing is kept for a way back
    )
    return found.ys, found.result == diffrax.RESULTS.successful, found.stats["num_steps"]
