"""diffuse likelihood"""

import math
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from diffuse_cli import catalog
from diffuse_cli.analysis import digits, quality_tables
from diffuse_cli.cli import options, signals, terminal

if TYPE_CHECKING:
    import numpy as np

    from diffuse_cli.analysis.quality import Bound, Solved, Solver
    from diffuse_cli.diffusion.conditions import Conditions
    from diffuse_cli.diffusion.exact import Law
    from diffuse_cli.diffusion.likelihood import Mass
    from diffuse_cli.models.model import Model

_EPILOG = """\b
Examples:
  diffuse likelihood
  diffuse likelihood --run moons --points mine.csv --out log_p.csv
  diffuse likelihood --points table.csv,columns=x+y --tolerance 1e-5 --json
  diffuse likelihood --run mine --points rows.csv,given=temperature
  diffuse likelihood --run ddpm --bound
  diffuse likelihood --exact --dataset two_spirals"""

_INTEGRAL = "integral of p over a grid"
_ABOUT = """Log-likelihood of points under a run, by the probability-flow ODE.

The ODE turns noise into data without chance, so the change of density along it is known: log p of a point is that
of the noise it comes from plus the divergence along the way. log p is in nats and data units. Without --points,
data that were not trained on are taken, and the mean is set beside the entropy of the truth.

A run with given columns judges log p(x | c), each row with the values that are given with it: a file of --points
has those columns too. With --given all points have the same ones.

The integral of p over a grid should be 1, give or take what the grid may be too coarse for: it checks solver and
network at once. A point at which the solver gives up has no log p; it is written as nan, and the command fails.

--bound adds what the chain of T steps has in place of a likelihood: the bound on -log p that DDPM is derived from,
for each variance that its reverse steps can have. It says what each part costs in nats: the prior, the steps
between, and the reconstruction at t = 1/T. On data it is above their entropy, and for a good denoiser above the
ODE's NLL, by what T steps cannot do.

\b
Keys of --json:
  run, points, n        what was judged
  value, entropy, gap   NLL, nats, data units; entropy and gap are null
                        where the truth is not known
  stderr                of the gap, or else of the value
  failed                points at which the solver gave up
  bits_per_dimension    of the value
  mass                  the integral of p, with mass_error, mass_failed
                        (cells) and mass_resolved (by the grid)
  bound                 by variance: prior, diffusion, reconstruction,
                        value (their sum), stderr, above_nll with its
                        above_nll_stderr, and steps: the terms of
                        t = 1/T, ..., 1
  tolerance, evals, probes   of the solver"""


