"""The four figures that `train` draws of a denoiser, and the two of a classifier."""

from concurrent.futures import Future, wait
from pathlib import Path

from diffuse_cli.config import Config
from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.diffusion.process import Process
from diffuse_cli.figures.losses import loss_drawing
from diffuse_cli.figures.samples import samples_drawing
from diffuse_cli.figures.strips import REVERSE_FRAMES, forward_drawing, reverse_drawing
from diffuse_cli.models import run_folder
from diffuse_cli.models.draw import Drawn, default_method, draw_samples
from diffuse_cli.models.model import Model
from diffuse_cli.plots.drawing_process import Drawing, DrawingProcess

_POINTS = 2000  # in a figure: enough to see a shape, few enough to see the points
_FRAMES = 10
_NAMES = ("loss", "forward", "reverse", "samples")


def default_draw(model: Model) -> Drawn:
    """The samples that the figures show, by the method and the seed of the run's settings, with their way, if there is
    one."""
    knows_labels = model.conditions is not None and model.conditions.kind == "label"
    model = model.with_all_labels() if knows_labels else model
    return draw_samples(
        model, default_method(model.config), _POINTS, model.config.seed, trajectory=model.direct is None
    )


class TrainingFigures:
    """The figures of a run in `folder`, each begun as soon as what it shows is known; for a `with`, after which
    nothing more is written."""

    def __init__(self, process: DrawingProcess, folder: Path, dataset: Dataset):
        self._process, self._folder, self._dataset = process, folder / "figures", dataset
        self._saved: dict[str, Future[Path]] = {}

    def __enter__(self) -> "TrainingFigures":
        return self

    def __exit__(self, *_error: object) -> None:
        wait([each for each in self._saved.values() if not each.cancel()])

    def begin_forward(self, config: Config, process: Process) -> None:
        """Have the forward process drawn, as it is before training."""
        forward = forward_drawing(config, process, self._dataset, frames=_FRAMES, count=_POINTS, seed=config.seed)
        self._save("forward", forward)

    def begin_loss(self) -> None:
        """Have the loss drawn, as it is after training."""
        folder = self._folder.parent
        self._save("loss", loss_drawing(folder.name, run_folder.read_log(folder)))

    def begin_samples(self, model: Model, drawn: Drawn) -> None:
        """Have the samples drawn, and the way to them, if there is one.

        model: that of the run. drawn: its `default_draw`.
        """
        method = default_method(model.config)
        if drawn.path is not None:
            self._save("reverse", reverse_drawing(model, method, drawn, frames=REVERSE_FRAMES))
        self._save("samples", samples_drawing(model, method, drawn, self._dataset))

    def paths(self) -> list[Path]:
        """Where they are, once those that were begun are written. Raises what went wrong with any."""
        return [self._saved[name].result() for name in _NAMES if name in self._saved]

    def _save(self, name: str, drawing: Drawing) -> None:
        self._saved[name] = self._process.save(drawing, self._folder / f"{name}.png")
