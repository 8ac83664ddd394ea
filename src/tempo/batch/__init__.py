"""Answer many questions about many videos with several worker processes; resume after an interruption.

* :mod:`tempo.batch.cases`: reads the file of cases and groups them by video.
* :mod:`tempo.batch.result_log`: the append-only file of results, which survives a kill at any point.
* :mod:`tempo.batch.worker`: a process that answers the cases of one video after another.
* :mod:`tempo.batch.splitting`: lets several workers watch a video that takes longer than a fair share.
* :mod:`tempo.batch.pool`: hands out videos to workers, and replaces those that die.
* :mod:`tempo.batch.processes`, :mod:`tempo.batch.ray_workers`: workers of this machine and of a Ray cluster.
"""