@click.command(help=_ABOUT, epilog=_EPILOG)
@options.model_option
@options.option(
    "--points",
    metavar="FILE[,columns=…]",
    help="Points in data units: .csv, .tsv, .txt, .npy or .npz.  [default: data held out from training]",
)
@options.with_source("count")
@options.count(2, 10_000, "held-out points")
@options.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where to write log p of each point: .csv, .npy or .npz; - for CSV on stdout.",
)
@options.option(
    "--tolerance",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Error allowed to a step of the ODE solver.  [default: 1e-5]",
)
@options.option(
    "--max-steps", type=options.WholeNumber(1), help="Steps of the solver, after which it gives up.  [default: 500]"
)
@options.option(
    "--probes",
    type=options.WholeNumber(0),
    help="Random directions for the divergence, 0 for the exact one.  [default: 0 up to 3 columns, else 8]",
)
@options.option("--mass/--no-mass", default=True, show_default=True, help="Integrate p over a grid, up to 2 columns.")
@options.option("--bound", is_flag=True, help="The variational bound beside it, term by term.")
@options.as_json
@options.seed
@options.device
@options.common
def likelihood(
    opener: options.ModelOption,
    points: str | None,
    count: options.Given[int],
    out: Path | None,
    tolerance: float | None,
    max_steps: int | None,
    probes: int | None,
    mass: bool,
    bound: bool,
    as_json: bool,
    seed: int,
) -> None:
    """Likelihoods of the points of a file, or of fresh data."""
    from diffuse_cli.analysis import quality
    from diffuse_cli.diffusion.likelihood import MAX_STEPS, TOLERANCE
    from diffuse_cli.errors import DiffuseError, UsageError
    from diffuse_cli.models import latent, sample_files

    signals.at_once()
    _check(points, count, out, {"--json": as_json, "--bound": bound})
    model = latent.decoded(opener.open())
    model.check_density()
    solver = quality.Solver(tolerance or TOLERANCE, max_steps or MAX_STEPS, probes, seed)
    if model.each_row:
        if bound:
            raise UsageError("--bound is of one law; give one --label")
        _of_all_labels(model, points, count.value, out, solver, as_json=as_json)
        return
    judged = _held_out(model, count.value, seed) if points is None else _read(points, model)
    way = "Computing the density" if model.direct is not None else "Solving the probability-flow ODE"
    terminal.note(f"{way} of {model.name}" + ", and its bound" * bound)
    condition, each_its_own = judged.condition, judged.condition is not None
    solved = quality.negative_log_likelihood(
        model, judged.law, judged.x0, solver, condition=condition, true=judged.true_log_p
    )
    on_stdout = out == sample_files.STDOUT
    result = _Result(
        solved,
        _integral(model, solver) if mass and model.dim <= 2 and not on_stdout and not each_its_own else None,
        quality.variational_bounds(model, judged.x0, seed, condition=condition) if bound else {},
        solver.tolerance,
        points or "held out",
    )
    if out is not None:
        names = (*model.columns, *judged.given_names)
        sample_files.write_log_p(out, judged.points, solved.log_p, solved.log_p_stderr, names, judged.scale)
    if as_json:
        terminal.print_json({"run": str(model.folder)} | _document(result, model.dim))
    elif not on_stdout:
        terminal.print_table(_rows(result, model.dim))
        if bound:
            _print_bounds(result, model.process.timesteps)
    if solved.nll.failed:
        raise DiffuseError(
            f"the solver gave up at {solved.nll.failed:,} of {len(judged.x0):,} points after {solver.max_steps} steps; "
            "try a larger --max-steps or --tolerance"
        )


def _of_all_labels(
    model: "Model", points: str | None, count: int, out: Path | None, solver: "Solver", *, as_json: bool
) -> None:
    """The likelihoods given each label: whether they tell the labels of held-out points, or those of a file."""
    from diffuse_cli.analysis import label_likelihood
    from diffuse_cli.errors import DiffuseError
    from diffuse_cli.models import sample_files

    dataset, labels = model.dataset() if points is None else None, None
    if dataset is not None:
        x0, labels = label_likelihood.labelled_held_out(model, dataset, count, solver.seed)
        judged_points = _Judged(x0, model.standard.to_data(x0), model.standard.scale)
    else:
        judged_points = _read(points or "", model)
    x0, where, scale = judged_points[:3]
    terminal.note(f"Solving the probability-flow ODE of {model.name}")
    found = label_likelihood.label_likelihood(model, x0, labels, solver)
    if found.failed:
        raise DiffuseError(
            f"the solver gave up at {found.failed:,} of {len(x0):,} points after {solver.max_steps} steps; "
            "try a larger --max-steps or --tolerance"
        )
    if out is not None:
        sample_files.write_label_log_p(out, where, found.log_p, found.names, found.log_p_whole, model.columns, scale)
    if dataset is not None:
        judged = label_likelihood.classified(found, dataset)
        if as_json:
            terminal.print_json({"run": str(model.folder), "n": len(x0)} | judged.document())
        elif out != sample_files.STDOUT:
            terminal.print_table(judged.rows(), header=label_likelihood.HEADER)
        return
    told = {name: int((found.most_probable == name).sum()) for name in found.names}
    if as_json:
        means = {name: float(each.mean()) for name, each in zip(found.names, found.log_p, strict=True)}
        whole = float(found.log_p_whole.mean())
        terminal.print_json(
            {"run": str(model.folder), "n": len(x0), "log_p": means, "log_p_whole": whole, "told": told}
        )
    elif out != sample_files.STDOUT:
        rows = [
            (name, f"{told[name]:,}", f"{each.mean():.4f}") for name, each in zip(found.names, found.log_p, strict=True)
        ]
        terminal.print_table(rows, header=("label", "most probable of", "mean log p(x | label)"))


