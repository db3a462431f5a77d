"""Weighted particles: their resampling, their paths, and the law and the mass Z that they sample."""

import itertools

import jax
import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.datasets.gaussians import overlap
from diffuse_cli.diffusion import exact, grid_law
from diffuse_cli.metrics.transport import sliced_w2
from diffuse_cli.samplers import particles
from diffuse_cli.samplers.base import State
from diffuse_cli.samplers.loop import Outcome, run_steps, sample
from tests.samplers.table import COVARIANCE, KEY, MEAN, first_of, gaussian, levels_of, start_at

STEPS, W = 200, 2.0
OVERLAP = overlap()
HALVES = tuple(jax.tree_util.Partial(exact.denoiser(law)) for law in (OVERLAP.classes.exact(0), OVERLAP.exact()))


def fkc(w=W, halves=HALVES):
    return catalog.build("guidance", f"fkc:w={w}").combine(*halves)


def target(w=W):
    """π_w on a grid."""
    low, high = np.array([-4.0, -4.0]), np.array([4.0, 4.0])
    return grid_law.tilted(OVERLAP.classes.exact(0), OVERLAP.exact(), w, low, high, 256)


def draw(size, populations, w=W, key=KEY, sampler="particles:size={}", **how) -> Outcome:
    sampler = catalog.build("sampler", sampler.format(size))
    return jax.device_get(sample(fkc(w), sampler, levels_of("log_snr", STEPS), key, (size * populations, 2), **how))


@pytest.fixture(scope="module")
def drawn():
    """64 populations of 64 particles, with their paths."""
    return draw(64, 64, trajectory=True)


def ratios(outcome, law):
    """Ẑ / Z of each population."""
    return np.exp(particles.diagnose(outcome.weights).log_z - law.log_z)


def test_the_mean_of_the_estimates_of_z_is_z(drawn):
    """Within two standard errors over 64 populations; its own error is small enough to see a wrong factor."""
    found = ratios(drawn, target())
    error = found.std(ddof=1) / 8
    assert error < 0.03
    assert abs(found.mean() - 1) < 2 * error


def test_samples_have_the_mean_and_covariance_of_the_tilted_law(drawn):
    """Within five standard errors of as many independent draws as the effective ones; those of cfg have not."""
    law = target()
    truth = law.draw(np.random.default_rng(0), 200_000)
    effective = len(drawn.x) * particles.diagnose(drawn.weights).ancestors.sum() / len(drawn.x)
    error = 5 / np.sqrt(effective / 2)
    cfg = catalog.build("guidance", f"cfg:w={W}").combine(*HALVES)
    plain = sample(cfg, catalog.build("sampler", "ddim"), levels_of("log_snr", 20), KEY, drawn.x.shape)

    def away(x):
        mean, covariance = np.abs(x.mean(axis=0) - truth.mean(axis=0)), np.abs(np.cov(x.T) - np.cov(truth.T))
        return max(mean.max() / truth.std(), covariance.max() / truth.var()) / error

    assert away(np.asarray(drawn.x, np.float64)) < 1
    assert away(np.asarray(plain.x, np.float64)) > 1


def test_a_path_is_that_of_the_ancestors(drawn):
    """It starts at the ancestor's noise, and x0 of each frame is that of the denoiser at the x of the same frame."""
    levels = levels_of("log_snr", STEPS)
    noise = np.asarray(start_at(levels, 64 * 64) * 0 + drawn.path.x[0])
    assert len(np.unique(noise, axis=0)) == particles.diagnose(drawn.weights).ancestors.sum()
    places = np.array([0, 60, 120, 180, 199])
    at = jax.tree.map(lambda field: field[places], levels)
    x0 = jax.jit(jax.vmap(lambda x, level: fkc()(x, level).x0))(drawn.path.x[places], at)
    np.testing.assert_allclose(x0, drawn.path.x0[places], atol=2e-4)
    np.testing.assert_array_equal(drawn.path.x[-1], drawn.x)


def test_where_all_is_affine_weights_are_equal_and_z_has_a_closed_form():
    """At two levels log Z_w = ½ w (w − 1) dᵀ(C + σ²/α²)⁻¹d, d being the difference of the means."""
    other, w = np.array([-0.5, 0.3]), 3.0
    halves = [jax.tree_util.Partial(exact.denoiser(exact.gaussian(mean, COVARIANCE))) for mean in (MEAN, other)]
    levels = levels_of("log_snr", STEPS)
    found = sample(fkc(w, halves), catalog.build("sampler", "particles:size=64"), levels, KEY, (256, 2))
    variance = np.exp(-np.asarray(levels.log_snr, np.float64)[[0, -2]])
    first, last = (
        0.5 * w * (w - 1) * (MEAN - other) @ np.linalg.solve(COVARIANCE + v * np.eye(2), MEAN - other) for v in variance
    )
    seen = particles.diagnose(found.weights)
    assert last > 1
    assert first < 1e-3
    np.testing.assert_allclose(seen.log_z, last - first, atol=2e-3)
    np.testing.assert_allclose([seen.least, seen.last], 1, atol=1e-5)


def test_the_start_is_near_the_tilted_law():
    """KL(π_w ‖ N(0, I)) at log-SNR −10 is below 1e-3 nats on overlap at w = 4, and near ½ SNR |mean|²."""
    low, high = np.array([-7.0, -7.0]), np.array([7.0, 7.0])
    level = first_of(levels_of())
    law = grid_law.tilted(OVERLAP.classes.exact(0), OVERLAP.exact(), 4.0, low, high, 256, level)
    x, y = np.meshgrid(*law.axes, indexing="ij")
    kl = law.kl(-(x**2 + y**2) / 2 - np.log(2 * np.pi))
    mean = target(4.0).draw(np.random.default_rng(0), 10_000).mean(axis=0)
    assert kl < 1e-3
    assert kl < 2 * 0.5 * np.exp(level.log_snr) * mean @ mean + 1e-4
    assert abs(law.log_z) < 1e-3


