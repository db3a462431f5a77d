"""Every plot-* command of the command line, a row each: what it shows, the function that draws it, words and examples.

A row is enough: the command with --out, --dark, --width and --dpi, its part of docs/commands.md and docs/gallery.md,
and the tests of all figures follow from it. Functions are named in text, so that help needs neither jax nor matplotlib.
"""

from typing import Literal, NamedTuple

from diffuse_cli.figures import options
from diffuse_cli.figures.options import FigureOptions


class Picture(NamedTuple):
    """A picture of the gallery: the words behind the command that draws it, the file in docs/gallery, what it shows,
    and a sentence before it."""

    words: str
    file: str
    shows: str
    before: str = ""


class FigureRow(NamedTuple):
    """A figure of the command line.

    `subject` is what `draw` ('module:function' in this room) takes first: "model", a Model; "samples", a Model and a
    Method; "run", the folder of a run; "settings", a Config. Then come the figure's options, an instance of `options`,
    and a Look; it returns a Figure. A row whose subject is "several" has a command file, which is all that draws it.
    """

    summary: str
    subject: Literal["model", "samples", "run", "settings", "several"]
    about: str
    examples: tuple[str, ...]
    pictures: tuple[Picture, ...]
    options: type[FigureOptions]
    draw: str = ""


