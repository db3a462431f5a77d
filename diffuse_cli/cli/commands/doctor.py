"""diffuse doctor"""

from typing import TYPE_CHECKING

import click

from diffuse_cli.cli import options, terminal

if TYPE_CHECKING:
    from diffuse_cli.analysis.schedule_check import DataStudy, Diagnosis
    from diffuse_cli.analysis.schedule_fixes import Remedy
    from diffuse_cli.config import Config
    from diffuse_cli.datasets.dataset import Dataset

_EPILOG = """\b
Examples:
  diffuse doctor --dataset moons --schedule linear --timesteps 1000
  diffuse doctor --config made_easy
  diffuse doctor --run moons --json
  diffuse doctor --dataset file:points.csv --schedule sigmoid:end=0.01"""


@click.command(epilog=_EPILOG)
@options.settings_options("dataset", "schedule", "timesteps")
@options.optional_run("Judge the settings of a run.  [default: none is needed]")
@options.label_option("Judge by the points with this label; all is one after the other.")
@options.trust
@options.as_json
@options.seed
@options.device
@options.common
def doctor(
    settings: options.Settings,
    run: options.RunOption | None,
    label: str | None,
    trust: bool,
    as_json: bool,
    seed: int,
) -> None:
    """Say whether a schedule is right for its data, and what would be. Needs no run.

    Does it end in what sampling starts from, does it start as fine as the data are, and how many of its T steps are of
    no use? Judged by the data's exact law; of a file, by the mixture on its points. Every change that is proposed has
    been tried.

    \b
    Keys of --json:
      dataset, schedule, timesteps: what is judged
      label          if one is given; with all: labels: name -> all these
      verdict        "fits", or the worst of the problems
      problems       of ends_too_early, starts_too_coarse, wastes_steps
      end            at t = 1: alpha_bar; log_snr (null if no signal is left);
                     kl, kl_stderr: KL(q(x_T) || prior) in nats; mean of x_T,
                     the largest; std of x_T along its narrowest, widest axis
      start          at t = 1/T: sigma; log_snr; noise_gain: how much better
                     than by a guess the noise is known, 0 to 1; detail_at_all_scales:
                     whether the data have detail finer than any level
      useless_steps  shares of the T steps: clean (null for a file), noisy
      remedies       flags, schedule, timesteps; what is then: problems, kl,
                     kl_stderr, noise_gain, useless_steps
    """
    from diffuse_cli.analysis import schedule_check, schedule_fixes
    from diffuse_cli.datasets.dataset import parts_of
    from diffuse_cli.models import build, run_folder

    judged = None if run is None else run.open(trust=trust)
    config = settings.config(None if judged is None else judged.config)
    trust = trust or judged is None  # a name of own code that is typed here is trusted
    process = run_folder.process_of_run(config, judged, trust=trust)
    if judged is not None and config.dataset == judged.config.dataset:
        dataset = run_folder.dataset_of_run(judged, trust=trust)
    else:
        dataset = build.build_dataset(config, trust=trust)
    documents: dict[str | None, dict[str, object]] = {}
    for name, part in parts_of(dataset, label).items():
        subject = _study(config, part, seed)
        diagnosis = schedule_check.diagnose(subject, process)
        changes = schedule_fixes.remedies(subject, config.schedule, config.timesteps, diagnosis)
        head: dict[str, object] = {"dataset": config.dataset}
        head |= {} if name is None else {"label": name}
        head |= {"schedule": config.schedule, "timesteps": config.timesteps}
        if as_json:
            remedies = {"remedies": [_remedy_document(change) for change in changes]}
            documents[name] = head | _document(diagnosis) | remedies
            continue
        if subject.finite:
            head["judged by"] = "the mixture on its points"
        _print(head, diagnosis, changes)
    if as_json:
        only, *others = documents.values()
        terminal.print_json({"labels": documents} if others else only)


def _study(config: "Config", dataset: "Dataset", seed: int) -> "DataStudy":
    """The data of which a schedule is judged."""
    import numpy as np

    from diffuse_cli.analysis import schedule_check
    from diffuse_cli.models.data import law_of

    to_model = dataset.standard.to_model
    if dataset.points is not None:
        return schedule_check.study_points(to_model(dataset.points), seed=seed)
    x0 = to_model(dataset.draw(np.random.default_rng(seed), schedule_check.DRAWS))
    return schedule_check.study_law(law_of(config, dataset), x0, seed=seed)


def _print(head: dict[str, object], diagnosis: "Diagnosis", changes: list["Remedy"]) -> None:
    terminal.print_table([(key, str(value)) for key, value in head.items()] + _rows(diagnosis))
    click.echo(f"\n{_verdict(diagnosis, changes)}")
    if changes:
        header = ("change", "KL, nats", "noise known at t = 1/T", "useless steps", "what is left")
        terminal.print_table([_remedy_row(change) for change in changes], header=header)


