"""The loss of a run, from its log."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from diffuse_cli.figures.options import LossOptions
from diffuse_cli.models import run_folder
from diffuse_cli.plots.drawing_process import Drawing
from diffuse_cli.plots.formats import DEFAULT_LOOK, Look

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Losses(NamedTuple):
    """The losses of a log: train at steps [k], held_out at held_out_steps [h], and the irreducible loss or None.

    true_loss: of a flow map, at held_out_steps [h]; None where it is not known.
    """

    steps: np.ndarray
    train: np.ndarray
    held_out_steps: np.ndarray
    held_out: np.ndarray
    irreducible: float | None
    true_loss: np.ndarray | None


def losses_of_log(records: list[dict[str, Any]]) -> Losses:
    """The losses in the records of a log."""
    judged = [record for record in records if "held_out" in record]
    known = [record for record in judged if "excess" in record]
    return Losses(
        np.array([record["step"] for record in records]),
        np.array([record["loss"] for record in records]),
        np.array([record["step"] for record in judged]),
        np.array([record["held_out"] for record in judged]),
        known[-1]["held_out"] - known[-1]["excess"] if known else None,
        np.array([record.get("true_loss", np.nan) for record in judged])
        if any("true_loss" in record for record in judged)
        else None,
    )


def loss_of_run(folder: Path, asked: LossOptions, look: Look) -> "Figure":
    """plot-loss: the loss in the log of a run. Raises DiffuseError where there is none."""
    return loss_drawing(folder.name, run_folder.read_log(folder), look=look)()


def loss_drawing(run_name: str, records: list[dict[str, Any]], *, look: Look = DEFAULT_LOOK) -> Drawing:
    """The loss from the records of a log."""
    losses = losses_of_log(records)
    judged = len(losses.held_out) > 0
    arguments = {
        "steps": losses.steps,
        "train": losses.train,
        "held_out_steps": losses.held_out_steps if judged else None,
        "held_out": losses.held_out if judged else None,
        "irreducible": losses.irreducible,
        "true_loss": losses.true_loss,
        "subject": run_name,
    }
    return Drawing("loss:loss_figure", arguments, look)
