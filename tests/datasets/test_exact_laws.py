"""Every set's law against its draws and against itself: one table over all sets, which a new one inherits."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special

from diffuse_cli import catalog, config
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.process import Level, Process
from diffuse_cli.models import build
from diffuse_cli.models.data import draw_data, law_of
from tests.support.cases import BUILT_IN, few_fast

SETS = [
    *BUILT_IN, "swiss_roll:dim=3", "s_curve:dim=3", "moons:noise=0.3", "bimodal:weight=0.2", "curves:dim=8",
    "curves:kind=two_shapes,dim=8",
    "rose:petals=1", "two_spirals:variant=ffjord", "checkerboard:noise=0.1,squares=3", "pinwheel:rate=0.5,arms=2",
]  # fmt: skip
FINE, COARSE = 10.0, 0.0
# The least standard deviation when clean:
DETAIL = {"tree": 0.01, "checkerboard": 0.0, "text": 0.01, "two_moons": 0.0, "two_spirals:variant=ffjord": 0.075}
USUAL_DETAIL = 0.04
SIZE = 2000  # of the batches that the laws are asked for, one size so that each is compiled once
IN_EVERY_RUN = [name for name in SETS if ":" not in name]  # the catalogue's, with their defaults
every_set = pytest.mark.parametrize("name", few_fast(SETS, *IN_EVERY_RUN))
WIDE = {"curves", "curves:dim=8", "curves:kind=two_shapes,dim=8"}  # too many columns for a few draws to be near any x
NO_ENTROPY = {"curves:kind=two_shapes,dim=8"}  # a mixture in more than two columns: tests/datasets/test_two_shapes.py
FLAT = {name: catalog.build("dataset", name).dim <= 2 for name in SETS}
fine_and_coarse = pytest.mark.parametrize("log_snr", few_fast([FINE, COARSE], FINE))


@functools.cache
def made(name):
    """The dataset, and its law's own functions, compiled once for all tests."""
    dataset = catalog.build("dataset", name)
    law = dataset.exact()
    return dataset, law, jax.jit(functools.partial(exact.log_prob, law)), jax.jit(exact.denoiser(law))


def at(log_snr):
    return Process(None, 1).at(jnp.float64(log_snr))


def draws(dataset, n, seed=1):
    """[n, d], model space."""
    return dataset.standard.to_model(dataset.draw(np.random.default_rng(seed), n))


def noised(x0, level, seed=2):
    return float(level.alpha) * x0 + float(level.sigma) * np.random.default_rng(seed).normal(size=x0.shape)


def in_parts(function, x):
    """The function's values at x [n, d], batch by batch."""
    padded = np.concatenate([x, np.repeat(x[-1:], -len(x) % SIZE, axis=0)])
    return np.concatenate([function(part) for part in padded.reshape(-1, SIZE, x.shape[1])])[: len(x)]


@fine_and_coarse
@pytest.mark.parametrize(
    "name", few_fast([name for name in SETS if FLAT[name]], *(name for name in IN_EVERY_RUN if FLAT[name]))
)
def test_the_density_has_mass_one_and_the_entropy_it_says(name, log_snr, x64):
    """On a plain grid that covers the draws with room to spare."""
    dataset, law, log_prob, _ = made(name)
    level = at(log_snr)
    alpha, sigma = float(level.alpha), float(level.sigma)
    spacing = 0.8 * np.hypot(alpha * DETAIL.get(name, USUAL_DETAIL), sigma)
    x0, room = draws(dataset, 20_000), 0.3 + 6 * sigma
    axes = [
        np.arange(low, high, spacing)
        for low, high in alpha * np.array([x0.min(axis=0), x0.max(axis=0)]).T + [-room, room]
    ]
    grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, dataset.dim)
    log_p = in_parts(lambda x: log_prob(x, level), grid)
    assert np.exp(log_p).sum() * spacing**dataset.dim == pytest.approx(1, abs=1e-3)
    assert -(np.exp(log_p) * log_p).sum() * spacing**dataset.dim == pytest.approx(law.entropy(level), abs=1e-3)


