"""The browser page: open a video, ask about it, and see which moments an answer rests on.

Without Gradio: access control (:mod:`tempo.ui.access`), admission to the model
(:mod:`tempo.ui.request_queue`), background work (:mod:`tempo.ui.jobs`), the session of a page
(:mod:`tempo.ui.client`) and all sessions (:mod:`tempo.ui.clients`), HTML panels (:mod:`tempo.ui.chart`,
:mod:`tempo.ui.html_panels`), and the actions behind buttons and fields (:mod:`tempo.ui.callbacks`). With
Gradio: the components and their events (:mod:`tempo.ui.page`) and the server (:mod:`tempo.ui.server`).
"""
