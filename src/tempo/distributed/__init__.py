"""One video over several devices, and work over several machines.

Segments do not depend on each other, so a *replica* of the compressor can decode, watch, score and compress
any of them, in a thread, in a process or on another machine: :mod:`.replica` says what it is asked, and is
what runs there. :class:`.replica_pool.ReplicaPool` deals the segments out, calls the replicas side by side
and replaces those that die. :class:`.distributed_engine.DistributedTempo` is the model over them: allocation
needs the relevance of all segments, and the decoder their kept tokens, so both are where the decoder is.

:mod:`.ray_cluster` is about clusters of Ray, which is the extra ``ray``.
"""
