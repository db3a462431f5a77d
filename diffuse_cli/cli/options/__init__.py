"""Options that commands share. A decorator hands a command one typed object, so its signature says what it takes.

Names, flags and defaults are fixed, because scripts use them; how they are read may change.
"""

from diffuse_cli.cli.options.common import (
    Given,
    as_json,
    common,
    count,
    device,
    repeats,
    seed,
    training_length,
    training_output,
    trust,
    with_source,
)
from diffuse_cli.cli.options.measurement import MeasurementOption, measurement_options
from diffuse_cli.cli.options.model import (
    MethodOption,
    ModelOption,
    label_option,
    law_option,
    method_options,
    model_option,
)
from diffuse_cli.cli.options.output import FigureOutput, figure_output, launch, open_option, out_option, place_in_run
from diffuse_cli.cli.options.run import (
    RunOption,
    RunsOption,
    complete_run,
    optional_run,
    outputs,
    run_option,
    several_runs,
)
from diffuse_cli.cli.options.settings import Settings, gathered, setting, settings_options
from diffuse_cli.cli.options.teacher import TeacherOption, teacher_of, teacher_option
from diffuse_cli.cli.options.types import ChoiceParam, Counts, Duration, Numbers, WholeNumber, option

__all__ = [
    "ChoiceParam",
    "Counts",
    "Duration",
    "FigureOutput",
    "Given",
    "MeasurementOption",
    "MethodOption",
    "ModelOption",
    "Numbers",
    "RunOption",
    "RunsOption",
    "Settings",
    "TeacherOption",
    "WholeNumber",
    "as_json",
    "common",
    "complete_run",
    "count",
    "device",
    "figure_output",
    "gathered",
    "label_option",
    "launch",
    "law_option",
    "measurement_options",
    "method_options",
    "model_option",
    "open_option",
    "option",
    "optional_run",
    "out_option",
    "outputs",
    "place_in_run",
    "repeats",
    "run_option",
    "seed",
    "setting",
    "settings_options",
    "several_runs",
    "teacher_of",
    "teacher_option",
    "training_length",
    "training_output",
    "trust",
    "with_source",
]
