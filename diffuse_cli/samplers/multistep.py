"""Multistep samplers: they remember the values at earlier levels, and evaluate the network once a step.

All integrate the flow exactly except for x0 or eps within the step, which is approximated by a polynomial through its
values at earlier levels. With alpha = 1 and l = half the log-SNR,

    x' = e^-h x + ∫ e^-(h - u) x0(u) du,  u from 0 to h, the step in l    (Lu et al. 2022b, eq. 8)
    x' = x + ∫ eps dsigma                                                 (Zhang & Chen 2023, eq. 14, rho = sigma).
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from diffuse_cli.diffusion.denoisers import Predict
from diffuse_cli.diffusion.process import Level
from diffuse_cli.samplers import dpm_solver
from diffuse_cli.samplers.base import Sampler, State, Step, standard_normal, without_scale

_EMPTY_SLOT = 1e30  # the place of a missing value: so far away that it has no weight in any polynomial


_Scalar = Float[Array, ""]
_X = Float[Array, "n d"]


class _History(NamedTuple):
    """The values at the last k levels, latest first, and the places of these levels in the variable of the solver."""

    places: Float[Array, " k"]
    values: Float[Array, "k n d"]

    def then(self, place: Float[Array, ""], value: Float[Array, "n d"]) -> "_History":
        """The history with one more value, and without the oldest."""
        return _History(
            *(jnp.concatenate([new[None], old])[: len(old)] for new, old in zip((place, value), self, strict=True))
        )

    @property
    def has_values(self) -> Bool[Array, ""]:
        """Whether there has been a step before."""
        return self.places[0] < _EMPTY_SLOT


def _empty_history(x: Float[Array, "n d"], k: int) -> _History:
    return _History(_EMPTY_SLOT * jnp.arange(1, k + 1, dtype=x.dtype), jnp.zeros((k, *x.shape), x.dtype))


def dpmpp_2m() -> Sampler:
    """DPM-Solver++(2M): x0 at mid-step, on the line through its last two values. Lu et al. 2022b, algorithm 2.

    The first step, which has no earlier value, is DDIM's.

    >>> dpmpp_2m().order, dpmpp_2m().cost(10)
    (2, 10)
    """

    def advance(x: _X, h: _Scalar, places: list[_Scalar], values: list[_X], nxt: Level, key: PRNGKeyArray) -> _X:
        x0 = values[0] + h / 2 * _slope(places, values)
        return x0 + jnp.exp(-h) * (x - x0)

    return _multistep(advance, _x0, 1, order=2)


def dpmpp_2m_sde() -> Sampler:
    """SDE-DPM-Solver++(2M): the x0 of `dpmpp_2m` in the exact solution of the reverse SDE. Lu et al. 2022b, section 5.

    >>> dpmpp_2m_sde().deterministic, dpmpp_2m_sde().cost(10)
    (False, 10)
    """

    def advance(x: _X, h: _Scalar, places: list[_Scalar], values: list[_X], nxt: Level, key: PRNGKeyArray) -> _X:
        x0 = values[0] + h / 2 * _slope(places, values)
        return x0 + jnp.exp(-2 * h) * (x - x0) + nxt.sigma * jnp.sqrt(-jnp.expm1(-2 * h)) * standard_normal(key, x)

    return _multistep(advance, _x0, 1, order=None)


def dpmpp_3m() -> Sampler:
    """DPM-Solver++ with x0 on the parabola through its last three values. Lu et al. 2022b, eq. 10 for k = 3.

    Departure: the first step is DPM-Solver++(2S)'s, which takes one more evaluation; with DDIM's the order would be 2.

    >>> dpmpp_3m().order, dpmpp_3m().cost(10)
    (3, 11)
    """

    def advance(x: _X, h: _Scalar, places: list[_Scalar], values: list[_X], nxt: Level, key: PRNGKeyArray) -> _X:
        return _flow(x, h, places, values)

    return _multistep(advance, _x0, 2, order=3, opening=dpm_solver.dpmpp_2s())


def deis(*, order: Literal[1, 2, 3] = 3) -> Sampler:
    """DEIS: eps on the polynomial in sigma / alpha through its last `order` values. Zhang & Chen 2023, rho-AB-DEIS.

    Order 1 is DDIM. Departure: at order 3 the first step is DPM-Solver-2's, which takes one more evaluation; with
    DDIM's the order would be 2. The values are those of eps, so rounding errors are multiplied by sigma: in single
    precision a thousandth is lost where sampling begins at sigma / alpha = 1e4.

    >>> deis(order=2).order, deis(order=3).cost(10)
    (2, 11)
    """

    def advance(x: _X, h: _Scalar, places: list[_Scalar], values: list[_X], nxt: Level, key: PRNGKeyArray) -> _X:
        moments = [h ** (k + 1) / (k + 1) for k in range(order)]
        return x + _integral(moments, places, values)

    return _multistep(advance, _eps, order - 1, order=order, opening=dpm_solver.dpm_2() if order > 2 else None)


def unipc(*, order: Literal[1, 2] = 2) -> Sampler:
    """UniPC: the x0 evaluated at a new level also corrects the step that led there. Zhao et al. 2023, algorithm 1.

    order: p; the predictor takes the polynomial in half the log-SNR through the last p values of x0, the corrector the
    one through these and the new value, and the two together converge with order p + 1. Departure: the weights are the
    exact integrals, which the article's conditions (eq. 5) approximate.

    >>> unipc(order=2).order, unipc(order=2).cost(10)
    (3, 10)
    """

    def step(predict: Predict, state: State, now: Level, nxt: Level, key: PRNGKeyArray) -> State:
        place, after = now.log_snr / 2, nxt.log_snr / 2
        x0 = predict(state.x, now).x0
        before, history = state.memory
        nodes = [history.places[0], place, *history.places[1:]]
        corrected = _flow(
            before,
            place - history.places[0],
            _from(nodes[0], nodes),
            [history.values[0], x0, *history.values[1:]],
        )
        x = jnp.where(history.has_values, corrected, state.x)
        nodes = [place, *history.places[: order - 1]]
        predicted = _flow(x, after - place, _from(place, nodes), [x0, *history.values[: order - 1]])
        return State(predicted, x0, (x, history.then(place, x0)))

    def init(x: Array) -> State:
        return State(x, jnp.zeros_like(x), (x, _empty_history(x, order)))

    return Sampler(without_scale(step), init, grid="log_snr", order=order + 1, lookback=order - 1)


_Advance = Callable[[_X, _Scalar, list[_Scalar], list[_X], Level, PRNGKeyArray], _X]


class _Variable(NamedTuple):
    """Which value is a polynomial in which variable.

    place: level -> the variable. value: (x, x0, level) -> the value at a level with alpha = 1.
    """

    place: Callable[[Level], _Scalar]
    value: Callable[[_X, _X, Level], _X]


_x0 = _Variable(lambda level: level.log_snr / 2, lambda x, x0, level: x0)
_eps = _Variable(lambda level: level.sigma, lambda x, x0, level: (x - x0) / level.sigma)


def _multistep(
    advance: _Advance, variable: _Variable, k: int, *, order: int | None, opening: Sampler | None = None
) -> Sampler:
    """The sampler that remembers k values.

    advance: (x, h, places, values, nxt, key) -> x after the step h of the variable. There are k + 1 values, the first
        of them that of the present level, and their places are relative to it.
    opening: the sampler of the first step, where a step of order 1 would lower the order of the whole.
    """

    def usual(predict: Predict, state: State, now: Level, nxt: Level, key: PRNGKeyArray) -> State:
        place, history = variable.place(now), state.memory
        x0 = predict(state.x, now).x0
        places, values = _from(place, [place, *history.places]), [variable.value(state.x, x0, now), *history.values]
        x = advance(state.x, variable.place(nxt) - place, places, values, nxt, key)
        return State(x, x0, history.then(place, values[0]))

    def opened(opening: Sampler) -> Step:
        def first(predict: Predict, state: State, now: Level, nxt: Level, key: PRNGKeyArray) -> State:
            after = opening.step(predict, State(state.x, state.x0), now, nxt, key)
            value = variable.value(state.x, after.x0, now)
            return after._replace(memory=state.memory.then(variable.place(now), value))

        def either(predict: Predict, state: State, now: Level, nxt: Level, key: PRNGKeyArray) -> State:
            after: State = jax.lax.cond(state.memory.has_values, usual, first, predict, state, now, nxt, key)
            return after

        return either

    return Sampler(
        without_scale(usual if opening is None else opened(opening)),
        lambda x: State(x, jnp.zeros_like(x), _empty_history(x, k)),
        starting=0 if opening is None else opening.evals - 1,
        grid="log_snr",
        order=order,
        lookback=k,
    )


def _from(start: _Scalar, places: list[_Scalar]) -> list[_Scalar]:
    return [place - start for place in places]


def _slope(places: list[_Scalar], values: list[_X]) -> _X:
    return (values[0] - values[1]) / (places[0] - places[1])


def _flow(x: _X, h: _Scalar, places: list[_Scalar], values: list[_X]) -> _X:
    """e^-h x + ∫ e^-(h - u) x0(u) du, u from 0 to h, x0 the polynomial through `values` at `places`."""
    moments = [-jnp.expm1(-h)]
    for k in range(1, len(places)):
        moments.append(h**k - k * moments[-1])  # by parts
    return jnp.exp(-h) * x + _integral(moments, places, values)


def _integral(moments: list[_Scalar], places: list[_Scalar], values: list[_X]) -> _X:
    """The integral of the polynomial through `values` at `places`, by the moments of u^0, u^1, … (Newton's form)."""
    basis: list[float | _Scalar] = [1.0]
    differences, total = list(values), jnp.zeros((), values[0].dtype)
    for k, place in enumerate(places):
        total += sum(c * moment for c, moment in zip(basis, moments, strict=False)) * differences[0]
        gaps = [places[i] - places[i + k + 1] for i in range(len(differences) - 1)]
        differences = [(a - b) / gap for a, b, gap in zip(differences, differences[1:], gaps, strict=False)]
        basis = [b - place * a for a, b in zip([*basis, 0.0], [0.0, *basis], strict=True)]
    return total
