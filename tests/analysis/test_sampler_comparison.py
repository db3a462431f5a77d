"""Samplers beside each other: budgets kept, the same noise, one floor, the exact flow."""

import numpy as np
import pytest

from diffuse_cli import catalog, config
from diffuse_cli.analysis import quality, sampler_comparison
from diffuse_cli.analysis.sampler_comparison import evaluations, plan_comparison
from diffuse_cli.errors import UsageError
from diffuse_cli.models import build
from diffuse_cli.models.draw import Method, draw_samples
from diffuse_cli.models.exact_model import exact_model
from diffuse_cli.samplers.base import Adaptive
from tests.support.cases import few_fast

SAMPLERS = [*(name for name in catalog.CATALOG["sampler"] if name not in ("ode", "langevin")), "langevin:step_size=0.3"]
BUDGETS = (4, 8, 16)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    settings = config.make({"dataset": "eight_gaussians"})
    dataset, process = build.build_dataset(settings), build.build_process(settings)
    return exact_model(settings, dataset, tmp_path_factory.mktemp("outputs"), process=process)


def compare(model, samplers, budgets=BUDGETS, metric="sliced_w2", **options):
    tasks, _ = plan_comparison(samplers, budgets)
    return sampler_comparison.compare_samplers(
        model, model.dataset(), tasks, metric, **{"n": 300, "seed": 0, "repeats": 4} | options
    )


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_plan_spends_its_budget_and_no_more(name):
    sampler = catalog.build("sampler", name)
    tasks, small = plan_comparison([name], range(1, 60))
    assert len(tasks) == len({task.method.steps for task in tasks})
    for task in tasks:
        assert evaluations(sampler, task.method.steps) <= task.budget < evaluations(sampler, task.method.steps + 1)
        assert task.method.steps > (0 if sampler.needs_jump else max(1, sampler.lookback))
    least = min(task.budget for task in tasks)
    assert [each.budget for each in small] == list(range(1, least))
    assert {each.least for each in small} <= {least}


@pytest.mark.parametrize("steps", few_fast([1, 2, 7], 7))
@pytest.mark.parametrize("name", SAMPLERS)
def test_evaluations_are_those_that_drawing_counts(name, steps, model):
    sampler = catalog.build("sampler", name)
    if steps > sampler.lookback and not sampler.needs_variance:
        assert draw_samples(model, Method(name, sampler.grid, steps), 3, 0).evals == evaluations(sampler, steps)


def test_all_start_from_the_same_noise(model, monkeypatch):
    """And the exact flow too. Heun's grid begins at another level, where the noise is as large but for rounding."""
    starts = []
    solve = sampler_comparison.run_steps
    monkeypatch.setattr(
        sampler_comparison, "run_steps", lambda *args, **kw: starts.append(args[3]) or solve(*args, **kw)
    )
    compare(model, ["ddim"], (4,), seed=3)
    for name in ("ddpm", "heun"):
        path = draw_samples(model, Method(name, catalog.build("sampler", name).grid, 4), 300, 3, trajectory=True).path
        np.testing.assert_allclose(path.x[0], starts[0], rtol=1e-6)


@pytest.mark.slow
def test_the_gap_of_a_flow_solver_closes_and_what_is_random_has_none(model):
    found = compare(model, ["ddim", "dpmpp_3m", "ddpm"], (5, 20, 80, 320))
    by_name = {
        name: [cell for cell in found.cells if cell.method.sampler == name] for name in ("ddim", "dpmpp_3m", "ddpm")
    }
    for name, last in (("ddim", 0.05), ("dpmpp_3m", 0.003)):
        gaps = [cell.median for cell in by_name[name]]
        assert gaps == sorted(gaps, reverse=True)
        assert gaps[-1] < last
        assert all(cell.rms >= 0.5 * cell.median for cell in by_name[name])
    assert {(cell.rms, cell.median) for cell in by_name["ddpm"]} == {(None, None)}
    last = by_name["dpmpp_3m"][-1]
    np.testing.assert_allclose(np.linalg.norm(last.ends - found.exact, axis=1), last.gaps)


