"""The probability-flow ODE, in coordinates that suit an adaptive solver. Song et al. 2021, eq. 13.

With variance preservation alpha = cos phi, sigma = sin phi, and with the denoiser's x0 and eps the flow is

    dx/dphi = v(x, phi) = alpha eps - sigma x0                           (Salimans & Ho 2022, appendix D),

the derivative of x = alpha x0 + sigma eps for fixed x0 and eps, averaged over the pairs (x0, eps) that give x.
All scalings describe this one flow: x here is x / hypot(alpha, sigma) in another scaling, at the same log-SNR, and the
denoiser is called there.

The time of the solver is s, with sigma / alpha = tau = w sinh s: it is linear in log-SNR where tau is above w, linear
in tau below, and 0 at the clean level. Data of standard deviation w move as cosh s, in units of x / alpha. In phi the
solver would need half as many steps again, short ones near pure noise, where a network still varies with log-SNR.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from diffuse_cli.diffusion.denoisers import Predict
from diffuse_cli.diffusion.process import LOWEST_LOG_SNR, Level, Scaling

_WIDTH = 0.1  # w in the text above
EVALS = 6  # network evaluations in a step of Tsit5, whose seventh is the first of the next step


def time_of(log_snr: Float[Array, "*time"]) -> Float[Array, "*time"]:
    """The time s of the solver at a log-SNR; 0 at the clean level."""
    return jnp.arcsinh(jnp.exp(-jnp.maximum(log_snr, LOWEST_LOG_SNR) / 2) / _WIDTH)


def flow_velocity(predict: Predict, scaling: Scaling, s: Float[Array, ""], x: Float[Array, " d"]) -> Float[Array, " d"]:
    """dx/ds of the variance-preserving flow at one point x."""
    tau = _WIDTH * jnp.sinh(s)
    log_snr = -2 * jnp.log(tau)
    level = Level(log_snr, *scaling(log_snr))
    norm = jnp.hypot(level.alpha, level.sigma)
    p = predict(norm * x[None], level)
    v = (level.alpha * p.eps - level.sigma * p.x0)[0] / norm
    return v * jnp.hypot(_WIDTH, tau) / (1 + tau**2)  # dphi/ds


def solve_flow(
    field: Callable[[Any, Any, Any], Any],
    times: Float[Array, " k"],
    start: Any,
    tolerance: float | Float[Array, ""],
    *,
    max_steps: int,
    every: bool = False,
    norm: Callable[[Any], Float[Array, ""]] | None = None,
) -> tuple[Any, Bool[Array, ""], Int[Array, ""]]:
    """Solve dy/ds = field(s, y, None) from times[0], where y is `start` (a pytree), to times[-1], by adaptive Tsit5.

    tolerance: the error allowed to one step, absolute and relative. every: return y at all `times`, not only at the
    last. norm: makes one number of the errors of a step, by default their root mean square.
    Returns y with one more axis, of the times, at the front; whether the solver succeeded within `max_steps`; and the
    number of steps.
    """
    import diffrax  # half a second, which a caller who solves no ODE need not wait for

    options: dict[str, Any] = {} if norm is None else {"norm": norm}
    controller = diffrax.PIDController(rtol=tolerance, atol=tolerance, pcoeff=0.4, icoeff=0.3, **options)
    solution = diffrax.diffeqsolve(
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
        adjoint=diffrax.ForwardMode(),  # no gradient is taken of the solution
    )
    return solution.ys, solution.result == diffrax.RESULTS.successful, solution.stats["num_steps"]
