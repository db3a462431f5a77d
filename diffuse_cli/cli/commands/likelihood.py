"""diffuse likelihood"""

import math
from pathlib import Path
from typing import Any

import click

from diffuse_cli import catalog
from diffuse_cli.analysis import quality_tables
from diffuse_cli.cli import options, signals, terminal

EPILOG = """\b
Examples:
  diffuse likelihood
  diffuse likelihood --run moons --points mine.csv --out log_p.csv
  diffuse likelihood --points table.csv,columns=x+y --tolerance 1e-5 --json
  diffuse likelihood --run ddpm --bound
  diffuse likelihood --exact --dataset two_spirals"""


@click.command(epilog=EPILOG)
@options.model_options
@options.option(
    "--points",
    metavar="FILE[,columns=…]",
    help="Points in data units: .csv, .tsv, .txt, .npy or .npz.  [default: data held out from training]",
)
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
    "--max-steps", type=click.IntRange(1), help="Steps of the solver, after which it gives up.  [default: 500]"
)
@options.option(
    "--probes",
    type=click.IntRange(0),
    help="Random directions for the divergence, 0 for the exact one.  [default: 0 up to 3 columns, else 8]",
)
@options.option("--mass/--no-mass", default=True, show_default=True, help="Integrate p over a grid, up to 2 columns.")
@options.option("--bound", is_flag=True, help="The variational bound beside it, term by term.")
@options.as_json
@options.seed
@options.device
@options.common
@click.pass_context
def likelihood(
    ctx: click.Context,
    points: str | None,
    count: int,
    out: Path | None,
    tolerance: float | None,
    max_steps: int | None,
    probes: int | None,
    mass: bool,
    bound: bool,
    as_json: bool,
    seed: int,
    **_choices: Any,
) -> None:
    """Log-likelihood of points under a run, by the probability-flow ODE.

    The ODE turns noise into data without chance, so the change of density along it is known: log p of a point is that
    of the noise it comes from plus the divergence along the way. log p is in nats and data units. Without --points,
    data that were not trained on are taken, and the mean is set beside the entropy of the truth.

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
      tolerance, evals, probes   of the solver
    """
    from diffuse_cli.analysis import quality
    from diffuse_cli.diffusion.likelihood import MAX_STEPS, TOLERANCE
    from diffuse_cli.errors import DiffuseError
    from diffuse_cli.models import build, sample_files

    signals.at_once()
    _check(ctx, points, out)
    model = options.open_model(ctx)
    solver = quality.Solver(tolerance or TOLERANCE, max_steps or MAX_STEPS, probes, seed)
    given = None if points is None else _read(points, model.dim, model.name)
    terminal.note(f"Solving the probability-flow ODE of {model.name}" + ", and its bound" * bound)
    if given is None:
        dataset = model.dataset()
        law, x0 = build.truth_of(dataset), quality.held_out(model, dataset, count, seed)
    else:
        law, x0 = None, model.standard.to_model(given)
    bounds = quality.variational_bounds(model, x0, seed) if bound else {}
    found = quality.negative_log_likelihood(model, law, x0, solver)
    integral = _integral(model, solver) if mass and model.dim <= 2 and out != sample_files.STDOUT else None
    if out is not None:
        sample_files.write_log_p(out, model.standard.to_data(x0), found.log_p, found.log_p_stderr)
    judged = {"run": str(model.folder), "points": points or "held out", "n": len(x0)}
    said = judged | _document(model.dim, found, integral, bounds) | {"tolerance": solver.tolerance}
    if as_json:
        terminal.print_json(said)
    elif out != sample_files.STDOUT:
        terminal.print_table(_rows(said, found))
        if bounds:
            _print_bounds(said["bound"], model.process.timesteps)
    if found.nll.failed:
        raise DiffuseError(
            f"the solver gave up at {found.nll.failed:,} of {len(x0):,} points after {solver.max_steps} steps; "
            "try a larger --max-steps or --tolerance"
        )


def _check(ctx: click.Context, points: str | None, out: Path | None) -> None:
    from diffuse_cli.errors import UsageError
    from diffuse_cli.models import sample_files

    if out is not None:
        sample_files.check_samples_path(out)
        if points is not None and Path(points.partition(",")[0]).absolute() == out.absolute():
            raise UsageError(f"--out {out} is where --points are read from; it would be replaced")
        for name, flag in (("as_json", "--json"), ("bound", "--bound")):
            if out == sample_files.STDOUT and ctx.params[name]:
                raise UsageError(f"with --out - the table is all there is on stdout; leave out {flag}")
    if points is not None and options.on_command_line(ctx, "count"):
        raise UsageError("-n says how many held-out points; with --points all of the file's are taken")


