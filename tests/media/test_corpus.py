"""Every recording of the corpus, watched in every way: the right pictures at the right times, no damage where
there is none, and the right end."""

from __future__ import annotations

from pathlib import Path

import pytest

from media.checking import WAYS, differs_with_several_decoders, watch
from media.corpus import UNMENDED, corpus

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recordings")


@pytest.mark.parametrize("name", corpus())
def test_recording(request: pytest.FixtureRequest, recordings: Path, name: str) -> None:
    if name in UNMENDED:
        request.applymarker(pytest.mark.xfail(strict=False, reason="not mended yet"))
    case = corpus()[name]
    path = recordings / name
    case.build(path)
    faults = {way: watch(case, path, way).faults for way in WAYS}
    faults["several decoders"] = differs_with_several_decoders(path)
    assert not any(faults.values()), faults
