"""Reads videos and images from http(s) addresses: by byte ranges if the server has them, else downloaded."""

from tempo.storage.object_stores import scheme_of

from .addresses import without_login
from .content import PLAYLISTS
from .failures import FetchError
from .remote_file import Progress, RemoteFile

__all__ = ["PLAYLISTS", "FetchError", "Progress", "RemoteFile", "scheme_of", "without_login"]
