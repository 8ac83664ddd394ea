"""Decodes video files to frames through PyAV."""

from .source import FileSource

__all__ = ["FileSource"]
