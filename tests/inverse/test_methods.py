"""Methods for inverse problems against closed forms: what is exact is exact, and the others do as they say."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.datasets.dataset import Standardiser
from diffuse_cli.diffusion import process as p
from diffuse_cli.diffusion.denoisers import Prediction
from diffuse_cli.diffusion.process import Level
from diffuse_cli.inverse.base import Measured
from diffuse_cli.inverse.observed import observe_rows
from diffuse_cli.samplers.base import State
from diffuse_cli.samplers.loop import run_steps
from diffuse_cli.samplers.particles import diagnose
from tests.inverse.table import METHODS, NEAR_Y, NEAR_Y_BY_DPS, PLAIN, measured, once
from tests.samplers.table import COVARIANCE, KEY, MEAN, PARTS, STD, gaussian, levels_of, parts, start_at

# --- the denoisers of mmps and pigdm, and their twists

LOG_SNRS = [-7.9, -4.0, 0.0, 3.0, 10.0]
PLACES = np.array([[0.0, 0.0], [1.5, -0.7], [-2.0, 0.4]])
# A, the standard deviation of the noise and y; rows of zeros, which measure nothing, fill them to three values
LINEAR = {
    "both columns, with noise": (np.eye(2), [0.4, 0.1], [0.3, -0.5]),
    "both, without noise": (np.eye(2), [0.0, 0.0], [0.3, -0.5]),
    "one column": ([[0.0, 1.0]], [0.3], [0.7]),
    "one column, without noise": ([[0.0, 1.0]], [0.0], [0.7]),
    "a mix, without noise": ([[1.0, -2.0]], [0.0], [1.0]),
    "one without noise, one with": (np.eye(2), [0.0, 0.5], [0.2, 0.9]),
    "three values": ([[1.0, 0.0], [0.5, 0.5], [1.0, 0.2]], [0.7, 0.7, 0.2], [0.3, -0.5, 0.2]),
    "hardly anything": (np.eye(2), [1e6, 1e6], [0.3, -0.5]),
    "nothing": ([[0.0, 0.0]], [1.0], [0.4]),
}


def filled(matrix, std, y):
    rows = 3 - len(y)
    return np.vstack([matrix, np.zeros((rows, 2))]), np.append(std, np.ones(rows)), np.append(y, np.zeros(rows))


def every_case():
    """x [n, 2], its levels [n, 1] and the measurement of each row: all cases at all log-SNRs and places."""
    each = len(LOG_SNRS) * len(PLACES)
    columns = zip(*(filled(*case) for case in LINEAR.values()), strict=True)
    a, std, y = (np.repeat(np.array(column), each, axis=0) for column in columns)
    log_snr = np.tile(np.repeat(LOG_SNRS, len(PLACES)), len(LINEAR))[:, None]
    alpha, sigma = (np.sqrt(1 / (1 + np.exp(-sign * log_snr))) for sign in (1, -1))
    x = np.tile(PLACES, (len(LINEAR) * len(LOG_SNRS), 1))
    return x, Level(log_snr, alpha, sigma), (a, std, y)


def posterior_denoiser(x, level, rows, mean, covariance):
    """E[x0 | x, y] of N(mean, covariance), and log p(y | x), for each row: x / alpha is a measurement like y."""
    x0, log_p = np.empty_like(x), np.empty(len(x))
    for i, (a, std, y) in enumerate(zip(*rows, strict=True)):
        within = np.linalg.inv(np.linalg.inv(covariance) + np.exp(level.log_snr[i]) * np.eye(2))  # x0 given x
        at = within @ (np.linalg.solve(covariance, mean) + level.alpha[i] / level.sigma[i] ** 2 * x[i])
        v = a @ within @ a.T + np.diag(std**2)
        weight = np.linalg.solve(v, y - a @ at)
        x0[i] = at + within @ a.T @ weight
        log_p[i] = -0.5 * ((y - a @ at) @ weight + np.linalg.slogdet(2 * np.pi * v)[1])
    return x0, log_p


def _unit(x, level):
    return Prediction(level.alpha * x / (level.alpha**2 + level.sigma**2), level.sigma * x)


unit = jax.tree_util.Partial(_unit)  # of N(0, I), in variance preservation


def told(name, predict, observed):
    return catalog.build("posterior", name).told(predict, observed)


def by_case(wrong):
    return {name: float(part.max()) for name, part in zip(LINEAR, np.split(wrong, len(LINEAR)), strict=True)}


@pytest.mark.parametrize(
    ("name", "twist", "prior", "law"),
    [
        ("mmps", "tds", gaussian, (MEAN, COVARIANCE)),
        ("pigdm", "tds:twist=r2", unit, (np.zeros(2), np.eye(2))),
    ],
)
def test_exact_for_gaussians(name, twist, prior, law, x64):
    """mmps for any Gaussian, pigdm for N(0, I): the denoiser given y, and the twist log p(y | x); an A for each row."""
    x, level, rows = every_case()
    a, std, y = rows
    observed = observe_rows(a, y, std, PLAIN)

    @jax.jit
    def run(observed, x, level):
        return told(name, prior, observed)(x, level)

    seen = jax.device_get(run(observed, x, level))
    x0, log_p = posterior_denoiser(x, level, rows, *law)
    off = by_case(np.abs(seen.x0 - x0).max(axis=1))
    assert max(off.values()) < 1e-6, off
    np.testing.assert_allclose(seen.eps, (x - level.alpha * x0) / level.sigma, atol=1e-6)
    weighed = jax.device_get(jax.jit(lambda *inputs: told(twist, prior, inputs[0])(*inputs[1:]))(observed, x, level))
    np.testing.assert_allclose(weighed.x0 + weighed.twist.shift, x0, atol=1e-6)
    off = by_case(np.abs(weighed.twist.log_mean - log_p))
    assert max(off.values()) < 1e-6, off


def test_the_last_weight_is_the_likelihood_of_the_clean_sample(x64):
    """Where all values have noise; else the last twist, since there is no density."""
    x, level, _ = every_case()
    at = x[:15], Level(*(field[:15] for field in level))
    run = jax.jit(lambda observed, x, level: told("tds", gaussian, observed)(x, level))
    for std in ([0.4, 0.1], [0.0, 0.1]):
        seen = run(measured(np.eye(2), std, [0.3, -0.5]), *at)
        if min(std):
            apart = ([0.3, -0.5] - np.asarray(seen.x0)) / std
            expected = -0.5 * (apart**2).sum(axis=1) - np.log(2 * np.pi * np.prod(std))
        else:
            expected = seen.twist.log_mean
        np.testing.assert_allclose(seen.twist.log_h, expected, atol=1e-9)


def test_one_matrix_for_all_rows_is_the_same(x64):
    """The usual form of a measurement, with one A and one y, gives what one for each row gives."""
    x, level, (a, std, y) = every_case()
    case = list(LINEAR).index("one without noise, one with")
    rows = slice(case * 15, case * 15 + 15)
    observed = measured(*LINEAR["one without noise, one with"])
    run = jax.jit(lambda observed, x, level: told("mmps", gaussian, observed)(x, level))
    at = x[rows], Level(*(field[rows] for field in level))
    one = run(observed, *at)
    each = run(observe_rows(a[rows], y[rows], std[rows], PLAIN), *at)
    np.testing.assert_allclose(one.x0, each.x0, atol=1e-9)


def test_only_one_of_them_is_exact_for_a_law_that_is_not_round(x64):
    x, level, rows = every_case()
    observed = observe_rows(rows[0], rows[2], rows[1], PLAIN)
    x0, _ = posterior_denoiser(x, level, rows, MEAN, COVARIANCE)
    seen = jax.jit(lambda *inputs: told("pigdm", gaussian, inputs[0])(*inputs[1:]))(observed, x, level)
    off = by_case(np.abs(seen.x0 - x0).max(axis=1))
    assert off["both columns, with noise"] > 0.01
    assert off["nothing"] < 1e-9
    assert off["hardly anything"] < 1e-6


def test_without_a_covariance_mmps_does_as_pigdm(x64):
    """Of a network whose Jacobian is no covariance, V may have no root; then r² I takes its place."""
    wrong = jax.tree_util.Partial(lambda x, level: Prediction(-2 * x, jnp.zeros_like(x)))
    observed, level = measured(np.eye(2), 0.1, [0.3, -0.5]), p.unscaled(0.0)
    both = jax.jit(lambda observed: [told(name, wrong, observed)(PLACES, level).x0 for name in ("mmps", "pigdm")])
    one, other = both(observed)
    np.testing.assert_array_equal(one, other)
    assert np.isfinite(one).all()


# --- all methods of the catalogue, by the samplers that suit them

STEPS, N = 20, 64
NOTHING = measured([[0.0, 0.0]], 1.0, [0.4])
A_MIX = measured([[1.0, -0.5]], 0.3, [0.6])


@cache
def with_same_noise(text):
    """The sampler, with noise that depends on the level alone: what a method does with its key changes nothing."""
    sampler = catalog.build("sampler", text)

    def step(predict, state, now, nxt, _key):
        bits = jax.lax.bitcast_convert_type(nxt.log_snr.astype(jnp.float32), jnp.uint32)
        return sampler.step(predict, state, now, nxt, jax.random.fold_in(KEY, bits))

    return sampler._replace(step=step)


@cache
def sampler_of(text):
    """A method's sampler, whose steps use the measurement."""
    rule = catalog.build("posterior", text)
    return rule.around(with_same_noise(rule.sampler))


