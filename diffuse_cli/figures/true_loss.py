"""The true loss of a student, by the times of its jumps."""

from typing import TYPE_CHECKING

from diffuse_cli.analysis.true_losses import true_losses_of
from diffuse_cli.figures.options import TrueLossOptions
from diffuse_cli.models.model import Model
from diffuse_cli.plots.formats import Look

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def true_loss_of_model(model: Model, asked: TrueLossOptions, look: Look) -> "Figure":
    """plot-true-loss: the true loss of a student. Raises UsageError like `true_losses_of`."""
    from diffuse_cli.plots.true_loss import true_loss_figure

    times, losses, exact = true_losses_of(model, model.dataset(), seed=asked.seed)
    return true_loss_figure(times, losses, exact=exact, subject=model.name, **look._asdict())
