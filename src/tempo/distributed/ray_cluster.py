"""Connect to a Ray cluster, and say in one line what is wrong where that fails."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tempo.errors import TempoError
from tempo.video.remote import scheme_of

log = logging.getLogger(__name__)

LOCAL = "local"  # instead of an address: a Ray of this machine, for as long as the command runs
OLDEST = (2, 50)
ANSWER_WITHIN = 10.0  # seconds; Ray itself tries for minutes
ROOM_WITHIN = 120.0  # seconds that others may hold all of a cluster that does not grow
GROWING = "waiting for the cluster to grow"
WAITING = "waiting for room"
_LEAVING = 2.0  # seconds from the end of a worker until its cores are free again
_AUTOSCALER_STATUS = "__autoscaling_status"  # Ray's key of what the older of its autoscalers reports
LOST_WITHIN = 2.0  # seconds from the end of a worker to that of its machine
# No reports to Ray's makers, no change of what a worker without GPUs sees, few tries.
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_NUM_REDIS_GET_RETRIES": "2",  # tries to connect, each of half a minute
}


@dataclass(frozen=True)
class WorkerResources:
    """What one worker holds of its machine.

    Attributes:
        cpus: cores, which are also the threads that it computes with.
        gpus: a share of one, or several; None: one where the cluster has any.
    """

    cpus: float = 1
    gpus: float | None = None


@contextlib.contextmanager
def connected(address: str, *, serve: bool = False) -> Iterator[Any]:
    """Connect to the cluster at ADDRESS for the block, and yield the package `ray`.

    Args:
        serve: Ray Serve is needed too.

    Raises:
        TempoError: as `connect`; the address is that of a Ray client, which cannot stream what workers
            make; or Ray Serve is not installed.
    """
    if address.startswith("ray://"):
        raise TempoError(f"{address}: this has to run on a machine of the cluster; name it as host:port")
    if serve:
        _check_serve()
    ray = connect(address)
    try:
        yield ray
    finally:
        ray.shutdown()


def connect(address: str) -> Any:
    """Connect to a cluster, unless this process is connected already → the package `ray`.

    Args:
        address: host:port, ``auto`` for the cluster that this machine belongs to, or ``local`` for a Ray of
            this machine's cores that ends with the connection.

    Raises:
        TempoError: Ray is not installed, there is none at the address, or it is of another version.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    ray = _imported()
    if ray.is_initialized():
        return ray
    _check_that_it_listens(address)
    own = {"include_dashboard": False} if address == LOCAL else {}
    try:
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False, **own)
    except (ConnectionError, TimeoutError, ValueError) as error:
        raise TempoError(_unreachable(address, error)) from error
    except RuntimeError as error:
        raise TempoError(_other_version(ray, address, error)) from error
    _keep_off_stdout()
    return ray


def _keep_off_stdout() -> None:
    """Let Ray print no news of the cluster, such as a lost machine, among the answers. No option does it."""
    with contextlib.suppress(ImportError, AttributeError):  # another Ray has other names
        from ray._private.worker import global_worker

        global_worker.threads_stopped.set()
        global_worker.gcs_error_subscriber.close()


