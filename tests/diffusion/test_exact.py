"""Exact laws: densities that integrate to 1, posteriors against draws of them, entropies against closed forms."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.process import Level, Process, straight_flow, variance_exploding, variance_preserving
from diffuse_cli.errors import DiffuseError

SCALINGS = [variance_preserving, variance_exploding, straight_flow]
with jax.enable_x64(True):
    LEVELS = [Process(None, 1, scaling).at(log_snr) for scaling in SCALINGS for log_snr in (-4.0, 0.0, 4.0)]
every_level = pytest.mark.parametrize("level", LEVELS)
the_noisiest_and_the_finest = pytest.mark.parametrize("level", [LEVELS[0], LEVELS[-1]])
X = np.random.default_rng(0).normal(size=(30, 2))
MEANS = np.random.default_rng(1).normal(size=(4, 2))
WEIGHTS = np.array([0.1, 0.2, 0.3, 0.4])
COVARIANCES = np.array([[[a, b], [b, c]] for a, b, c in [(1, 0.9, 1), (0.1, 0, 0.5), (0.3, -0.2, 0.3), (2, 1, 1)]])
LAWS = {
    "gaussian": exact.gaussian(np.array([0.3, -1.0]), np.array([[0.9, 0.5], [0.5, 0.7]])),
    "mixture": exact.mixture(MEANS, 0.3, WEIGHTS),
    "gaussians": exact.gaussians(MEANS, COVARIANCES, WEIGHTS),
    "points": exact.mixture(MEANS, 0.0),
    "boxes": exact.boxes(np.array([[-1.0, 0.0], [0.0, -1.0]]), np.array([[0.0, 0.5], [1.0, 0.0]])),
    "soft boxes": exact.boxes(np.array([[-1.0, -1.0]]), np.array([[1.0, -0.9]]), 0.2),
    "product": exact.product(
        [((1,), exact.boxes(np.array([[-1.0]]), np.array([[1.0]]))), ((0,), exact.mixture(MEANS[:, :1], 0.4))]
    ),
}
CLEAN = Level(np.inf, 1.0, 0.0)
LOG_PROB = {name: jax.jit(functools.partial(exact.log_prob, law)) for name, law in LAWS.items()}
DENOISER = {name: jax.jit(exact.denoiser(law)) for name, law in LAWS.items()}
POSTERIOR = {name: jax.jit(exact.posterior(law)) for name, law in LAWS.items()}
every_law = pytest.mark.parametrize("name", LAWS)


@every_law
@every_level
def test_densities_integrate_to_one(name, level, x64):
    side = np.linspace(-1, 1, 301) * 5 * (float(level.sigma) + float(level.alpha))
    grid = jnp.asarray(np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2))
    p = np.exp(LOG_PROB[name](grid, level)).reshape(301, 301)
    assert np.trapezoid(np.trapezoid(p, side), side) == pytest.approx(1, abs=1e-3)


@every_law
@every_level
def test_posteriors_have_the_mean_and_covariance_of_draws(name, level, x64):
    """By weighing draws of x0 with N(x; alpha x0, sigma^2 I), which knows nothing of the density."""
    rng = np.random.default_rng(2)
    x0 = draws(name, rng, 100_000)
    x = float(level.alpha) * x0[:5] + float(level.sigma) * rng.normal(size=(5, 2))
    got = DENOISER[name](jnp.asarray(x), level)
    mean, covariance = POSTERIOR[name](jnp.asarray(x), level)
    np.testing.assert_allclose(got.x0, mean, atol=1e-9)
    np.testing.assert_allclose(level.alpha * got.x0 + level.sigma * got.eps, x, atol=1e-9)
    squared = ((x[:, None] - float(level.alpha) * x0) ** 2).sum(axis=2) / (2 * float(level.sigma) ** 2)
    weight = np.exp(squared.min(axis=1, keepdims=True) - squared)
    weight /= weight.sum(axis=1, keepdims=True)
    apart = x0 - np.asarray(mean)[:, None]
    products = apart[:, :, :, None] * apart[:, :, None]
    for values, expected in ((apart, np.zeros((5, 2))), (products, np.asarray(covariance))):
        found = np.einsum("nk,nk...->n...", weight, values)
        error = np.sqrt(np.einsum("nk,nk...->n...", weight**2, (values - found[:, None]) ** 2)) + 1e-6
        assert np.abs((found - expected) / error).max() < 5


def test_in_double_precision_both_answers_are_of_one_x(x64):
    """x = alpha x0 + sigma eps to all digits, also where x hardly tells the components apart: solvers go by them."""
    level = Process(None, 1).at(jnp.asarray([-20.0, -10.0, -7.0, -5.0, -3.0, 0.0, 5.0]))

    @jax.jit
    def beside(level):
        answers = {name: exact.denoiser(law)(X, level) for name, law in LAWS.items()}
        return {name: level.alpha * p.x0 + level.sigma * p.eps - X for name, p in answers.items()}

    wrong = {name: np.abs(each).max(axis=(1, 2)) for name, each in jax.vmap(beside)(level).items()}
    assert {name: each.tolist() for name, each in wrong.items() if each.max() > 1e-13} == {}


def draws(name, rng, n):
    if name == "gaussian":
        return rng.multivariate_normal([0.3, -1.0], [[0.9, 0.5], [0.5, 0.7]], n)
    if name == "mixture":
        return MEANS[rng.choice(4, n, p=WEIGHTS)] + 0.3 * rng.normal(size=(n, 2))
    if name == "gaussians":
        which = rng.choice(4, n, p=WEIGHTS)
        roots = np.linalg.cholesky(COVARIANCES)[which]
        return MEANS[which] + (roots @ rng.normal(size=(n, 2, 1)))[..., 0]
    if name == "points":
        return MEANS[rng.integers(4, size=n)]
    if name == "boxes":
        low = np.array([[-1.0, 0.0], [0.0, -1.0]])
        which = rng.integers(2, size=n)
        return low[which] + rng.random((n, 2)) * np.array([[1.0, 0.5], [1.0, 1.0]])[which]
    if name == "soft boxes":
        return np.array([-1.0, -1.0]) + rng.random((n, 2)) * [2.0, 0.1] + 0.2 * rng.normal(size=(n, 2))
    first = MEANS[rng.integers(4, size=n), 0] + 0.4 * rng.normal(size=n)
    return np.stack([first, rng.uniform(-1, 1, n)], axis=1)


@every_law
def test_a_level_for_all_and_a_level_each_agree(name, x64):
    one = Process(None, 1).at(jnp.float64(0.7))
    each = jax.tree.map(lambda field: jnp.full((30, 1), field), one)
    for answer in (LOG_PROB[name], lambda x, level: DENOISER[name](x, level).x0):
        np.testing.assert_allclose(answer(jnp.asarray(X), one), answer(jnp.asarray(X), each), rtol=1e-12)


@every_law
def test_single_precision_is_close_to_double(name):
    levels = [Process(None, 1).at(jnp.float32(log_snr)) for log_snr in (-15.0, -6.0, 0.0, 6.0)]
    single = [DENOISER[name](jnp.float32(X), level).eps for level in levels]
    with jax.enable_x64(True):
        levels = [Process(None, 1).at(jnp.float64(log_snr)) for log_snr in (-15.0, -6.0, 0.0, 6.0)]
        double = [DENOISER[name](jnp.float64(X), level).eps for level in levels]
    for one, other in zip(single, double, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-3)


def test_a_finite_set_is_remembered(x64):
    """With std = 0 and hardly any noise the denoiser answers the nearest point: the optimum that memorises."""
    level = Process(None, 1).at(12.0)
    got = exact.denoiser(exact.mixture(X, 0.0))(level.alpha * X + 1e-4, level)
    np.testing.assert_allclose(got.x0, X, atol=1e-9)


@every_law
@the_noisiest_and_the_finest
def test_entropies_are_those_of_the_density_on_a_grid(name, level, x64):
    side = np.linspace(-1, 1, 401) * 5 * (float(level.sigma) + float(level.alpha))
    grid = jnp.asarray(np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2))
    log_p = np.asarray(LOG_PROB[name](grid, level)).reshape(401, 401)
    expected = np.trapezoid(np.trapezoid(-np.exp(log_p) * log_p, side), side)
    assert LAWS[name].entropy(level) == pytest.approx(expected, abs=1e-3)


def test_clean_entropies_in_closed_form():
    covariance = np.array([[0.9, 0.5], [0.5, 0.7]])
    half = 0.5 * np.log(2 * np.pi * np.e)
    assert LAWS["gaussian"].entropy(CLEAN) == pytest.approx(2 * half + 0.5 * np.log(np.linalg.det(covariance)))
    assert exact.gaussians(np.zeros((1, 2)), covariance[None]).entropy(CLEAN) == pytest.approx(
        LAWS["gaussian"].entropy(CLEAN), abs=1e-6
    )
    # two boxes of areas 1/2 and 1, apart, as often one as the other
    assert LAWS["boxes"].entropy(CLEAN) == pytest.approx(np.log(2) + 0.5 * np.log(0.5))
    # [0, 2] and [1, 3]: density 1/4 on [0, 1] and [2, 3], 1/2 between
    overlapping = exact.boxes(np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]]))
    assert overlapping.entropy(CLEAN) == pytest.approx(0.5 * np.log(4) + 0.5 * np.log(2))
    shares = exact.boxes(np.array([[0.0], [5.0]]), np.array([[2.0], [9.0]]), weights=np.array([0.25, 0.75]))
    assert shares.entropy(CLEAN) == pytest.approx(-0.25 * np.log(0.25 / 2) - 0.75 * np.log(0.75 / 4))
    far = exact.mixture(np.array([[0.0, 0.0], [50.0, 0.0]]), 0.1, np.array([0.25, 0.75]))
    parts = -0.25 * np.log(0.25) - 0.75 * np.log(0.75)
    assert far.entropy(CLEAN) == pytest.approx(2 * half + 2 * np.log(0.1) + parts, abs=1e-6)


def test_without_a_density_the_entropy_is_minus_infinity():
    flat = np.array([[1.0, 1.0], [1.0, 1.0]])
    for law in (
        LAWS["points"],
        exact.gaussian(np.zeros(2), flat),
        exact.gaussians(np.zeros((1, 2)), flat[None]),
        exact.product([((0,), LAWS["points"]), ((1,), exact.gaussian(np.zeros(1), np.eye(1)))]),
    ):
        assert law.entropy(CLEAN) == -np.inf


def test_what_would_take_too_long_is_refused():
    level = Process(None, 1).at(0.0)
    assert np.isfinite(exact.gaussian(np.zeros(3), np.eye(3)).entropy(level))
    with pytest.raises(DiffuseError, match="in one or two dimensions, and this one has 3"):
        exact.mixture(np.zeros((2, 3)), 1.0).entropy(level)
    corners = np.random.default_rng(0).normal(size=(2000, 2))
    with pytest.raises(DiffuseError, match="of 2000 boxes without noise is out of reach"):
        exact.boxes(corners, corners + 1).entropy(CLEAN)


@pytest.mark.parametrize("name", ["mixture", "gaussians", "boxes"])
def test_entropies_do_not_depend_on_the_callers_precision(name):
    single = LAWS[name].entropy(Process(None, 1).at(jnp.float32(2.0)))
    with jax.enable_x64(True):
        double = LAWS[name].entropy(Process(None, 1).at(jnp.float64(2.0)))
    assert isinstance(single, float)
    assert single == pytest.approx(double, abs=1e-6)


def test_a_box_without_noise_has_its_density_inside_and_none_outside():
    x = jnp.array([[-0.5, 0.25], [0.5, -0.999], [0.5, 0.5], [-2.0, 0.25]])
    log_p = np.asarray(LOG_PROB["boxes"](x, Level(*map(jnp.float32, CLEAN))))
    np.testing.assert_allclose(log_p[:2], [np.log(1), np.log(0.5)], atol=1e-6)
    assert np.all(log_p[2:] < -1e6)


@pytest.mark.parametrize("name", ["gaussians", "boxes", "mixture"])
def test_entropy_grows_with_noise_by_de_bruijns_identity(name, x64):
    """dH / d sigma^2 = 1/2 E |score|^2, where alpha = 1."""
    below, level, above = (Level(-np.log(v), 1.0, np.sqrt(v)) for v in (0.39, 0.4, 0.41))
    slope = (LAWS[name].entropy(above) - LAWS[name].entropy(below)) / 0.02
    x = draws(name, np.random.default_rng(3), 40_000)
    x = x + level.sigma * np.random.default_rng(4).normal(size=x.shape)
    eps = DENOISER[name](jnp.asarray(x), Level(*map(jnp.float64, level))).eps
    squared = 0.5 * np.sum((np.asarray(eps) / level.sigma) ** 2, axis=1)
    assert squared.mean() == pytest.approx(slope, abs=5 * squared.std() / 200 + 1e-3 * slope)