def solved(text, observed, start, levels=None, prior=gaussian, sampler=None):
    rule = catalog.build("posterior", text)
    levels = levels_of("log_snr", STEPS) if levels is None else levels
    predict = Measured(rule.told(prior, observed), observed)
    return run_steps(predict, sampler or sampler_of(text), levels, start, KEY)


@pytest.mark.parametrize("name", METHODS)
def test_what_measures_nothing_changes_nothing(name):
    """A = 0: the same samples as without the method, from the same noise."""
    text, levels = once(name), levels_of("log_snr", STEPS)
    start = start_at(levels, N)
    plain = run_steps(gaussian, with_same_noise(catalog.build("posterior", text).sampler), levels, start, KEY)
    np.testing.assert_allclose(solved(text, NOTHING, start).x, plain.x, atol=2e-6)


@pytest.mark.parametrize("name", METHODS)
def test_the_scaling_of_the_process_does_not_matter(name):
    """Variance preserving, exploding or straight: the same samples from the same noise, given a measurement."""
    samples = []
    for scaling in (p.variance_preserving, p.variance_exploding, p.straight_flow):
        levels = levels_of("log_snr", STEPS, scaling)
        # one program for all: with the levels that come out of it as they go in
        samples.append(np.asarray(solved(name, A_MIX, np.asarray(start_at(levels, N)), levels).x))
    np.testing.assert_allclose(samples[1:], [samples[0]] * 2, atol=1e-3)


