"""How Airflow schedules a pipeline; read by `slipway compile --to airflow` alone."""

import datetime

import pydantic
from pydantic import Field, NonNegativeFloat, PositiveInt

from pipeline.section import Section

DAYS = "days"  # since the epoch, as `airflow.span`


class Airflow(Section):
    """What one would set on the DAG. Retries, limits and pools of its tasks are under `nodes`."""

    schedule: str | None = Field(
        default=None, description="Cron expression, or a preset such as @daily; omitted: started by hand."
    )
    start_date: datetime.date = Field(
        default=datetime.date(2026, 1, 1), description="First day of the schedule, in UTC."
    )
    catchup: bool = Field(default=False, description="Whether intervals that were missed since then are run, too.")
    span: str | None = Field(
        default=None,
        description="Span of a scheduled run, by the start of its data interval in UTC: the number that a format such "
        "as %Y%m%d makes of it, or days, those since 1970-01-01; omitted: the newest span.",
    )
    max_active_runs: PositiveInt = Field(default=1, description="Runs at the same time.")
    retry_delay: NonNegativeFloat = Field(default=60.0, description="Seconds before a failed task is run again.")
    tags: list[str] = Field(default=["slipway"], description="By which the list of DAGs can be filtered.")

    @pydantic.field_validator("span")
    @classmethod
    def _is_number(cls, span: str | None) -> str | None:
        if span not in (None, DAYS) and not datetime.datetime(2026, 1, 31).strftime(span).isdecimal():
            raise ValueError("expected days, or a format of Python's strftime that makes a number, such as %Y%m%d")
        return span

    @pydantic.model_validator(mode="after")
    def _has_intervals(self) -> "Airflow":
        if self.span and (self.schedule or "@once") in ("@once", "@continuous"):
            raise ValueError(f"got `span` with `schedule` {self.schedule}, expected a schedule that has intervals")
        return self
