"""diffuse explain"""

import math
import textwrap
from typing import TYPE_CHECKING

import click

from diffuse_cli import catalog
from diffuse_cli.analysis.digits import decimals_of
from diffuse_cli.cli import options, signals, terminal
from diffuse_cli.errors import UsageError
from diffuse_cli.plots.formats import Look

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from diffuse_cli.analysis.one_point import Explanation
    from diffuse_cli.datasets.dataset import Dataset
    from diffuse_cli.diffusion.exact import Law
    from diffuse_cli.models.model import Model

_EPILOG = """\b
Examples:
  diffuse explain
  diffuse explain --run moons --point 0.5,1.0 --at 0.1,0.5
  diffuse explain --exact --dataset bimodal --out explain.pdf
  diffuse explain --json"""

_TIMES = (0.1, 0.3, 0.5, 0.8)
_MOST_TIMES = 12  # as many as a figure takes
_FEW = 3  # columns whose values a table shows; of more it shows norms
_CLOUD = 2000
_PLACES = 4000  # on a line
_ROUNDING = 1e-12
_PLAIN = 3  # decimals of numbers that are not uncertain
_WIDTH = 80  # columns of a terminal
_HALF = 15  # letters of a long name that are left at either end
_BETWEEN = 3  # columns between two of a table
_FARTHEST = 1e4  # model space: beyond it, exact answers are differences of numbers too large for them


@click.command(epilog=_EPILOG)
@options.model_option
@options.option(
    "--point", type=options.Numbers(), help="The clean point, data units.  [default: the first held-out one]"
)
@options.option(
    "--at",
    type=options.Numbers(),
    help=f"At which t, from 1/T to 1; {_MOST_TIMES} at most.  [default: {','.join(map(str, _TIMES))}]",
)
@options.figure_output("the figures/ of the run")
@options.as_json
@options.seed
@options.device
@options.common
def explain(
    opener: options.ModelOption,
    point: tuple[float, ...] | None,
    at: tuple[float, ...] | None,
    output: options.FigureOutput,
    as_json: bool,
    seed: int,
) -> None:
    """Follow one clean point: what the network is asked at a few times, what it answers, and what can be known.

    From one x0 and one eps comes x_t = alpha x0 + sigma eps, and the target that the network is trained to answer. Its
    answer stands for a guess x0_hat. No guess can be perfect, since many x0 lead to the same x_t: their mean and spread
    are exact, of a file those of the mixture on its training points. The expected squared error of the guess is
    irreducible, from that spread, plus what the network adds: its distance from the mean.

    All is in model units: (data - mean) / scale. With more than 3 columns the table shows lengths of vectors. Numbers
    have the digits that the spread of x0 leaves a meaning.

    \b
    Keys of --json:
      run, dataset, columns, prediction, posterior ("exact" or "memorised"),
      mean, scale, x0 (model space), x0_data, eps, figure (with --out), and times, a list of:
        t, log_snr, alpha, sigma, x_t, target, answer, x0_hat, eps_hat,
        posterior_mean, posterior_std (along the axes, widest first),
        squared_error (of this x0), irreducible, model_error
    """
    signals.at_once()
    opener, times = opener.with_chain_times(at)
    if len(models := opener.open_each()) > 1 and as_json:
        raise UsageError("--json prints one document; give one --label")
    for model in models:
        part = output.of_part(model.suffix) if len(models) > 1 else output
        _explain(model, point, times, part, seed, as_json=as_json)


def _explain(
    model: "Model",
    point: tuple[float, ...] | None,
    times: tuple[float, ...] | None,
    output: options.FigureOutput,
    seed: int,
    *,
    as_json: bool,
) -> None:
    """Explain a point of one model."""
    import numpy as np

    from diffuse_cli.analysis import one_point
    from diffuse_cli.figures.paths import chain_times
    from diffuse_cli.models.data import law_name, law_of

    t = np.array(chain_times(times, _TIMES, timesteps=model.process.timesteps, most=_MOST_TIMES))
    dataset = model.dataset()
    x0 = _clean_point(point, model, dataset)
    law, eps = law_of(model.config, dataset), np.random.default_rng((seed, 1)).standard_normal(model.dim)
    explanation = one_point.explain_point(model.predict, model.parameterization, law, model.process, x0, eps, t)
    posterior = law_name(dataset)
    document = _document(model, explanation, posterior)
    if not as_json or output.file is not None:  # a script that wants a figure says where
        figure = _draw(model, dataset, law, explanation, seed, output.look)
        document["figure"] = str(output.save(figure, output.place(model.folder, f"explain{model.suffix}")))
    if as_json:
        terminal.print_json(document)
    else:
        _print(model, explanation, posterior)
        click.echo(document["figure"])


