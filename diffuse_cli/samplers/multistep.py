"""Multistep samplers: they remember what they saw at the levels before, and ask the network once a step.

All integrate the flow exactly but for one thing, x0 or eps along the way, which is a polynomial through values at
levels seen. With alpha = 1 and l = half the log-SNR,

    x' = e^-h x + ∫ e^-(h - u) x0(u) du,  u from 0 to h, the step in l    (Lu et al. 2022b, eq. 8)
    x' = x + ∫ eps dsigma                                                 (Zhang & Chen 2023, eq. 14, rho = sigma).
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from diffuse_cli.diffusion.denoisers import Predict
from diffuse_cli.diffusion.process import Level
from diffuse_cli.samplers import dpm_solver
from diffuse_cli.samplers.base import Sampler, State, standard_normal, without_scale

_EMPTY_SLOT = 1e30  # the place of what has not been seen: so far away that no polynomial bends towards it


class Seen(NamedTuple):
    """What was seen before this step, latest first: values [k, n, d] at places [k] of the solver's own variable."""

    places: Array
    values: Array

    def then(self, place: Array, value: Array) -> "Seen":
        """With one more, in the place of the oldest."""
        return Seen(
            *(jnp.concatenate([new[None], old])[: len(old)] for new, old in zip((place, value), self, strict=True))
        )

    @property
    def anything(self) -> Array:
        """Whether there has been a step before."""
        return self.places[0] < _EMPTY_SLOT


def _nothing_seen(x: Array, k: int) -> Seen:
    return Seen(_EMPTY_SLOT * jnp.arange(1, k + 1, dtype=x.dtype), jnp.zeros((k, *x.shape), x.dtype))


def dpmpp_2m() -> Sampler:
    """DPM-Solver++(2M): x0 where the line through the last two has it in mid-step. Lu et al. 2022b, algorithm 2.

    The first step, which has none before it, is DDIM's.
    """

    def advance(x: Array, h: Array, places: list[Array], values: list[Array], nxt: Level, key: Array) -> Array:
        x0 = values[0] + h / 2 * _slope(places, values)
        return x0 + jnp.exp(-h) * (x - x0)

    return _multistep(advance, _x0, 1, order=2)


def dpmpp_2m_sde() -> Sampler:
    """SDE-DPM-Solver++(2M): the same x0, in the exact solution of the reverse SDE. Lu et al. 2022b, section 5."""

    def advance(x: Array, h: Array, places: list[Array], values: list[Array], nxt: Level, key: Array) -> Array:
        x0 = values[0] + h / 2 * _slope(places, values)
        return x0 + jnp.exp(-2 * h) * (x - x0) + nxt.sigma * jnp.sqrt(-jnp.expm1(-2 * h)) * standard_normal(key, x)

    return _multistep(advance, _x0, 1, order=None)


def dpmpp_3m() -> Sampler:
    """DPM-Solver++ with x0 on the parabola through the last three. Lu et al. 2022b, eq. 10 for k = 3.

    Departure: the first step is DPM-Solver++(2S)'s, at one evaluation more, without which the start costs an order.
    """

    def advance(x: Array, h: Array, places: list[Array], values: list[Array], nxt: Level, key: Array) -> Array:
        return _flow(x, h, places, values)

    return _multistep(advance, _x0, 2, order=3, opening=dpm_solver.dpmpp_2s())


def deis(*, order: Literal[1, 2, 3] = 3) -> Sampler:
    """DEIS: eps on the polynomial through the last `order`, in rho = sigma / alpha. Zhang & Chen 2023, rho-AB-DEIS.

    Order 1 is DDIM. Departure: at order 3 the first step is DPM-Solver-2's, at one evaluation more, without which the
    start costs an order. What it remembers is eps, whose rounding counts sigma times: in single precision it loses a
    thousandth where it begins at sigma / alpha = 1e4.
    """

    def advance(x: Array, h: Array, places: list[Array], values: list[Array], nxt: Level, key: Array) -> Array:
        moments = [h ** (k + 1) / (k + 1) for k in range(order)]
        return x + _integral(moments, places, values)

    return _multistep(advance, _eps, order - 1, order=order, opening=dpm_solver.dpm_2() if order > 2 else None)