@pytest.mark.parametrize("name", METHODS)
def test_what_is_measured_with_hardly_any_noise_is_found(name):
    y = np.array([0.9, -0.3])
    levels = levels_of("log_snr", STEPS)
    x = solved(once(name), measured(np.eye(2), 1e-3, y), start_at(levels, N)).x
    apart = np.linalg.norm(x - y, axis=1).max()
    assert apart < (NEAR_Y_BY_DPS if name == "dps" else NEAR_Y), apart


FUNCTIONS = [name for name in METHODS if not catalog.build("posterior", name).linear]
TURNED = np.array([[1.0, -0.5]])


def along(points):
    return points @ jnp.asarray(TURNED.T, points.dtype)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_linear_function_is_its_matrix(name):
    standard = Standardiser(np.array([0.4, -1.5]), np.full(2, 2.0))
    matrix, function = (measured(a, 0.6, [0.7], standard, f) for a, f in ((TURNED, None), (None, along)))
    start = start_at(levels_of("log_snr", STEPS), N)
    np.testing.assert_allclose(solved(name, function, start).x, solved(name, matrix, start).x, atol=1e-4)


def test_all_methods_that_need_no_matrix_are_asked_about_functions():
    assert set(FUNCTIONS) >= {"dps", "pigdm", "mmps", "tds"}


