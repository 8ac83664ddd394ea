"""Ray Serve's own actors on a cluster, which outlive whoever started them unless somebody ends them."""

from __future__ import annotations

from typing import Any

_CONTROLLER, _NAMESPACE = "SERVE_CONTROLLER_ACTOR", "serve"  # Ray Serve's names
_STARTED = "tempo-started-ray-serve"  # a key of the cluster: the controller that a server of ours has started


def start_serve(ray: Any) -> None:
    """Start Ray Serve without its HTTP proxies, unless it runs, and note in the cluster that we did."""
    from ray import serve
    from ray.experimental.internal_kv import _internal_kv_put

    runs = _controller(ray) is not None
    serve.start(proxy_location="Disabled")
    if not runs and (controller := _controller(ray)) is not None:
        _internal_kv_put(_STARTED, controller)


def leave_serve(ray: Any, application: str, *, wait: bool = True) -> None:
    """Delete an application, and end Ray Serve with the last one, if a server of ours has started it.

    Args:
        wait: until the application is gone; a worker of it would wait for its own end.
    """
    from ray import serve
    from ray.experimental.internal_kv import _internal_kv_get

    ours = (_internal_kv_get(_STARTED) or b"").decode() == _controller(ray)
    if ours and serve.status().applications.keys() <= {application}:
        serve.shutdown()
    else:
        serve.delete(application, _blocking=wait)


def _controller(ray: Any) -> str | None:
    """What tells Ray Serve's controller from others; None: it does not run."""
    try:
        return str(ray.get_actor(_CONTROLLER, namespace=_NAMESPACE)._actor_id.hex())
    except ValueError:
        return None