def unipc(*, order: Literal[1, 2] = 2) -> Sampler:
    """UniPC: what the network sees at the new level corrects the step that led there. Zhao et al. 2023, algorithm 1.

    The predictor puts x0 on the polynomial through the last `order`, the corrector on that through these and the new
    one, in half the log-SNR; with `order` p the two converge with order p + 1. Departure: the weights are the exact
    integrals, which the paper's conditions (eq. 5) approximate.
    """

    def step(predict: Predict, state: State, now: Level, nxt: Level, key: Array) -> State:
        place, after = now.log_snr / 2, nxt.log_snr / 2
        x0 = predict(state.x, now).x0
        before, seen = state.memory
        nodes = [seen.places[0], place, *seen.places[1:]]
        corrected = _flow(
            before, place - seen.places[0], _from(nodes[0], nodes), [seen.values[0], x0, *seen.values[1:]]
        )
        x = jnp.where(seen.anything, corrected, state.x)
        nodes = [place, *seen.places[: order - 1]]
        predicted = _flow(x, after - place, _from(place, nodes), [x0, *seen.values[: order - 1]])
        return State(predicted, x0, (x, seen.then(place, x0)))

    def init(x: Array) -> State:
        return State(x, jnp.zeros_like(x), (x, _nothing_seen(x, order)))

    return Sampler(without_scale(step), init, grid="log_snr", order=order + 1, lookback=order - 1)


Advance = Callable[[Array, Array, list[Array], list[Array], Level, Array], Array]


class _Variable(NamedTuple):
    """What is a polynomial of what: the place of a level, and the value seen there in x, alpha = 1, by its x0."""

    place: Callable[[Level], Array]
    value: Callable[[Array, Array, Level], Array]


_x0 = _Variable(lambda level: level.log_snr / 2, lambda x, x0, level: x0)
_eps = _Variable(lambda level: level.sigma, lambda x, x0, level: (x - x0) / level.sigma)


def _multistep(
    advance: Advance, variable: _Variable, k: int, *, order: int | None, opening: Sampler | None = None
) -> Sampler:
    """The sampler that remembers k values.

    advance(x, h, places, values, nxt, key) goes the step h; places [k + 1] are relative to the level now, whose value
    is the first. `opening` takes the first step, where a lower order would be too low.
    """

    def usual(predict: Predict, state: State, now: Level, nxt: Level, key: Array) -> State:
        place, seen = variable.place(now), state.memory
        x0 = predict(state.x, now).x0
        places, values = _from(place, [place, *seen.places]), [variable.value(state.x, x0, now), *seen.values]
        x = advance(state.x, variable.place(nxt) - place, places, values, nxt, key)
        return State(x, x0, seen.then(place, values[0]))

    def first(predict: Predict, state: State, now: Level, nxt: Level, key: Array) -> State:
        then = opening.step(predict, State(state.x, state.x0), now, nxt, key)
        value = variable.value(state.x, then.x0, now)
        return then._replace(memory=state.memory.then(variable.place(now), value))

    def either(predict: Predict, state: State, now: Level, nxt: Level, key: Array) -> State:
        return jax.lax.cond(state.memory.anything, usual, first, predict, state, now, nxt, key)

    return Sampler(
        without_scale(usual if opening is None else either),
        lambda x: State(x, jnp.zeros_like(x), _nothing_seen(x, k)),
        starting=0 if opening is None else opening.evals - 1,
        grid="log_snr",
        order=order,
        lookback=k,
    )


def _from(start: Array, places: list[Array]) -> list[Array]:
    return [place - start for place in places]


def _slope(places: list[Array], values: list[Array]) -> Array:
    return (values[0] - values[1]) / (places[0] - places[1])


def _flow(x: Array, h: Array, places: list[Array], values: list[Array]) -> Array:
    """e^-h x + ∫ e^-(h - u) x0(u) du, u from 0 to h, x0 the polynomial through `values` at `places`."""
    moments = [-jnp.expm1(-h)]
    for k in range(1, len(places)):
        moments.append(h**k - k * moments[-1])  # by parts
    return jnp.exp(-h) * x + _integral(moments, places, values)


def _integral(moments: list[Array], places: list[Array], values: list[Array]) -> Array:
    """The integral of the polynomial through `values` at `places`, by the moments of u^0, u^1, … (Newton's form)."""
    basis, differences, total = [1.0], list(values), 0.0
    for k, place in enumerate(places):
        total += sum(c * moment for c, moment in zip(basis, moments, strict=False)) * differences[0]
        gaps = [places[i] - places[i + k + 1] for i in range(len(differences) - 1)]
        differences = [(a - b) / gap for a, b, gap in zip(differences, differences[1:], gaps, strict=False)]
        basis = [b - place * a for a, b in zip([*basis, 0.0], [0.0, *basis], strict=True)]
    return total