@fine_and_coarse
@pytest.mark.parametrize("name", few_fast([name for name in SETS if name not in NO_ENTROPY], *IN_EVERY_RUN))
def test_the_law_is_that_of_the_draws(name, log_snr, x64):
    """-E log p over draws is the law's entropy, within five standard errors: by Gibbs' inequality any other law would
    give the draws a larger one, by its KL divergence."""
    dataset, law, log_prob, _ = made(name)
    level = at(log_snr)
    surprise = -in_parts(lambda x: log_prob(x, level), noised(draws(dataset, 20_000), level))
    assert surprise.mean() == pytest.approx(law.entropy(level), abs=5 * surprise.std() / np.sqrt(len(surprise)))


@every_set
def test_the_score_is_the_slope_of_the_density(name, x64):
    """By central differences, at the finest level that is sampled."""
    dataset, _, log_prob, denoiser = made(name)
    level, step = at(FINE), 1e-6
    x = noised(draws(dataset, SIZE), level)
    score = -np.asarray(denoiser(x, level).eps) / float(level.sigma)
    shifts = step * np.eye(dataset.dim)[: min(dataset.dim, 3), None]
    slopes = [(log_prob(x + shift, level) - log_prob(x - shift, level)) / (2 * step) for shift in shifts]
    np.testing.assert_allclose(
        score[:, : len(slopes)], np.stack(slopes, axis=1), rtol=1e-4, atol=1e-4 * np.abs(score).max()
    )


@pytest.mark.parametrize("name", few_fast([name for name in SETS if name not in WIDE], *(set(IN_EVERY_RUN) - WIDE)))
def test_the_denoiser_is_the_mean_of_the_draws_that_x_may_come_from(name, x64):
    """By weighing draws of x0 with N(x; alpha x0, sigma^2 I), which knows nothing of the density."""
    dataset, _, _, denoiser = made(name)
    level = at(1.0)
    alpha, sigma = float(level.alpha), float(level.sigma)
    x0 = draws(dataset, 40_000)
    x = noised(x0[:SIZE], level)
    answers = np.asarray(denoiser(x, level).x0)
    for seen, mean in zip(x[:20], answers, strict=False):
        weight = np.exp(-((seen - alpha * x0) ** 2).sum(axis=1) / (2 * sigma**2))
        weight /= weight.sum()
        error = np.sqrt(weight**2 @ (x0 - mean) ** 2)
        assert np.abs((weight @ x0 - mean) / error).max() < 5.5


@pytest.mark.parametrize("name", ["moons", "tree", "checkerboard"])
def test_entropy_grows_with_noise_by_de_bruijns_identity(name, x64):
    """dH / d sigma^2 = 1/2 E |score|^2, where alpha = 1."""
    dataset, law, _, denoiser = made(name)
    below, level, above = (Level(-np.log(v), 1.0, np.sqrt(v)) for v in (0.0975, 0.1, 0.1025))
    slope = (law.entropy(above) - law.entropy(below)) / 0.005
    x = noised(draws(dataset, 20_000), level)
    eps = in_parts(lambda x: denoiser(x, Level(*map(jnp.float64, level))).eps, x)
    squared = 0.5 * np.sum((eps / level.sigma) ** 2, axis=1)
    assert squared.mean() == pytest.approx(slope, abs=5 * squared.std() / np.sqrt(len(x)) + 1e-3 * slope)


def clean_entropy(name):
    """In data units, nats."""
    dataset = catalog.build("dataset", name)
    return dataset.exact().entropy(Level(np.inf, 1.0, 0.0)) + np.log(dataset.standard.scale).sum()


@pytest.mark.parametrize(
    ("name", "entropy", "error"),
    [
        ("moons:noise=0.05", 0.2892, 2e-4),
        ("moons:noise=0.1", 1.0075, 2e-4),
        ("moons:variant=ffjord", 2.3938, 2e-4),
        ("circles:variant=ffjord", 3.2681, 2e-4),
        ("swiss_roll:variant=ffjord", 2.6696, 2e-4),
        ("rings:variant=ffjord", 2.6232, 2e-4),
        ("eight_gaussians:variant=ffjord", 2.8319, 2e-4),
        ("two_spirals:variant=ffjord", 2.6453, 2e-4),
        ("pinwheel:variant=ffjord", 2.317, 5e-3),
        ("checkerboard:variant=ffjord", np.log(32), 1e-12),
    ],
)
def test_entropies_found_elsewhere(name, entropy, error):
    assert clean_entropy(name) == pytest.approx(entropy, abs=error)


