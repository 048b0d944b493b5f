"""How Airflow schedules a pipeline; read by `slipway compile --to airflow` alone."""

import datetime

from pydantic import Field, NonNegativeFloat, PositiveInt

from pipeline.section import Section


class Airflow(Section):
    """What one would set on the DAG. Retries, limits and pools of its tasks are under `nodes`."""

    schedule: str | None = Field(
        default=None, description="Cron expression, or a preset such as @daily; omitted: started by hand."
    )
    start_date: datetime.date = Field(
        default=datetime.date(2026, 1, 1), description="First day of the schedule, in UTC."
    )
    catchup: bool = Field(default=False, description="Whether intervals that were missed since then are run, too.")
    max_active_runs: PositiveInt = Field(default=1, description="Runs at the same time.")
    retry_delay: NonNegativeFloat = Field(default=60.0, description="Seconds before a failed task is run again.")
    tags: list[str] = Field(default=["slipway"], description="By which the list of DAGs can be filtered.")