# --- what each of the others does in a step

PAIRS = levels_of("log_snr", 12)


def at_each_level(text, observed, x):
    """One step from each level to the next, all from x: with the method and without, [levels, n, d]; and the next."""
    rule = catalog.build("posterior", text)
    sampler = with_same_noise(rule.sampler)
    around = rule.around(sampler)
    now, nxt = (Level(*(field[place] for field in PAIRS)) for place in (slice(-2), slice(1, -1)))
    keys = jax.random.split(KEY, len(nxt.log_snr))

    @jax.jit
    def run(observed, x):
        def both(now, nxt, key):
            predict = Measured(rule.told(gaussian, observed), observed)
            state = State(x, jnp.zeros_like(x))
            return [each.step(predict, state, now, nxt, key).x for each in (around, sampler)]

        return jax.vmap(both)(now, nxt, keys)

    return *map(np.asarray, run(observed, x)), now, nxt


@pytest.mark.parametrize("std", [0.0, 0.25])
def test_what_is_overwritten_has_the_law_of_the_forward_process(std):
    """v·x is α v·x0 + σ ε, mean and variance, with the noise of y in it; at levels below that noise nothing is set."""
    rng, n, direction = np.random.default_rng(0), 20_000, np.array([2.0, -1.0])
    y = 0.8 + std * rng.standard_normal((n, 1))
    rows = np.broadcast_to(direction, (n, 1, 2)), y, np.full((n, 1), std)
    x = rng.standard_normal((n, 2)).astype(np.float32)
    with_it, without, _, nxt = at_each_level("replacement", observe_rows(*rows, PLAIN), x)
    across = np.array([1.0, 2.0])
    np.testing.assert_allclose(with_it @ across, without @ across, atol=1e-4)
    noisier = np.asarray(nxt.sigma / nxt.alpha > std / np.sqrt(5))
    np.testing.assert_array_equal(with_it[~noisier], without[~noisier])
    assert noisier.any()
    assert (std == 0) == noisier.all()
    v = (with_it @ direction / np.sqrt(5))[noisier]
    sigma, mean = nxt.sigma[noisier], nxt.alpha[noisier] * 0.8 / np.sqrt(5)
    assert (np.abs(v.mean(axis=1) - mean) < 4 * sigma / np.sqrt(n)).all()
    assert (np.abs(v.var(axis=1) / sigma**2 - 1) < 4 * np.sqrt(2 / n)).all()


def test_the_push_of_dps_has_the_length_of_its_formula():
    """Of N(m, S), D has the slope J = α S (α² S + σ²)⁻¹: the push is ζ Jᵀ Aᵀ (y − A D) / |y − A D|."""
    x = np.array([[0.3, -0.2], [2.0, 1.0], [-1.5, 0.5]], np.float32)
    a, y = np.array([[1.0, 0.5], [0.0, 2.0]]), np.array([0.9, -3.0])
    for zeta, std in ((1.0, 0.1), (0.25, 5.0), (0.0, 1.0)):
        with_it, without, now, _ = at_each_level(f"dps:zeta={zeta:g}", measured(a, std, y), x)
        for i, (alpha, sigma) in enumerate(zip(*map(np.asarray, now[1:]), strict=True)):
            slope = alpha * COVARIANCE @ np.linalg.inv(alpha**2 * COVARIANCE + sigma**2 * np.eye(2))
            apart = y - (MEAN + (x - alpha * MEAN) @ slope) @ a.T
            push = zeta * apart / np.linalg.norm(apart, axis=1, keepdims=True) @ a @ slope
            np.testing.assert_allclose(with_it[i] - without[i], push, atol=2e-5)


