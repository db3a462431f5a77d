"""Single precision against double: what a formula loses beyond what its rounded arguments have lost already.

Every check asks one function at all levels in both precisions, at the same numbers. It may err by 1e-4 of what is
there, the root mean square at a level, and by what a move of its arguments in the last place makes of it.
"""

import functools
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.diffusion import bound, exact, likelihood, probability_flow
from diffuse_cli.diffusion.denoisers import Prediction, clipped
from diffuse_cli.diffusion.process import (
    Level,
    Process,
    straight_flow,
    sub_variance_preserving,
    transition,
    variance_exploding,
    variance_preserving,
)
from diffuse_cli.diffusion.schedules import linear
from tests.support.cases import BUILT_IN

LOG_SNR = np.arange(-30.0, 31.0, 5.0)
SCALINGS = [variance_preserving, variance_exploding, straight_flow, sub_variance_preserving]
CELLS = [(scaling.__name__, log_snr) for scaling in SCALINGS for log_snr in LOG_SNR]
EACH = 12  # points in a cell
DIGITS = 1e-4
MOVES = 3

pytestmark = pytest.mark.rounding

SETS = [
    *BUILT_IN,
    "curves:kind=two_shapes",
    "s_curve:dim=3",
    "two_spirals:variant=ffjord",
    "checkerboard:noise=0.1,squares=3",
]
MEANS = np.random.default_rng(1).normal(size=(4, 2))
COVARIANCES = np.array([[[a, b], [b, c]] for a, b, c in [(1, 0.9, 1), (0.1, 0, 0.5), (0.3, -0.2, 0.3), (2, 1, 1)]])
LAWS = {
    "gaussian": exact.gaussian(np.array([0.3, -1.0]), np.array([[0.9, 0.5], [0.5, 0.7]])),
    "mixture": exact.mixture(MEANS, 0.3, np.array([0.1, 0.2, 0.3, 0.4])),
    "gaussians": exact.gaussians(MEANS, COVARIANCES, np.array([0.1, 0.2, 0.3, 0.4])),
    "points": exact.mixture(np.float32(MEANS), 0.0),
    "boxes": exact.boxes(np.array([[-1.0, 0.0], [0.0, -1.0]]), np.array([[0.0, 0.5], [1.0, 0.0]]), 0.1),
    "product": exact.product(
        [((1,), exact.boxes(np.array([[-1.0]]), np.array([[1.0]]), 0.1)), ((0,), exact.mixture(MEANS[:, :1], 0.4))]
    ),
}


def levels():
    """Fields [cells · EACH, 1], single precision."""
    with jax.enable_x64(True):
        found = [Process(None, 1, scaling).at(jnp.asarray(LOG_SNR)) for scaling in SCALINGS]
    return Level(*(np.repeat(np.float32(np.concatenate(fields)), EACH)[:, None] for fields in zip(*found, strict=True)))


def noised(x0, level, rng):
    return np.float32(level.alpha * x0 + level.sigma * rng.normal(size=x0.shape))


def in_double(function, arguments):
    with jax.enable_x64(True):
        return jax.device_get(function(*jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), arguments)))


def losses(function, arguments):
    """(name, cell, error, what is allowed) of all that function(*arguments) -> {name: [cells · EACH, …]} has."""
    single = jax.device_get(function(*jax.tree.map(jnp.asarray, arguments)))
    double = in_double(function, arguments)
    rng = np.random.default_rng(5)

    def moved(a):
        return np.float64(a) + rng.choice([-1.0, 1.0], a.shape) * np.spacing(np.abs(a))

    others = [in_double(function, jax.tree.map(moved, arguments)) for _ in range(MOVES)]

    def size(values):
        with np.errstate(under="ignore"):
            return np.sqrt(np.mean(np.square(values, dtype=np.float64).reshape(len(CELLS), -1), axis=1))

    for name, values in double.items():
        if values is None:  # what only guided denoisers have
            assert single[name] is None
            continue
        assert single[name].dtype == np.float32
        allowed = (
            DIGITS * size(values) + 4 * np.max([size(other[name] - values) for other in others], axis=0) + _NOTHING
        )
        yield from zip([name] * len(CELLS), CELLS, size(single[name] - values), allowed, strict=True)


def beyond(found):
    return {(name, *cell): (error, allowed) for name, cell, error, allowed in found if not error <= allowed}


