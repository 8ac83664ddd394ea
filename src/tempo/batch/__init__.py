"""Many questions about many videos: read the cases, share them out to workers, write results as they come.

* :mod:`tempo.batch.cases`: the file of cases, and which of them share a video.
* :mod:`tempo.batch.result_log`: the file of results, which survives being killed at any point.
* :mod:`tempo.batch.worker`: a process that answers the cases of one video after another.
* :mod:`tempo.batch.pool`: the workers, and what happens when one dies.
"""