def _integral(model: Any, solver: Any) -> Any:
    """The Mass of p over a grid, with a note where it tells nothing; None where the data reach too far for one."""
    from diffuse_cli.analysis import quality
    from diffuse_cli.diffusion.likelihood import SPACING

    found = quality.mass_on_grid(model, solver)
    if found is None:
        terminal.note("The data reach too far for a grid, so p is not integrated")
    elif not found.failed and not found.resolved:
        terminal.note(
            f"p has detail finer than the grid, which is {SPACING:g} wide in model space, so its integral says little"
        )
    return found


def _read(text: str, dim: int, name: str) -> Any:
    """The points [n, dim] of --points, in the grammar of the dataset `file`."""
    from diffuse_cli.datasets.files.points import read_points
    from diffuse_cli.errors import DiffuseError

    points = read_points(**catalog.convert_options(catalog.parse("dataset", f"file:{text}")))
    if points.shape[1] != dim:
        choose = f"; choose some with {text},columns=1+2" if points.shape[1] > dim and "," not in text else ""
        raise DiffuseError(f"{text} has {points.shape[1]} columns, and the data of {name} have {dim}{choose}")
    return points


def _bits(nats: float | None, dim: int) -> float | None:
    return None if nats is None else nats / (dim * math.log(2))


def _document(dim: int, found: Any, integral: Any, bounds: dict[str, Any]) -> dict[str, Any]:
    said = found.nll._asdict() | {"bits_per_dimension": _bits(found.nll.value, dim), "mass": None}
    if integral is not None:
        said |= {"mass": integral.value, "mass_error": integral.error, "mass_resolved": integral.resolved}
        said |= {"mass_failed": integral.failed}
    if bounds:
        said["bound"] = {variance: _bound_document(each, found) for variance, each in bounds.items()}
    return said | {"evals": found.evals, "probes": found.probes}


def _bound_document(bound: Any, found: Any) -> dict[str, Any]:
    above, spread = (None, None) if found.nll.failed else bound.above(found.log_p)
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


def _print_bounds(bounds: dict[str, dict[str, Any]], timesteps: int) -> None:
    """One column for each variance."""
    parts = {
        "prior, KL at t = 1": "prior",
        f"diffusion, {timesteps - 1:,} steps": "diffusion",
        f"reconstruction, t = 1/{timesteps}": "reconstruction",
        "bound on −log p": "value",
    }
    rows = [(label, *(f"{each[key]:.4f}" for each in bounds.values())) for label, key in parts.items()]
    rows.append(("above the NLL by", *(_with_error(each) for each in bounds.values())))
    click.echo()
    terminal.print_table(rows, header=("nats, by variance of a step", *bounds))


def _with_error(bound: dict[str, Any]) -> str:
    if bound["above_nll"] is None:
        return "unknown"
    spread = "" if bound["above_nll_stderr"] is None else f" ± {bound['above_nll_stderr']:.4f}"
    return f"{bound['above_nll']:.4f}{spread}"


def _rows(said: dict[str, Any], found: Any) -> list[tuple[str, str]]:
    divergence = "exact divergence" if not found.probes else f"divergence from {found.probes} random directions"
    rows = [("points", f"{said['n']:,}, {said['points']}"), *quality_tables.nll_rows(found.nll)]
    if found.nll.value is not None:
        rows.append(("per dimension", f"{said['bits_per_dimension']:.4f} bits"))
    if found.probes:
        rows.append(("standard error of one log p", f"{found.log_p_stderr.mean():.2g} nats from the directions, mean"))
    if failed := said.get("mass_failed"):
        rows.append(("integral of p over a grid", f"unknown: the ODE solver failed at {failed:,} of its cells"))
    elif said["mass"] is not None:
        rough = "" if said["mass_resolved"] else ", on too coarse a grid"
        rows.append(("integral of p over a grid", f"{said['mass']:.4f} ± {said['mass_error']:.1g}{rough}"))
    rows.append(("solver", f"tolerance {said['tolerance']:g}, {said['evals']} evaluations a point, {divergence}"))
    return rows
