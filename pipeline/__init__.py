"""What is executed: the config, the TFX pipeline built from it, and its compiled form."""
