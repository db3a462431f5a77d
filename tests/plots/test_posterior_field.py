import numpy as np
import pytest
from matplotlib.quiver import Quiver

from diffuse_cli.errors import UsageError
from diffuse_cli.plots.arrows import TYPICAL
from diffuse_cli.plots.background import Background
from diffuse_cli.plots.posterior_field import ExactAddition, MethodAddition, posterior_field_figure

from .drawing import assert_nothing_cut_or_overlapping, in_both_themes

X, Y = np.linspace(-3, 3, 13), np.linspace(-3, 3, 11)
LOG_SNR = np.array([4.0, 2.0, 0.0, -2.0, -4.0, -6.0])
DENSITY = Background(X, Y, np.exp(-(X[:, None] ** 2) - Y**2))


def additions(levels, count):
    values = np.ones((levels, 13, 11, 2)) * [0.6, -0.8]
    exact = ExactAddition(X, Y, values, np.ones(levels), [DENSITY] * levels)
    return exact, [MethodAddition(f"method {i}", 2.0 * values, np.linspace(0.012, 1.2, levels)) for i in range(count)]


def draw(exact, methods, levels):
    return posterior_field_figure(exact, methods, t=np.linspace(0.1, 0.9, levels), log_snr=LOG_SNR[:levels])


@in_both_themes
@pytest.mark.parametrize(("levels", "count"), [(1, 1), (4, 6), (6, 2)])
def test_nothing_is_cut_or_overlaps(levels, count, dark):
    exact, methods = additions(levels, count)
    look = {"subject": "moons, x = 0.5", "dark": dark, "t": np.linspace(0.1, 0.9, levels), "log_snr": LOG_SNR[:levels]}
    figure = posterior_field_figure(exact, methods, **look)
    assert len(figure.axes) == levels * (1 + count)
    assert_nothing_cut_or_overlapping(figure)


def test_rows_have_their_names_words_and_one_scale_of_arrows():
    exact, methods = additions(2, 1)
    axes = draw(exact, methods, 2).axes
    assert [axes[0].get_ylabel().split("\n")[0], axes[2].get_ylabel().split("\n")[0]] == ["exact", "method 0"]
    assert [panel.get_title() for panel in axes[2:]] == ["1.2 % off", "120 % off"]
    usual, twice = (next(a for a in axes[row].collections if isinstance(a, Quiver)) for row in (0, 2))
    apart = X[1] - X[0]
    np.testing.assert_allclose(np.hypot(usual.U, usual.V), TYPICAL * apart)
    np.testing.assert_allclose(usual.V, -0.8 / 0.6 * usual.U)
    assert np.hypot(twice.U, twice.V).min() > TYPICAL * apart


def test_what_does_not_fit_together_is_refused():
    exact, methods = additions(2, 1)
    for wrong, others, levels in (
        (exact, methods, 3),
        (exact._replace(usual=np.ones(3)), methods, 2),
        (exact, [methods[0]._replace(values=np.zeros((2, 13, 2)))], 2),
        (exact, [methods[0]._replace(relative=np.ones(1))], 2),
    ):
        with pytest.raises(UsageError):
            draw(wrong, others, levels)
    with pytest.raises(UsageError, match="1 to 6"):
        posterior_field_figure(*additions(7, 1), t=np.linspace(0, 1, 7), log_snr=np.zeros(7))
