"""Which run it will be, decided before the slow imports: a new one, or a killed one continued."""

import dataclasses
import datetime
from pathlib import Path

from ml_metadata.metadata_store import MetadataStore

from lineage.recovery import interrupted_run
from lineage.store import RUN, claim_run_folder, create_store, run_folder
from pipeline.config import Config
from pipeline.fingerprint import run_fingerprint


@dataclasses.dataclass(frozen=True)
class Plan:
    """A run that is about to begin."""

    config: Config
    root: Path
    run_id: str
    fingerprint: str
    continued: bool

    @property
    def folder(self) -> Path:
        """The folder of the run's log, report and compiled pipeline."""
        return run_folder(self.root, self.run_id)


def plan(config: Config, root: Path) -> Plan:
    """Continues the pipeline's last run if it was killed and nothing has changed since; else names a new run."""
    store = create_store(root)
    fingerprint = run_fingerprint(config)
    killed = interrupted_run(store, root, config.name, fingerprint)
    run_id = killed.id if killed else _new_id(store, root, config.name)
    return Plan(config, root, run_id, fingerprint, continued=killed is not None)


def _new_id(store: MetadataStore, root: Path, pipeline: str) -> str:
    """Such as `digits-20260131-140501`, with a number behind it where that is taken; no other process gets it."""
    base = f"{pipeline}-{datetime.datetime.now(datetime.UTC):%Y%m%d-%H%M%S}"
    number, run_id = 1, base
    while store.get_context_by_type_and_name(RUN, run_id) is not None or not claim_run_folder(root, run_id):
        number += 1
        run_id = f"{base}-{number}"
    return run_id
