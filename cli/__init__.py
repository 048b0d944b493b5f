"""The `slipway` command: one file a verb group."""
