"""A Ray of two nodes on this machine, which the modules that need one use in turn."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_NODE = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
_PATIENCE = 60.0  # seconds until what a module left behind has ended


@contextmanager
def two_nodes() -> Iterator[Any]:
    """Ray on two nodes of a core each; more can join."""
    from ray.cluster_utils import Cluster

    running = Cluster(initialize_head=True, head_node_args=_NODE | {"include_dashboard": False})
    running.add_node(**_NODE)
    yield running
    running.shutdown()


def replace_node(cluster: Any) -> None:
    """Add a node in the place of one that a test has removed."""
    cluster.add_node(**_NODE)


def tidy(cluster: Any) -> None:
    """End Ray Serve and this process's actors, and wait until both cores are free. Raises AssertionError."""
    import ray
    from ray import serve

    ray.shutdown()  # ends the actors of this process
    ray.init(address=cluster.address, log_to_driver=False)
    try:
        serve.shutdown()
        end = time.monotonic() + _PATIENCE
        while (free := ray.available_resources().get("CPU", 0)) != 2:
            assert time.monotonic() < end, f"{free} cores of two are free: a test left an actor or a node"
            time.sleep(0.1)
    finally:
        ray.shutdown()