@pytest.mark.parametrize(
    ("name", "radii", "std"),
    [
        ("rings:variant=ffjord", [0.75, 1.5, 2.25, 3.0], 0.08),
        ("circles:variant=ffjord", [1.5, 3.0], 0.24),
        ("circles:noise=0.2,factor=0.3,scale=2", [0.6, 2.0], 0.4),
    ],
)
def test_circles_have_the_entropy_of_their_bessel_functions(name, radii, std):
    """p(r) = mean over R of exp(-(r - R)^2 / 2 s^2) I0e(r R / s^2) / 2 pi s^2, integrated along r alone."""

    def surprise(r):
        each = [np.exp(-((r - R) ** 2) / (2 * std**2)) * special.ive(0, r * R / std**2) for R in radii]
        p = np.mean(each) / (2 * np.pi * std**2)
        return -2 * np.pi * r * special.xlogy(p, p)

    expected, _ = integrate.quad(surprise, 0, max(radii) + 12 * std, points=radii, limit=500)
    assert clean_entropy(name) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("log_snr", [np.inf, 4.0])
def test_a_noisy_segment_has_its_closed_form_also_beyond_its_ends(log_snr, x64):
    """Along it a difference of normal distribution functions, across it a normal density."""
    dataset = catalog.build("dataset", "line:noise=0.1,angle=0")
    level = at(log_snr)
    scale = dataset.standard.scale[0]
    std = np.hypot(float(level.alpha) * 0.1 / scale, float(level.sigma))
    end = float(level.alpha) / scale
    x = np.stack([np.linspace(-end - 7 * std, end + 7 * std, 41), np.linspace(-3, 3, 41) * std], axis=1)
    away = np.abs(x[:, 0])  # the same on both sides, and digits are kept on the left
    along = np.log(special.ndtr((end - away) / std) - special.ndtr((-end - away) / std)) - np.log(2 * end)
    across = -0.5 * (x[:, 1] / std) ** 2 - np.log(std) - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(exact.log_prob(dataset.exact(), x, level), along + across, atol=2e-5)


def test_curves_have_the_entropy_of_their_covariance():
    """1/2 log det(2 pi e (alpha^2 C + sigma^2 I)), C = sum_k a_k^2 cos pi k (t_i - t_j) + noise^2 I, standardised."""
    dataset = catalog.build("dataset", "curves:dim=8,terms=3,decay=1,noise=0.1")
    order, t = np.arange(1, 4), np.linspace(0, 1, 8)
    shares = order**-2.0 / np.sum(order**-2.0)
    covariance = sum(a * np.cos(np.pi * k * (t[:, None] - t)) for a, k in zip(shares, order, strict=True))
    covariance = (covariance + 0.01 * np.eye(8)) / 1.01
    level = Level(1.0, 0.8, 0.5)
    noisy = 0.64 * covariance + 0.25 * np.eye(8)
    assert dataset.exact().entropy(level) == pytest.approx(0.5 * np.linalg.slogdet(2 * np.pi * np.e * noisy)[1])


def test_a_file_is_the_mixture_on_its_points(tmp_path, x64):
    points = np.random.default_rng(0).normal(size=(30, 2)) * [1.0, 50.0]
    np.savetxt(tmp_path / "points.csv", points, delimiter=",")
    settings = config.make({"dataset": f"file:{tmp_path / 'points.csv'}"})
    dataset, level = build.build_dataset(settings), at(12.0)
    known = draw_data(settings, dataset).train
    got = exact.denoiser(law_of(settings, dataset))(level.alpha * known, level).x0
    np.testing.assert_allclose(got, known, atol=1e-5)
    assert len(known) == 27
    found = np.abs(dataset.standard.to_data(np.asarray(got))[:, None] - points).max(axis=2)
    assert (found.min(axis=1) < 1e-4).all()
