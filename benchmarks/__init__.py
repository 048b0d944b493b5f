"""Paired comparisons with what the project's parts stand beside, one file a claim; not tests: they assert nothing."""
