"""Slipway's own TFX components, one folder each: `component.py` is the interface, `executor.py` the work.

Import from `components.<name>.component`: the folders' `__init__` import nothing, so that modules which check a config
in milliseconds do not wait for TFX.
"""
