"""The graph as a pipeline of Beam's, as TFX's BeamDagRunner has it: a node is a DoFn, which takes what those before it
give, nothing, as side inputs, and so begins when they have ended.

When a node runs is Beam's to say; how it runs, in a child with its limits and retries, is as everywhere. Beam may call
a DoFn again: a node that has run is not run again.
"""

import dataclasses
from typing import Any

import apache_beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner

from pipeline.config import Config
from pipeline.ir import edges
from runners import verbs
from runners.failure import Failure
from runners.nodes import Observer, run_node


def run_nodes(begun: verbs.Begun, config: Config, observer: Observer) -> Failure | None:
    """Runs the nodes of a run, one after the other, in this process; after one that has failed no other begins.

    Returns:
      The failure, if there was one.
    """
    observer.began(begun.node_ids)
    driver = _DRIVERS[begun.run_id] = _Driver(begun, config, observer)
    try:
        _pipeline(begun).run().wait_until_finish()
    except BaseException as error:
        if driver.failure is None:
            raise driver.raised or error from None
    finally:
        del _DRIVERS[begun.run_id]
    return driver.failure


def _pipeline(begun: verbs.Begun) -> apache_beam.Pipeline:
    pipeline = apache_beam.Pipeline(FnApiRunner(), PipelineOptions([]))
    start = pipeline | apache_beam.Impulse()
    ended: dict[str, Any] = {}
    for node_id in begun.node_ids:
        before = [ended[up] for up, down in edges(begun.ir) if down == node_id and up in ended]
        node = apache_beam.ParDo(_Node(begun.run_id, node_id), *map(apache_beam.pvalue.AsIter, before))
        ended[node_id] = start | node_id >> node
    return pipeline


class _Node(apache_beam.DoFn):
    def __init__(self, run_id: str, node_id: str):
        self._run_id, self._node_id = run_id, node_id

    def process(self, element: Any, *before: Any) -> None:
        _DRIVERS[self._run_id].run(self._node_id)


@dataclasses.dataclass
class _Driver:
    """What the DoFns of a run have in common, and how it ended: Beam would raise another error in place of one."""

    begun: verbs.Begun
    config: Config
    observer: Observer
    failure: Failure | None = None
    raised: BaseException | None = None

    def run(self, node_id: str) -> None:
        try:
            self.failure = run_node(self.begun, self.config, self.observer, node_id)
        except BaseException as error:
            self.raised = error
            raise
        if self.failure:
            raise RuntimeError(self.failure.message)


_DRIVERS: dict[str, _Driver] = {}  # by run id: Beam copies a DoFn, and a connection to a store cannot be copied
