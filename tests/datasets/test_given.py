"""Laws p(x | c) of built-in sets and of files: draws, densities and exact laws at one c agree with those of all."""

import jax
import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.datasets.given import with_given
from diffuse_cli.datasets.scenes import scenes
from diffuse_cli.datasets.two_moons import two_moons
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.conditions import drop
from diffuse_cli.diffusion.process import CLEAN
from diffuse_cli.errors import UsageError

WHOLE, CUT = np.array([-0.3, 0.2]), np.array([0.3, 0.1])  # the posterior at CUT ends where u changes its sign


def log_p(dataset, points):
    """log p of points in data units under the law of a dataset."""
    law = dataset.exact()
    in_model = jax.jit(lambda x: exact.log_prob(law, x, CLEAN))(np.float32(dataset.standard.to_model(points)))
    return np.asarray(in_model, np.float64) - np.log(dataset.standard.scale).sum()


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_the_law_of_the_two_moons_is_their_density(scale):
    """The mixture of Gaussians has a KL below 1e-4 from the closed form, and its entropy."""
    dataset = two_moons(scale=scale)
    part = with_given(dataset, WHOLE, "x")
    theta = part.draw(np.random.default_rng(0), 10_000)
    true = dataset.given.log_density(theta, np.tile(WHOLE, (len(theta), 1)))
    off = true - log_p(part, theta)
    assert abs(off.mean()) < 1e-4 + 4 * off.std() / np.sqrt(len(off))
    assert off.std() < 0.01
    entropy = part.exact().entropy(CLEAN) + np.log(dataset.standard.scale).sum()
    assert -true.mean() == pytest.approx(entropy, abs=5 * true.std() / np.sqrt(len(true)))


@pytest.mark.parametrize("x", [WHOLE, CUT, np.array([-1.0, 0.2])])
def test_the_density_of_the_two_moons_has_mass_one(x):
    """Over polar coordinates about each of the two centres, where it is smooth but for where the prior cuts it off."""
    given = two_moons().given
    a, r = ((np.arange(n) + 0.5) / n for n in (1000, 200))
    a, r = np.pi * (a - 0.5), 0.05 + 0.1 * r
    angle, radius = (each.ravel() for each in np.meshgrid(a, r))
    w, v = 0.25 + radius * np.cos(angle) - x[0], x[1] - radius * np.sin(angle)
    area = (a[1] - a[0]) * (r[1] - r[0]) * radius
    mass = 0.0
    for u in (w, -w):
        theta = np.stack([u - v, u + v], axis=1) / np.sqrt(2)
        kept = w > 0  # the two halves meet there, and a place behind it is one of the other half
        mass += np.sum(area[kept] * np.exp(given.log_density(theta[kept], np.tile(x, (kept.sum(), 1)))))
    assert mass == pytest.approx(1, abs=5e-3)


@pytest.mark.parametrize("x", [WHOLE, CUT])
def test_what_is_drawn_of_the_posterior_makes_this_simulation(x):
    """x − (−|u|, v) has the radius and the angle of the simulator, theta is in the prior, and u has both signs."""
    theta = two_moons().given.draw_at(np.random.default_rng(1), 20_000, x)
    assert (np.abs(theta) <= 1).all()
    u, v = (theta @ np.array([[1, -1], [1, 1]]) / np.sqrt(2)).T
    p = x + np.stack([np.abs(u), -v], axis=1) - np.array([0.25, 0.0])
    r, a = np.linalg.norm(p, axis=1), np.arctan2(p[:, 1], p[:, 0])
    assert (p[:, 0] >= 0).all()
    assert abs((u > 0).mean() - 0.5) < 0.02
    if x is WHOLE:  # nothing is cut off
        assert r.mean() == pytest.approx(0.1, abs=5e-4)
        assert r.std() == pytest.approx(0.01, rel=0.03)
        assert a.std() == pytest.approx(np.pi / np.sqrt(12), rel=0.02)


def test_the_posteriors_of_all_simulations_together_are_the_prior():
    """E p(theta | x) over independent theta and x is ∫ prior² = 1/4, also where the prior cuts posteriors off."""
    given = two_moons().given
    theta, x = given.draw(np.random.default_rng(2), 2000)
    assert np.isfinite(given.log_density(theta, x)).all()
    pairs = [np.exp(given.log_density(np.roll(theta, by, axis=0), x)).mean() for by in range(1, 41)]
    assert np.mean(pairs) == pytest.approx(0.25, abs=5 * np.std(pairs) / np.sqrt(len(pairs)))
    assert np.std(pairs) / np.sqrt(len(pairs)) < 0.03


def test_where_the_posterior_of_the_two_moons_is_not_known():
    with pytest.raises(UsageError, match=r"no theta in the prior, \[-1, 1\]², gives x1=-3, x2=0"):
        with_given(two_moons(), np.array([-3.0, 0.0]), "x")
    assert with_given(two_moons(), CUT, "x").exact is None  # its density is, but not its law with noise


SENTENCES = {"left ring": (0, -1, 8), "left small ring": (0, 4, 8), "left big ring": (0, 5, 8)}


def test_the_law_of_a_sentence_is_the_mean_of_those_that_say_more():
    dataset = scenes()
    parts = {name: with_given(dataset, np.array(words), name) for name, words in SENTENCES.items()}
    points = dataset.draw(np.random.default_rng(3), 500)
    laws = [part.exact() for part in parts.values()]
    x = np.float32(dataset.standard.to_model(points))
    less, *more = np.asarray(jax.jit(lambda x: [exact.log_prob(law, x, CLEAN) for law in laws])(x), np.float64)
    np.testing.assert_allclose(less, np.logaddexp(*more) - np.log(2), atol=2e-4, rtol=2e-5)


