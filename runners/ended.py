"""The third verb as a scheduler calls it: end. It reads what is recorded, and so imports no TFX."""

from pathlib import Path

from lineage import recording
from lineage.outcome import DONE, State
from lineage.report import render
from lineage.runs import Run, find_run
from lineage.store import REPORT, open_store
from runners.partial import executed


def end(root: Path, run_id: str) -> Run:
    """Records how the run ended, as its nodes have, complete where all of them are; writes its report. May be repeated.

    Raises:
      InputError: there is no such run.
    """
    store = open_store(root)
    run = find_run(store, root, run_id)
    part = run.inputs.get("partial")
    own = executed(part["first"], part["last"], run.edges) if part else {node.id for node in run.nodes}
    left = [node for node in run.nodes if node.id in own and node.state not in DONE]
    refused = run.state is State.REFUSED or any(node.state is State.REFUSED for node in left)
    state = State.REFUSED if refused else State.FAILED if left else State.COMPLETE
    reason = run.reason or f"{', '.join(node.id for node in left)} did not run to the end."
    recording.finish_run(store, run_id, state, reason if left else "")
    ended = find_run(store, root, run_id)
    render(ended, ended.folder / REPORT)
    return ended
