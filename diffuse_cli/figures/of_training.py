"""The four figures that training leaves."""

from collections.abc import Callable, Iterator

from matplotlib.figure import Figure

from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.figures.losses import plot_loss
from diffuse_cli.figures.samples import plot_samples
from diffuse_cli.figures.strips import plot_forward, plot_reverse
from diffuse_cli.models import run_folder
from diffuse_cli.models.draw import Drawn, default_method, draw_samples
from diffuse_cli.models.model import Model

POINTS = 2000  # in a figure: enough to see a shape, few enough to see the points


FRAMES = 10


def default_draw(model: Model) -> Drawn:
    """The samples that `of_run` shows, by the method and the seed of the run's own settings, with their path."""
    return draw_samples(model, default_method(model.config), POINTS, model.config.seed, trajectory=True)


def training_figures(
    run: run_folder.Run, model: Model, drawn: Callable[[], Drawn], dataset: Dataset
) -> Iterator[tuple[str, Figure]]:
    """The four figures that training leaves, with their names, each as soon as it is drawn.

    model: the denoiser of the run; drawn: asked for its `default_draw`, after the figures that need none.
    """
    config = run.config
    method = default_method(config)
    yield "loss", plot_loss(run.name, run_folder.read_log(run.folder))
    process = run.experiment.process
    yield "forward", plot_forward(config, process, dataset, frames=FRAMES, count=POINTS, seed=config.seed)
    yield "reverse", plot_reverse(model, method, drawn(), frames=FRAMES)
    yield "samples", plot_samples(model, method, drawn(), dataset)
