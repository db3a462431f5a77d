"""Curves of two shapes: their law is that of their draws."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from diffuse_cli import catalog
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.process import CLEAN
from diffuse_cli.errors import UsageError

NAME = "curves:kind=two_shapes,dim=12,noise=0.1"


def test_the_law_of_each_label_is_that_of_its_draws():
    dataset = catalog.build("dataset", NAME)
    points, labels = dataset.classes.draw(np.random.default_rng(0), 40_000)
    x = dataset.standard.to_model(points)
    for label in range(2):
        own, law = x[labels == label], dataset.classes.exact(label)
        mean, covariance = own.mean(axis=0), np.cov(own.T)
        by_moments = multivariate_normal(mean, covariance).logpdf(x[:50])
        by_law = np.asarray(exact.log_prob(law, x[:50].astype(np.float32), CLEAN))
        assert by_law == pytest.approx(by_moments, rel=0.05, abs=0.7)  # the moments are those of 20,000 draws


def test_the_law_of_the_whole_is_the_mixture():
    dataset = catalog.build("dataset", NAME)
    x = dataset.standard.to_model(dataset.draw(np.random.default_rng(1), 20)).astype(np.float32)
    parts = [np.asarray(exact.log_prob(dataset.classes.exact(label), x, CLEAN)) for label in range(2)]
    whole = np.asarray(exact.log_prob(dataset.exact(), x, CLEAN))
    assert whole == pytest.approx(np.logaddexp(*parts) - np.log(2), abs=1e-3)


def test_a_bump_ends_where_it_began_and_a_step_does_not():
    dataset = catalog.build("dataset", "curves:kind=two_shapes")
    points, labels = dataset.classes.draw(np.random.default_rng(0), 500)
    rise = np.abs(points[:, -1] - points[:, 0])
    assert rise[labels == 0].max() < 0.2 < rise[labels == 1].min()
    assert dataset.classes.label_names == ("bump", "step")


def test_the_options_of_the_fourier_series_are_refused():
    with pytest.raises(UsageError, match="leave them out"):
        catalog.build("dataset", "curves:kind=two_shapes,terms=3")
