"""Pushes a blessed model to the folder that model servers watch."""

from components.pusher.component import Pusher

__all__ = ["Pusher"]
