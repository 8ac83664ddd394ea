"""The page: open a video, ask, and see and touch what the answer rests on.

Below Gradio, and usable without it: which files may be opened (:mod:`tempo.ui.access`), who computes next
(:mod:`tempo.ui.line`), work that can be followed and stopped (:mod:`tempo.ui.work`), what one visitor has
open (:mod:`tempo.ui.visit`), all visitors (:mod:`tempo.ui.visits`), what is shown of it as HTML
(:mod:`tempo.ui.chart`, :mod:`tempo.ui.panels`), and what the page does when its visitor does something
(:mod:`tempo.ui.actions`). On top: the components and their events (:mod:`tempo.ui.page`) and the server
(:mod:`tempo.ui.server`).
"""
