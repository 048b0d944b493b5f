"""How a compiled pipeline is executed."""
