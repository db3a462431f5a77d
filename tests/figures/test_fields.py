"""Densities and fields as they are drawn, against what is known of them."""

import jax
import numpy as np
import pytest

from diffuse_cli import config
from diffuse_cli.datasets.dataset import Dataset, Standardiser
from diffuse_cli.diffusion import exact
from diffuse_cli.figures import densities, fields
from diffuse_cli.models import build
from diffuse_cli.models.model import Model

MEAN, SCALE = np.array([3.0, -1.0]), np.array([2.0, 0.25])  # columns in different units


def noting(given, key, draw):
    def noted(*arguments, **named):
        given[key] = arguments
        return draw(*arguments, **named)

    return noted


@pytest.fixture
def drawn(monkeypatch):
    """What the figures are given."""
    given = {}
    for name, plot in (("field_figure", fields.field_plot), ("density_figure", densities.density_plot)):
        monkeypatch.setattr(plot, name, noting(given, name, getattr(plot, name)))
    return given


def a_source(*, trained):
    """A Gaussian in data units, and its own exact denoiser in the place of a trained one."""
    law = exact.gaussian(np.zeros(2), np.eye(2))
    dataset = Dataset(
        lambda rng, n: MEAN + SCALE * rng.standard_normal((n, 2)), 2, Standardiser(MEAN, SCALE), exact=lambda: law
    )
    settings = config.make({"dataset": "line"})
    process = build.build_process(settings)
    return Model(
        name="normal",
        folder=None,
        config=settings,
        dataset=lambda: dataset,
        process=process,
        parameterization=build.build_parameterization(settings, process),
        standard=dataset.standard,
        view="points",
        columns=dataset.column_names,
        predict=jax.tree_util.Partial(exact.denoiser(law)),
        box=(np.full(2, -5.0), np.full(2, 5.0)) if trained else None,
    ), dataset


def test_both_densities_are_the_gaussian_in_data_units(drawn):
    model, dataset = a_source(trained=True)
    figure = densities.plot_density(model, dataset)
    x, y, modelled, truth = drawn["density_figure"]
    z = (np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1) - MEAN) / SCALE
    known = np.exp(-0.5 * (z**2).sum(axis=-1)) / (2 * np.pi * SCALE.prod())
    np.testing.assert_allclose(truth, known, rtol=0.01, atol=1e-3 * known.max())
    np.testing.assert_allclose(modelled, known, rtol=0.01, atol=2e-3 * known.max())
    assert truth.sum() * (x[1] - x[0]) * (y[1] - y[0]) == pytest.approx(1, abs=0.01)
    assert float(figure.axes[2].get_title().split()[1]) < 0.5  # per cent of the mass


def test_an_exact_denoiser_in_a_networks_place_differs_by_nothing(drawn):
    model, dataset = a_source(trained=True)
    fields.plot_field(model, dataset, np.array([0.1, 0.6]))
    (found,) = drawn["field_figure"]
    np.testing.assert_allclose(found.error, 0, atol=1e-5)
    np.testing.assert_allclose(found.model, found.exact, atol=1e-5)
    places = np.stack(np.meshgrid(found.x, found.y, indexing="ij"), axis=-1)
    for score in found.model:  # of N(0, I), at every noise level
        np.testing.assert_allclose(score, -places, atol=1e-3)
    np.testing.assert_allclose(found.usual, np.sqrt(2), rtol=0.05)


def test_a_place_without_an_answer_stays_blank_and_is_counted(drawn, monkeypatch):
    model, dataset = a_source(trained=True)
    solve = fields.likelihood.grid_density

    def failing(*arguments, **named):
        found = solve(*arguments, **named)
        log_p = found.log_p.copy()
        log_p.flat[:7] = np.nan
        return found._replace(log_p=log_p)

    monkeypatch.setattr(densities.likelihood, "grid_density", failing)
    figure = densities.plot_density(model, dataset)
    assert figure.axes[2].get_title() == "difference, 7 cells unknown"


def test_an_exact_source_has_one_panel(drawn):
    model, dataset = a_source(trained=False)
    assert len(densities.plot_density(model, dataset).axes) == 1
