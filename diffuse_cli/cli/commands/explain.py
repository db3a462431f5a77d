"""diffuse explain"""

from typing import TYPE_CHECKING

import click

from diffuse_cli import catalog
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
  diffuse explain --run moons --point 0.5,1.0 --times 0.1,0.5
  diffuse explain --exact --dataset bimodal --out explain.pdf
  diffuse explain --json"""

_TIMES = (0.1, 0.3, 0.5, 0.8)
_MOST_TIMES = 12  # as many as a figure takes
_FEW = 3  # columns whose values a table shows; of more it shows norms
_CLOUD = 2000
_PLACES = 4000  # on a line
_ROUNDING = 1e-12
_FARTHEST = 1e4  # model space: beyond it, exact answers are differences of numbers too large for them


@click.command(epilog=_EPILOG)
@options.model_option
@options.option(
    "--point", type=options.Numbers(), help="The clean point, data units.  [default: the first held-out one]"
)
@options.option(
    "--times",
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
    times: tuple[float, ...] | None,
    output: options.FigureOutput,
    as_json: bool,
    seed: int,
) -> None:
    """Follow one clean point: what the network is asked at a few times, what it answers, and what can be known.

    From one x0 and one eps comes x_t = alpha x0 + sigma eps, and the target that the network is trained to answer. Its
    answer stands for a guess x0_hat. No guess can be perfect, since many x0 lead to the same x_t: their mean and spread
    are exact, of a file those of the mixture on its training points. The expected squared error of the guess is
    irreducible, from that spread, plus what the network adds: its distance from the mean.

    All is in model space: (data - mean) / scale. With more than 3 columns the table shows lengths of vectors.

    \b
    Keys of --json:
      run, dataset, prediction, posterior ("exact" or "memorised"), mean, scale,
      x0 (model space), x0_data, eps, figure (with --out), and times, a list of:
        t, log_snr, alpha, sigma, x_t, target, answer, x0_hat, eps_hat,
        posterior_mean, posterior_std (along the axes, widest first),
        squared_error (of this x0), irreducible, model_error
    """
    import numpy as np

    from diffuse_cli.analysis import one_point
    from diffuse_cli.figures.paths import chain_times
    from diffuse_cli.models import build

    signals.at_once()
    model = opener.open()
    t = np.array(chain_times(times, _TIMES, timesteps=model.process.timesteps, most=_MOST_TIMES))
    dataset = model.dataset()
    x0 = _clean_point(point, model, dataset)
    law, eps = build.law_of(model.config, dataset), np.random.default_rng((seed, 1)).standard_normal(model.dim)
    explanation = one_point.explain_point(model.predict, model.parameterization, law, model.process, x0, eps, t)
    posterior = build.law_name(dataset)
    document = _document(model, explanation, posterior)
    if not as_json or output.file is not None:  # a script that wants a figure says where
        figure = _draw(model, dataset, law, explanation, seed, output.look)
        document["figure"] = str(output.save(figure, output.place(model.folder, "explain")))
    if as_json:
        terminal.print_json(document)
    else:
        _print(model, explanation, posterior)
        click.echo(document["figure"])


def _clean_point(point: tuple[float, ...] | None, model: "Model", dataset: "Dataset") -> "np.ndarray":
    """x0 [d] in model space: --point, or else the first held-out one."""
    import numpy as np

    from diffuse_cli.models import build

    if point is None:
        return np.asarray(build.draw_data(model.config, dataset).held_out[0], np.float64)
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
    from diffuse_cli.models import build
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
        view=model.view,
        answer="answer",
        exact=build.law_name(dataset),
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
    import numpy as np

    few = model.dim <= _FEW

    def row(name: str, values: "np.ndarray") -> tuple[str, ...]:
        return (name if few or values.ndim == 1 else f"|{name}|", *map(_written, values))

    units = "model space" if few else "lengths of vectors in model space"
    head = [("x0", _written(explanation.x0)), ("eps", _written(explanation.eps))]
    if few:
        head.insert(0, ("x0 in data units", _written(model.standard.to_data(explanation.x0))))
    click.echo(f"One point of {model.config.dataset}, under {model.name}; {units}")
    terminal.print_table(head)
    rows = [
        row("alpha", np.asarray(explanation.level.alpha)),
        row("sigma", np.asarray(explanation.level.sigma)),
        row("x_t = alpha x0 + sigma eps", explanation.x),
        row(f"target ({model.config.prediction})", explanation.target),
        row("answer", explanation.answer),
        row("x0_hat", explanation.x0_hat),
        row("eps_hat", explanation.eps_hat),
        row(f"{posterior} mean of x0 given x_t", explanation.mean),
        row(f"{posterior} std of x0 given x_t", explanation.std),
        row("squared error of x0_hat", explanation.squared_error),
        row("  expected: irreducible", explanation.irreducible),
        row("  expected: the model's", explanation.model_error),
    ]
    terminal.print_table(rows, header=("", *(f"t = {t:g}" for t in explanation.t)))


def _written(value: "np.ndarray") -> str:
    """A number; up to three in brackets; of more the length of the vector."""
    import numpy as np

    if value.ndim == 0:
        return f"{value:.4g}" if abs(value) > _ROUNDING else "0"
    if len(value) > _FEW:
        return f"{np.linalg.norm(value):.4g}"
    return f"{value[0]:.3f}" if len(value) == 1 else f"({', '.join(f'{part:.3f}' for part in value)})"
