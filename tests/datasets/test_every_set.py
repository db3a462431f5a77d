"""What every built-in set promises. A new line in the catalogue inherits all of it."""

import re
import subprocess
import sys

import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.errors import UsageError
from tests.support.cases import BUILT_IN, FIXED

NAMES = BUILT_IN
OTHER_FORMS = [
    "swiss_roll:dim=3",
    "s_curve:dim=3",
    "rose:petals=4",
    "lissajous:a=4,b=3,phase=20",
    "curves:dim=7,terms=2",
    "curves:kind=two_shapes",
    "moons:variant=ffjord",
    "circles:variant=ffjord,scale=0.1",
    "swiss_roll:variant=ffjord,dim=3",
    "rings:variant=ffjord",
    "eight_gaussians:variant=ffjord",
    "pinwheel:variant=ffjord,arms=3",
    "two_spirals:variant=ffjord,turns=2",
    "checkerboard:variant=ffjord,squares=5,noise=0.1",
    "grid_gaussians:side=3,std=0.3",
    "tree:depth=2,angle=60,scale=5",
    "text:noise=0,scale=3,letters=i %",
    "shapes:gap=0,scale=3,sets=eight_gaussians+rings+line:noise=0+heart",
]
PLANAR = [name for name in NAMES if name not in ("curves", "bimodal", "drinks")]


@pytest.fixture(scope="module", params=NAMES + OTHER_FORMS)
def dataset(request):
    return catalog.build("dataset", request.param)


@pytest.fixture(scope="module", params=NAMES + OTHER_FORMS + FIXED)
def any_set(request):
    return catalog.build("dataset", request.param)


@pytest.mark.parametrize("n", [1, 2, 1001])
def test_draws_have_the_shape_they_say(any_set, n):
    dataset = any_set
    points = dataset.draw(np.random.default_rng(3), n)
    assert points.shape == (n, dataset.dim)
    assert points.dtype == np.float64
    assert np.isfinite(points).all()


def test_the_same_seed_gives_the_same_bytes(any_set):
    first, second = (any_set.draw(np.random.default_rng(5), 100).tobytes() for _ in range(2))
    assert first == second


def test_a_generator_moves_on(dataset):
    rng = np.random.default_rng(5)
    first, second = dataset.draw(rng, 100), dataset.draw(rng, 100)
    assert not np.isin(first, second).any()


def test_standardised_points_have_mean_0_and_variance_1(dataset):
    n = 20_000
    model = dataset.standard.to_model(dataset.draw(np.random.default_rng(7), n))
    spread = 1 / np.sqrt(n) + 1 / 256  # of this draw, and of the draw behind `law`
    assert np.all(np.abs(model.mean(axis=0)) < 5 * model.std(axis=0) * spread)
    square = (model**2).mean(axis=1)
    assert abs(square.mean() - 1) < 5 * square.std() * spread


def test_the_standardiser_is_a_round_trip(any_set):
    dataset = any_set
    points = dataset.draw(np.random.default_rng(9), 100)
    assert dataset.standard.mean.shape == dataset.standard.scale.shape == (dataset.dim,)
    np.testing.assert_allclose(dataset.standard.to_data(dataset.standard.to_model(points)), points, atol=1e-12)


@pytest.mark.parametrize("name", PLANAR)
def test_scale_multiplies_all(name):
    """The draws and the constants; in model space nothing changes, so that one law serves all scales."""
    plain, large = (catalog.build("dataset", text) for text in (name, f"{name}:scale=2"))
    x, y = (dataset.draw(np.random.default_rng(4), 50) for dataset in (plain, large))
    np.testing.assert_allclose(y, 2 * x, rtol=1e-14)
    np.testing.assert_allclose(large.standard.scale, 2 * plain.standard.scale)
    np.testing.assert_allclose(large.standard.to_model(y), plain.standard.to_model(x), atol=1e-12)


def test_a_law_has_no_finite_set_behind_it(dataset):
    assert dataset.points is None
    assert dataset.view in ("points", "curves")


@pytest.mark.parametrize("name", catalog.CATALOG["dataset"])
def test_every_option_is_explained(name):
    made_by = catalog.factory(catalog.parse("dataset", name))
    said = set(re.findall(r"\w+", made_by.__doc__ + sys.modules[made_by.__module__].__doc__))
    assert set(catalog.options_of(made_by)) <= said


def test_nothing_heavy_is_imported_before_a_set_is_built():
    modules = {entry.factory.partition(":")[0] for entry in catalog.CATALOG["dataset"].values()}
    heavy = {"jax", "sklearn", "scipy", "matplotlib", "flax"}
    code = f"import sys, {', '.join(sorted(modules))}; print(sorted({heavy} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "text",
    ["moons:noise=-1", "moons:noise=nan", "moons:noise=inf", "circles:factor=1", "swiss_roll:dim=4", "rose:petals=2.5",
     "lissajous:a=0", "curves:noise=0", "curves:dim=1", "bimodal:std=0", "bimodal:weight=1.1", "sine:waves=0",
     "moons:scale=0", "moons:variant=sklear", "rings:variant=sklearn", "eight_gaussians:std=0", "grid_gaussians:side=1",
     "pinwheel:radial_std=0", "pinwheel:arms=0", "two_spirals:turns=0", "checkerboard:squares=1", "tree:depth=0",
     "tree:ratio=1", "overlap:std=0", "drinks:noise=0", "drinks:spread=1", "shapes:gap=-1", "text:noise=-1",
     "image:size=3,path=p.png", "image:invert=maybe,path=p.png"],
)  # fmt: skip
def test_options_out_of_bounds_are_refused(text):
    with pytest.raises(UsageError, match=text.partition(":")[2].partition("=")[0]):
        catalog.build("dataset", text)
