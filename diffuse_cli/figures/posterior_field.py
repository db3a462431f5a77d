"""What each method for a measurement adds to the score, beside what the exact posterior adds, by noise level."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from matplotlib.figure import Figure

from diffuse_cli import catalog
from diffuse_cli.analysis.inverse_problems import Solved
from diffuse_cli.diffusion import exact as exact_law
from diffuse_cli.diffusion import likelihood
from diffuse_cli.diffusion.denoisers import Predict
from diffuse_cli.diffusion.process import Level
from diffuse_cli.errors import UsageError
from diffuse_cli.figures import grids
from diffuse_cli.inverse.base import Measured, PosteriorMethod, unchanged
from diffuse_cli.inverse.observed import Observed, observe
from diffuse_cli.models.draw import build_method
from diffuse_cli.models.model import Model
from diffuse_cli.models.solving import Way
from diffuse_cli.plots.background import Background
from diffuse_cli.plots.columns import Columns
from diffuse_cli.plots.formats import Look
from diffuse_cli.plots.posterior_field import ExactAddition, MethodAddition, posterior_field_figure
from diffuse_cli.samplers.base import Sampler, State

_TIMES = (0.02, 0.1, 0.3, 0.7)
_ARROWS, _CELLS = 17, 120  # along each axis
_DRAWS = 1024  # of the noised posterior, over which root mean squares are taken


def field_of_solved(solved: Solved, look: Look, seed: int) -> Figure:
    """A row for the exact posterior and one for each method that adds to the score, a column for each time.

    Raises UsageError for data of other than two columns, where the noised posterior is not known, and where no method
    adds anything.
    """
    model, exact = solved.model, solved.exact
    if model.dim != 2 or exact is None or exact.law is None:
        raise UsageError("what a method adds is drawn in the plane, where the exact posterior is known")
    ways = [each.way for each in solved.solutions if each.way.rule.gradients]
    if not ways:
        raise UsageError("none of these methods adds to the score; give --method mmps")
    predict, posterior = model.predict, jax.tree_util.Partial(exact_law.denoiser(exact.law()))
    observed = observe(solved.measurement, model.standard)
    t = np.array(_TIMES)
    log_snr = np.asarray(model.process.levels_at(t).log_snr, np.float64)
    rng = np.random.default_rng((seed, 18))
    draws, noise = model.standard.to_model(exact.draw(rng, _DRAWS)), rng.standard_normal((_DRAWS, 2))
    levels = [grids.level_at(each) for each in log_snr]
    noised = np.stack([float(level.alpha) * draws + float(level.sigma) * noise for level in levels])
    reach = 1.2 * float(np.quantile(np.abs(model.standard.to_model(model.dataset().draw(rng, _DRAWS))), 0.995))
    (x, y), places = likelihood.grid(np.full(2, -reach), np.full(2, reach), (_ARROWS, _ARROWS))
    (u, v), fine = likelihood.grid(np.full(2, -reach), np.full(2, reach), (_CELLS, _CELLS))

    def everywhere(added: Callable[[np.ndarray, int], Array]) -> tuple[np.ndarray, np.ndarray]:
        """At the arrows' places and at the noised draws, for each level."""
        flat = [np.concatenate([places.reshape(-1, 2), each]).astype(np.float32) for each in noised]
        values = np.stack([np.asarray(added(points, place)) for place, points in enumerate(flat)])
        return values[:, : _ARROWS**2].reshape(len(t), _ARROWS, _ARROWS, 2), values[:, _ARROWS**2 :]

    right, at_draws = everywhere(lambda points, k: _exactly_added(posterior, predict, points, levels[k]))
    usual = np.sqrt((at_draws**2).sum(axis=-1).mean(axis=-1))
    density = [Background(u, v, p) for p in grids.densities_on_grid(exact.law(), log_snr, fine)]
    methods = []
    for way in ways:
        after = [grids.level_at(each) for each in _next_log_snr(model, way, log_snr)]
        values, at = everywhere(
            lambda points, k, way=way, after=after: _added(way.rule, predict, observed, points, levels[k], after[k])
        )
        apart = np.sqrt(((at - at_draws) ** 2).sum(axis=-1).mean(axis=-1))
        methods.append(MethodAddition(way.text, values, apart / usual))
    return posterior_field_figure(
        ExactAddition(x, y, right, usual, density),
        methods,
        t=t,
        log_snr=log_snr,
        columns=Columns(model.columns, "model"),
        subject=f"{model.name}, {solved.measurement.title}",
        **look._asdict(),
    )


def _next_log_snr(model: Model, way: Way, log_snr: np.ndarray) -> np.ndarray:
    """Where a step of the method from each level ends: at the next cleaner one of its grid that is noisy."""
    grid = np.asarray(build_method(model, way.method)[1].log_snr[:-1], np.float64)
    place = np.minimum(np.searchsorted(grid, log_snr), len(grid) - 2)
    return log_snr + np.diff(grid)[place]


@jax.jit
def _exactly_added(posterior: Predict, prior: Predict, x: Float[Array, "n 2"], level: Level) -> Float[Array, "n 2"]:
    added: Array = (prior(x, level).eps - posterior(x, level).eps) / level.sigma
    return added


@partial(jax.jit, static_argnames="rule")
def _added(
    rule: PosteriorMethod, predict: Predict, observed: Observed, x: Float[Array, "n 2"], now: Level, nxt: Level
) -> Float[Array, "n 2"]:
    """What the method adds to the score at x, under variance preservation.

    What moves the mean of x0 by a shift adds alpha / sigma² of it. Where the steps move x themselves, this is the shift
    of x0 that would move an ancestral step as far.
    """
    told = rule.told(predict, observed)
    seen, plain = told(x, now), predict(x, now)
    shift = seen.x0 - plain.x0 + (0.0 if seen.twist is None else seen.twist.shift)
    if rule.around is not unchanged:
        sampler: Sampler = catalog.build("sampler", "ddpm")
        measured, state, key = Measured(told, observed), State(x, x), jax.random.key(0)
        moved = rule.around(sampler).step(measured, state, now, nxt, key).x - sampler.step(told, state, now, nxt, key).x
        shift += moved / (nxt.alpha * -jnp.expm1(now.log_snr - nxt.log_snr))
    return now.alpha / now.sigma**2 * shift