def workers_that_fit(ray: Any, resources: WorkerResources) -> tuple[int, dict[str, float]]:
    """How many workers the cluster has room for now, and what Ray is to reserve for each."""
    found = ray.cluster_resources()
    gpus = resources.gpus if resources.gpus is not None else float(found.get("GPU", 0) > 0)
    needed = {"num_cpus": resources.cpus, "num_gpus": gpus}
    room = 0
    for node in ray.nodes():
        if node["Alive"]:
            has = node["Resources"]
            cores = has.get("CPU", 0) // resources.cpus
            room += int(min(cores, has.get("GPU", 0) // gpus) if gpus else cores)
    free = ray.available_resources()  # of all machines together
    room = min(room, int(free.get("CPU", 0) // resources.cpus))
    return (min(room, int(free.get("GPU", 0) // gpus)) if gpus else room), needed


def absolute(path: str) -> str:
    """PATH for a process with another working folder: an address or a Hub name stays."""
    return os.path.abspath(path) if not scheme_of(path) and os.path.exists(path) else path


def is_lost(ray: Any, node: str) -> bool:
    """Whether the machine with this id is gone, or goes within seconds: workers end before Ray knows why."""
    end = time.monotonic() + LOST_WITHIN
    while time.monotonic() < end:
        found = next((one for one in ray.nodes() if one["NodeID"] == node), None)
        if found is None or not found["Alive"]:
            return True
        try:
            at = (found["NodeManagerAddress"], found["NodeManagerPort"])
            socket.create_connection(at, timeout=LOST_WITHIN).close()
        except ConnectionRefusedError:
            return True
        except OSError:  # this process may not reach the cluster's machines at all
            pass
        time.sleep(0.1)
    return False


def fits_somewhere(ray: Any, needed: dict[str, float]) -> bool:
    """Whether a machine of the cluster is large enough for a worker, if nobody else holds anything of it."""
    return any(
        node["Resources"].get("CPU", 0) >= needed["num_cpus"]
        and node["Resources"].get("GPU", 0) >= needed["num_gpus"]
        for node in ray.nodes()
        if node["Alive"]
    )


def grows(ray: Any) -> bool:
    """Whether an autoscaler may add machines to the cluster.

    Every cluster has an autoscaler's reports, also where it only looks on. Then each machine is of a type of
    its own, with the machine's id as its name.
    """
    try:
        from ray.autoscaler.v2.sdk import get_cluster_status
        from ray.autoscaler.v2.utils import is_autoscaler_v2

        if is_autoscaler_v2():
            found = get_cluster_status(ray.get_runtime_context().gcs_address)
            types = {one.node_id: one.ray_node_type_name for one in found.active_nodes + found.idle_nodes}
        else:
            from ray.experimental.internal_kv import _internal_kv_get

            report = json.loads(_internal_kv_get(_AUTOSCALER_STATUS) or "{}").get("autoscaler_report") or {}
            types = report.get("node_type_mapping") or {}
    except Exception as error:  # nothing of it is promised
        log.debug("no autoscaler can be seen: %r", error)
        return False
    return any(name != f"node_{node}" for node, name in types.items())


def wait_for_room(
    ray: Any,
    needed: dict[str, float],
    say: Callable[[str], None],
    *,
    patience: float = ROOM_WITHIN,
) -> None:
    """Return once the cluster has room for a worker: others leave, or an autoscaler adds a machine.

    Args:
        say: is told what is waited for.
        patience: seconds for others to leave; an autoscaler may take any time.

    Raises:
        TempoError: no machine has room, and none will come.
    """
    growing = grows(ray)
    if not growing and not fits_somewhere(ray, needed):
        raise TempoError(shortage(ray, needed))
    group = ray.util.placement_group(
        [{"CPU": needed["num_cpus"]} | ({"GPU": gpus} if (gpus := needed["num_gpus"]) else {})]
    )
    try:
        ready = [group.ready()]
        if not growing and ray.wait(ready, timeout=_LEAVING)[0]:
            return
        say(f"{shortage(ray, needed)}; {GROWING if growing else WAITING}")
        if not ray.wait(ready, timeout=None if growing else patience)[0]:
            raise TempoError(f"{shortage(ray, needed)}; others held them for {patience:g} s")
    finally:
        ray.util.remove_placement_group(group)


def shortage(ray: Any, needed: dict[str, float]) -> str:
    """What to tell a user whose workers do not start: what they need and what the cluster has."""
    found = ray.cluster_resources()
    return (
        f"no worker can start yet: each needs {needed['num_cpus']:g} cores and {needed['num_gpus']:g} "
        f"GPUs, and the cluster has {found.get('CPU', 0):g} and {found.get('GPU', 0):g} in all"
    )


def _imported() -> Any:
    """The package `ray`. Raises TempoError."""
    try:
        import ray
    except ImportError as error:
        reason = str(error).splitlines()[0]
        raise TempoError(
            f"Ray cannot be imported ({reason}); install it with: pip install 'tempo-video[ray]'"
        ) from error
    version = tuple(map(int, ray.__version__.split(".")[:2]))
    if version < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        raise TempoError(f"Ray {ray.__version__} is too old; install {wanted} or newer")
    return ray


def _check_serve() -> None:
    """Raises TempoError where Ray Serve is not installed."""
    _imported()
    try:
        import ray.serve  # noqa: F401
    except ImportError as error:
        reason = str(error).splitlines()[0]
        raise TempoError(
            f"Ray Serve cannot be imported ({reason}); install it with: pip install 'ray[serve]'"
        ) from error


def _check_that_it_listens(address: str) -> None:
    """Raises TempoError where nothing listens at host:port."""
    found = re.fullmatch(r"(?:ray://)?\[?([^\[\]/]+?)\]?:(\d{1,5})", address)
    if found is None:
        if address not in (LOCAL, "auto"):
            raise TempoError(f"{address}: not the address of a Ray; it looks like 10.0.0.1:6379")
        return
    try:
        socket.create_connection((found[1], int(found[2])), timeout=ANSWER_WITHIN).close()
    except (OSError, OverflowError) as error:
        raise TempoError(_unreachable(address, error)) from error


def _unreachable(address: str, error: Exception) -> str:
    if address == "auto":
        return "no Ray runs on this machine; start one (ray start --head), or name the address of a cluster"
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return f"no Ray answers at {address} ({reason}); check the address and that the cluster runs"


def _other_version(ray: Any, address: str, error: RuntimeError) -> str:
    text = " ".join(str(error).split())
    if "ersion mismatch" in text:
        return (
            f"the Ray at {address} does not fit this machine's Ray {ray.__version__}: {text}; use the same "
            "versions of Ray and Python everywhere"
        )
    return f"the Ray at {address} cannot be used: {text}"