@functools.cache
def made(name):
    """A law, and draws of it or near it, one in each row of all cells."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    count = len(CELLS) * EACH
    if name in LAWS:
        return LAWS[name], MEANS[rng.integers(4, size=count)] + (name != "points") * 0.3 * rng.normal(size=(count, 2))
    dataset = catalog.build("dataset", name)
    return dataset.exact(), dataset.standard.to_model(dataset.draw(rng, count))


@pytest.mark.parametrize("name", [*LAWS, *SETS])
def test_a_law_keeps_its_digits_from_pure_noise_to_pure_data(name):
    """x0, eps (and so the score, -eps / sigma) and the variance of x0; and at both ends, what is known of them."""
    law, x0 = made(name)
    level = levels()
    x = noised(x0, level, np.random.default_rng(0))
    ask = jax.jit(exact.denoiser(law, variance=True))
    assert not beyond(losses(lambda x, level: ask(x, level)._asdict(), (x, level)))
    found = in_double(ask, (x, level))
    if name in SETS:  # in model space the data have mean 0 and, over all columns, variance 1
        faint = level.log_snr[:, 0] == LOG_SNR[0]
        assert np.abs(found.x0[faint]).max() < 1e-4
        np.testing.assert_allclose(found.x0_var[faint].mean(axis=1), 1, atol=1e-3)
    clear = level.log_snr[:, 0] == LOG_SNR[-1]
    np.testing.assert_allclose(found.x0[clear], (x / level.alpha)[clear], atol=1e-5)


@pytest.mark.parametrize("name", LAWS)
def test_derivatives_of_a_denoiser_are_its_covariance(name):
    """d E[x0 | x] / dx = alpha / sigma^2 Cov[x0 | x] at every level, and finite in single precision as well."""
    law, x0 = made(name)
    level = levels()
    x = noised(x0, level, np.random.default_rng(0))
    predict = exact.denoiser(law)

    def slopes(x, level):
        one = lambda x, level: predict(x[None], level).x0[0]  # noqa: E731
        return jax.vmap(jax.jacfwd(one))(x, level)

    moments = jax.jit(exact.posterior(law))
    slopes = jax.jit(slopes)
    expected = in_double(moments, (x, level))[1] * np.float64(level.alpha / level.sigma**2)[:, :, None]
    usual = np.sqrt(np.mean(expected.reshape(len(CELLS), -1) ** 2, axis=1)).repeat(EACH)[:, None, None]
    off = np.abs(in_double(slopes, (x, level)) - expected) > 1e-5 * usual + 1e-9
    assert {CELLS[i // EACH] for i in np.argwhere(off)[:, 0]} == set()
    assert np.isfinite(slopes(jnp.asarray(x), Level(*map(jnp.asarray, level)))).all()


def test_a_law_of_which_only_log_p_is_known_is_differentiated(x64):
    law, x0 = made("gaussians")
    bare = exact.Law(law.log_density, law.entropy)
    level = Process(None, 1).at(jnp.repeat(jnp.array([-6.0, 0.0, 6.0]), 10)[:, None])
    x = level.alpha * x0[:30] + level.sigma * np.random.default_rng(0).normal(size=(30, 2))
    for ask in (exact.posterior, lambda law: exact.denoiser(law, variance=True)):
        jax.tree.map(
            lambda got, expected: np.testing.assert_allclose(got, expected, atol=1e-8),
            jax.jit(ask(bare))(x, level),
            jax.jit(ask(law))(x, level),
        )


def test_decodes_and_coefficients_keep_the_digits_of_their_arguments():
    """All that divides by alpha or sigma, in one program."""
    process = Process(linear(1000), 1000)
    kinds = {name: catalog.build("prediction", name, process) for name in catalog.CATALOG["prediction"]}
    kinds["edm:sigma_data=0.3"] = catalog.build("prediction", "edm:sigma_data=0.3", process)
    chain = {"previous"}  # which only has an answer at levels of its chain
    level, rng = levels(), np.random.default_rng(0)
    x0, eps = rng.normal(size=(2, len(CELLS) * EACH, 2)).astype(np.float32)
    x = noised(x0, level, rng)
    cleaner = Level(level.log_snr + np.float32(0.25), level.alpha, level.sigma)
    with jax.enable_x64(True):
        answers = {
            name: np.float32(kind.target(*(jnp.asarray(a, float) for a in (x0, eps)), Level(*map(np.float64, level))))
            for name, kind in kinds.items()
            if name not in chain
        }

    @jax.jit
    def ask(x, x0, eps, level, log_snr, answers):
        found = {}
        for name, answer in answers.items():
            seen = kinds[name].decode(answer, x, level)
            found |= {f"{name} x0": seen.x0, f"{name} eps": seen.eps}
            found[f"{name} target"] = kinds[name].target(x0, eps, level)
        earlier = Level(log_snr, *variance_preserving(log_snr))
        seen = Prediction(x0, eps, 0.5 * jnp.ones_like(x0) * level.sigma**2)
        found["scale"], found["std"] = transition(earlier, level)
        found["prior"] = bound.prior_term(x0, level)
        wrong = seen._replace(eps=eps + 0.1 * x0, x0=x0)
        for variance in bound.VARIANCES:
            found[f"step, {variance}"] = bound.step_term(wrong, x0, eps, earlier, level, variance)
            std2 = bound.reverse_variance(seen, earlier, level, variance)
            found[f"reverse, {variance}"] = jnp.broadcast_to(std2, x.shape)
        clip = clipped(lambda x, level: kinds["v"].decode(answers["v"], x, level), *CLIP)
        found["clipped x0"], found["clipped eps"], *_ = clip(x, level)
        finest = Level(*(field[-EACH * len(LOG_SNR) // 3, 0] for field in level))
        frozen = likelihood.frozen_below(lambda x, level: kinds["v"].decode(answers["v"], x, level), finest)
        found["frozen x0"], found["frozen eps"], *_ = frozen(x, level)
        found["time"] = probability_flow.time_of(level.log_snr)
        return found

    found = losses(ask, (x, x0, eps, level, cleaner.log_snr, answers))
    assert not beyond(found)


CLIP = (np.float32([-1.5, -1.5]), np.float32([1.5, 1.5]))
_NOTHING = 1e-18  # against values of order 1: deep inside of a box the mean of eps is as small as 1e-22