class _Result(NamedTuple):
    """The likelihood of points; the integral of p, None if it was not taken; the bounds by variance; the tolerance of
    the solver; and which points."""

    solved: "Solved"
    integral: "Mass | None"
    bounds: "dict[str, Bound]"
    tolerance: float
    points: str


def _check(points: str | None, count: options.Given[int], out: Path | None, others: dict[str, bool]) -> None:
    """Raises UsageError for options that exclude each other; `others`: flags whose output goes to stdout too."""
    from diffuse_cli.errors import UsageError
    from diffuse_cli.models import sample_files

    if out is not None:
        sample_files.check_samples_path(out)
        if points is not None and Path(points.partition(",")[0]).absolute() == out.absolute():
            raise UsageError(f"--out {out} is where --points are read from; it would be replaced")
        for flag, given in others.items():
            if out == sample_files.STDOUT and given:
                raise UsageError(f"with --out - the table is all there is on stdout; leave out {flag}")
    if points is not None and count.typed:
        raise UsageError("-n says how many held-out points; with --points all of the file's are taken")


class _Judged(NamedTuple):
    """The points to judge.

    x0: [n, d], model space. points: them, and what is given with each in columns of `given_names`, in data units.
    scale: that of each column, where they have been in single precision; None for those of a file. law: that of all
    points, if it is known. condition: [n, c], what is given with each; None where nothing is. true_log_p: [n], where it
    is known.
    """

    x0: "np.ndarray"
    points: "np.ndarray"
    scale: "np.ndarray | None"
    law: "Law | None" = None
    condition: "np.ndarray | None" = None
    given_names: tuple[str, ...] = ()
    true_log_p: "np.ndarray | None" = None


def _given_columns(model: "Model") -> "Conditions | None":
    """The columns that are given with each point; None for a model without any, or that has been told their values."""
    conditions = model.conditions
    return conditions if model.trained and conditions is not None and conditions.kind == "columns" else None


def _held_out(model: "Model", count: int, seed: int) -> _Judged:
    """The points that are held out from training."""
    import numpy as np

    from diffuse_cli.analysis import quality
    from diffuse_cli.models.data import truth_of

    dataset, scale = model.dataset(), model.standard.scale
    if (columns := _given_columns(model)) is None:
        x0 = quality.held_out(model, dataset, count, seed)
        true = quality.true_log_p(dataset, model, x0)
        return _Judged(x0, model.standard.to_data(x0), scale, truth_of(dataset), true_log_p=true)
    held = quality.held_out_given(model, dataset, count, seed)
    points = np.hstack([model.standard.to_data(held.x0), columns.to_data(held.condition)])
    scale = np.concatenate([scale, [column.scale for column in columns.columns]])
    return _Judged(held.x0, points, scale, None, held.condition, columns.names, held.log_p)


def _integral(model: "Model", solver: "Solver") -> "Mass | None":
    """The Mass of p over a grid, with a note where it tells nothing; None where the data reach too far for one."""
    from diffuse_cli.analysis import quality
    from diffuse_cli.diffusion.likelihood import SPACING

    integral = quality.mass_on_grid(model, solver)
    if integral is None:
        terminal.note("The data reach too far for a grid, so p is not integrated")
    elif not integral.failed and not integral.resolved:
        terminal.note(
            f"p has detail finer than the grid, which is {SPACING:g} wide in model space, so its integral says little"
        )
    return integral


def _read(text: str, model: "Model") -> _Judged:
    """The points of --points, in the grammar of the dataset `file`, with the given columns of the model."""
    import numpy as np

    from diffuse_cli.datasets.files.options import ReadOptions
    from diffuse_cli.datasets.files.points import read_points
    from diffuse_cli.errors import DiffuseError, UsageError

    dim, name, columns = model.dim, model.name, _given_columns(model)
    asked = catalog.convert_options(catalog.parse("dataset", f"file:{text}"))
    if columns is None and "given" in asked:
        raise UsageError(f"--points {text}: {name} is not told what is given with each point; leave out given=")
    given = {} if columns is None else {"given": "+".join(columns.names)}
    options = ReadOptions(**given | asked, flag="--points")
    points, rows = read_points(options)
    if columns is not None and rows.shape[1] != len(columns.names):
        raise UsageError(
            f"--points {text}: {name} is told {len(columns.names)} given column{'s' * (len(columns.names) > 1)}, "
            f"{', '.join(columns.names)}, and not {rows.shape[1]}"
        )
    if points.shape[1] != dim:
        choose = ""
        if points.shape[1] > dim and "," not in text:
            first = "+".join(str(column + 1) for column in range(dim))
            choose = f"; to choose the first: --points {shlex.quote(f'{text},columns={first}')}"
        raise DiffuseError(f"{text} has {points.shape[1]} columns, and the data of {name} have {dim}{choose}")
    x0 = model.standard.to_model(points)
    if columns is None:
        return _Judged(x0, points, None)
    return _Judged(x0, np.hstack([points, rows]), None, None, columns.to_model(rows), columns.names)


