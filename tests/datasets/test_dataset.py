import numpy as np

from diffuse_cli.datasets.dataset import law, scaled, standardise

POINTS = np.array([[0.0, 10.0], [2.0, 50.0], [4.0, 90.0]])


def test_per_column_gives_each_column_unit_variance():
    model = standardise(POINTS, per_column=True).to_model(POINTS)
    np.testing.assert_allclose(model.mean(axis=0), 0, atol=1e-15)
    np.testing.assert_allclose(model.var(axis=0), 1)


def test_one_scale_gives_unit_variance_on_average_and_keeps_proportions():
    standard = standardise(POINTS, per_column=False)
    model = standard.to_model(POINTS)
    assert standard.scale[0] == standard.scale[1]
    np.testing.assert_allclose(model.var(axis=0).mean(), 1)
    np.testing.assert_allclose(model.std(axis=0)[1] / model.std(axis=0)[0], 20)


def test_weights_count_points_more_than_once():
    weights = np.array([0.5, 0.25, 0.25])
    repeated = np.repeat(POINTS, [2, 1, 1], axis=0)
    for per_column in (True, False):
        one = standardise(POINTS, per_column=per_column, weights=weights)
        other = standardise(repeated, per_column=per_column)
        np.testing.assert_allclose(one.mean, other.mean)
        np.testing.assert_allclose(one.scale, other.scale)


def test_a_law_scaled_and_shifted_is_the_same_in_model_space():
    bare = law(lambda rng, n: 3 + 2 * rng.standard_normal((n, 2)))._replace(points=POINTS)
    shift = np.array([1.0, -1.0])
    moved = scaled(bare, 4.0, shift)
    x, y = (dataset.draw(np.random.default_rng(0), 5) for dataset in (bare, moved))
    np.testing.assert_allclose(y, shift + 4 * x)
    np.testing.assert_allclose(moved.standard.to_model(y), bare.standard.to_model(x))
    np.testing.assert_allclose(moved.points, shift + 4 * POINTS)
    assert moved.classes is None


def test_a_law_is_standardised_the_same_way_every_time():
    def draw(rng, n):
        return 3 + 2 * rng.standard_normal((n, 2))

    first, second = law(draw), law(draw, view="curves")
    assert first.standard.mean.tobytes() == second.standard.mean.tobytes()
    np.testing.assert_allclose(first.standard.mean, 3, atol=5 * 2 / 256)
    np.testing.assert_allclose(first.standard.scale, 2, atol=5 * 2 / 256)
    assert (first.dim, first.view, second.view) == (2, "points", "curves")
