"""Teachers: the velocity that a student is told for each condition, and the paths that are solved for it."""

from functools import partial

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import pytest

from diffuse_cli.config import Config
from diffuse_cli.datasets.dataset import with_label
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.conditions import NO_LABEL
from diffuse_cli.diffusion.flow_maps import flow_level, solve_map
from diffuse_cli.diffusion.process import CLEAN
from diffuse_cli.errors import UsageError
from diffuse_cli.models import build
from diffuse_cli.models.exact_model import exact_model
from diffuse_cli.models.guided import guided
from diffuse_cli.models.teachers import check_teacher, solved_paths, velocity_for

SIDES = Config(dataset="bimodal:distance=2,std=1")


def no_run(name):
    raise AssertionError(f"{name} is not asked for")


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    """Two modes with labels, exactly: its model, and the laws of each label and of all points."""
    dataset = build.build_dataset(SIDES)
    model = exact_model(SIDES, dataset, tmp_path_factory.mktemp("exact"), process=build.build_process(SIDES))
    return model, [with_label(dataset, 0).exact(), with_label(dataset, 1).exact(), dataset.exact()]


def velocity(law, x, t):
    p = exact.denoiser(law)(x, flow_level(t))
    return p.eps - p.x0


def test_each_row_is_told_the_velocity_of_its_condition(sides):
    """Labels are data of compiled code. A row that is told none gets the velocity of all points; with guidance, by the
    formula u + w (c - u), and without a label just u."""
    model, laws = sides
    x, t = jnp.linspace(-2.0, 2.0, 6)[:, None], jnp.linspace(0.1, 0.95, 6)[:, None]
    labels = np.array([0, 1, NO_LABEL, 0, 1, NO_LABEL])
    plain, strong = (velocity_for(each) for each in (model, guided(model, "3", open_guide=no_run)))

    @jax.jit
    def ask(labels):
        each = jnp.stack([velocity(law, x, t) for law in laws])
        told = jnp.take_along_axis(each, jnp.where(labels < 0, 2, labels)[None, :, None], axis=0)[0]
        asked = [teacher(labels)(x, t) for teacher in (plain, strong)]
        return asked, (told, each[2] + 3 * (told - each[2])), (plain(None)(x, t), each[2])

    got, expected, alone = ask(labels)
    np.testing.assert_allclose(got[0], expected[0], atol=1e-5)
    np.testing.assert_allclose(got[1], expected[1], atol=1e-5)
    np.testing.assert_allclose(*alone, atol=1e-6)


def test_solved_paths_are_those_of_the_exact_flow(sides):
    """From noise to clean, at falling times, each under the flow of its label."""
    model, laws = sides
    labels = np.array([0, 1] * 8)
    paths = solved_paths(model, labels, 16, 5)
    times, places = paths[..., -1], paths[..., :-1]
    assert paths.shape == (16, 65, 2)
    assert (np.diff(times, axis=1) < 0).all()
    assert times[0, 0] == pytest.approx(1, abs=1e-3)
    assert (times[:, -1] == 0).all()
    np.testing.assert_array_equal(paths, solved_paths(model, labels, 16, 5))
    predict = [jax.tree_util.Partial(exact.denoiser(law)) for law in laws[:2]]
    for label, denoiser in enumerate(predict):
        start = jnp.asarray(places[labels == label][:, 10])
        ends, solved = solve_map(denoiser, start, flow_level(jnp.asarray(times[0, 10])), CLEAN)
        assert solved.all()
        np.testing.assert_allclose(places[labels == label][:, -1], ends, atol=2e-3)


def test_what_is_no_teacher(sides):
    model, _ = sides
    check = partial(check_teacher, config=SIDES, dataset=model.dataset())
    with pytest.raises(UsageError, match="a student's teacher is a denoiser"):
        check(model._replace(kind="flow"))
    for text in ("fkc:w=2", "cfgpp:lam=0.5"):
        with pytest.raises(UsageError, match="more than a denoiser"):
            check(guided(model, text, open_guide=no_run))
    check(guided(model, "interval:w=2", open_guide=no_run))


def test_a_teacher_has_the_space_and_the_schedule_of_its_student(sides):
    model, _ = sides
    dataset = model.dataset()
    moved = dataset._replace(standard=dataset.standard._replace(scale=2 * dataset.standard.scale))
    with pytest.raises(UsageError, match="in another space"):
        check_teacher(model, SIDES, moved)
    for changes, says in (({"schedule": "linear"}, "the schedule cosine"), ({"timesteps": 50}, "the timesteps 1000")):
        with pytest.raises(UsageError, match=says):
            check_teacher(model, msgspec.structs.replace(SIDES, **changes), dataset)
