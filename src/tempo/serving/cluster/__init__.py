"""A server whose workers, a model each, are replicas of a Ray Serve deployment.

The API server stays one process (:class:`.cluster_service.ClusterService` behind the same application); each
request goes to the worker that keeps its video (:mod:`.routing`), which answers it as the server of one
machine does (:mod:`.worker`).
"""