def _clean_point(point: tuple[float, ...] | None, model: "Model", dataset: "Dataset") -> "np.ndarray":
    """x0 [d] in model space: --point, or else the first held-out one."""
    import numpy as np

    from diffuse_cli.models.data import draw_data

    if point is None:
        return np.asarray(draw_data(model.config, dataset).held_out[0], np.float64)
    if len(point) != model.dim:
        raise UsageError(
            f"--point has {_count(len(point))}, but a point of {model.config.dataset} has {_count(model.dim)}"
        )
    x0 = model.standard.to_model(np.array(point))
    if not np.abs(x0).max() < _FARTHEST:
        raise UsageError(
            f"--point lies {np.abs(x0).max():.2g} standard deviations from the data; the limit is {_FARTHEST:g}"
        )
    return x0


def _count(n: int) -> str:
    return f"{n} value{'s' if n > 1 else ''}"


def _draw(
    model: "Model", dataset: "Dataset", law: "Law", explanation: "Explanation", seed: int, look: Look
) -> "Figure":
    import numpy as np

    from diffuse_cli.analysis.one_point import on_a_line
    from diffuse_cli.datasets.dataset import as_points
    from diffuse_cli.models.data import law_name
    from diffuse_cli.plots import explain as plot
    from diffuse_cli.plots.columns import Columns

    cloud = dataset.standard.to_model(dataset.draw(np.random.default_rng(seed), _CLOUD))
    density = None
    if model.dim == 1:
        held = np.concatenate([cloud[:, 0], explanation.x0, explanation.x[:, 0]])
        places = np.linspace(held.min() - 0.5, held.max() + 0.5, _PLACES)
        density = plot.Density(places, *on_a_line(law, model.process, explanation, places))
    return plot.explanation_figure(
        plot.Panels(explanation.x0, explanation.x, explanation.x0_hat, explanation.mean, explanation.covariance),
        cloud,
        t=explanation.t,
        log_snr=np.asarray(explanation.level.log_snr),
        density=density,
        view=as_points(model.view),
        answer="answer",
        exact=law_name(dataset),
        columns=Columns(model.columns, "model"),
        subject=f"{model.name}, {catalog.short_name(model.config.schedule)} schedule",
        dark=look.dark,
        width=look.width,
    )


def _document(model: "Model", explanation: "Explanation", posterior: str) -> dict[str, object]:
    each = {
        "t": explanation.t,
        **explanation.level._asdict(),
        "x_t": explanation.x,
        "target": explanation.target,
        "answer": explanation.answer,
        "x0_hat": explanation.x0_hat,
        "eps_hat": explanation.eps_hat,
        "posterior_mean": explanation.mean,
        "posterior_std": explanation.std,
        "squared_error": explanation.squared_error,
        "irreducible": explanation.irreducible,
        "model_error": explanation.model_error,
    }
    return {
        "run": str(model.folder),
        "dataset": model.config.dataset,
        "columns": list(model.columns),
        "prediction": model.config.prediction,
        "posterior": posterior,
        "mean": model.standard.mean.tolist(),
        "scale": model.standard.scale.tolist(),
        "x0": explanation.x0.tolist(),
        "x0_data": model.standard.to_data(explanation.x0).tolist(),
        "eps": explanation.eps.tolist(),
        "times": [{key: values[i].tolist() for key, values in each.items()} for i in range(len(explanation.t))],
    }