def test_the_law_of_a_sentence_is_that_of_its_draws():
    dataset = scenes(scale=2.0)
    part = with_given(dataset, np.array(SENTENCES["left ring"]), "left ring")
    points = part.draw(np.random.default_rng(4), 5000)
    surprise = -log_p(part, points)
    entropy = part.exact().entropy(CLEAN) + np.log(dataset.standard.scale).sum()
    assert surprise.mean() == pytest.approx(entropy, abs=5 * surprise.std() / np.sqrt(len(surprise)))
    radius = np.linalg.norm(points / 2 - [-2.5, 0], axis=1)
    assert (np.minimum(abs(radius - 1), abs(radius - 0.5)) < 0.5).all()


def test_training_tells_sentences_whose_points_have_the_law_that_is_called_exact():
    """Among the rows that are told exactly `left ring`, small and big are as frequent as among all scenes of which it
    is true, and so is no word at all among all scenes: what is unsaid does not depend on the scene."""
    _, words = scenes().given.draw(np.random.default_rng(5), 200_000)
    told = np.asarray(jax.jit(lambda words: drop(jax.random.key(0), words, 0.1))(np.int32(words)))
    rows = (told == np.array(SENTENCES["left ring"])).all(axis=1)
    assert rows.sum() > 500
    small = (words[rows, 1] == 4).mean()
    assert abs(small - 0.5) < 5 * 0.5 / np.sqrt(rows.sum())
    silent = words[(told == -1).all(axis=1)]
    assert len(silent) / len(words) == pytest.approx(0.1 + 0.9 / 8, abs=0.005)
    np.testing.assert_allclose(np.bincount(silent[:, 0]) / len(silent), 0.25, atol=0.01)


@pytest.fixture
def table(tmp_path, monkeypatch):
    """1000 rows x, temperature, dose, y; each dose is one of three."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(6)
    rows = np.stack([rng.normal(size=1000), rng.uniform(10, 30, 1000), rng.choice([1, 2, 5], 1000), rng.random(1000)])
    np.savetxt("p.csv", rows.T, delimiter=",", header="x,temperature,dose,y", comments="")
    return rows.T


def test_given_columns_of_a_file_are_no_coordinates(table):
    dataset = catalog.build("dataset", "file:p.csv,given=dose+temperature")
    np.testing.assert_array_equal(dataset.points, table[:, [0, 3]])
    np.testing.assert_array_equal(dataset.given.rows, table[:, [2, 1]])
    assert (dataset.columns, dataset.given.names) == (("x", "y"), ("dose", "temperature"))
    assert "column 3 (dose), column 2 (temperature) given" in dataset.origin
    model = dataset.given.to_model(dataset.given.rows)
    np.testing.assert_allclose([model.mean(axis=0), model.std(axis=0)], [[0, 0], [1, 1]], atol=1e-5)
    np.save("p.npy", table)
    of_array = catalog.build("dataset", "file:p.npy,given=3+2")
    np.testing.assert_array_equal(of_array.given.rows, dataset.given.rows)
    assert of_array.given.names == ("3", "2")


def test_the_rows_near_a_value_stand_for_the_data_there(table):
    dataset = catalog.build("dataset", "file:p.csv,columns=x+y,given=temperature")
    part = with_given(dataset, np.array([20.0]), "temperature=20")
    nearest = np.argsort(abs(table[:, 1] - 20))[:50]
    assert {tuple(row) for row in part.points} == {tuple(row) for row in table[nearest][:, [0, 3]]}
    assert not part.part.exactly
    by_dose = catalog.build("dataset", "file:p.csv,columns=x+y,given=dose")
    exactly = with_given(by_dose, np.array([2.0]), "dose=2")
    np.testing.assert_array_equal(exactly.points, table[table[:, 2] == 2][:, [0, 3]])
    assert exactly.part.exactly


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("given=temp", "no column 'temp'"),
        ("given=x+temperature+dose+y", "given=x+temperature+dose+y is all of its columns; no coordinates are left"),
        ("columns=x+dose,given=dose", "column 3 (dose) cannot be given and coordinate"),
        ("given=dose,label=x", "a network is told labels or given columns; leave out label= or given="),
        ("given=x+x", "given=x+x asks for column 1 (x) twice"),
    ],
)
def test_given_columns_without_meaning_are_refused(table, options, said):
    with pytest.raises(UsageError) as raised:
        catalog.build("dataset", f"file:p.csv,{options}")
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ("1,,3", "(first line 3, column 2 (t)); to leave it out: --dataset file:q.csv,given=t,missing=drop"),
        ("1,hot,3", "line 3, column 2 (t): 'hot' is not a number; to leave out such rows: --dataset "
         "file:q.csv,given=t,missing=hot"),
        ("1,2,3", "column 2 (t) does not vary; to leave it out: --dataset file:q.csv,columns=x+y"),
    ],
)  # fmt: skip
def test_cells_that_cannot_be_given_are_told_with_their_place(tmp_path, monkeypatch, cells, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "q.csv").write_text(f"x,t,y\n1,2,5\n{cells}\n3,2,9\n")
    with pytest.raises(Exception, match=r"q\.csv") as raised:
        catalog.build("dataset", "file:q.csv,given=t")
    assert said in str(raised.value)
