"""The digits of scikit-learn, as rows and as pictures."""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from diffuse_cli.config import Config
from diffuse_cli.datasets.digits import digits
from diffuse_cli.models.data import draw_data
from diffuse_cli.plots.panels import SHEET, draw_cloud, make_scene
from diffuse_cli.plots.point_colors import one_color
from diffuse_cli.plots.style import LIGHT


def test_rows_and_labels_are_those_of_scikit_learn():
    points, labels = load_digits(return_X_y=True)
    dataset = digits()
    assert (dataset.points == points).all()
    assert (dataset.labels == labels).all()
    drawn, names = dataset.classes.draw(np.random.default_rng(0), 50)
    rows = {(tuple(point), label) for point, label in zip(points, labels, strict=True)}
    assert all((tuple(point), label) in rows for point, label in zip(drawn, names, strict=True))


def test_the_rows_themselves_have_mean_0_and_variance_1_in_model_space():
    dataset = digits()
    x = dataset.standard.to_model(dataset.points)
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose((x**2).mean(), 1)
    assert np.ptp(dataset.standard.scale) == 0  # some pixels never have ink


def test_rows_that_are_held_out_are_not_trained_on():
    data = draw_data(Config(dataset="digits"), digits())
    assert (len(data.train), len(data.held_out)) == (1618, 179)
    assert not {tuple(row) for row in data.train} & {tuple(row) for row in data.held_out}
    assert set(data.held_out_labels.tolist()) == set(range(10))


def test_a_picture_has_its_pixels_row_by_row():
    cloud = np.zeros((SHEET, 9))
    cloud[:, 1] = 1.0  # the middle of the first row
    scene = make_scene([cloud], reference=cloud, view="images", side=3.0, theme=LIGHT)
    axes = plt.figure().add_subplot()
    draw_cloud(axes, cloud, scene, one_color("black", SHEET))
    sheet = np.asarray(axes.images[0].get_array())
    assert (sheet[:3, :3] == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]).all()
    assert np.ma.masked_invalid(sheet).mask[3].all()  # a gap between two rows of pictures
    plt.close("all")