def _print(model: "Model", explanation: "Explanation", posterior: str) -> None:

    from diffuse_cli.models import build

    few, count = model.dim <= _FEW, len(explanation.t)
    decimals = [_decimals(std) for std in explanation.std]

    def row(name: str, values: "np.ndarray") -> list[str]:
        label = name if few or values.ndim == 1 else f"|{name}|"
        return [label, *(_written(value, places) for value, places in zip(values, decimals, strict=True))]

    units = "in model units" if few else "as lengths of vectors in model units"
    columns = f", columns {', '.join(map(_short, model.columns))}" if 1 < model.dim <= _FEW else ""
    for line in (
        f"One point of {build.title_of_data(model.config.dataset)} under {model.name}, {units}{columns}.",
        f"The {posterior} mean and std (along its axes, the widest first) are those of x0 given x_t, where "
        "x_t = alpha x0 + sigma eps.",
    ):
        click.echo(textwrap.fill(line, _WIDTH))
    terminal.print_table(_head(model, explanation, few))
    rows = [
        ["alpha", *(f"{value:.4f}" for value in explanation.level.alpha)],
        ["sigma", *(f"{value:.4f}" for value in explanation.level.sigma)],
        row("x_t", explanation.x),
        row(f"target ({model.config.prediction})", explanation.target),
        row("answer", explanation.answer),
        row("x0_hat", explanation.x0_hat),
        row("eps_hat", explanation.eps_hat),
        row(f"{posterior} mean", explanation.mean),
        row(f"{posterior} std", explanation.std),
        row("squared error", explanation.squared_error),
        row("  irreducible", explanation.irreducible),
        row("  the model's", explanation.model_error),
    ]
    header = ["", *(f"t = {t:g}" for t in explanation.t)]
    for block in _blocks([header, *rows], count):
        shown = [[line[0], *(line[i] for i in block)] for line in (header, *rows)]
        terminal.print_table(shown[1:], header=shown[0])


def _head(model: "Model", explanation: "Explanation", few: bool) -> list[tuple[str, str]]:
    """The point and the noise; of a few columns also the point in data units, with four digits of each scale."""
    head = [("x0", _written(explanation.x0, _PLAIN)), ("eps", _written(explanation.eps, _PLAIN))]
    if not few:
        return head
    values = zip(model.columns, model.standard.to_data(explanation.x0), model.standard.scale, strict=True)
    texts = [f"{_short(name)} = {_rounded(value, 3 - math.floor(math.log10(scale)))}" for name, value, scale in values]
    return [("x0 in data units" * (not i), text) for i, text in enumerate(texts)] + head


def _blocks(table: list[list[str]], count: int) -> list[list[int]]:
    """The columns 1 to `count` of a table in blocks, each with the labels at most _WIDTH wide as it is printed."""
    wide = [max(len(line[i]) for line in table) + _BETWEEN for i in range(count + 1)]
    blocks: list[list[int]] = []
    for i in range(1, count + 1):
        if not blocks or 1 + wide[0] + sum(wide[each] for each in [*blocks[-1], i]) > _WIDTH:
            blocks.append([])
        blocks[-1].append(i)
    return blocks


def _decimals(std: "np.ndarray") -> int:
    """The decimals of the two leading digits of the largest standard deviation, but at least 2 and at most 6."""
    largest = float(std.max())
    return decimals_of(largest, least=2) if largest > _ROUNDING else _PLAIN


def _short(name: str) -> str:
    """The name of a column, cut in its middle where it is long."""
    return name if len(name) <= 2 * _HALF + 1 else f"{name[:_HALF]}…{name[-_HALF:]}"


def _rounded(value: float, decimals: int) -> str:
    text = f"{round(float(value), decimals):.{max(decimals, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _written(value: "np.ndarray", decimals: int) -> str:
    """A number; up to three with these decimals; of more the length of the vector."""
    import numpy as np

    if value.ndim == 0:
        return f"{value:.3g}" if abs(value) > _ROUNDING else "0"
    if len(value) > _FEW:
        return f"{np.linalg.norm(value):.4g}"
    return ", ".join(f"{round(float(part), decimals) + 0.0:.{decimals}f}" for part in value)  # never -0
