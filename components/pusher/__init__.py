"""Pushes a blessed model to the folder that model servers watch."""