def _bits(nats: float | None, dim: int) -> float | None:
    return None if nats is None else nats / (dim * math.log(2))


def _document(result: _Result, dim: int) -> dict[str, object]:
    solved, integral = result.solved, result.integral
    document: dict[str, object] = {"points": result.points}
    document |= solved.nll._asdict() | {"bits_per_dimension": _bits(solved.nll.value, dim), "mass": None}
    if integral is not None:
        document |= {"mass": integral.value, "mass_error": integral.error, "mass_resolved": integral.resolved}
        document |= {"mass_failed": integral.failed}
    if result.bounds:
        document["bound"] = {variance: _bound_document(bound, solved) for variance, bound in result.bounds.items()}
    return document | {"evals": solved.evals, "probes": solved.probes, "tolerance": result.tolerance}


def _bound_document(bound: "Bound", solved: "Solved") -> dict[str, object]:
    above, spread = _above(bound, solved)
    return {
        "prior": bound.prior,
        "diffusion": bound.diffusion,
        "reconstruction": bound.reconstruction,
        "value": float(bound.value.mean()),
        "stderr": bound.stderr,
        "above_nll": above,
        "above_nll_stderr": spread,
        "steps": bound.steps.tolist(),
    }


def _above(bound: "Bound", solved: "Solved") -> tuple[float | None, float | None]:
    """By how much the bound is above the NLL, and the standard error of that; None where the NLL is not known."""
    return (None, None) if solved.nll.failed else bound.above(solved.log_p)


def _print_bounds(result: _Result, timesteps: int) -> None:
    """One column for each variance."""
    bounds = result.bounds.values()
    parts = {
        "prior, KL at t = 1": [bound.prior for bound in bounds],
        f"diffusion, {timesteps - 1:,} steps": [bound.diffusion for bound in bounds],
        f"reconstruction, t = 1/{timesteps}": [bound.reconstruction for bound in bounds],
        "bound on −log p": [float(bound.value.mean()) for bound in bounds],
    }
    rows = [(label, *(f"{value:.4f}" for value in values)) for label, values in parts.items()]
    rows.append(("above the NLL by", *(_with_error(*_above(bound, result.solved)) for bound in bounds)))
    click.echo()
    terminal.print_table(rows, header=("nats, by variance of a step", *result.bounds))


def _with_error(value: float | None, stderr: float | None) -> str:
    if value is None:
        return "unknown"
    return digits.with_spread(value, stderr)


def _rows(result: _Result, dim: int) -> list[tuple[str, str]]:
    solved, integral = result.solved, result.integral
    divergence = "exact divergence" if not solved.probes else f"divergence from {solved.probes} random directions"
    rows = [("points", f"{solved.nll.n:,}, {result.points}"), *quality_tables.nll_rows(solved.nll)]
    if (bits := _bits(solved.nll.value, dim)) is not None:
        rows.append(("per dimension", f"{bits:.4f} bits"))
    if solved.probes:
        rows.append(("standard error of one log p", f"{solved.log_p_stderr.mean():.2g} nats from the directions, mean"))
    if integral is not None and integral.failed:
        rows.append((_INTEGRAL, f"unknown: the ODE solver failed at {integral.failed:,} of its cells"))
    elif integral is not None:
        rough = "" if integral.resolved else ", on too coarse a grid"
        rows.append((_INTEGRAL, f"{integral.value:.4f} ± {integral.error:.1g}{rough}"))
    if solved.evals:
        rows.append(("solver", f"tolerance {result.tolerance:g}, {solved.evals} evaluations a point, {divergence}"))
    return rows