FIGURES: dict[str, FigureRow] = {
    "plot-forward": FigureRow(
        "Draw data turning into noise; needs no run.",
        subject="settings",
        draw="strips:forward_of_settings",
        options=options.ForwardOptions,
        about="Draw data turning into noise, the same points in every frame. Needs no run.",
        examples=(
            "",
            "--dataset s_curve --schedule sigmoid:start=1e-5,end=5e-3 --timesteps 100",
            "--dataset file:points.csv --frames 5 --out forward.svg",
        ),
        pictures=(
            Picture("--dataset swiss_roll --frames 6", "forward.png", "a swiss roll turns into noise"),
            Picture(
                "--dataset curves --frames 5",
                "forward-curves.png",
                "a curve turns into noise",
                "A curve as one vector: one curve at each noise level, and the histogram of its values, which "
                "approaches the normal density.",
            ),
        ),
    ),
    "plot-reverse": FigureRow(
        "Draw noise turning into data under a run.",
        subject="samples",
        draw="strips:reverse_of_model",
        options=options.ReverseOptions,
        about="""Draw noise turning into data under a run or the exact denoiser, the same points in every frame.

        Frames are those levels of the sampler between which points move equally far.""",
        examples=(
            "",
            "--run moons --sampler ddpm --steps 1000 --frames 6 --out reverse.pdf",
            "--exact --dataset two_spirals --schedule linear",
        ),
        pictures=(
            Picture("--run moons --rows both", "both.png", "forward above, reverse below"),
            Picture(
                "--exact --dataset s_curve:dim=3 --frames 5",
                "reverse-3d.png",
                "an S-curve in space comes out of noise",
                "In three dimensions, with the exact denoiser and no training:",
            ),
        ),
    ),
    "plot-samples": FigureRow(
        "Draw several runs or datasets in one grid.",
        subject="several",
        options=options.SamplesOptions,
        about="Draw several runs or datasets in one grid, each on its own scale: the data, and below them the samples.",
        examples=(
            "",
            "--dataset s_curve --dataset swiss_roll --dataset moons",
            "--run moons --run rings --sampler ddim --steps 20 --out samples.pdf",
        ),
        pictures=(
            Picture("--dataset s_curve --dataset swiss_roll --dataset moons", "datasets.png", "three datasets"),
            Picture(
                "--dataset rings --dataset two_spirals --dataset checkerboard --dataset pinwheel --dataset tree "
                "--dataset heart --dataset swiss_roll:dim=3 --dataset bimodal --dataset curves --dark",
                "datasets-dark.png",
                "nine datasets, dark",
            ),
            Picture("--run moons --run pinwheel --run bimodal", "samples-of-runs.png", "data above, samples below"),
        ),
    ),
    "plot-students": FigureRow(
        "Draw how good students are in a few evaluations.",
        subject="several",
        options=options.StudentsOptions,
        about="""Draw how good students are in a few network evaluations, beside solvers of the exact denoiser.

        A student is a network that has learned to jump. Left: how far each of the first 1,000 samples by `jump` is
        from where the exact flow of the data takes the same noise, as root mean square, and thin as median; solvers
        have the exact denoiser of the same data, so their distance is the error of few steps alone. A student of
        another map than that of the flow has no such line. Right: a distance between samples and data, with its noise
        floor; marks are hollow where samples cannot be told from data. Of a user's file only this is known.""",
        examples=(
            "",
            "--run paths --run lsd --run imf --run consistency",
            "--run lsd --evals 1,2,4 --metric energy --out students.pdf",
        ),
        pictures=(
            Picture(
                "--run paths --run lsd --run imf --run consistency",
                "students.png",
                "four students beside solvers of the exact denoiser",
            ),
        ),
    ),
    "plot-trajectories": FigureRow(
        "Draw the paths of points from noise to data.",
        subject="samples",
        draw="trajectories:trajectories_of_model",
        options=options.TrajectoryOptions,
        about="""Draw the paths that points take from noise to data, over the density of the data.

        A single value is drawn over time; data of more than three columns on their first two principal axes.""",
        examples=(
            "",
            "--run moons --sampler ddpm --steps 200 -n 50",
            "--exact --dataset eight_gaussians --color-by class --out paths.pdf",
        ),
        pictures=(
            Picture("--run pinwheel", "trajectories.png", "paths to a pinwheel"),
            Picture(
                "--exact --dataset tree --sampler ddpm --steps 400 -n 12 --color-by class --dark",
                "trajectories-ddpm.png",
                "random paths to a tree",
                "A random sampler, by class:",
            ),
            Picture(
                "--run bimodal -n 60",
                "trajectories-1d.png",
                "paths of one value over time",
                "Data of one value: the density over time, and paths over it.",
            ),
        ),
    ),
    "plot-field": FigureRow(
        "Draw the field of a run beside the exact one.",
        subject="model",
        draw="fields:field_of_model",
        options=options.FieldOptions,
        about="""Draw the field of a run at a few times: the model's, the exact one, and their difference.

        The number over a difference is its root mean square where the data are, as a share of the exact field's;
        its arrows are drawn that much longer, and fade where there are none. For data of one or two columns.""",
        examples=(
            "",
            "--run moons --field velocity --style streams --at 0.1,0.4,0.9",
            "--exact --dataset checkerboard --out field.svg",
        ),
        pictures=(
            Picture("--run pinwheel", "field.png", "the score of a pinwheel"),
            Picture(
                "--exact --dataset moons --field velocity --style streams --at 0.05,0.2,0.4,0.6,0.9 --dark",
                "field-streams.png",
                "streams of velocity",
            ),
            Picture("--run bimodal", "field-1d.png", "the score on a line"),
        ),
    ),
    "plot-density": FigureRow(
        "Draw the density of a run beside the exact one.",
        subject="model",
        draw="densities:density_of_model",
        options=options.DensityOptions,
        about="""Draw how probable a run finds each place, beside the exact density at the same levels, and their
        difference.

        The model's is its likelihood by the probability-flow ODE. For data of one or two columns; beside a file stands
        a smooth estimate from its points.""",
        examples=("", "--run moons --out density.pdf", "--exact --dataset pinwheel --dark"),
        pictures=(Picture("--run pinwheel", "density.png", "a model's density beside the exact one"),),
    ),
    "plot-latent": FigureRow(
        "Draw the latent plane of a VAE or of latent diffusion.",
        subject="model",
        draw="latent:latent_of_model",
        options=options.LatentOptions,
        about="""Draw the latent plane: the encodings of the data, their law q(z), and what stands for it.

        A VAE takes N(0, I) for q(z); where they differ is the hole, from which its samples are no data. Diffusion
        learns q(z): beside p(z) stand what it leaves of the hole, and paths from noise to latents. The number over a
        difference is the share of the mass that is in different places. For two latents.""",
        examples=("", "--run curves-latent2 --out latent.pdf", "--run curves-vae --dark"),
        pictures=(
            Picture(
                "--run shapes",
                "latent.png",
                "the encodings of two shapes of curves, their law, that of a diffusion, and the hole in the prior",
                "The latent plane of a VAE of curves, in which a diffusion was trained:",
            ),
        ),
    ),
    "plot-guidance": FigureRow(
        "Draw what guidance samples beside what it is said to sample.",
        subject="several",
        options=options.GuidanceOptions,
        about="""Draw the law that guidance of scale w is said to sample, what it samples, and particles that correct
        it.

        The law is π_w ∝ p(x | label)^w p(x)^(1 − w), on a grid. Over each panel stands how far the samples are from it:
        their sliced W2, and how many noise floors that is. --guidance names another rule than cfg, like
        interval:low=0.2; its w is that of the column. For data of two columns, and labels whose laws are known.

        With --guidance auto:run=NAME the figure shows how near cfg and autoguidance come to the points with the
        label.""",
        examples=(
            "--exact --dataset overlap --label upper",
            "--run moons --label lower --scales 1,2,3 --out guidance.pdf",
            "--exact --dataset overlap --label upper --guidance apg",
            "--run autoguidance --label left --guidance auto:run=autoguidance_guide --scales 1,2,3",
        ),
        pictures=(
            Picture(
                "--exact --dataset overlap --label upper",
                "guidance.png",
                "the law that guidance is said to sample, classifier-free guidance, and weighted particles",
                "With perfect scores: the target, what classifier-free guidance samples, and particles with weights.",
            ),
        ),
    ),
    "plot-schedule": FigureRow(
        "Draw noise schedules beside each other.",
        subject="several",
        options=options.ScheduleOptions,
        about="""Draw noise schedules beside each other: the signal left, the noise each step adds, the log-SNR, and
        the KL.

        The KL between the noised data and pure noise should be nothing at t = 1, from where sampling starts.""",
        examples=(
            "",
            "--schedule cosine --schedule linear --out schedules.pdf",
            "--schedule sigmoid:start=1e-5,end=5e-3 --timesteps 100",
            "--run learned --schedule cosine --schedule log_linear",
        ),
        pictures=(
            Picture(
                "--schedule linear --schedule cosine --schedule sigmoid:start=1e-5,end=5e-3 --timesteps 100",
                "schedules.png",
                "three schedules",
            ),
        ),
    ),
    "plot-loss": FigureRow(
        "Draw a run's loss.",
        subject="run",
        draw="losses:loss_of_run",
        options=options.LossOptions,
        about="""Draw a run's loss: of the training batches, and of held-out points under the averaged weights.

        Where the law of the data is known, the excess over the best possible loss stands beside it, on a logarithmic
        axis. The loss that trains a student says little; where its exact map is known, the error of its jumps, the true
        loss, stands beside it.""",
        examples=("", "--run moons --out loss.pdf"),
        pictures=(Picture("--run moons", "loss.png", "the loss and its irreducible part"),),
    ),
    "plot-true-loss": FigureRow(
        "Draw where the jumps of a student go wrong.",
        subject="model",
        draw="true_loss:true_loss_of_model",
        options=options.TrueLossOptions,
        about="""Draw the true loss of a student: the squared error of its jumps beside those of the exact flow, by the
        times t and r from and to which they go.

        Time is that of the straight path, 1 at noise and 0 at data. The outlined corner is one jump from noise to data;
        the diagonal is the velocity, by which a student is a denoiser too. For runs that have learned to jump, on data
        whose law is known.""",
        examples=("", "--run student --out true-loss.pdf"),
        pictures=(Picture("--run lsd", "true-loss.png", "the error of jumps by the times they go between"),),
    ),
}
