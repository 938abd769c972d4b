"""Describe the machine of a benchmark, and steady a process for measurements."""

import ctypes
import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from attrs import frozen

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3  # from malloc.h
_TRIM_THRESHOLD = 512 * 1024 * 1024
_TOP_PAD = 16 * 1024 * 1024
_MMAP_THRESHOLD = 32 * 1024 * 1024  # the largest value that glibc accepts


@frozen
class Machine:
    """The environment that figures depend on.

    Attributes:
        python: Implementation and version.
        system: Operating system and architecture.
        cpus: Number of CPUs that this process may run on.
        memory_kept: Whether malloc keeps freed memory.
        versions: Versions of the installed packages that the benchmarks name.
    """

    python: str
    system: str
    cpus: int
    memory_kept: bool
    versions: dict[str, str]

    def __str__(self) -> str:
        packages = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        malloc = "malloc keeps memory" if self.memory_kept else "malloc as it is"
        return f"{self.python} on {self.system}, {self.cpus} CPUs, {malloc}; {packages}"


def keep_memory() -> bool:
    """Keep malloc from returning memory to the kernel; return whether it complies.

    glibc returns freed memory at thresholds that it adapts as it goes, so that an unrelated import decides
    whether every request pays for a few page faults: 15 µs of noise.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = {
        _M_TRIM_THRESHOLD: _TRIM_THRESHOLD,
        _M_TOP_PAD: _TOP_PAD,
        _M_MMAP_THRESHOLD: _MMAP_THRESHOLD,
    }
    accepted = [mallopt(name, value) for name, value in settings.items()]  # glibc answers 1 for yes
    return all(accepted)


def describe(packages: Sequence[str], *, memory_kept: bool) -> Machine:
    """Describe the machine and the package versions."""
    return Machine(
        python=f"{platform.python_implementation()} {platform.python_version()}",
        system=f"{platform.system()} {platform.machine()}",
        cpus=_usable_cpus(),
        memory_kept=memory_kept,
        versions={name: number for name in packages if (number := installed(name))},
    )


def installed(package: str) -> str | None:
    """Return the version of a package; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _usable_cpus() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
