"""Models that are told columns or words: networks, likelihoods of rows with a condition each, and what is refused."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import config
from diffuse_cli.datasets.given import with_given
from diffuse_cli.diffusion.conditions import NO_LABEL, Conditions, GivenColumn, drop
from diffuse_cli.diffusion.likelihood import log_likelihood
from diffuse_cli.errors import UsageError
from diffuse_cli.models import build
from diffuse_cli.models.draw import Method, draw_samples
from diffuse_cli.models.exact_model import exact_model
from diffuse_cli.networks.denoiser import answer, conditional_predictor, predictor

COLUMNS = Conditions(("t", "p"), kind="columns", columns=(GivenColumn(20.0, 5.0, 10.0, 30.0), GivenColumn(0, 1, -1, 1)))
WORDS = Conditions(("left", "right", "moon", "ring"), kind="words", places=(2, 2))
ROWS = {
    "columns": np.array([[0.5, -1.0], [2.0, 0.3], [np.nan, np.nan], [0.5, -1.0]], np.float32),
    "words": np.array([[0, 2], [NO_LABEL, 3], [NO_LABEL, NO_LABEL], [0, 2]], np.int32),
}
KINDS = {"columns": COLUMNS, "words": WORDS}


@functools.cache
def told(kind):
    """An experiment, its weights as they are at first, and weights with which everything it is told matters."""
    settings = config.make({"width": 16, "depth": 2, "conditional": True})
    made = build.build_experiment(settings, 2, conditions=KINDS[kind])
    first = jax.jit(lambda: build.initial_weights(made, jax.random.key(0)))()
    rng = np.random.default_rng(0)
    return made, first, jax.tree.map(lambda leaf: np.float32(0.5 * rng.normal(size=leaf.shape)), first)


@pytest.mark.parametrize("kind", KINDS)
def test_a_condition_counts_as_much_as_it_has_been_learned_to(kind):
    """Before training none changes anything; then each has its own answer, and none at all is one of its own."""
    made, first, learned = told(kind)
    first = {**first, "last": jax.tree.map(lambda w: w + 0.1, first["last"])}
    x, rows = np.float32(np.random.default_rng(1).normal(size=(4, 2))), ROWS[kind]

    @jax.jit
    def answers(first, learned):
        level = made.process.level(0.4)
        before = [answer(made.structure, first, given)(x, level) for given in (None, rows)]
        after = [answer(made.structure, learned, given)(x, level) for given in (None, rows, *rows)]
        return before, after

    (plain, same), (none, after, *each) = answers(first, learned)
    np.testing.assert_array_equal(plain, same)
    np.testing.assert_allclose(after, [each[row][row] for row in range(4)], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(each[2], none, rtol=1e-6)
    np.testing.assert_allclose(each[3], each[0], rtol=1e-6)
    assert min(np.abs(each[i] - each[j]).max() for i in range(3) for j in range(i)) > 1e-3
    with pytest.raises(ValueError, match="4 conditions for 1 points"):
        jax.eval_shape(lambda: answer(made.structure, learned, rows)(x[:1], made.process.level(0.4)))


@pytest.mark.parametrize("kind", KINDS)
def test_rows_without_a_condition_have_gradients_that_are_numbers(kind):
    made, _, learned = told(kind)

    @jax.jit
    @jax.grad
    def slopes(weights):
        return jnp.sum(answer(made.structure, weights, ROWS[kind])(jnp.ones((4, 2)), made.process.level(0.4)))

    flat = jax.tree.leaves(slopes(learned))
    assert all(np.isfinite(leaf).all() for leaf in flat)
    assert min(np.abs(leaf).max() for leaf in flat) > 0


def test_an_unconditional_network_is_the_same_with_and_without_embeddings_beside_it():
    _, columns, _ = told("columns")
    _, words, _ = told("words")
    made = build.build_experiment(config.make({"width": 16, "depth": 2}), 2)
    plain = jax.jit(lambda: build.initial_weights(made, jax.random.key(0)))()
    assert set(plain) == {"first", "hidden", "last"}
    for other, added in ((columns, "given"), (words, "words")):
        assert set(other) - set(plain) == {added}
        jax.tree.map(np.testing.assert_array_equal, {layer: other[layer] for layer in plain}, plain)


def test_columns_and_words_are_left_out_as_often_as_asked():
    values, words = np.float32(np.random.default_rng(0).normal(size=(20_000, 2))), np.zeros((20_000, 3), np.int32)
    left, said = jax.device_get(jax.jit(lambda: [drop(jax.random.key(1), rows, 0.2) for rows in (values, words)])())
    gone = np.isnan(left)
    np.testing.assert_array_equal(gone[:, 0], gone[:, 1])
    assert gone[:, 0].mean() == pytest.approx(0.2, abs=0.015)
    np.testing.assert_array_equal(left[~gone], values[~gone])
    assert (said == 0).mean(axis=0) == pytest.approx(np.full(3, 0.8 / 2), abs=0.02)
    assert (said == 0).all(axis=1).mean() == pytest.approx(0.8 / 8, abs=0.015)


def test_values_go_to_model_space_and_back():
    values = np.array([[10.0, 0.5], [25.0, -1.0]])
    np.testing.assert_allclose(COLUMNS.to_model(values), [[-2, 0.5], [1, -1]])
    np.testing.assert_allclose(COLUMNS.to_data(COLUMNS.to_model(values)), values)


def test_the_likelihood_of_a_row_is_that_of_a_network_that_is_told_it():
    """The flow asks for one point at a time: conditions of all rows bound beforehand would be those of row 0."""
    made, _, learned = told("columns")
    network = made.structure, jax.tree.map(lambda w: 0.3 * w, learned), made.parameterization
    x0 = np.random.default_rng(0).normal(size=(4, 2))
    options = {"tolerance": 1e-4, "max_steps": 200}
    rows = log_likelihood(predictor(*network), made.process, x0, condition=ROWS["columns"], **options).log_p
    given = conditional_predictor(*network)
    each = [log_likelihood(given(row), made.process, x0, **options).log_p for row in ROWS["columns"]]
    np.testing.assert_allclose(rows, [each[row][row] for row in range(4)], rtol=1e-4)
    assert abs(each[0] - each[1]).min() > 1e-3
    with pytest.raises(ValueError, match="4 conditions for 1 points"):
        log_likelihood(given(ROWS["columns"]), made.process, x0, **options)


@pytest.fixture(scope="module")
def exactly(tmp_path_factory):
    """The exact models of the two moons and of scenes, by name."""

    def model(name):
        settings = config.make({"dataset": name, "train_size": 5000})
        folder, process = tmp_path_factory.mktemp("exact"), build.build_process(settings)
        return exact_model(settings, build.build_dataset(settings), folder, process=process)

    return {name: model(name) for name in ("two_moons", "scenes", "moons", "heart")}


def test_a_model_told_values_draws_the_posterior(exactly):
    model = exactly["two_moons"].with_given({"x2": 0.2, "x1": -0.3})
    drawn = draw_samples(model, Method("ddim", "log_snr", 30), 300, 0)
    assert (model.told, model.suffix) == ("x1=-0.3, x2=0.2", "-x1=-0.3_x2=0.2")
    assert (drawn.given, drawn.labels) == ({"x2": 0.2, "x1": -0.3}, None)
    truth = with_given(exactly["two_moons"].dataset(), np.array([-0.3, 0.2]), "x").draw(np.random.default_rng(0), 2000)
    apart = np.linalg.norm(drawn.samples[:, None] - truth[None], axis=2)
    assert np.quantile(apart.min(axis=1), 0.95) < 0.01
    assert np.quantile(apart.min(axis=0), 0.95) < 0.05


def test_a_model_told_a_sentence_draws_what_it_is_true_of(exactly):
    model = exactly["scenes"].with_prompt("A small ring, on the LEFT")
    drawn = draw_samples(model, Method("ddim", "log_snr", 30), 300, 0)
    assert (model.told, set(drawn.labels)) == ("left small ring", {"left small ring"})
    assert np.abs(np.linalg.norm(drawn.samples - [-2.5, 0], axis=1) - 0.5).max() < 0.6


def test_values_outside_of_those_in_training_are_told(exactly, caplog):
    exactly["two_moons"].with_given({"x1": -0.3, "x2": 0.0})
    assert "outside of the values" not in caplog.text
    with pytest.raises(UsageError, match="no theta in the prior"):
        exactly["two_moons"].with_given({"x1": 2, "x2": 0.0})
    assert "x1=2 lies outside of the values that exact two_moons was trained on, -1." in caplog.text


@pytest.mark.parametrize(
    ("name", "tell", "said"),
    [
        ("two_moons", lambda m: m.with_given({"x1": 0.0, "x3": 1.0}), "unknown given column of exact two_moons 'x3'"),
        ("two_moons", lambda m: m.with_given({"x1": 0.5}), "x2 is missing: --given x1=0.5,x2=…"),
        ("two_moons", lambda m: m.with_given({"x1": np.nan, "x2": 0.0}), "--given x1=nan: not a finite number"),
        ("two_moons", lambda m: m.with_label("upper"), "is told given columns: --given x1=…,x2=…"),
        ("two_moons", lambda m: m.with_prompt("left"), "is told given columns: --given x1=…,x2=…"),
        ("two_moons", lambda m: m.with_all_labels(), "is told given columns"),
        ("moons", lambda m: m.with_given({"x": 1.0}), "exact moons is told labels: --label upper"),
        ("heart", lambda m: m.with_given({"x": 1.0}), "exact heart knows nothing of given columns"),
        ("heart", lambda m: m.with_prompt("left"), "exact heart knows no words"),
        ("scenes", lambda m: m.with_prompt("lefft"), "unknown word of exact scenes 'lefft'; did you mean 'left'?"),
        ("scenes", lambda m: m.with_prompt("left right"), "no point is both left and right"),
        ("scenes", lambda m: m.with_prompt("the"), "'the' says nothing of the points"),
        ("scenes", lambda m: m.with_prompt("left").with_prompt("big"), "has been told left already"),
        ("scenes", lambda m: m.with_given({"left": 1.0}), "is told sentences: --prompt left"),
    ],
)
def test_what_cannot_be_told(exactly, name, tell, said):
    with pytest.raises(UsageError) as raised:
        tell(exactly[name])
    assert said in str(raised.value)


def test_data_at_a_value_are_told_apart_from_the_training_points(exactly):
    """Of a built-in set they are draws of p(x | c); of what is trained on, all points, whatever was given with them."""
    model = exactly["two_moons"]
    whole = build.draw_data(model.config, model.dataset())
    assert whole.train_given.dtype == np.float32
    assert whole.train_given.shape == (5000, 2)
    np.testing.assert_allclose(whole.train_given.std(axis=0), 1, rtol=0.05)
    part = build.draw_data(model.config, model.with_given({"x1": -0.3, "x2": 0.2}).dataset())
    np.testing.assert_array_equal(part.train, whole.train)
    assert np.abs(part.held_out).max() < 1.6 < np.abs(whole.held_out).max()
