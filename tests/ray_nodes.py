"""A Ray of two nodes on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def two_nodes() -> Iterator[Any]:
    """Ray on two nodes of a core each; more can join."""
    import ray
    from ray.cluster_utils import Cluster

    one = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
    running = Cluster(initialize_head=True, head_node_args=one | {"include_dashboard": False})
    running.add_node(**one)
    yield running
    ray.shutdown()
    running.shutdown()
