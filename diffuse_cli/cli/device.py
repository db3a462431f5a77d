"""Starting jax: on which device, and with compiled code kept between processes."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

from diffuse_cli.errors import DiffuseError, UsageError

# What the computations are written for, and give the same numbers with. The environment may ask jax for something else,
# for other programs: without jit a training takes hours, nan is a value that is looked for at the end.
NEEDED = {
    "jax_disable_jit": False,
    "jax_debug_nans": False,
    "jax_debug_infs": False,
    "jax_debug_key_reuse": False,
    "jax_check_tracer_leaks": False,
    "jax_enable_x64": False,
    "jax_numpy_dtype_promotion": "standard",
    "jax_numpy_rank_promotion": "allow",
    "jax_default_prng_impl": "threefry2x32",
    "jax_threefry_partitionable": True,
    "jax_default_matmul_precision": None,
    "jax_transfer_guard": None,
    "jax_explain_cache_misses": False,
    "jax_log_compiles": False,
    "jax_raise_persistent_cache_errors": False,
}
_EXTRA = {"gpu": 'pip install "diffuse-cli[cuda12]" or [cuda13]', "tpu": 'pip install "diffuse-cli[tpu]"'}


def start_jax(device: str = "auto") -> None:
    """Start jax on `device`: auto, cpu, gpu or tpu.

    Raises DiffuseError where there is no such device, UsageError where the environment has a wrong value for jax.
    """
    if device == "cpu":
        os.environ["JAX_PLATFORMS"] = "cpu"
    try:
        import jax
    except ValueError as error:  # a JAX_* variable that it cannot read
        raise UsageError(f"jax cannot start: {str(error).splitlines()[0]}") from error

    _overrule_environment()
    _keep_compiled_code()
    if device in _EXTRA:
        try:
            _configure("jax_default_device", jax.devices(device)[0])
        except RuntimeError as error:
            raise DiffuseError(f"jax sees no {device} here; for one, {_EXTRA[device]}") from error
    else:
        try:
            jax.devices()
        except RuntimeError as error:  # JAX_PLATFORMS names something that is not there
            raise UsageError(f"jax cannot start: {str(error).splitlines()[0]}") from error


def describe() -> str:
    """Versions and device, one a line."""
    from diffuse_cli.models.checkpoint import versions

    start_jax()
    import jax

    devices = jax.devices()
    lines = [f"{name} {version}" for name, version in versions().items()]
    return "\n".join([*lines, f"device {devices[0].platform} ({len(devices)} x {devices[0].device_kind})"])


def _overrule_environment() -> None:
    """Set what the computations need and the environment says otherwise, with a warning."""
    import jax

    from diffuse_cli.cli import terminal

    for name, value in NEEDED.items():
        if name.upper() in os.environ and jax.config.values.get(name, value) != value:
            terminal.warn(f"{name.upper()}={os.environ[name.upper()]} in the environment is not used here")
            _configure(name, value)


def _configure(name: str, value: object) -> None:
    import jax

    update: Callable[[str, object], None] = jax.config.update  # which has no types
    update(name, value)


def _usable(folder: str) -> bool:
    """Whether files can be written to a folder, which is made if need be; one in the network is left to jax."""
    if "://" in folder:
        return True
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _keep_compiled_code() -> None:
    """Let jax keep what it compiles, which takes longer than training does.

    Its entries are code that will be run, so the folder is the user's own and private; where that cannot be had,
    nothing is kept. It is keyed by what the code was compiled for.
    """
    import jax
    from jaxlib.version import __version__

    chosen = jax.config.values["jax_compilation_cache_dir"]
    if chosen is not None and _usable(chosen):
        return
    _configure("jax_compilation_cache_dir", None)
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = base / "diffuse" / f"jaxlib-{__version__}-{socket.gethostname()}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        private = folder.stat().st_uid == os.getuid() and not folder.stat().st_mode & 0o077
    except (OSError, RuntimeError):
        return
    if private:
        _configure("jax_compilation_cache_dir", str(folder))
        _configure("jax_persistent_cache_min_compile_time_secs", 0)
        _configure("jax_persistent_cache_min_entry_size_bytes", -1)
