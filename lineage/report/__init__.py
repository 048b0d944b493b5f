"""The report of a run: one HTML file that needs nothing else, for runs that ended well and for those that did not."""

from lineage.report.page import render

__all__ = ["render"]
