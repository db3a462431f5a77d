"""The exact product of a law with a factor: closed forms against the grid, draws, and what is refused."""

import jax
import numpy as np
import pytest
from scipy.stats import norm

from diffuse_cli.datasets.dataset import Standardiser
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.process import Level
from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.guidance import factors, product

MEANS = np.array([[-1.0, 0.2], [0.9, -0.5]])
COVARIANCES = np.array([[[0.3, 0.1], [0.1, 0.2]], [[0.25, -0.1], [-0.1, 0.4]]])
WEIGHTS = np.array([0.3, 0.7])
STANDARD = Standardiser(np.array([2.0, -1.0]), np.array([1.5, 0.5]))


def prior():
    return exact.gaussians(MEANS, COVARIANCES, WEIGHTS)


def points():
    rng = np.random.default_rng(0)
    which = rng.choice(2, 3000, p=WEIGHTS)
    factor = np.linalg.cholesky(COVARIANCES)[which]
    return STANDARD.to_data(MEANS[which] + np.einsum("nij,nj->ni", factor, rng.standard_normal((3000, 2))))


def distant(points):
    return (points[:, 0] > 100) * 1.0


def negative(points):
    return points[:, 0] - 2


def test_closed_form_and_grid_are_one():
    h = factors.gaussian(2, x=1.4, y=-1.2, std=0.6, std_y=0.3)
    closed = product.product_law(prior(), h, points(), STANDARD)
    grid = product.product_law(prior()._replace(gaussians=None), h, points(), STANDARD)
    assert abs(closed.log_z - grid.log_z) < 1e-6
    rng = np.random.default_rng(1)
    for draws in (closed.draw(rng, 20_000), grid.draw(rng, 20_000)):
        at = STANDARD.to_model(draws)
        mixture = closed.law.gaussians()
        mean = mixture.weights @ mixture.means
        np.testing.assert_allclose(at.mean(axis=0), mean, atol=0.01)
        second = mixture.weights @ (mixture.means**2 + np.diagonal(mixture.covariances, axis1=1, axis2=2))
        np.testing.assert_allclose(at.var(axis=0), second - mean**2, rtol=0.05)
    x = STANDARD.to_model(closed.draw(rng, 128)).astype(np.float32)
    level = Level(np.float32(0.0), np.float32(np.sqrt(0.5)), np.float32(np.sqrt(0.5)))
    by_formula, by_grid = (jax.jit(exact.denoiser(made.law))(x, level) for made in (closed, grid))
    np.testing.assert_allclose(by_grid.x0, by_formula.x0, atol=5e-3)


@pytest.mark.parametrize("text", ["halfplane:x=1,y=-1,at=3", "box:left=2,right=4,top=-1", "box:bottom=-1.2"])
def test_mass_and_draws_with_edges(text):
    """Z is the probability that p has there: for a half-plane by formula, for boxes by draws."""
    h = factors.build(text, 2)
    made = product.product_law(prior(), h, points(), STANDARD)
    if text.startswith("halfplane"):
        normal = np.array([1.0, -1.0]) * STANDARD.scale
        along = normal @ MEANS.T - (3 * np.sqrt(2) - np.array([1.0, -1.0]) @ STANDARD.mean)
        expected = WEIGHTS @ norm.cdf(along / np.sqrt(np.einsum("i,kij,j->k", normal, COVARIANCES, normal)))
        assert abs(np.exp(made.log_z) / expected - 1) < 0.005
    log_h = jax.jit(h.log_h)
    inside = np.isfinite(log_h(points())).mean()
    assert abs(np.exp(made.log_z) - inside) < 4 * np.sqrt(inside * (1 - inside) / 3000)
    assert np.isfinite(log_h(made.draw(np.random.default_rng(0), 3000))).mean() > 0.995


def test_the_product_of_two_laws():
    one, other = exact.gaussian(MEANS[0], np.eye(2)), exact.gaussian(MEANS[1], 0.5 * np.eye(2))
    spread = STANDARD.to_data(np.array([[-5.0, -5.0], [5.0, 5.0]]))
    made = product.product_of_laws(one, other, spread, STANDARD)
    expected = norm.logpdf(MEANS[0] - MEANS[1], scale=np.sqrt(1.5)).sum()
    assert abs(made.log_z - expected) < 1e-6
    middle = STANDARD.to_model(made.draw(np.random.default_rng(0), 10_000)).mean(axis=0)
    np.testing.assert_allclose(middle, (MEANS[0] + 2 * MEANS[1]) / 3, atol=0.03)


@pytest.mark.parametrize(
    ("h", "says"),
    [
        ("gaussian:x=60,std=1", r"p · h: the product has no mass: Z = \d.*the data lie between "),
        ("halfplane:x=1,at=1000", "no mass.*Z = .*the data lie between "),
        ("tests.guidance.test_product:distant", "no mass.*Z = 0 .*the data lie between "),
        ("tests.guidance.test_product:negative", "a number from 0 on"),
    ],
)
def test_refused(h, says):
    with pytest.raises(DiffuseError, match=says):
        product.product_law(prior(), factors.build(h, 2), points(), STANDARD)


def test_many_columns():
    """Gaussians and half-planes have closed forms in any number of columns, and nothing else has a grid there."""
    law, five = exact.gaussian(np.zeros(5), np.eye(5)), Standardiser(np.zeros(5), np.ones(5))
    drawn = np.random.default_rng(0).standard_normal((10, 5))
    made = product.product_law(law, factors.gaussian(5, x=1.0, std=1.0), drawn, five)
    assert abs(made.log_z - (-0.5 * np.log(2) - 0.25)) < 1e-12
    half = product.product_law(law, factors.halfplane(5, x=1.0), drawn, five)
    assert abs(half.log_z - np.log(0.5)) < 1e-12
    draws = half.draw(np.random.default_rng(0), 4000)
    assert (draws[:, 0] >= 0).all()
    np.testing.assert_allclose(draws.mean(axis=0), [np.sqrt(2 / np.pi), 0, 0, 0, 0], atol=0.06)
    with pytest.raises(DiffuseError, match="one or two columns"):
        product.product_law(law, factors.of_function(distant, dim=5), drawn, five)


def test_two_runs_of_one_space():
    product.require_same_space(STANDARD, Standardiser(STANDARD.mean.copy(), STANDARD.scale.copy()))
    for other, says in (
        (Standardiser(STANDARD.mean[:1], STANDARD.scale[:1]), "2 and 1"),
        (Standardiser(STANDARD.mean + np.array([0.0, 0.1]), STANDARD.scale), "column 2 has mean -1, scale 0.5 in one"),
        (Standardiser(STANDARD.mean, 1.1 * STANDARD.scale), "column 1"),
    ):
        with pytest.raises(UsageError, match=says):
            product.require_same_space(STANDARD, other)
