"""Laws on a grid: tilted laws and products against closed forms, their draws, and the laws that are made of them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from diffuse_cli.diffusion import exact, grid_fit, grid_law
from diffuse_cli.diffusion.process import CLEAN, Level, Process
from diffuse_cli.errors import DiffuseError

COVARIANCE = np.array([[0.5, 0.2], [0.2, 0.3]])
MEAN_OF_CLASS, MEAN = np.array([0.6, -0.4]), np.array([-0.2, 0.1])
LOW, HIGH, CELLS = np.array([-7.0, -7.0]), np.array([8.0, 7.0]), (160, 150)
ONE = (np.array([-8.0]), np.array([8.0]), 512)
NORMAL = exact.gaussian(np.zeros(1), np.eye(1))


log_prob = jax.jit(exact.log_prob, static_argnames="law")


def moments_of(law):
    places, masses = places_of(law), law.masses.ravel()
    mean = masses @ places
    return mean, (masses[:, None] * (places - mean)).T @ (places - mean)


def places_of(law):
    return np.stack(np.meshgrid(*law.axes, indexing="ij"), axis=-1).reshape(-1, len(law.low))


@pytest.mark.parametrize("w", [-0.5, 0.0, 1.0, 2.0, 4.0])
def test_gaussians_of_one_covariance_are_tilted_exactly(w):
    """π_w is N(w μ_c + (1 − w) μ, S), and log Z is ½ w (w − 1) |μ_c − μ|², measured by S."""
    conditional, unconditional = (exact.gaussian(mean, COVARIANCE) for mean in (MEAN_OF_CLASS, MEAN))
    law = grid_law.tilted(conditional, unconditional, w, LOW, HIGH, CELLS)
    mean, covariance = moments_of(law)
    apart = MEAN_OF_CLASS - MEAN
    np.testing.assert_allclose(mean, w * MEAN_OF_CLASS + (1 - w) * MEAN, atol=1e-6)
    np.testing.assert_allclose(covariance, COVARIANCE, atol=1e-6)
    assert law.log_z == pytest.approx(0.5 * w * (w - 1) * apart @ np.linalg.solve(COVARIANCE, apart), abs=1e-6)
    assert law.entropy() == pytest.approx(exact.gaussian(mean, COVARIANCE).entropy(Level(*CLEAN)), abs=1e-6)


@pytest.mark.parametrize("double", [False, True])
def test_for_gaussians_of_one_covariance_guidance_is_exact_at_every_level(double):
    """w s(x | c) + (1 − w) s(x) is then the score of π_w with noise, in both precisions."""
    with jax.enable_x64(double):
        x = jnp.asarray(np.random.default_rng(0).normal(size=(30, 2)))
        levels = Process(None, 1).at(jnp.asarray([-8.0, -2.0, 0.0, 3.0, 8.0]))
        w = 3.0
        means = {"c": MEAN_OF_CLASS, "u": MEAN, "w": w * MEAN_OF_CLASS + (1 - w) * MEAN}
        denoisers = {name: exact.denoiser(exact.gaussian(mean, COVARIANCE)) for name, mean in means.items()}
        each = jax.jit(jax.vmap(lambda level: {name: p(x, level)[:2] for name, p in denoisers.items()}))(levels)
        for field in (0, 1):
            c, u, expected = (np.asarray(each[name][field]) for name in "cuw")
            np.testing.assert_allclose(w * c + (1 - w) * u, expected, atol=1e-12 if double else 1e-5)


def test_without_guidance_the_tilted_law_is_one_of_the_two():
    conditional = exact.mixture(np.array([[-1.0], [0.5]]), 0.3)
    whole = exact.mixture(np.array([[-1.0], [0.5], [2.0]]), 0.3)
    clean = Level(*map(np.float64, CLEAN))
    for w, law in ((0.0, whole), (1.0, conditional)):
        grid = grid_law.tilted(conditional, whole, w, *ONE)
        assert grid.log_z == pytest.approx(0, abs=1e-9)
        with jax.enable_x64(True):
            np.testing.assert_allclose(grid.log_p, log_prob(law, grid.axes[0][:, None], clean), atol=1e-9)


@pytest.mark.parametrize("w", [0.5, 2.0, 6.0])
def test_a_class_apart_from_the_others_is_only_scaled(w):
    """Where p(x) = p(c) p(x | c), π_w is p(x | c) and Z is p(c)^(1 − w)."""
    share = 0.25
    conditional = exact.mixture(np.array([[4.0]]), 0.3)
    whole = exact.mixture(np.array([[4.0], [-4.0]]), 0.3, np.array([share, 1 - share]))
    law = grid_law.tilted(conditional, whole, w, *ONE)
    assert law.log_z == pytest.approx((1 - w) * np.log(share), abs=1e-9)
    assert moments_of(law)[0][0] == pytest.approx(4.0, abs=1e-9)


def test_where_there_is_no_density_there_is_none_after_tilting():
    """Boxes without noise: outside of them the log of the density is below -1e15, and no difference of two is used."""
    conditional = exact.boxes(np.array([[0.0]]), np.array([[1.0]]))
    whole = exact.boxes(np.array([[0.0], [2.0]]), np.array([[1.0], [4.0]]), weights=np.array([0.25, 0.75]))
    for w in (0.5, 3.0):
        law = grid_law.tilted(conditional, whole, w, *ONE)
        inside = (law.axes[0] > 0) & (law.axes[0] < 1)
        assert law.masses[inside].sum() == pytest.approx(1)
        assert law.log_z == pytest.approx((1 - w) * np.log(0.25), abs=1e-6)


def test_a_product_with_a_half_line_has_its_probability():
    law = grid_law.multiplied(NORMAL, lambda x: jnp.where(x[:, 0] > 1.0, 0.0, -jnp.inf), *ONE)
    assert np.exp(law.log_z) == pytest.approx(stats.norm.sf(1.0), rel=1e-4)
    assert moments_of(law)[0][0] == pytest.approx(stats.norm.pdf(1.0) / stats.norm.sf(1.0), abs=1e-4)


def far_away(x):
    return -0.5 * (x[:, 0] - 60.0) ** 2


REFUSED = {
    "the product has no mass: Z = .*e-604 of the largest": lambda: grid_law.multiplied(NORMAL, far_away, *ONE),
    "the product has no mass from .* Z = 0": lambda: grid_law.multiplied(
        NORMAL, lambda x: -jnp.inf * x[:, 0] ** 2, *ONE
    ),
    "for w < 0 its mass need not be finite": lambda: grid_law.tilted(
        exact.gaussian(np.zeros(1), np.eye(1) / 4), NORMAL, -1.0, *ONE
    ),
    "at the border of the grid: take a larger grid": lambda: grid_law.tilted(
        exact.gaussian(np.array([4.0]), np.eye(1)), NORMAL, 2.0, *ONE
    ),
    "needs one or two columns, and here there are 3": lambda: grid_law.around(np.zeros((5, 3))),
    "is no number somewhere": lambda: grid_law.on_grid(lambda x: jnp.log(x[:, 0]), *ONE),
    "9000 × 9000 cells is out of reach": lambda: grid_law.on_grid(lambda x: x[:, 0], LOW, HIGH, 9000),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_no_law_is_refused(message):
    with pytest.raises(DiffuseError, match=message):
        REFUSED[message]()


def test_draws_have_the_moments_and_the_histogram_of_the_law():
    law = grid_law.on_grid(lambda x: -0.5 * jnp.sum(x**2, axis=1) + jnp.sin(3 * x[:, 0]), LOW, HIGH, CELLS)
    n = 20_000
    x = law.draw(np.random.default_rng(0), n)
    mean, covariance = moments_of(law)
    within = np.diag(law.widths**2) / 12  # draws are uniform in their cell
    np.testing.assert_allclose((x.mean(axis=0) - mean) / np.sqrt(np.diag(covariance) / n), 0, atol=4)
    np.testing.assert_allclose(np.cov(x.T), covariance + within, atol=0.05)
    assert -law.log_prob(x).mean() == pytest.approx(law.entropy(), abs=0.03)
    got = law.histogram_kl(x, np.random.default_rng(1))
    assert abs(got.kl - got.floor) < 4 * got.floor_std
    assert got.floor == pytest.approx((got.blocks - 1) / (2 * n), rel=0.15)
    assert law.histogram_kl(x + 0.2, np.random.default_rng(1)).kl > got.floor + 20 * got.floor_std
    everywhere_else = law.histogram_kl(x + 100, np.random.default_rng(1))
    assert np.isfinite(everywhere_else.kl)
    assert everywhere_else.kl > 4
    assert np.isneginf(law.log_prob(x + 100)).all()


def test_kl_on_the_grid_has_its_closed_form():
    """KL(N(0, 1) ‖ N(m, s²)) = log s + (1 + m²) / 2s² − ½."""
    law = grid_law.on_grid(lambda x: -0.5 * x[:, 0] ** 2, *ONE)
    m, s = 0.5, 1.5
    log_q = stats.norm.logpdf(law.axes[0], m, s)
    assert law.kl(law.log_p) == 0
    assert law.kl(log_q) == pytest.approx(np.log(s) + (1 + m**2) / (2 * s**2) - 0.5, abs=1e-9)
    assert law.kl(np.where(law.axes[0] > 0, log_q, -np.inf)) == np.inf
    with pytest.raises(ValueError, match=r"cells of shape \(5,\) beside one of shape \(512,\)"):
        law.kl(np.zeros(5))


DENSITIES = {
    "smooth, on a line": (lambda x: -0.5 * x[:, 0] ** 2 - jnp.cos(3 * x[:, 0]), *ONE),
    "smooth, in the plane": (lambda x: -0.5 * jnp.sum(x**2, axis=1) - jnp.cos(3 * x[:, 0]), LOW, HIGH, CELLS),
    "with edges": (lambda x: jnp.where(jnp.max(jnp.abs(x), axis=1) < 2, x[:, 0] / 4, -jnp.inf), LOW, HIGH, CELLS),
}


@functools.cache
def on_grid(name):
    return grid_law.on_grid(*DENSITIES[name])


@pytest.mark.parametrize("name", DENSITIES)
def test_the_law_of_a_grid_has_its_density_with_noise(name, x64):
    """Against the sum over the cells, with noise much wider than they are."""
    grid = on_grid(name)
    law = grid.law()
    assert (law.gaussians is not None) == name.startswith("smooth")
    level = Level(*map(jnp.float64, (np.log(0.64 / 0.25), 0.8, 0.5)))
    x = 0.8 * grid.draw(np.random.default_rng(0), 200) + 0.5 * np.random.default_rng(1).normal(
        size=(200, len(grid.low))
    )
    squares = ((x[:, None] - 0.8 * places_of(grid)) ** 2).sum(axis=2)
    p = np.exp(-squares / (2 * 0.25)) @ grid.masses.ravel() / (2 * np.pi * 0.25) ** (len(grid.low) / 2)
    np.testing.assert_allclose(log_prob(law, x, level), np.log(p), atol=0.01)
    assert law.entropy(Level(np.inf, 2.0, 0.0)) == pytest.approx(grid.entropy() + len(grid.low) * np.log(2))


def test_more_gaussians_and_more_boxes_are_nearer():
    grid = on_grid("smooth, in the plane")
    few, many = (grid_fit.boxes(grid.low, grid.widths, grid.masses, most) for most in (200, 2000))
    assert len(few.weights) <= 200 < len(many.weights) <= 2000
    assert many.kl < few.kl / 4
    for boxes in (few, many):
        q = np.zeros(grid.log_p.shape)
        corners = [np.rint((side - grid.low) / grid.widths).astype(int) for side in boxes[:2]]
        for low, high, weight in zip(*corners, boxes.weights, strict=True):
            q[tuple(map(slice, low, high))] += weight / np.prod((high - low) * grid.widths)
        assert boxes.weights.sum() == pytest.approx(1)
        assert grid.kl(np.log(np.where(q > 0, q, 1.0))) == pytest.approx(boxes.kl, abs=1e-9)
    smooth = grid_fit.gaussians(grid.axes, grid.masses, 4096)
    assert len(smooth.weights) < 2000
    assert smooth.kl < 2e-5
    assert grid_fit.gaussians(grid.axes, grid.masses, 20).kl > smooth.kl


def test_cells_around_points_are_square_and_as_fine_as_asked():
    x = np.array([[-1.0, 0.0], [1.0, 1.0]])
    usual, fine, finest = (grid_law.around(x, narrowest) for narrowest in (None, 0.02, 1e-6))
    assert usual.cells == (512, 256)
    np.testing.assert_allclose((usual.low, usual.high), ([-1.5, -0.25], [1.5, 1.25]))
    widths = (fine.high - fine.low) / fine.cells
    assert widths.max() <= 0.02 / 5
    assert widths.min() == pytest.approx(widths.max(), rel=0.01)
    assert max(finest.cells) == 2048
