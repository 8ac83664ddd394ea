"""The API server before a cluster: what becomes of a request whose client leaves it to Ray to say so."""

import asyncio
import logging

import pytest

import tempo
from tempo.serving.cluster.cluster_service import ClusterService
from tempo.serving.protocol import MomentsRequest
from tempo.serving.service import ServiceSettings
from tempo.serving.watched_videos import Abandoned

exceptions = pytest.importorskip("ray.serve.exceptions")


class Cancelled:
    """A handle of Ray Serve, whose stream Ray cancels while it is read."""

    def __init__(self, error):
        self.error = error

    def options(self, **options):
        return self

    @property
    def answer(self):
        return self

    def remote(self, *arguments, **named):
        return self

    async def __anext__(self):
        await asyncio.sleep(0)
        raise self.error

    def cancel(self):
        pass


@pytest.mark.parametrize(
    "error",
    [asyncio.CancelledError(), exceptions.RequestCancelledError("request")],
    ids=lambda e: type(e).__name__,
)
def test_a_client_that_left_is_no_fault_of_the_server(error, caplog):
    caplog.set_level(logging.INFO, "tempo")

    async def ask():
        service = ClusterService(
            Cancelled(error), tempo.load().info, ServiceSettings(name="nano"), reader="none"
        )
        try:
            return await service.moments(
                MomentsRequest(model="nano", video="https://host/x.mp4", query="who")
            ).next()
        finally:
            service.close()

    assert isinstance(asyncio.run(ask()), Abandoned)
    assert [one.levelname for one in caplog.records] == ["INFO"]
    assert "client left" in caplog.text
