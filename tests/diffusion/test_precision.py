"""One process asked in double and then in single precision answers each in its own."""

import jax
import jax.numpy as jnp
import numpy as np

from diffuse_cli import catalog
from diffuse_cli.diffusion.process import Process

T = 20


def test_a_schedule_asked_in_double_precision_still_answers_in_single():
    """A constant that jax has seen in double precision must not come back in a program of single precision."""
    schedules = {name: catalog.build("schedule", name, T) for name in catalog.CATALOG["schedule"] if name != "table"}
    processes = {name: Process(schedule, T, schedule.scaling) for name, schedule in schedules.items()}
    t = np.linspace(0.1, 1, 4)

    def all_levels(t):
        return {name: process.level(t) for name, process in processes.items()}

    with jax.enable_x64(True):
        double = jax.jit(all_levels)(jnp.asarray(t))
    single = jax.jit(lambda t: all_levels(t))(jnp.asarray(t, jnp.float32))
    kinds = {name: (double[name].alpha.dtype.name, single[name].alpha.dtype.name) for name in processes}
    assert kinds == dict.fromkeys(processes, ("float64", "float32"))
