"""Prints the path of the Python that runs it and exits 0 where Slipway can be set up with it; else says why not.

Written for any Python from 3.6 on, since too old ones run it too. `--with-venv`: it must also be able to make venvs.
"""

import platform
import sys
import sysconfig
from pathlib import Path

NOT_THIS_ONE = 3


def why_not(version, system, glibc, headers, venv):
    """One sentence on why a Python of `version` (3, 11) on `system` with `glibc` (2, 36) cannot be used, or None.

    `headers`: Python.h is there. `venv`: it can make virtual environments.
    """
    name = f"{version[0]}.{version[1]}"
    if system != ("Linux", "x86_64"):
        return f"Slipway runs on Linux x86_64, and this is {' '.join(system)}: use a Linux machine or container."
    if not (3, 11) <= version < (3, 14):
        return f"Slipway needs Python 3.11, 3.12 or 3.13, found {name}: install python3.11 with its headers and venv."
    if version >= (3, 12) and glibc < (2, 39):
        return (
            f"With glibc {glibc[0]}.{glibc[1]} Slipway needs Python 3.11, found {name} (whose TensorFlow Data "
            "Validation wants glibc 2.39): install python3.11 with its headers and venv."
        )
    if not headers:
        return f"Python {name} has no headers (Python.h): install them (Debian and Ubuntu: python{name}-dev)."
    if not venv:
        return f"Python {name} cannot make environments: install python{name}-venv (Debian and Ubuntu), or uv."
    return None


def glibc_version():
    """Such as (2, 36); (0, 0) where the C library is another one."""
    library, version = platform.libc_ver()
    return tuple(int(part) for part in version.split(".")[:2]) if library == "glibc" else (0, 0)


def has_venv():
    try:
        import ensurepip
        import venv
    except ImportError:
        return False
    return bool(ensurepip and venv)


def main():
    reason = why_not(
        version=sys.version_info[:2],
        system=(platform.system(), platform.machine()),
        glibc=glibc_version(),
        headers=(Path(sysconfig.get_paths()["include"]) / "Python.h").exists(),
        venv="--with-venv" not in sys.argv or has_venv(),
    )
    print(reason or sys.executable)
    return NOT_THIS_ONE if reason else 0


if __name__ == "__main__":
    sys.exit(main())
