"""A compressor replica in a process of its own: `python -m tempo.distributed.worker`, started by
:mod:`.process_replica` and good for nothing else.

The first message is (threads, name, the pickled model); what follows is for :mod:`.replica_server`.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
from multiprocessing.connection import Connection


def main() -> None:
    """Serve calls until the other end of the connection is gone, which ends the process at once."""
    connection, weights = Connection(int(sys.argv[1])), int(sys.argv[2])
    with contextlib.suppress(EOFError, OSError):
        _serve(connection, weights)
    os._exit(0)  # threads may still compute, for nobody


def _serve(connection: Connection, weights: int) -> None:
    import torch

    from .replica import CompressorReplica
    from .replica_server import ReplicaServer
    from .weight_sharing import load_shared

    threads, name, pickled = pickle.loads(connection.recv_bytes())
    torch.set_num_threads(threads)
    server = ReplicaServer(connection, CompressorReplica(load_shared(weights, pickled), name=name))
    server.send(0, "result", None)
    server.run()


if __name__ == "__main__":
    main()
