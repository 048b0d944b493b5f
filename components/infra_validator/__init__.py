"""Starts a real server on the model as it would be pushed and refuses a model that it does not serve faithfully."""
