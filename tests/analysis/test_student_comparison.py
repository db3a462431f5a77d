"""Students whose jumps are known: exact ones, and exact ones that end a known step aside."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import config
from diffuse_cli.analysis.student_comparison import check_students, compare_students
from diffuse_cli.errors import UsageError
from diffuse_cli.models import build
from diffuse_cli.models.exact_model import exact_model

ASIDE = 0.03


def _aside(jump, x, now, nxt):
    return jump(x, now, nxt) + jnp.where(nxt.sigma == 0, ASIDE, 0.0)


def student(name, **settings):
    """A network that has learned the exact map: an exact model with the box of a trained one."""
    given = config.make({"dataset": "bimodal"} | settings)
    dataset, process = build.build_dataset(given), build.build_process(given)
    model = exact_model(given, dataset, Path("outputs"), process=process)
    return model._replace(name=name, folder=Path("outputs") / name, box=(np.full(1, -9.0), np.full(1, 9.0)))


@pytest.fixture(scope="module")
def found():
    model = student("exactly")
    aside = model._replace(name="aside", jump=jax.tree_util.Partial(_aside, model.jump))
    other = model._replace(name="other", follows_flow=False, jumps="any")
    models = [model, aside, other]
    return compare_students(models, model.dataset(), (1, 2), "sliced_w2", n=100, seed=0, repeats=4)


def test_the_distance_of_a_student_is_that_by_which_it_jumps_aside(found):
    gaps = {name: [(cell.map_rms, cell.map_median) for cell in cells] for name, cells in found.students.items()}
    np.testing.assert_allclose(gaps["exactly"], 0, atol=1e-4)
    np.testing.assert_allclose(gaps["aside"], ASIDE, atol=1e-4)
    assert gaps["other"] == [(None, None)] * 2
    assert [[cell.evals for cell in cells] for cells in found.students.values()] == [[1, 2]] * 3


def test_solvers_have_the_exact_denoiser_and_the_evaluations_that_they_need(found):
    assert {name: [cell.evals for cell in cells] for name, cells in found.solvers.items()} == {
        "ddim": [2],
        "dpmpp_2m": [2],
    }
    assert {(each.sampler, each.budget) for each in found.small} == {
        ("ddim", 1), ("dpmpp_2m", 1), ("heun", 1), ("heun", 2)
    }  # fmt: skip
    assert found.solvers["ddim"][0].map_rms > 10 * ASIDE


def test_one_floor_judges_all(found):
    cells = [cell for each in [*found.students.values(), *found.solvers.values()] for cell in each]
    assert {cell.score.floor for cell in cells} == {found.floor[0]}
    one, other = (found.students[name][0].score.value for name in ("exactly", "other"))
    assert one == other


def test_what_cannot_be_compared_is_refused(tmp_path):
    first = student("first")
    with pytest.raises(UsageError, match=r"plain is no student.*diffuse distill --run plain"):
        check_students([first, student("plain")._replace(jump=None)])
    with pytest.raises(UsageError, match="first has the dataset bimodal, and b has overlap"):
        check_students([first, student("b", dataset="overlap")])
    with pytest.raises(UsageError, match="the schedule cosine, and b has linear"):
        check_students([first, student("b", schedule="linear")])
    with pytest.raises(UsageError, match="two of the runs are named first"):
        check_students([first, first])
    np.savetxt(tmp_path / "p.csv", np.random.default_rng(0).normal(size=(40, 1)), delimiter=",")
    file = f"file:{tmp_path}/p.csv"
    check_students([first, student("b", seed=1)])  # all draws are fresh
    with pytest.raises(UsageError, match="the seed 0, and b has 1"):
        check_students([student("a", dataset=file), student("b", dataset=file, seed=1)])