def _document(diagnosis: "Diagnosis") -> dict[str, object]:
    end, start = diagnosis.last, diagnosis.first
    return {
        "verdict": diagnosis.problems[0] if diagnosis.problems else "fits",
        "problems": list(diagnosis.problems),
        "end": {
            "alpha_bar": diagnosis.alpha_bar,
            "log_snr": end.log_snr,
            "kl": diagnosis.kl.value,
            "kl_stderr": diagnosis.kl.stderr,
            "mean": diagnosis.mean,
            "std": list(diagnosis.std),
        },
        "start": {
            "sigma": start.sigma,
            "log_snr": start.log_snr,
            "noise_gain": diagnosis.noise_gain,
            "detail_at_all_scales": diagnosis.detail_at_all_scales,
        },
        "useless_steps": {"clean": diagnosis.useless_clean, "noisy": diagnosis.useless_noisy},
    }


def _remedy_document(change: "Remedy") -> dict[str, object]:
    after = change.diagnosis
    return {
        "flags": change.flags,
        "schedule": change.schedule,
        "timesteps": change.timesteps,
        "problems": list(after.problems),
        "kl": after.kl.value,
        "kl_stderr": after.kl.stderr,
        "noise_gain": after.noise_gain,
        "useless_steps": {"clean": after.useless_clean, "noisy": after.useless_noisy},
    }


def _rows(diagnosis: "Diagnosis") -> list[tuple[str, str]]:
    start, end = diagnosis.first, diagnosis.last
    at_least = "at least " if diagnosis.useless_clean is None else ""
    clean = "" if diagnosis.useless_clean is None else f"{diagnosis.useless_clean:.1%} at the clean end, "
    return [
        ("at t = 1", f"alpha_bar {diagnosis.alpha_bar:.2g}, log-SNR {end.log_snr:.2f}"),
        ("", f"KL(q(x_T) || prior) {_kl(diagnosis)} nats"),
        ("at t = 1/T", f"sigma {start.sigma:.3g}, log-SNR {start.log_snr:.2f}"),
        ("", f"noise known {at_least}{diagnosis.noise_gain:.1%} better than by a guess"),
        ("useless steps", f"{clean}{diagnosis.useless_noisy:.1%} at the noisy end"),
    ]


def _remedy_row(change: "Remedy") -> tuple[str, ...]:
    after = change.diagnosis
    useless = after.useless_noisy + (after.useless_clean or 0.0)
    left = ", ".join(problem.replace("_", " ") for problem in after.problems)
    return change.flags, _kl(after), f"{after.noise_gain:.1%}", f"{useless:.1%}", left or "nothing"


def _kl(diagnosis: "Diagnosis") -> str:
    if diagnosis.kl.value < 1e-6:  # what comes of rounding and of quadrature is no smaller
        return "below 1e-6"
    return f"{diagnosis.kl.value:.2g} ± {diagnosis.kl.stderr:.1g}"


def _verdict(diagnosis: "Diagnosis", changes: list["Remedy"]) -> str:
    lines = [_WORDS[problem](diagnosis) for problem in diagnosis.problems] or ["The schedule fits these data."]
    if diagnosis.detail_at_all_scales:
        lines.append(
            f"The data have detail at every scale, finer than any noise; with this schedule samples are as fine as "
            f"sigma = {diagnosis.first.sigma:.2g}."
        )
    if diagnosis.problems and not changes:
        lines.append("None of the changes that were tried cures it.")
    return "\n".join(click.wrap_text(line, 100, subsequent_indent="  ") for line in lines)


def _ends_too_early(diagnosis: "Diagnosis") -> str:
    low, high = diagnosis.std
    return (
        f"It ends too early: {diagnosis.alpha_bar:.2g} of the variance of x_T is still signal. Sampling starts from "
        f"mean 0 and std 1, but x_T has a mean of up to {diagnosis.mean:.2f} and a std of {low:.2f} to {high:.2f} "
        "along its axes. "
        f"However good the network, that alone may leave samples {diagnosis.kl.value:.2g} nats from the data."
    )


def _starts_too_coarse(diagnosis: "Diagnosis") -> str:
    return (
        f"It starts too coarse: at the finest level, sigma = {diagnosis.first.sigma:.2g}, "
        f"{diagnosis.noise_gain:.0%} of the noise can still be told from the data, so they have detail of that size. "
        "The last step averages it away."
    )


def _wastes_steps(diagnosis: "Diagnosis") -> str:
    useless = diagnosis.useless_noisy + (diagnosis.useless_clean or 0.0)
    return f"It wastes steps: at {useless:.0%} of them even an exact denoiser is hardly better than a guess."


_WORDS = {
    "ends_too_early": _ends_too_early,
    "starts_too_coarse": _starts_too_coarse,
    "wastes_steps": _wastes_steps,
}
