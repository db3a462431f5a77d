"""The true loss of students whose error is known."""

import jax
import numpy as np
import pytest

from diffuse_cli.analysis.true_losses import TIMES, true_losses_of
from diffuse_cli.config import Config
from diffuse_cli.diffusion.denoisers import Prediction
from diffuse_cli.diffusion.flow_maps import exact_jump, flow_time
from diffuse_cli.errors import UsageError
from diffuse_cli.models import build
from diffuse_cli.models.exact_model import exact_model

_OFF = 0.2


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    config = Config(dataset="bimodal")
    dataset, process = build.build_dataset(config), build.build_process(config)
    return exact_model(config, dataset, tmp_path_factory.mktemp("models"), process=process)


def _off_jump(jump, x, now, nxt):
    return jump(x, now, nxt) - (flow_time(now) - flow_time(nxt)) * _OFF


def _off_predict(predict, x, level):
    p = predict(x, level)
    return Prediction(p.x0, p.eps + _OFF)


def test_a_student_that_is_off_by_a_velocity_has_its_square_as_loss_at_all_times(model):
    student = model._replace(
        box=(np.zeros(1), np.ones(1)),
        jump=jax.tree_util.Partial(_off_jump, exact_jump(model.predict)),
        predict=jax.tree_util.Partial(_off_predict, model.predict),
    )
    times, losses, exact = true_losses_of(student, model.dataset(), paths=16)
    rows, columns = np.triu_indices(TIMES)
    known = losses[rows, columns][:-1]  # but for t = r = 0
    np.testing.assert_allclose(known, _OFF**2, rtol=2e-3)
    assert np.isnan(losses[np.tril_indices(TIMES, -1)]).all()
    assert np.isnan(losses[-1, -1])
    assert (times[0], times[-1]) == (1, 0)
    assert (exact[rows, columns][:-1] > 0.05).all()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({}, "has not learned to jump"),
        ({"box": (0, 1), "follows_flow": False}, "another flow"),
        ({"box": (0, 1), "kind": "flow"}, "another flow"),
    ],
)
def test_models_without_a_true_loss_are_told_why(model, changed, says):
    with pytest.raises(UsageError, match=says):
        true_losses_of(model._replace(**changed), model.dataset())


def test_a_law_that_is_not_known_has_none(model):
    with pytest.raises(UsageError, match="is not known"):
        true_losses_of(model._replace(box=(0, 1)), model.dataset()._replace(exact=None))
