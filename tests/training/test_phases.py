"""Training in stages and phases: a run that stops anywhere and goes on is the run that never stopped."""

import jax
import numpy as np
import pytest

from diffuse_cli import config
from diffuse_cli.diffusion.flow_maps import solve_in_double
from diffuse_cli.diffusion.process import CLEAN
from diffuse_cli.models import build, run_folder, teachers
from diffuse_cli.models.exact_model import exact_model
from diffuse_cli.training.batches import draw_batch
from diffuse_cli.training.trainer import Trainer

SMALL = {"dataset": "bimodal", "width": 8, "depth": 2, "batch_size": 16, "steps": 60, "train_size": 200, "warmup": 0}


@pytest.fixture(autouse=True)
def _few_paths(monkeypatch):
    monkeypatch.setattr("diffuse_cli.training.trainer.PATHS", 64)


def trainer(folder, settings, resume=None):
    dataset = build.build_dataset(settings)
    teacher = None
    if settings.teacher is not None:
        teacher = exact_model(settings, dataset, folder, process=build.build_process(settings))
        teachers.check_teacher(teacher, settings, dataset)
    experiment = build.build_experiment(settings, dataset.dim)
    return Trainer(folder, experiment, dataset, teacher=teacher, resume=resume)


def trained(folder, settings, stops=()):
    """The last checkpoint of a run that is left at these steps, as a stop would leave it, and goes on each time."""
    (folder / "figures").mkdir(parents=True)
    run = None
    for stop in (*stops, None):
        session = trainer(folder, settings, run)
        for update in session.run():
            if stop is not None and update.step >= stop:
                session.save()
                break
        run = run_folder.open_run(folder / run_folder.NEWEST)
    return run, session


@pytest.mark.parametrize(
    ("changes", "stops"),
    [
        ({"loss": "paths:alone=0.5"}, (10, 40)),  # in the first phase, and in the second
        ({"loss": "progressive:steps=4", "teacher": "exact"}, (10, 40)),  # in the first stage, and in the second
    ],
    ids=["paths", "progressive"],
)
def test_stopped_runs_go_on_to_the_same_bits(changes, stops, tmp_path):
    settings = config.make(SMALL | changes)
    whole, session = trained(tmp_path / "whole", settings)
    parted, _ = trained(tmp_path / "parted", settings, stops)
    assert whole.step == parted.step == 60
    assert any(name.startswith("before.") for name in whole.tensors)
    for name, value in whole.tensors.items():
        np.testing.assert_array_equal(value, parted.tensors[name], err_msg=name)
    assert whole.header.second_phase == parted.header.second_phase
    assert (whole.header.second_phase == 30) == (settings.loss == "paths:alone=0.5")
    assert session.teacher is not None


def test_a_budget_is_divided_between_the_phases(tmp_path):
    """The second phase begins with the share that is its own, and the learning rate of each falls to zero."""
    settings = config.make(SMALL | {"loss": "paths:alone=0.5"})
    (tmp_path / "timed" / "figures").mkdir(parents=True)
    dataset = build.build_dataset(settings)
    session = Trainer(tmp_path / "timed", build.build_experiment(settings, dataset.dim), dataset, budget=2.0)
    *_, last = session.run()
    assert 0 < session.second_phase < last.step
    run = run_folder.open_run(tmp_path / "timed" / run_folder.NEWEST)
    assert run.config.steps == run.step == last.step
    assert run.header.second_phase == session.second_phase


def test_the_best_weights_are_those_of_the_second_phase(tmp_path):
    """Those of the first cannot jump, however low their held-out loss is."""
    np.savetxt(tmp_path / "points.csv", np.random.default_rng(0).normal(size=(60, 1)), delimiter=",")
    data = {"dataset": f"file:{tmp_path}/points.csv", "train_size": None, "weight_decay": 0.01}
    run, session = trained(tmp_path / "run", config.make(SMALL | data | {"loss": "paths:alone=0.5"}))
    assert session.best_weights().step > run.header.second_phase == 30
    assert np.isfinite(run.header.best)


def test_paths_are_told_what_their_student_is_told(tmp_path):
    """Each path is that of the condition which the network is told with it, or of all points where it is told none."""
    settings = config.make(SMALL | {"loss": "paths", "teacher": "exact", "conditional": True, "label_dropout": 0.5})
    dataset = build.build_dataset(settings)
    teacher = exact_model(settings, dataset, tmp_path, process=build.build_process(settings))
    conditions = build.conditions_of(settings, dataset)
    experiment = build.build_experiment(settings, dataset.dim, conditions=conditions)
    (points, _), none = Trainer(tmp_path, experiment, dataset, teacher=teacher)._points, -1
    assert set(points.condition.tolist()) == {0, 1, none}
    batch = jax.jit(lambda points, key: draw_batch(experiment, points, key, 64))(points, jax.random.key(0))
    told, noise = np.asarray(batch.condition), np.asarray(batch.path[:, 0, :1])
    again = solved_paths_from(teacher, noise, told)
    np.testing.assert_allclose(batch.path[:, -1, :1], again, atol=0.02)


def solved_paths_from(teacher, noise, told):
    """The ends of the flow of each noise under its condition."""
    ends = np.empty_like(noise)
    for label in set(told.tolist()):
        predict = teacher.predict if label < 0 else teacher.given(np.array(label))
        rows = told == label
        ends[rows] = solve_in_double(predict, noise[rows], teacher.process.levels_at(1.0), CLEAN)
    return ends
