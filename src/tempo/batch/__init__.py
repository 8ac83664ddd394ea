"""Answer many questions about many videos with several worker processes; resume after an interruption.

* :mod:`tempo.batch.cases`: reads the file of cases and groups them by video.
* :mod:`tempo.batch.result_log`: the append-only file of results, which survives a kill at any point.
* :mod:`tempo.batch.worker`: a process that answers the cases of one video after another.
* :mod:`tempo.batch.pool`: starts the workers, hands out videos, and replaces workers that die.
"""
