"""Factors: their values, their means under normal laws against numerical integration, and what is refused."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.datasets.dataset import Standardiser
from diffuse_cli.errors import UsageError
from diffuse_cli.guidance import factors

FACTORS = {
    "gaussian": "gaussian:x=0.3,y=-0.4,std=0.5,std_y=0.2",
    "gaussian of one column": "gaussian:y=0.6,std=0.3",
    "halfplane": "halfplane:x=1,y=-2,at=0.2",
    "box": "box:left=-0.5,right=0.4,bottom=-0.3,top=0.9",
    "open box": "box:left=0.1,top=0.3",
    "own": "tests.guidance.test_factors:ring:radius=0.8",
}
OWN_ATOL = 1e-2  # of a rule of 16 by 16 nodes, where h is wide enough for them
STANDARD = Standardiser(np.array([0.4, -1.5]), np.array([0.7, 2.0]))


def ring(points, *, radius: float):
    """A function of points with an option: a smooth ring."""
    return jnp.exp(-0.5 * ((jnp.hypot(points[:, 0], points[:, 1]) - radius) / 0.5) ** 2)


def make_ring(*, radius: float = 0.8):
    return lambda points: ring(points, radius=radius)


def make_text():
    return "not a factor"


def wrong_shape(points):
    return points


def in_numpy(points):
    return np.exp(-(np.asarray(points)[:, 0] ** 2))


def test_every_factor_of_the_catalogue_is_tested():
    assert {text.partition(":")[0] for text in FACTORS.values()} >= set(catalog.CATALOG["factor"])


def normal_laws():
    """Means [k, 2] and covariances [k, 2, 2] in model space, from wide to narrow, round and not."""
    means = np.array([[0.0, 0.0], [0.9, -0.4], [-0.7, 1.1]])
    round_ones = [std**2 * np.eye(2) for std in (0.1, 0.5, 2.0)]
    slanted = np.array([[0.5, 0.3], [0.3, 0.4]])
    pairs = list(itertools.product(means, [*round_ones, slanted]))
    return np.array([mean for mean, _ in pairs]), np.array([covariance for _, covariance in pairs])


def integrated(log_h, mean, covariance, count=401):
    """log E h and its derivative by the mean, by a fine midpoint rule over 10 standard deviations."""
    factor = np.linalg.cholesky(covariance)
    along = (np.arange(count) + 0.5) / count * 20 - 10
    z = np.stack(np.meshgrid(along, along, indexing="ij"), axis=-1).reshape(-1, 2)
    weights = np.exp(-0.5 * (z**2).sum(axis=1)) / (2 * np.pi) * (20 / count) ** 2
    h = weights * np.exp(np.asarray(log_h(mean + z @ factor.T)))
    return np.log(h.sum()), np.linalg.solve(factor.T, (h @ z) / h.sum())


def between(low, high, mean, variance):
    """The same for h = 1 from low to high, in one dimension, by Gauss's rule on the part that has mass."""
    nodes, weights = np.polynomial.legendre.leggauss(300)
    std = np.sqrt(variance)
    first, second = np.clip([(low - mean) / std, (high - mean) / std], -12, 12)
    z = (first + second) / 2 + (second - first) / 2 * nodes
    mass = (second - first) / 2 * weights * np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    return np.log(mass.sum()), (mass @ z) / mass.sum() / std


def with_edges(name, mean, covariance):
    """The same for the factors with edges: along the normal of the line, or side by side."""
    if name == "halfplane":
        normal = np.array([1.0, -2.0]) * STANDARD.scale
        edge = 0.2 * np.sqrt(5) - np.array([1.0, -2.0]) @ STANDARD.mean
        log_mean, slope = between(edge, np.inf, normal @ mean, normal @ covariance @ normal)
        return log_mean, slope * normal
    ends = {"box": [(-0.5, 0.4), (-0.3, 0.9)], "open box": [(0.1, np.inf), (-np.inf, 0.3)]}[name]
    sides = [
        between(*((np.array(ends[i]) - STANDARD.mean[i]) / STANDARD.scale[i]), mean[i], covariance[i, i])
        for i in (0, 1)
    ]
    return sides[0][0] + sides[1][0], np.array([sides[0][1], sides[1][1]])


@pytest.mark.parametrize("name", FACTORS)
def test_smoothed_factors_against_integration(name, x64):
    """In model space, with another scale in each column. A box is smoothed along its sides only."""
    factor = factors.build(FACTORS[name], 2).in_model_space(STANDARD)
    means, covariances = normal_laws()
    if "box" in name:
        covariances = covariances * np.eye(2)
    if name == "own":
        means, covariances = (part[covariances[:, 0, 0] < 1] for part in (means, covariances))
    log_h, smooth = jax.jit(factor.log_h), jax.jit(factor.smoothed)
    log_means, slopes = (np.asarray(part) for part in smooth(jnp.asarray(means), jnp.asarray(covariances)))
    atol = OWN_ATOL if name == "own" else 1e-7
    wrong = []
    for log_mean, slope, mean, covariance in zip(log_means, slopes, means, covariances, strict=True):
        hard = name in ("halfplane", "box", "open box")
        expected = with_edges(name, mean, covariance) if hard else integrated(log_h, mean, covariance)
        reach = np.sqrt(np.linalg.eigvalsh(covariance)[0])  # a slope is in units of one over this
        off = max(abs(log_mean - expected[0]), np.abs(slope - expected[1]).max() * reach)
        if not off < atol * max(1, abs(expected[0])):
            wrong.append((mean, covariance, off, expected))
    assert not wrong


