"""A model that knows labels: told one, it is again a model, of the points with this label."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import config
from diffuse_cli.config import Config
from diffuse_cli.datasets.dataset import Classes, Dataset, standardise, with_label
from diffuse_cli.errors import UsageError
from diffuse_cli.models import build
from diffuse_cli.models.data import draw_data
from diffuse_cli.models.draw import Method, draw_samples
from diffuse_cli.models.exact_model import exact_model

METHOD = Method("ddim", "log_snr", 20)


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    """The exact model of two modes at −2 and 2, of which the right one has a share of 0.3."""
    settings = Config(dataset="bimodal:weight=0.3")
    folder, process = tmp_path_factory.mktemp("exact"), build.build_process(settings)
    return exact_model(settings, build.build_dataset(settings), folder, process=process)


def test_a_model_told_a_label_draws_the_points_with_it(sides):
    for name, sign in (("left", -1), ("right", 1)):
        told = sides.with_label(name)
        drawn = draw_samples(told, METHOD, 200, 0)
        assert (sign * drawn.samples > 0).all()
        assert set(drawn.labels) == {name}
        assert (sign * told.dataset().draw(np.random.default_rng(0), 50) > 0).all()
        assert (told.told, told.share, told.suffix, told.name) == (
            name, pytest.approx(0.3 if name == "right" else 0.7), f"-{name}", f"exact bimodal:weight=0.3, {name}",
        )  # fmt: skip


def test_all_labels_come_in_their_true_proportions(sides):
    drawn = draw_samples(sides.with_all_labels(), METHOD, 200, 0)
    assert (np.sign(drawn.samples[:, 0]) == np.where(drawn.labels == "right", 1, -1)).all()
    assert (drawn.labels == "right").sum() == 60
    assert draw_samples(sides, METHOD, 10, 0).labels is None
    assert [model.told for model in sides.with_each_label()] == ["left", "right"]


def test_the_labels_of_the_first_rows_are_those_of_all(sides):
    model = sides.with_all_labels()
    x, level = jnp.zeros((4, 1)), sides.process.level(0.3)
    few, all_rows = jax.jit(lambda few, every: (few(x, level).x0, every(jnp.zeros((20, 1)), level).x0))(
        model.for_sampling(20, first=4), model.for_sampling(20)
    )
    np.testing.assert_array_equal(few, all_rows[:4])


def test_labels_that_cannot_be_told(sides, tmp_path):
    with pytest.raises(UsageError, match="did you mean 'right'"):
        sides.with_label("rihgt")
    with pytest.raises(UsageError, match="told a label already"):
        sides.with_label("left").with_label("right")
    heart = Config(dataset="heart")
    model = exact_model(heart, build.build_dataset(heart), tmp_path, process=build.build_process(heart))
    for tell in (model.with_all_labels, model.with_each_label, lambda: model.with_label("a")):
        with pytest.raises(UsageError, match="have no labels"):
            tell()
    never = Config(dataset="bimodal:weight=0")
    model = exact_model(never, build.build_dataset(never), tmp_path, process=build.build_process(never))
    assert [each.told for each in model.with_each_label()] == ["left"]
    assert (draw_samples(model.with_all_labels(), METHOD, 10, 0).samples < 0).all()


def labelled_rows(n, labels):
    points = np.random.default_rng(0).normal(size=(n, 2))
    names = tuple(f"kind {label}" for label in range(labels.max() + 1))
    classes = Classes(np.bincount(labels) / n, lambda rng, n: None, None, names)
    return Dataset(lambda rng, n: points[:n], 2, standardise(points, per_column=True), points=points, labels=labels,
                   classes=classes)  # fmt: skip


def test_rows_with_a_label_stay_on_the_side_on_which_they_are_in_the_whole_file():
    data = labelled_rows(100, np.arange(100) % 3)
    whole = draw_data(Config(), data)
    parts = [draw_data(Config(), with_label(data, label)) for label in range(3)]
    for side in ("train", "held_out"):
        rows = {tuple(row) for row in getattr(whole, side)}
        of_parts = [{tuple(row) for row in getattr(part, side)} for part in parts]
        assert set.union(*of_parts) == rows
        assert sum(map(len, of_parts)) == len(rows)
    for label, (row, number) in enumerate(zip(data.points[:3], range(3), strict=True)):
        place = np.flatnonzero((whole.train == np.float32(data.standard.to_model(row))).all(axis=1))
        assert (whole.train_labels[place] == label).all(), number


def test_a_label_without_rows_on_one_side_is_refused():
    labels = np.zeros(100, int)
    labels[0] = 1
    with pytest.raises(UsageError, match=r"none of the .* rows has the label kind 1"):
        draw_data(Config(), with_label(labelled_rows(100, labels), 1))


@pytest.mark.parametrize(("dataset", "message"), [("heart", "no labels to be conditional on"), ("line", "no labels")])
def test_data_without_labels_cannot_be_trained_on_conditionally(dataset, message):
    settings = config.make({"dataset": dataset, "conditional": True})
    with pytest.raises(UsageError, match=message):
        build.conditions_of(settings, build.build_dataset(settings))
    assert build.conditions_of(config.make({"dataset": dataset}), build.build_dataset(settings)) is None


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.arange(100), "100 labels of p are all different"),
        (np.zeros(100, int), "all rows of p have the label kind 0"),
        (np.append(np.arange(98) % 2, [2, 3]), "one row only with each of these labels: kind 2, kind 3"),
    ],
)
def test_labels_of_which_nothing_can_be_learned(labels, message):
    settings = config.make({"dataset": "file:p.csv,label=kind", "conditional": True})
    with pytest.raises(UsageError, match=message) as caught:
        build.conditions_of(settings, labelled_rows(100, labels))
    if "one row" in message:
        assert "--dataset 'file:path=p.csv,label=kind,missing=kind 2'" in str(caught.value)
    enough = labelled_rows(100, np.arange(100) % 2)
    assert build.conditions_of(settings, enough).names == ("kind 0", "kind 1")
