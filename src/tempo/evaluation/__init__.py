"""Evaluate a model on published benchmarks with an unmodified lmms-eval, and report scores on one scale.

:mod:`~tempo.evaluation.orchestrate` runs an evaluation from start to end: it checks the data, writes the
:mod:`~tempo.evaluation.manifest` and lets :mod:`~tempo.evaluation.launch` start lmms-eval in its own
environment. There :mod:`~tempo.evaluation.plugin` is loaded, and :mod:`~tempo.evaluation.runner` answers the
items. :mod:`~tempo.evaluation.run_results` reads what a run wrote, :mod:`~tempo.evaluation.summary` computes
the scores, and :mod:`~tempo.evaluation.report` writes the report.
"""
