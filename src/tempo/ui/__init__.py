"""The page: open a video, ask, and see and touch what the answer rests on.

Below Gradio, and usable without it: which files may be opened (:mod:`tempo.ui.access`), who computes next
(:mod:`tempo.ui.request_queue`), work that can be followed and stopped (:mod:`tempo.ui.jobs`), what one
visitor has open (:mod:`tempo.ui.client`), all visitors (:mod:`tempo.ui.clients`), what is shown of it as HTML
(:mod:`tempo.ui.chart`, :mod:`tempo.ui.html_panels`), and what the page does when its visitor does something
(:mod:`tempo.ui.callbacks`). On top: the components and their events (:mod:`tempo.ui.page`) and the server
(:mod:`tempo.ui.server`).
"""
