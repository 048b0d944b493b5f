"""`python -m MODULE ARGUMENT...` in a process forked from a server that has done the slow imports and nothing else.

That saves five to ten seconds a process; each process of the tests has one such server.
"""

import gc
import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Iterator, Mapping
from multiprocessing.context import ForkServerContext
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]

_PRELOADED = ["pipeline.build", "runners.local", "runners.kubeflow.begin", "runners.kubeflow.task"]


def context() -> ForkServerContext:
    """Of the server, for processes that call a function."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(_PRELOADED)
    return found


class Forked:
    """Started by its constructor. Named as the methods of subprocess.Popen are.

    Args:
      command: The module, then its arguments.
      output: Where standard output and errors are written to.
      errors: Where standard errors are written to instead.
      cwd: Its working directory.
    """

    def __init__(self, *command: str, output: Path, errors: Path | None = None, cwd: Path = REPOSITORY):
        self.output = output
        output.write_bytes(b"")
        arguments = (list(command), output, errors or output, cwd, dict(os.environ))
        self._process = context().Process(target=_enter, args=arguments)
        self._process.start()

    @property
    def pid(self) -> int:
        """Its id."""
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """The exit code, once it has ended; of a signal, minus its number."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise TimeoutError(f"{self.output} is still written to after {timeout} s")
        return self._process.exitcode

    def lines(self) -> Iterator[str]:
        """What it writes, as it comes, until it has ended."""
        with self.output.open() as file:
            line = ""
            while True:
                over = self._process.exitcode is not None  # asked before, so that nothing is lost
                line += file.readline()
                if line.endswith("\n"):
                    yield line
                    line = ""
                elif over:
                    return
                else:
                    self._process.join(0.02)

    def send_signal(self, number: int) -> None:
        """Unless it has ended."""
        if self._process.exitcode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """At once."""
        self.send_signal(signal.SIGKILL)


def _enter(command: list[str], output: Path, errors: Path, cwd: Path, environment: Mapping[str, str]) -> None:
    gc.freeze()  # what the server has imported stays
    for path, number in ((output, 1), (errors, 2)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()  # the server has the environment of the moment in which it began
    os.environ.update(environment)
    os.chdir(cwd)
    module, *arguments = command
    sys.argv = [module, *arguments]
    sys.modules.pop(module, None)  # imported by the server perhaps, to be run now
    runpy.run_module(module, run_name="__main__", alter_sys=True)
