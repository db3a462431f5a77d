"""Starting jax: on which device, and with compiled code kept between processes."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

from diffuse_cli.errors import DiffuseError, UsageError

_EXTRA = {"gpu": 'pip install "diffuse-cli[cuda12]" or [cuda13]', "tpu": 'pip install "diffuse-cli[tpu]"'}


def start_jax(device: str = "auto") -> None:
    """Start jax on `device`: auto, cpu, gpu or tpu. Raises DiffuseError where there is no such device."""
    if device == "cpu":
        os.environ["JAX_PLATFORMS"] = "cpu"
    import jax

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


def _configure(name: str, value: object) -> None:
    import jax

    update: Callable[[str, object], None] = jax.config.update  # which has no types
    update(name, value)


def _keep_compiled_code() -> None:
    """Let jax keep what it compiles, which takes longer than training does.

    Its entries are code that will be run, so the folder is the user's own and private; where that cannot be had,
    nothing is kept. It is keyed by what the code was compiled for.
    """
    import jax
    from jaxlib.version import __version__

    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "diffuse" / f"jaxlib-{__version__}-{socket.gethostname()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        private = folder.stat().st_uid == os.getuid() and not folder.stat().st_mode & 0o077
    except (OSError, RuntimeError):
        return
    if private and jax.config.values["jax_compilation_cache_dir"] is None:
        _configure("jax_compilation_cache_dir", str(folder))
        _configure("jax_persistent_cache_min_compile_time_secs", 0)
        _configure("jax_persistent_cache_min_entry_size_bytes", -1)