def test_one_exact_jump_ends_where_both_flows_do_and_more_jumps_too(model):
    """The flow of the same denoiser stops at the finest level, from where it is denoised: its ends are slightly off."""
    found = compare(model, ["jump", "renoise", "ddim"], (1, 2), n=100)
    jumps = [cell for cell in found.cells if cell.method.sampler == "jump"]
    assert [cell.evals for cell in jumps] == [1, 2]
    assert max(cell.map_rms for cell in jumps) < 1e-4
    stop = np.linalg.norm(found.exact - found.mapped, axis=1)
    assert stop.max() < 0.02
    assert max(np.abs(cell.gaps - stop).max() for cell in jumps) < 1e-3
    assert {(cell.rms, cell.map_rms) for cell in found.cells if cell.method.sampler == "renoise"} == {(None, None)}
    (ddim,) = [cell for cell in found.cells if cell.method.sampler == "ddim"]
    assert (np.abs(ddim.gaps - ddim.map_gaps) <= stop + 1e-6).all()
    np.testing.assert_allclose(ddim.map_gaps, np.linalg.norm(ddim.ends - found.mapped, axis=1))


def test_jumps_of_another_map_are_compared_with_no_flow_and_solvers_only_with_their_own(model):
    found = compare(model._replace(follows_flow=False), ["jump", "ddim"], (2,), n=100)
    assert found.mapped is None
    jump, ddim = found.cells
    assert (jump.rms, jump.map_rms, ddim.map_rms) == (None, None, None)
    assert ddim.rms > 0.1


@pytest.mark.slow
def test_a_cell_is_what_evaluate_would_say(model):
    found = compare(model, ["ddim"], (10,), metric="energy")
    (cell,) = found.cells
    judged = quality.evaluate_model(model, model.dataset(), cell.method, ["energy"], n=300, seed=0, repeats=4)
    assert cell.score == judged.scores["energy"]
    assert cell.evals == judged.drawn.evals
    assert found.floor == (cell.score.floor, cell.score.floor_std)


def test_the_floor_is_computed_once(model, monkeypatch):
    made = []
    floor_of = sampler_comparison.floor_of
    monkeypatch.setattr(sampler_comparison, "floor_of", lambda *args: made.append(1) or floor_of(*args))
    found = compare(model, ["ddim", "ddpm"], (4,))
    assert (len(found.cells), len(made)) == (2, 1)
    assert len({cell.score.floor for cell in found.cells}) == 1


def test_samples_that_are_not_finite_leave_an_empty_cell(model, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lost_lab").mkdir()
    (tmp_path / "lost_lab" / "lost.py").write_text(
        "from diffuse_cli.samplers.base import Sampler, State\n\n"
        "def lost():\n    return Sampler(lambda predict, state, now, nxt, key: State(state.x / 0, state.x))\n"
    )
    lost, good = compare(model, ["lost_lab.lost:lost", "ddim"], (5,)).cells
    assert (lost.score, lost.ends, lost.rms, lost.seconds, lost.evals) == (None, None, None, None, 5)
    assert good.score.value > 0


def test_what_has_no_meaning_is_refused():
    with pytest.raises(UsageError, match="as its tolerance asks for"):
        plan_comparison(["ode"], BUDGETS)
    with pytest.raises(UsageError, match="they need: heun 3, rk4 5"):
        plan_comparison(["heun", "rk4"], (1, 2))
    tasks, small = plan_comparison(["heun", "rk4"], (1, 4))
    assert [task.method.sampler for task in tasks] == ["heun"]
    assert [(each.sampler, each.budget, each.least) for each in small] == [("heun", 1, 3), ("rk4", 1, 5), ("rk4", 4, 5)]
    assert isinstance(catalog.build("sampler", "ode"), Adaptive)
