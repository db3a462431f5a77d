"""Every figure of a user's file has the names of its columns, and says in which units they are."""

import importlib
import re

import numpy as np
import pytest

from diffuse_cli.config import Config
from diffuse_cli.figures.table import FIGURES
from diffuse_cli.models import build
from diffuse_cli.models.draw import Method
from diffuse_cli.models.exact_model import exact_model
from diffuse_cli.plots.formats import DEFAULT_LOOK

NAMES = ("a$ge$", "salary_{")
DATA = {"plot-density"}  # drawn in data units; all others in model units
ELSEWHERE = {
    "plot-samples",
    "plot-students",
    "plot-schedule",
    "plot-loss",
    "plot-guidance",
    "plot-true-loss",
    "plot-latent",
}  # tests of the plots ask the first; the others have no columns


@pytest.fixture
def settings(tmp_path):
    points = np.random.default_rng(0).normal(size=(30, 2)) * [10.0, 9000.0]
    lines = [",".join(NAMES), *(",".join(map(repr, row)) for row in points.tolist())]
    (tmp_path / "price$of$tea_{.csv").write_text("\n".join(lines) + "\n")
    return Config(dataset=f"file:{tmp_path}/price$of$tea_{{.csv", timesteps=50)


def test_figures_of_a_file_name_its_columns_and_units(settings, tmp_path):
    dataset, process = build.build_dataset(settings), build.build_process(settings)
    model = exact_model(settings, dataset, tmp_path, process=process)
    subjects = {"model": (model,), "samples": (model, Method("ddim", "uniform", 4)), "settings": (settings,)}
    wrong = {}
    for name, row in FIGURES.items():
        if name in ELSEWHERE:
            continue
        module, _, function = row.draw.partition(":")
        draw = getattr(importlib.import_module(f"diffuse_cli.figures.{module}"), function)
        figure = draw(*subjects[row.subject], row.options(), DEFAULT_LOOK)
        labels = {text.replace("\\$", "$") for axes in figure.axes for text in (axes.get_xlabel(), axes.get_ylabel())}
        unit = "data units" if name in DATA else "model units"
        named = all(
            any(re.search(rf"{re.escape(column)}[,\n] ?{unit}$", label) for label in labels) for column in NAMES
        )
        title = figure.get_suptitle().replace("\\$", "$")
        if not named or "price$of$tea_{" not in title or "file:" in title:
            wrong[name] = labels, title
    assert wrong == {}
