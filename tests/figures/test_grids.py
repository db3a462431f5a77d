"""Densities and fields on a grid, against what is known of them."""

import jax
import numpy as np
import pytest

from diffuse_cli import catalog, config
from diffuse_cli.datasets.dataset import Dataset, Standardiser
from diffuse_cli.diffusion import exact, likelihood
from diffuse_cli.errors import UsageError
from diffuse_cli.figures import grids
from diffuse_cli.models import build

LOG_SNR = np.array([6.0, 0.0, -6.0])


def test_a_grid_has_the_middles_of_cells():
    (x, y), places = likelihood.grid(np.array([-1.0, 0.0]), np.array([1.0, 3.0]), (4, 3))
    np.testing.assert_allclose(x, [-0.75, -0.25, 0.25, 0.75])
    np.testing.assert_allclose(y, [0.5, 1.5, 2.5])
    assert places.shape == (4, 3, 2)
    np.testing.assert_allclose(places[3, 1], [0.75, 1.5])


@pytest.mark.parametrize("name", ["moons", "checkerboard", "eight_gaussians"])
def test_densities_integrate_to_one_at_every_level(name):
    ground = grids.reference_law(config.make({"dataset": name}), catalog.build("dataset", name))
    assert not ground.smoothed
    _, places = likelihood.grid(np.full(2, -5.0), np.full(2, 5.0), (100, 100))
    np.testing.assert_allclose(
        grids.densities_on_grid(ground.law, LOG_SNR, places).sum(axis=(1, 2)) * 0.01, 1, atol=2e-3
    )


def test_the_score_of_gaussian_data_is_the_known_one():
    law = exact.gaussian(np.zeros(2), np.diag([1.0, 0.25]))
    predict = jax.tree_util.Partial(exact.denoiser(law))
    _, places = likelihood.grid(np.full(2, -2.0), np.full(2, 2.0), (5, 4))
    process = build.build_process(config.make({}))
    found = grids.fields_on_grid(predict, catalog.build("prediction", "score", process), LOG_SNR, places)
    share = 1 / (1 + np.exp(-LOG_SNR))
    variance = share[:, None] * [1.0, 0.25] + (1 - share)[:, None]
    np.testing.assert_allclose(found, -places / variance[:, None, None], rtol=1e-4, atol=1e-5)
    noise = grids.fields_on_grid(predict, catalog.build("prediction", "eps", process), LOG_SNR, places)
    np.testing.assert_allclose(noise, -np.sqrt(1 - share)[:, None, None, None] * found, rtol=1e-4, atol=1e-5)


def test_a_file_has_a_smooth_density_near_that_of_its_points():
    points = np.random.default_rng(0).standard_normal((4000, 2))
    dataset = Dataset(lambda rng, n: points[:n], 2, Standardiser(np.zeros(2), np.ones(2)), points=points)
    ground = grids.reference_law(config.make({}), dataset)
    assert ground.smoothed
    _, places = likelihood.grid(np.full(2, -3.0), np.full(2, 3.0), (40, 40))
    p = grids.densities_on_grid(ground.law, [12.0], places)[0]
    truth = np.exp(-0.5 * (places**2).sum(axis=-1)) / (2 * np.pi)
    assert np.abs(p - truth).sum() * 0.15**2 / 2 < 0.1  # of the mass in another place


def test_samples_are_of_the_class_they_were_drawn_from():
    settings = config.make({"dataset": "eight_gaussians"})
    dataset = build.build_dataset(settings)
    points, labels = dataset.classes.draw(np.random.default_rng(0), 400)
    found = grids.classes_of(settings, dataset, dataset.standard.to_model(points))
    assert (found == labels).mean() > 0.97


def test_a_set_of_one_piece_has_no_classes():
    settings = config.make({"dataset": "line"})
    with pytest.raises(UsageError, match="line has no classes"):
        grids.classes_of(settings, build.build_dataset(settings), np.zeros((1, 2)))