LAYOUTS = [(64, 64), (64, 16), (70, 16), (9, 4), (3, 8)]  # n, size


@pytest.mark.parametrize(("n", "size"), LAYOUTS)
def test_systematic_resampling_gives_each_particle_its_share_rounded_up_or_down(n, size):
    rng = np.random.default_rng(n)
    weights = particles.start(n, size, np.dtype("f4"))
    log_weight = rng.normal(size=n).astype(np.float32) * 2
    k = max(n // size, 1)
    first = np.append(0, np.cumsum([n // k + (i < n % k) for i in range(k)]))
    assert (np.diff(first) >= min(size, n)).all()
    resampled = jax.jit(lambda log_weight: particles.resampled(weights._replace(log_weight=log_weight), 1.0, KEY))
    after = jax.device_get(resampled(log_weight))
    for i, (a, b) in enumerate(itertools.pairwise(first)):
        w = np.exp(log_weight[a:b].astype(np.float64))
        parent = after.parent[a:b]
        assert ((parent >= a) & (parent < b)).all()
        expected = (b - a) * w / w.sum()
        counts = np.bincount(parent - a, minlength=b - a)
        assert (np.abs(counts - expected) < 1 + 1e-4).all()
        np.testing.assert_allclose(after.log_z[i], np.log(w.mean()), rtol=1e-4)
        np.testing.assert_allclose(after.last[i], w.sum() ** 2 / np.sum(w**2) / (b - a), rtol=1e-4)
    assert (after.log_weight == 0).all()
    np.testing.assert_array_equal(after.root, after.parent)


def test_populations_above_the_threshold_keep_their_particles_and_weights():
    even, uneven = np.zeros(16, "f4"), np.append(np.zeros(15, "f4"), np.float32(9))
    weights = particles.start(48, 16, np.dtype("f4"))._replace(log_weight=np.concatenate([even + 1, uneven, even]))
    after = jax.device_get(particles.resampled(weights, 0.5, KEY))
    np.testing.assert_array_equal(after.parent[:16], np.arange(16))
    np.testing.assert_array_equal(after.parent[32:], np.arange(32, 48))
    np.testing.assert_array_equal(after.log_weight[[0, 16, 31, 32]], [1, 0, 0, 0])
    assert (after.parent[16:32] == 31).sum() > 10
    np.testing.assert_array_equal(after.log_z[[0, 2]], 0)


def test_without_weights_and_with_the_noise_of_the_reverse_sde_it_is_dpmpp_2m_sde():
    levels, plain = levels_of(steps=9), catalog.build("sampler", "dpmpp_2m_sde")

    def with_its_keys(predict, state, now, nxt, key) -> State:
        return plain.step(predict, state, now, nxt, jax.random.split(key)[1])

    expected = run_steps(gaussian, plain._replace(step=with_its_keys), levels, start_at(levels), KEY)
    found = run_steps(gaussian, catalog.build("sampler", "particles:noise=1"), levels, start_at(levels), KEY)
    np.testing.assert_allclose(found.x, expected.x, atol=1e-5)
    seen = particles.diagnose(found.weights)
    assert seen.ancestors == seen.size == 64
    assert seen.log_z == 0
    assert expected.weights == ()


@pytest.mark.slow
def test_more_noise_samples_the_same_law():
    """On Gaussian data, where every noise has the mean and covariance of the data."""
    n, levels = 20_000, levels_of("log_snr", 200)
    for noise in (0.3, 16.0):
        found = sample(gaussian, catalog.build("sampler", f"particles:noise={noise}"), levels, KEY, (n, 2))
        x = np.asarray(found.x, np.float64)
        np.testing.assert_allclose(x.mean(axis=0), MEAN, atol=5 / np.sqrt(n) + 0.01)
        np.testing.assert_allclose(np.cov(x.T), COVARIANCE, atol=5 * np.sqrt(2 / n) + 0.02)


@pytest.mark.slow
def test_the_error_falls_as_the_root_of_the_number_of_particles():
    """Of the mean of x, and of Ẑ, over 64 populations of each size."""
    law = target()
    mean = law.draw(np.random.default_rng(0), 1_000_000).mean(axis=0)
    sizes, errors = np.array([16, 64, 256]), []
    for size in sizes:
        found = draw(int(size), 64)
        of_mean = np.sqrt(np.mean((found.x.reshape(64, size, 2).mean(axis=1) - mean) ** 2))
        errors.append([of_mean, np.sqrt(np.mean((ratios(found, law) - 1) ** 2))])
    slopes = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    np.testing.assert_allclose(slopes, -0.5, atol=0.12)


@pytest.mark.slow
@pytest.mark.parametrize("w", [2.0, 4.0])
def test_particles_reach_the_noise_floor_and_cfg_does_not(w):
    n, law, rng, metric = 3000, target(w), np.random.default_rng(0), sliced_w2()
    floor = np.mean([metric(law.draw(rng, n), law.draw(rng, n)) for _ in range(20)])
    cfg = catalog.build("guidance", f"cfg:w={w}").combine(*HALVES)
    levels = levels_of("log_snr", STEPS)
    plain = sample(cfg, catalog.build("sampler", "dpmpp_2m"), levels, KEY, (n, 2)).x
    found = [draw(1000, 3, w, jax.random.key(seed)).x for seed in range(4)]
    corrected = np.mean([metric(np.asarray(x, float), law.draw(rng, n)) for x in found])
    assert corrected < 1.5 * floor
    assert metric(np.asarray(plain, float), law.draw(rng, n)) > 5 * floor