def test_rounds_of_repaint_keep_the_prior_where_nothing_is_measured():
    """Every step three times, with noise as that of the forward process in between: the moments, by their recursion."""
    levels = levels_of("log_snr", STEPS)
    outcome = solved("repaint:rounds=3", NOTHING, start_at(levels, 4096), levels, sampler=anew("repaint:rounds=3"))
    values, basis = np.linalg.eigh(COVARIANCE)
    centre, mean, spread = basis.T @ MEAN, np.zeros(2), np.ones(2)
    alpha, sigma = (np.asarray(field, np.float64) for field in levels[1:])
    for i in range(STEPS - 1):
        pull = alpha[i] * values / (alpha[i] ** 2 * values + sigma[i] ** 2)  # of D
        scale = alpha[i] / alpha[i + 1]  # from the cleaner level back
        added = sigma[i] ** 2 - (scale * sigma[i + 1]) ** 2
        kept = sigma[i + 1] * alpha[i] * sigma[i + 1] / (alpha[i + 1] * sigma[i])
        slope = alpha[i + 1] * pull + kept / sigma[i] * (1 - alpha[i] * pull)
        for again in range(3):
            if again:
                mean, spread = scale * mean, scale**2 * spread + added
            mean = alpha[i + 1] * centre + slope * (mean - alpha[i] * centre)
            spread = slope**2 * spread + added * (sigma[i + 1] / sigma[i]) ** 2
    pull = alpha[-2] * values / (alpha[-2] ** 2 * values + sigma[-2] ** 2)
    mean, spread = centre + pull * (mean - alpha[-2] * centre), pull**2 * spread
    x = np.asarray(outcome.x) @ basis
    assert (np.abs(x.mean(axis=0) - mean) < 4 * np.sqrt(spread / len(x))).all()
    assert (np.abs(x.var(axis=0) / spread - 1) < 4 * np.sqrt(2 / len(x))).all()
    assert (np.abs(spread / values - 1) < 0.3).all()  # the law of the data, but for the few steps


@cache
def anew(text):
    """The method's sampler with its own noise."""
    rule = catalog.build("posterior", text)
    return rule.around(catalog.build("sampler", rule.sampler))


def test_repaint_comes_nearer_to_the_posterior_than_replacement():
    """Of a Gaussian with correlated columns: the mean of the other column given the first, without noise."""
    levels, observed = levels_of("log_snr", 40), measured([[1.0, 0.0]], 0.0, [1.8])
    truth = MEAN[1] + COVARIANCE[0, 1] / COVARIANCE[0, 0] * (1.8 - MEAN[0])
    off = {}
    for text in ("replacement", "repaint:rounds=8"):
        x = np.asarray(solved(text, observed, start_at(levels, 4096), levels, sampler=anew(text)).x)
        off[text] = abs(x[:, 1].mean() - truth)
    assert off["repaint:rounds=8"] < 0.1 < 0.2 < off["replacement"], off


# --- particles

SMALL, POPULATIONS = 16, 256


def ring(points):
    return jnp.sum(points**2, axis=1, keepdims=True)


def evidence_of_parts(forward, std, y):
    """log p(y) by a sum over a fine grid, for the mixture of tests.samplers.table."""
    along_axis = np.linspace(-2.2, 2.2, 881)
    x = np.stack(np.meshgrid(along_axis, along_axis, indexing="ij"), axis=-1).reshape(-1, 2)
    apart = x[:, None] - PARTS
    density = np.exp(-0.5 * (apart**2).sum(axis=2) / STD**2).mean(axis=1) / (2 * np.pi * STD**2)
    likelihood = np.exp(-0.5 * ((forward(x) - y) / std) ** 2).prod(axis=1) / (np.sqrt(2 * np.pi) * std) ** len(y)
    return np.log((density * likelihood).sum() * (along_axis[1] - along_axis[0]) ** 2)


