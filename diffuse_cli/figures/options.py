"""What each figure can be asked for, and the name of its file. Imports nothing heavy, since help texts need it."""

from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Protocol


class Asked(NamedTuple):
    """How an option is asked for on a command line: its help, its bounds, its flags where they are not its name, and
    what is shown as its default where that is None."""

    help: str
    at_least: int | None = None
    at_most: int | None = None
    flags: tuple[str, ...] = ()
    shown: str | None = None


class FigureOptions(Protocol):
    """The options of a figure: a NamedTuple whose fields are Annotated with Asked, and have defaults."""

    _field_defaults: ClassVar[dict[str, Any]]

    @property
    def file(self) -> str:
        """The name of the file that the figure goes to, without an ending."""


MOST_AT_ONCE = 100_000_000  # at once, which fill some gigabytes
_FRAMES = Asked("How many frames.", 2, 12)
_SEED = Asked("Seed of what is drawn.", 0, 2**32 - 1)


class ForwardOptions(NamedTuple):
    """Options of plot-forward."""

    frames: Annotated[int, _FRAMES] = 10
    count: Annotated[int, Asked("How many points.", 2, MOST_AT_ONCE, ("-n", "--count"))] = 2000
    label: Annotated[str | None, Asked("Only points with this label; all colours by label.  [default: none]")] = None

    @property
    def file(self) -> str:
        """forward"""
        return "forward"


class ReverseOptions(NamedTuple):
    """Options of plot-reverse."""

    rows: Annotated[
        Literal["reverse", "both"],
        Asked("With both, the forward process stands above, at the same noise levels."),
    ] = "reverse"
    frames: Annotated[int | None, _FRAMES._replace(shown="10; 6 with --rows both")] = None
    count: Annotated[int, Asked("How many points.", 2, MOST_AT_ONCE, ("-n", "--count"))] = 2000
    seed: Annotated[int, _SEED] = 0

    @property
    def file(self) -> str:
        """reverse, or both"""
        return self.rows


class SamplesOptions(NamedTuple):
    """Options of plot-samples, beside which runs and datasets."""

    count: Annotated[int, Asked("How many points of each.", 2, MOST_AT_ONCE, ("-n", "--count"))] = 2000
    seed: Annotated[int, _SEED] = 0

    @property
    def file(self) -> str:
        """samples"""
        return "samples"


class StudentsOptions(NamedTuple):
    """Options of plot-students, beside which runs and which distance."""

    evals: Annotated[
        tuple[int, ...],
        Asked("In how many network evaluations, which are as many jumps.  [default: 1,2,4,8,16]", 1, 1000, shown=""),
    ] = (1, 2, 4, 8, 16)
    count: Annotated[int, Asked("How many samples of each.", 100, MOST_AT_ONCE, ("-n", "--count"))] = 10_000
    seed: Annotated[int, _SEED] = 0

    @property
    def file(self) -> str:
        """students"""
        return "students"


class TrajectoryOptions(NamedTuple):
    """Options of plot-trajectories."""

    color_by: Annotated[
        Literal["time", "place", "class"],
        Asked("Along each path, by where it ends, or by the class it ends in.", flags=("--color-by", "--colour-by")),
    ] = "time"
    count: Annotated[
        int | None,
        Asked("How many paths.", 1, MOST_AT_ONCE, ("-n", "--count"), "300; 16 of a random sampler"),
    ] = None
    seed: Annotated[int, _SEED] = 0

    @property
    def file(self) -> str:
        """trajectories, and what colours them unless it is time"""
        return "trajectories" + ("" if self.color_by == "time" else f"-by-{self.color_by}")


class FieldOptions(NamedTuple):
    """Options of plot-field."""

    field: Annotated[
        Literal["score", "eps", "v", "velocity", "x0"],
        Asked("Which of the things that a denoiser can be asked for."),
    ] = "score"
    style: Annotated[Literal["arrows", "streams"], Asked("Arrows, or the lines that follow them.")] = "arrows"
    at: Annotated[
        tuple[float, ...] | None, Asked("At which t, from 1/T to 1; 6 at most.  [default: 0.02,0.1,0.3,0.7]")
    ] = None

    @property
    def file(self) -> str:
        """field, which one, and its style"""
        return f"field-{self.field}-{self.style}"


class LatentOptions(NamedTuple):
    """Options of plot-latent."""

    count: Annotated[int, Asked("How many encodings are shown.", 2, 10_000, ("-n", "--count"))] = 2000
    seed: Annotated[int, _SEED] = 0

    @property
    def file(self) -> str:
        """latent"""
        return "latent"


class DensityOptions(NamedTuple):
    """Options of plot-density: none."""

    @property
    def file(self) -> str:
        """density"""
        return "density"


class GuidanceOptions(NamedTuple):
    """Options of plot-guidance."""

    scales: Annotated[
        tuple[float, ...], Asked("Which w, at most 6; 1 is the conditional model.  [default: 1,2,4]", shown="")
    ] = (1.0, 2.0, 4.0)
    count: Annotated[int, Asked("How many samples of each.", 100, MOST_AT_ONCE, ("-n", "--count"))] = 3000
    seed: Annotated[int, _SEED] = 0

    @property
    def file(self) -> str:
        """guidance"""
        return "guidance"


class ScheduleOptions(NamedTuple):
    """Options of plot-schedule, beside which schedules and runs: none."""

    @property
    def file(self) -> str:
        """schedule"""
        return "schedule"


class LossOptions(NamedTuple):
    """Options of plot-loss: none."""

    @property
    def file(self) -> str:
        """loss"""
        return "loss"


class TrueLossOptions(NamedTuple):
    """Options of plot-true-loss."""

    seed: Annotated[int, _SEED] = 0

    @property
    def file(self) -> str:
        """true-loss"""
        return "true-loss"
