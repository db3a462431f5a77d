"""Guided and multiplied models: again models, whose data are the law that they are said to sample."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli.config import Config
from diffuse_cli.datasets.dataset import with_label
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.conditions import Conditions
from diffuse_cli.diffusion.process import CLEAN
from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.models import build
from diffuse_cli.models.classifier import Classifier
from diffuse_cli.models.draw import Method, draw_samples
from diffuse_cli.models.exact_model import exact_model
from diffuse_cli.models.guided import guided
from diffuse_cli.models.multiplied import multiplied

# two Gaussians that overlap, and a whole whose score is known: π_w has a density in closed form
SIDES = Config(dataset="bimodal:distance=2,std=1")


def no_run(name):
    raise AssertionError(f"{name} is not asked for")


def exactly(config, folder):
    return exact_model(config, build.build_dataset(config), folder, process=build.build_process(config))


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    return exactly(SIDES, tmp_path_factory.mktemp("exact"))


def test_the_data_of_a_guided_model_are_the_tilted_law(sides, x64):
    """log π_w = w log p(x|c) + (1 − w) log p(x) − log Z, on the grid and as a law; Z by the same sum over the grid."""
    model = guided(sides, "3", open_guide=no_run).with_label("right")
    data, of_label = model.dataset(), with_label(sides.dataset(), 1)
    grid = data.grid()
    x = np.linspace(-1, 2, 40)[:, None]
    given, whole, law = jax.jit(
        lambda x: [exact.log_prob(law, x, CLEAN) for law in (of_label.exact(), sides.dataset().exact(), data.exact())]
    )(x)
    expected = 3 * given - 2 * whole - grid.log_z
    np.testing.assert_allclose(grid.log_prob(x), expected, atol=0.01)
    np.testing.assert_allclose(law, expected, atol=0.01)
    drawn = data.standard.to_model(data.draw(np.random.default_rng(0), 20_000))
    mean = float(grid.axes[0] @ grid.masses)
    assert abs(drawn.mean() - mean) < 5 * drawn.std() / np.sqrt(len(drawn))
    assert data.log_z() == grid.log_z


def test_w_of_1_is_the_conditional_model(sides):
    model, plain = guided(sides, "1", open_guide=no_run).with_label("left"), sides.with_label("left")
    x, level = jnp.linspace(-2.0, 2.0, 7)[:, None], sides.process.level(0.4)
    got, expected = jax.jit(lambda one, other: (one(x, level).x0, other(x, level).x0))(model.predict, plain.predict)
    np.testing.assert_array_equal(got, expected)
    assert model.dataset().grid is None


def test_guidance_of_each_row_is_that_of_its_label(sides):
    model = guided(sides, "2", open_guide=no_run)
    x, level = jnp.zeros((4, 1)), sides.process.level(0.4)
    rows, *each = jax.jit(lambda *predicts: [predict(x, level).x0 for predict in predicts])(
        model.with_all_labels().for_sampling(4), *(told.for_sampling(4) for told in model.with_each_label())
    )
    labels = sides.conditions.rows(4)
    np.testing.assert_allclose(rows, np.stack(each)[labels, np.arange(4)], rtol=1e-6)


def test_names_and_settings_say_how_a_model_is_guided(sides):
    fkc = guided(sides, "fkc:w=2", open_guide=no_run, particles=50).with_label("left")
    assert (fkc.config.sampler, fkc.config.sampler_steps) == ("particles:size=50", 400)
    assert (fkc.name, fkc.suffix) == ("exact bimodal:distance=2,std=1, fkc:w=2, left", "-left-fkc_w=2")
    assert (fkc.is_exact, fkc.has_flow, sides.is_exact, sides.has_flow) == (False, False, True, True)
    drawn = draw_samples(fkc, Method("particles:size=50", "log_snr", 10), 100, 0)
    assert drawn.populations.size.tolist() == [50, 50]
    cfgpp = guided(sides, "cfgpp:lam=0.5", open_guide=no_run)
    assert cfgpp.config.sampler == "ddim"


@pytest.mark.parametrize(
    ("text", "method", "message"),
    [
        ("fkc:w=2", Method("ddim", "log_snr", 5), "no weights; give --sampler particles"),
        ("fkc:w=2", Method("ode", "log_snr", 5), "no weights; give --sampler particles"),
        ("cfgpp:lam=1", Method("dpmpp_2m", "log_snr", 5), "give --sampler ddim"),
    ],
)
def test_samplers_that_cannot_use_a_guidance(sides, text, method, message):
    with pytest.raises(UsageError, match=message):
        draw_samples(guided(sides, text, open_guide=no_run).with_label("left"), method, 10, 0)


def test_a_trained_classifier_takes_the_place_of_the_exact_one(sides):
    """A classifier that has learned the exact log p(label | x) guides as that does, and an unconditional model too."""
    classes = sides.dataset().classes
    log_p = jax.tree_util.Partial(exact.classifier([classes.exact(label) for label in (0, 1)], classes.shares))
    learned = Classifier("sides-classifier", sides.config, sides.standard, sides.conditions, log_p)
    untold = sides._replace(box=(np.full(1, -9.0), np.full(1, 9.0)), conditions=None, given=None)
    text = "classifier:w=2,run=sides-classifier"
    models = [
        guided(model, rule, open_guide=lambda name: {"sides-classifier": learned}[name]).with_label("right")
        for model, rule in ((sides, "classifier:w=2"), (sides, text), (untold, text), (untold, "classifier:w=2"))
    ]
    x, level = jnp.linspace(-2.0, 2.0, 7)[:, None], sides.process.level(0.4)
    first, *others = jax.jit(lambda *predicts: [predict(x, level).x0 for predict in predicts])(
        *(model.predict for model in models)
    )
    np.testing.assert_array_equal(others, np.stack([first] * 3))
    assert (models[2].told, models[2].share) == ("right", 0.5)
    assert models[2].dataset().grid is not None  # π_2 is the law that it is judged by
    for model, rule, guide, message in [
        (sides, text, sides, "is no classifier; train one with"),
        (
            sides,
            "auto:run=sides-classifier,w=2",
            learned,
            "is a classifier; use it with --guidance classifier:w=2",
        ),
        (sides, text, learned._replace(config=Config(dataset="bimodal")), "train one on the same data"),
        (sides, text, learned._replace(conditions=Conditions(("a", "b"), (0.5, 0.5))), "other labels"),
        (untold, "2", None, "was trained without labels"),
    ]:
        with pytest.raises(UsageError, match=message):
            guided(model, rule, open_guide=lambda name, guide=guide: guide)


def test_guidance_that_a_model_cannot_have(sides, tmp_path):
    heart = exactly(Config(dataset="heart"), tmp_path)
    other = heart._replace(conditions=sides.conditions)
    for model, text, extra, message in [
        (heart, "2", {}, "have no labels"),
        (heart, "classifier:w=2", {}, "have no labels"),
        (sides, "cgf:w=2", {}, "did you mean 'cfg'"),
        (sides, "cfg:w=-1", {}, "w=-1"),
        (sides, "2", {"particles": 10}, "has no particles with weights"),
        (sides, "auto:run=other,w=2", {"open_guide": lambda name: other}, "a guide is a smaller or younger run"),
        (sides._replace(kind="flow"), "2", {}, "guidance needs a denoiser"),
        (
            sides._replace(box=(np.zeros(1), np.ones(1)), config=Config(label_dropout=0.0)),
            "2",
            {},
            "unconditional half",
        ),
    ]:
        with pytest.raises(UsageError, match=message):
            guided(model, text, **{"open_guide": no_run} | extra)
    with pytest.raises(UsageError, match="of one law; give one --label"):
        guided(sides, "fkc:w=2", open_guide=no_run).with_all_labels()


def test_a_guide_takes_the_place_of_the_unconditional_denoiser(sides):
    """g + w (D − g), with and without a label."""
    weak = sides._replace(predict=jax.tree_util.Partial(lambda x, level: sides.predict(x / 2, level)), given=None,
                          conditions=None)  # fmt: skip
    model = guided(sides, "auto:run=weak,w=3", open_guide=lambda name: weak)
    x, level = jnp.ones((2, 1)), sides.process.level(0.4)
    strong, weakly, both, told, of_label = jax.jit(lambda *predicts: [predict(x, level).x0 for predict in predicts])(
        sides.predict, weak.predict, model.predict, model.with_label("left").predict, sides.with_label("left").predict
    )
    np.testing.assert_allclose(both, weakly + 3 * (strong - weakly), rtol=1e-5)
    np.testing.assert_allclose(told, weakly + 3 * (of_label - weakly), rtol=1e-5)


@pytest.mark.parametrize("way", ["smoothed", "clean", "reconstruct", "exact"])
def test_a_multiplied_model_is_again_a_model(way, tmp_path):
    """N(0, 1) in model space, times a Gaussian: the exact product is its data, and of the ways only some give it."""
    model = exactly(Config(dataset="bimodal:distance=0,std=2"), tmp_path)
    times = multiplied(model, "gaussian:x=2,std=2", way, open_run=no_run)
    data = times.dataset()
    assert data.log_z() == pytest.approx(-0.5 * np.log(2) - 1 / 4)
    x, level = jnp.array([[0.5]]), model.process.level(0.5)
    got, truth = jax.jit(lambda predict, x, level: (predict(x, level).x0, exact.denoiser(data.exact())(x, level).x0))(
        times.predict, x, level
    )
    assert (abs(float(got[0, 0] - truth[0, 0])) < 1e-5) == (way in ("smoothed", "exact"))
    assert (times.conditions, times.suffix) == (None, f"-times_gaussian_x=2_std=2_by_{way}")


def test_products_that_are_refused(sides, tmp_path):
    told = sides.with_label("left")
    for model, text, extra, message in [
        (sides.with_all_labels(), "halfplane:x=1", {}, "give one --label"),
        (guided(sides, "fkc:w=2", open_guide=no_run).with_label("left"), "halfplane:x=1", {}, "for another law"),
        (sides, "halfplan:x=1", {}, "did you mean 'halfplane'"),
        (guided(sides, "2", open_guide=no_run).with_label("left"), "halfplane:x=1", {"way": "exact"}, "only an exact"),
        (told, "halfplane:x=1", {"way": "smoothed", "particles": 10}, "has no particles"),
        (told, "run:a", {"way": "clean"}, "leave out --times-by clean"),
        (told, "run:a", {"open_run": lambda name: exactly(Config(dataset="moons"), tmp_path)}, "the same columns"),
    ]:
        with pytest.raises(UsageError, match=message):
            multiplied(model, text, **{"open_run": no_run} | extra)
    with pytest.raises(DiffuseError, match="no mass: Z = "):
        multiplied(told, "gaussian:x=1000,std=0.1", open_run=no_run)
