"""The browser page: open a video, ask about it, and go to the moments that an answer rests on.

A small front end of our own (``static/``: HTML, CSS and ES modules, no build step) talks JSON and server-sent
events with this package, which runs on the parts of :mod:`tempo.serving`: uploads, watched videos that
everybody shares, the compute turn, and requests that end when their client leaves.

What visitors have open is in :mod:`.client_sessions`, what they can do in :mod:`.actions`, what they may open
in :mod:`.library` and :mod:`.examples`, what the page is told in :mod:`.views`, and the HTTP side in
:mod:`.api` (the routes) and :mod:`.server`.
"""