def uncorrected(predict):
    """The same moves, with nothing in the weights that corrects for them."""

    def moved(x, level):
        seen = predict(x, level)
        shift = seen.twist.shift
        return seen._replace(
            x0=seen.x0 + shift,
            eps=seen.eps - level.alpha / level.sigma * shift,
            twist=seen.twist._replace(shift=jnp.zeros_like(shift)),
        )

    return jax.tree_util.Partial(moved)


def without_norm(predict):
    """The likelihood without the factor 1 / (√2π std)."""

    def unnormalised(x, level):
        seen = predict(x, level)
        return seen._replace(twist=seen.twist._replace(log_h=seen.twist.log_h + jnp.log(0.3 * np.sqrt(2 * np.pi))))

    return jax.tree_util.Partial(unnormalised)


def off_by(text, observed, log_evidence, fault=None):
    """How far the mean of Ẑ / p(y) over many small populations is from 1, in standard errors.

    Ẑ is that of the chain of so many steps, whose error halves with twice as many: twice the finer less the coarser.
    """
    coarse, fine = (estimates(text, observed, steps, fault) / np.exp(log_evidence) for steps in (60, 120))
    error = np.hypot(2 * fine.std(ddof=1), coarse.std(ddof=1)) / np.sqrt(POPULATIONS)
    return (2 * fine.mean() - coarse.mean() - 1) / error


def estimates(text, observed, steps, fault):
    """Ẑ of each population."""
    rule, levels = catalog.build("posterior", text), levels_of("log_snr", steps)
    predict = rule.told(parts, observed)
    start = start_at(levels, SMALL * POPULATIONS)
    outcome = run_steps(
        fault(predict) if fault else predict, catalog.build("sampler", rule.sampler), levels, start, KEY
    )
    return np.exp(diagnose(outcome.weights).log_z)


ONE_COLUMN = measured([[1.0, -0.5]], 0.3, [0.9])
PARTICLES = {
    "linear": (lambda x: x @ np.array([[1.0], [-0.5]]), ONE_COLUMN, 0.3, [0.9]),
    "ring": (lambda x: (x**2).sum(axis=1, keepdims=True), measured(None, 0.3, [0.6], function=ring), 0.3, [0.6]),
}


@pytest.mark.parametrize(
    ("what", "twist"),
    [("linear", "mmps"), ("linear", "r2"), ("ring", "mmps"), pytest.param("ring", "r2", marks=pytest.mark.slow)],
)
def test_particles_estimate_the_evidence_without_bias(what, twist):
    """The mean of Ẑ over populations of 16 particles is p(y) of a mixture, whatever the twist, and the function too."""
    forward, observed, std, y = PARTICLES[what]
    off = off_by(f"tds:particles={SMALL},twist={twist}", observed, evidence_of_parts(forward, std, np.array(y)))
    assert abs(off) < 3, off


@pytest.mark.parametrize("fault", [uncorrected, without_norm])
def test_wrong_weights_are_found(fault):
    forward, observed, std, y = PARTICLES["linear"]
    off = off_by(f"tds:particles={SMALL}", observed, evidence_of_parts(forward, std, np.array(y)), fault)
    assert abs(off) > 6, off


def test_without_noise_the_last_twist_is_the_likelihood():
    """Its Ẑ is the density of y = A x, up to the width of the last level."""
    forward, _, _, y = PARTICLES["linear"]
    # A x of N(m, s² I) is N(A m, s² |A|²)
    std = STD * np.sqrt(1.25)
    density = np.exp(-0.5 * ((0.9 - forward(PARTS)) / std) ** 2).mean() / (np.sqrt(2 * np.pi) * std)
    off = off_by(f"tds:particles={SMALL}", measured([[1.0, -0.5]], 0.0, y), np.log(density))
    assert abs(off) < 3, off