def test_model_space_is_a_change_of_units(x64):
    points = np.random.default_rng(0).normal(size=(64, 2))
    each = {name: factors.build(text, 2) for name, text in FACTORS.items()}
    moved = {name: factor.in_model_space(STANDARD) for name, factor in each.items()}

    @jax.jit
    def values(data, model):
        return {name: (each[name].log_h(data), moved[name].log_h(model)) for name in each}

    pairs = values(jnp.asarray(points), jnp.asarray(STANDARD.to_model(points)))
    for name, (in_data, in_model) in pairs.items():
        np.testing.assert_allclose(in_model, in_data, atol=1e-10, err_msg=name)
        if moved[name].gaussian:
            mean, precision = moved[name].gaussian
            apart = STANDARD.to_model(points) - mean
            form = -0.5 * np.einsum("ni,ij,nj->n", apart, precision, apart)
            np.testing.assert_allclose(form, in_data, atol=1e-10, err_msg=name)


def test_slopes_are_finite_everywhere_and_right_in_single_precision():
    """From no noise to 10^6, up to 1,000 away; near the factors against double precision."""
    each = {name: factors.build(text, 2) for name, text in FACTORS.items()}
    grid = np.array([-1e3, -30.0, -1.0, 0.0, 0.4, 2.0, 50.0, 1e3])
    points = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    stds = np.array([0.0, 1e-3, 0.05, 0.5, 3.0, 1e3, 1e6])
    means, widths = np.repeat(points, len(stds), axis=0), np.tile(stds, len(points))
    laws = means, widths[:, None, None] ** 2 * np.eye(2)
    smooth = jax.jit(lambda m, c: {name: factor.smoothed(m, c) for name, factor in each.items()})
    single = jax.device_get(smooth(*(jnp.asarray(part, jnp.float32) for part in laws)))
    with jax.enable_x64(True):
        double = jax.device_get(smooth(*map(jnp.asarray, laws)))
    near = np.abs(means).max(axis=1) <= 2
    for name in each:
        assert np.isfinite(single[name].log_mean).all(), name
        assert np.isfinite(single[name].slope).all(), name
        size = 1 / np.maximum(widths, 1e-2) + np.abs(double[name].slope).max(axis=1)
        off = np.abs(single[name].slope - double[name].slope).max(axis=1) / size
        assert off[near].max() < 2e-3, name


def test_other_numbers_compile_nothing():
    compiled = jax.jit(lambda smoothed, m, c: smoothed(m, c))
    for text in ("box:left=0,right=1", "box:bottom=3", "box:left=-1"):
        compiled(factors.build(text, 2).smoothed, jnp.zeros((3, 2)), jnp.ones((1, 2, 2)))
    for x in (1.0, 2.0):
        compiled(factors.gaussian(2, x=x, std=x).smoothed, jnp.zeros((3, 2)), jnp.ones((1, 2, 2)))
    assert compiled._cache_size() == 2


def test_own_code():
    """A function of points, one with an option, and a factory are the same factor."""
    here = "tests.guidance.test_factors"
    both = [factors.build(f"{here}:{text}", 2) for text in ("ring:radius=0.8", "make_ring")]
    values = jax.jit(lambda x: [factor.log_h(x) for factor in both])(np.random.default_rng(0).normal(size=(8, 2)))
    np.testing.assert_allclose(values[0], values[1])


def test_many_columns():
    """A half-plane written by a user in 5 columns, by quasi-random points, against the closed form."""
    own = factors.of_function(lambda points: jax.nn.sigmoid(20 * (points[:, 0] - 0.3)), dim=5)
    closed = factors.halfplane(5, x=1.0, at=0.3)
    means = np.zeros((3, 5), np.float32)
    means[:, 0] = (-0.5, 0.3, 1.0)
    law = means, 0.5 * np.eye(5, dtype=np.float32)[None]
    by_points, by_formula = jax.jit(lambda *law: (own.smoothed(*law), closed.smoothed(*law)))(*law)
    np.testing.assert_allclose(by_points.log_mean, by_formula.log_mean, atol=0.05)
    np.testing.assert_allclose(by_points.slope, by_formula.slope, atol=0.1)


@pytest.mark.parametrize(
    ("text", "dim", "says"),
    [
        ("gaussian:std=1", 2, "needs a mean"),
        ("gaussian:x=1", 2, "x has no std"),
        ("gaussian:x=1,std=1,std_y=2", 2, "std_y is given, and no y"),
        ("gaussian:z=1,std=1", 2, "z is column 3, and the data have 2"),
        ("gaussian:x=1,std=0", 2, "std=0"),
        ("halfplane:at=1", 2, "needs a direction"),
        ("halfplane:x=0,at=1", 2, "needs a direction"),
        ("box", 2, "needs a side"),
        ("box:left=2,right=1", 2, "left=2 is not less than right=1"),
        ("box:near=2", 2, "z is column 3"),
        ("boxx", 2, "did you mean 'box'"),
        ("tests.guidance.test_factors:make_text", 2, "made a str"),
        ("tests.guidance.test_factors:wrong_shape", 2, r"it gave \(2, 2\)"),
        ("tests.guidance.test_factors:in_numpy", 2, "jax.numpy"),
        ("tests.guidance.test_factors:ring", 2, "needs radius"),
    ],
)
def test_refused(text, dim, says):
    with pytest.raises(UsageError, match=says):
        factors.build(text, dim)


def test_own_code_needs_trust_when_a_file_names_it():
    with pytest.raises(UsageError, match="--trust"):
        factors.build("tests.guidance.test_factors:make_ring", 2, trust=False)
