"""Ways to multiply a law by a factor against closed forms: which are exact, and how far off the others are."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.denoisers import Prediction
from diffuse_cli.diffusion.gaussian_posterior import times_gaussian
from diffuse_cli.diffusion.process import Level, Process
from diffuse_cli.diffusion.schedules import linear
from diffuse_cli.guidance import factors, multiplication, product
from diffuse_cli.samplers import grids
from diffuse_cli.samplers.loop import run_steps
from diffuse_cli.samplers.particles import diagnose
from tests.samplers.table import COVARIANCE, KEY, MEAN, gaussian

WAYS = {
    "reconstruct": multiplication.reconstruct,
    "clean": multiplication.clean,
    "smoothed isotropic": lambda *pair: multiplication.smoothed(*pair, "isotropic"),
    "smoothed": multiplication.smoothed,
}


def normal_denoiser(mean, variance):
    """Of N(mean, variance I), written out: a small program."""

    def predict(x, level):
        z = (x - level.alpha * mean) / (level.alpha**2 * variance + level.sigma**2)
        return Prediction(mean + level.alpha * variance * z, level.sigma * z)

    return jax.tree_util.Partial(predict)


def table_of(log_snrs, places):
    """Every place [m, d] at every log-SNR: x [k m, d] in variance preservation, and its levels [k m, 1]."""
    log_snr = np.repeat(log_snrs, len(places))[:, None].astype(jnp.result_type(float))
    alpha, sigma = (np.sqrt(1 / (1 + np.exp(-sign * log_snr))) for sign in (1, -1))
    return np.tile(places, (len(log_snrs), 1)).astype(log_snr.dtype), Level(log_snr, alpha, sigma)


PLACES = np.array([[0.0, 0.0], [1.5, -0.7], [-2.0, 0.4]])


def test_smoothed_is_exact_for_gaussians(x64):
    """With the Jacobian for any Gaussian, with r² I for N(0, I); half-planes are exact too, by integration."""
    h = factors.gaussian(2, x=0.8, std=0.4)
    line = factors.halfplane(2, x=1.0, y=0.5, at=0.3)
    x, level = table_of([-7.9, -4.0, 0.0, 3.0, 10.0], PLACES)
    any_product = exact.denoiser(times_gaussian(exact.gaussian(MEAN, COVARIANCE), *h.gaussian)[0])
    unit_product = exact.denoiser(times_gaussian(exact.gaussian(np.zeros(2), np.eye(2)), *h.gaussian)[0])
    unit = normal_denoiser(0.0, 1.0)

    @jax.jit
    def run(x, level):
        return {
            "any": (multiplication.smoothed(gaussian, h)(x, level), any_product(x, level)),
            "unit": (multiplication.smoothed(unit, h, "isotropic")(x, level), unit_product(x, level)),
            "line": (multiplication.smoothed(gaussian, line)(x, level), None),
            "plain": gaussian(x, level),
        }

    results = run(x, level)
    for name in ("any", "unit"):
        way, truth = results[name]
        np.testing.assert_allclose(way.x0, truth.x0, atol=1e-8, err_msg=name)
        np.testing.assert_allclose(way.eps, truth.eps, atol=1e-8, err_msg=name)
    # E[x0 | x, n·x0 > at], of the posterior N(m, C): m + C n phi(t) / (Phi(t) s), t = (n·m − at) / s
    from scipy.stats import norm

    normal = np.array([1.0, 0.5]) / np.sqrt(1.25)
    posterior = np.linalg.inv(np.linalg.inv(COVARIANCE) + np.exp(level.log_snr)[..., None] * np.eye(2))
    mean = np.asarray(results["plain"].x0)
    s = np.sqrt(np.einsum("i,nij,j->n", normal, posterior, normal))
    t = (mean @ normal - 0.3) / s
    ratio = np.exp(norm.logpdf(t) - norm.logcdf(t))
    np.testing.assert_allclose(
        results["line"][0].x0, mean + (posterior @ normal) * (ratio / s)[:, None], atol=1e-8, err_msg="line"
    )


def test_bias_of_the_other_ways_has_a_closed_form(x64):
    """N(0, 1) times exp(-½ (x - a)² / v): where the reverse SDE ends, from the line that each score is."""
    a, v = 0.7, 0.4
    h = factors.gaussian(1, x=a, std=np.sqrt(v))
    log_snr = np.linspace(-40, 40, 8001)
    level = Level(log_snr[:, None], np.ones((len(log_snr), 1)), np.exp(-log_snr[:, None] / 2))
    unit = normal_denoiser(0.0, 1.0)

    @jax.jit
    def scores(level):
        at = {value: jnp.full((len(log_snr), 1), value) for value in (0.0, 1.0)}
        return {name: [-make(unit, h)(x, level).eps / level.sigma for x in at.values()] for name, make in WAYS.items()}

    ends = {}
    tau = np.exp(-log_snr)[::-1]  # sigma², increasing
    for name, (at_0, at_1) in scores(level).items():
        b, k = (np.asarray(part)[::-1, 0] for part in (at_0, at_0 - at_1))  # score = b − k y
        # dm/dr = b − k m and dS/dr = 1 − 2 k S, r the time of the reverse SDE, with g² = 1
        grow = np.concatenate([[0.0], np.cumsum((k * tau)[1:] + (k * tau)[:-1]) / 2 * (log_snr[1] - log_snr[0])])
        left = np.exp(-grow)
        ends[name] = [float(np.trapezoid(left**power * part * tau, np.log(tau))) for power, part in ((1, b), (2, 1.0))]
    exact_ends = [a / (1 + v), v / (1 + v)]
    np.testing.assert_allclose(ends["smoothed"], exact_ends, rtol=1e-4)
    np.testing.assert_allclose(ends["smoothed isotropic"], exact_ends, rtol=1e-4)
    np.testing.assert_allclose(ends["clean"], [a * (1 - np.exp(-1 / v)), v / 2 * (1 - np.exp(-2 / v))], rtol=1e-4)
    # left = v / ((1 + τ)(v + τ)), b = a / (v + τ): by partial fractions
    u = np.log(1 / v)
    mean = a * v * ((1 / v) / (1 - v) - u / (1 - v) ** 2)
    variance = v**2 * ((1 + 1 / v) / (1 - v) ** 2 - 2 * u / (1 - v) ** 3)
    np.testing.assert_allclose(ends["reconstruct"], [mean, variance], rtol=1e-4)
    assert abs(variance / exact_ends[1] - 1) > 0.1


def test_a_factor_of_one_changes_nothing_and_all_is_finite():
    """Every way and factor, in single precision, from hardly any signal to hardly any noise."""
    ones = {
        "gaussian": factors.gaussian(2, x=0.0, std=1e18),
        "box": factors.box(2, left=-1e18, right=1e18, bottom=-1e18, top=1e18),
        "halfplane": factors.halfplane(2, x=1.0, at=-1e18),
    }
    others = {
        "gaussian": factors.gaussian(2, x=3.0, y=1.0, std=0.02),
        "box": factors.box(2, left=2.0, right=2.1),
        "halfplane": factors.halfplane(2, x=-1.0, at=4.0),
    }
    x, level = table_of([-60.0, -20.0, -8.0, -2.0, 2.0, 8.0, 14.0, 18.0], PLACES)

    def run(x, level, each):
        plain = gaussian(x, level)
        with_twist = {name: multiplication.twisted(gaussian, h, "jacobian")(x, level) for name, h in each.items()}
        ways = {f"{way}, {name}": make(gaussian, h)(x, level) for way, make in WAYS.items() for name, h in each.items()}
        return plain, ways, {name: p.twist._replace(log_h=None) for name, p in with_twist.items()}

    plain, ways, twists = jax.device_get(jax.jit(lambda x, level: run(x, level, ones))(x, level))
    for name, p in ways.items():
        np.testing.assert_allclose(p.eps, plain.eps, atol=2e-5, err_msg=name)
        signal, expected = (level.alpha * part for part in jax.device_get((p.x0, plain.x0)))
        np.testing.assert_allclose(signal, expected, atol=2e-5, err_msg=name)
    for name, twist in twists.items():
        assert np.abs(twist.log_mean).max() < 1e-5, name
    _, ways, twists = jax.device_get(jax.jit(lambda x, level: run(x, level, others))(x, level))
    broken = [
        name
        for name, p in {**ways, **twists}.items()
        if not all(np.isfinite(part).all() for part in p if part is not None)
    ]
    assert not broken


def test_posterior_covariance(x64):
    x, level = table_of([-6.0, 0.0, 6.0], PLACES)
    covariance = jax.jit(lambda x, level: multiplication.posterior_of(gaussian, x, level)[1])(x, level)
    truth = np.linalg.inv(np.linalg.inv(COVARIANCE) + np.exp(level.log_snr)[..., None] * np.eye(2))
    np.testing.assert_allclose(covariance, truth, atol=1e-9)


def chain_of_gaussian(levels):
    """Mean and covariance of the samples of the ancestral chain, from the recursion of its affine steps."""
    values, basis = np.linalg.eigh(COVARIANCE)
    log_snr = np.asarray(levels.log_snr, np.float64)
    mean, spread = np.zeros(2), np.full(2, 1 + np.exp(-log_snr[0]))  # along the axes, alpha = 1
    centre = basis.T @ MEAN
    for now, nxt in itertools.pairwise(log_snr[:-1]):
        pull = values / (values + np.exp(-now))  # D(y) = centre + pull (y − centre)
        kept = np.exp(now - nxt)
        slope = pull + kept * (1 - pull)
        mean = centre + slope * (mean - centre)
        spread = slope**2 * spread + np.exp(-nxt) * (1 - kept)
    pull = values / (values + np.exp(-log_snr[-2]))
    return basis @ (centre + pull * (mean - centre)), basis @ np.diag(pull**2 * spread) @ basis.T


def in_two_errors(values, truth):
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return np.abs(values.mean(axis=0) - truth) < 2 * error


@pytest.mark.parametrize("name", ["gaussian", pytest.param("halfplane", marks=pytest.mark.slow)])
def test_twisted_particles_are_unbiased(name):
    """64 populations of 32 particles: the mean of Ẑ / Z is 1, and so is the mean of the samples; for both twists.

    Z is that of the chain of few steps itself, so nothing is left for the error of its steps.
    """
    from scipy.stats import norm

    levels = grids.levels_of(grids.log_snr_grid(), Process(linear(1000), 1000), 16)
    mean, covariance = chain_of_gaussian(levels)
    if name == "gaussian":
        h = factors.gaussian(2, x=-0.8, y=0.5, std=0.4)
        law, log_z = times_gaussian(exact.gaussian(mean, covariance), *h.gaussian)
        truth = law.gaussians().means[0]
    else:
        h = factors.halfplane(2, x=1.0, y=-1.0, at=1.2)
        normal = np.array([1.0, -1.0]) / np.sqrt(2)
        s = np.sqrt(normal @ covariance @ normal)
        t = (normal @ mean - 1.2) / s
        log_z = norm.logcdf(t)
        truth = mean + covariance @ normal / s * np.exp(norm.logpdf(t) - log_z)
    start = np.random.default_rng(0).standard_normal((64 * 32, 2)).astype(np.float32)
    for covariance_of in ("isotropic", "jacobian"):
        predict = multiplication.twisted(gaussian, h, covariance_of)
        outcome = run_steps(predict, catalog.build("sampler", "twisted:size=32"), levels, start, KEY)
        seen = diagnose(outcome.weights)
        assert (seen.size == 32).all()
        assert in_two_errors(np.exp(seen.log_z - log_z), 1.0), (name, covariance_of)
        points = np.asarray(outcome.x).reshape(64, 32, 2).mean(axis=1)
        assert (np.abs(points.mean(axis=0) - truth) < 4 * points.std(axis=0) / 8 + 0.03).all(), (name, covariance_of)
        if name == "halfplane":
            assert (np.asarray(outcome.x) @ normal >= 1.2).mean() > 0.97


def test_a_denoiser_without_a_factor_is_sampled_as_by_ddpm():
    """Bit for bit the same program but for the noise; so its moments, against those of the chain."""
    levels = grids.levels_of(grids.log_snr_grid(), Process(linear(1000), 1000), 16)
    start = np.random.default_rng(1).standard_normal((64 * 32, 2)).astype(np.float32)
    outcome = run_steps(gaussian, catalog.build("sampler", "twisted:size=32"), levels, start, KEY)
    mean, covariance = chain_of_gaussian(levels)
    assert np.abs(diagnose(outcome.weights).log_z).max() == 0
    assert (diagnose(outcome.weights).ancestors == 32).all()
    np.testing.assert_allclose(np.mean(outcome.x, axis=0), mean, atol=0.09)
    np.testing.assert_allclose(np.cov(outcome.x, rowvar=False), covariance, atol=0.12)


@pytest.mark.slow
def test_the_product_of_two_denoisers():
    """N(0.5, 0.8) times N(-0.5, 1.2) in two columns: ∫ p q dx, mean and variance, to first order in the steps."""
    one, other = normal_denoiser(0.5, 0.8), normal_denoiser(-0.5, 1.2)
    noise = np.random.default_rng(0).standard_normal((64 * 256, 2)).astype(np.float32)
    truth = {"log_z": -np.log(2 * np.pi * 2.0) - 0.5, "mean": 0.1, "variance": 0.48}
    off = {}
    for steps in (100, 200):
        levels = grids.levels_of(grids.log_snr_grid(), Process(linear(1000), 1000), steps)
        outcome = run_steps(product.product_of(one, other), catalog.build("sampler", "twisted:256"), levels, noise, KEY)
        ratio = np.exp(diagnose(outcome.weights).log_z - truth["log_z"])
        off[steps] = ratio.mean() - 1, np.var(outcome.x) / truth["variance"] - 1
        np.testing.assert_allclose(np.mean(outcome.x, axis=0), truth["mean"], atol=0.06)
        assert diagnose(outcome.weights).least.mean() > 0.4
    # what is left halves with the steps; twice the finer less the coarser is right, within two standard errors
    for extrapolated, error in zip(2 * np.array(off[200]) - np.array(off[100]), (0.06, 0.05), strict=True):
        assert abs(extrapolated) < error
