"""Where samples come from: files of conversations, or anything that code makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from tempo.training.config import DataConfig
from tempo.training.factories import call_factory

from .llava import ConversationFile
from .processor import SampleProcessor


class NoSampleError(Exception):
    """There is nothing at this index, and nothing is wrong: another one is taken without a word."""


@dataclass(frozen=True)
class SourceContext:
    """What a factory of samples is given.

    Attributes:
        processor: makes examples for the model that is trained.
        seed: of everything that the source makes at random; another one for each source of a run.
        steps: optimizer steps of the run; None: the epochs of its files decide.
    """

    processor: SampleProcessor
    seed: str
    steps: int | None


class SampleSource(Protocol):
    """Samples by their index.

    Attributes:
        size: how many there are; None: any index has one.
        generated: whether all of them are rendered by code, so that a model which knows nothing else still
            says so.
    """

    size: int | None
    generated: bool

    def name(self, index: int) -> str:
        """How messages call a sample."""
        ...

    def read(self, index: int, seed: str) -> Any:
        """A sample as the objective takes it, the same for the same index and seed.

        Raises:
            TempoError: it cannot be read.
            NoSampleError: another one is to be taken.
        """
        ...


class ConversationSource:
    """The conversations of a file, each with its video."""

    generated = False

    def __init__(self, config: DataConfig, processor: SampleProcessor) -> None:
        assert config.path is not None
        self.file = ConversationFile(config.path, config.media)
        self.processor = processor
        self.size: int | None = len(self.file)

    def name(self, index: int) -> str:
        return self.file.name(index)

    def read(self, index: int, seed: str) -> Any:
        return self.processor.process(self.file.read(index), name=self.name(index), seed=seed)

    def check(self, index: int) -> None:
        """Find out what `read` would refuse, without decoding a video. Addresses are not fetched.

        Raises:
            TempoError: as `read`.
        """
        record = self.file.read(index)
        if "://" not in record.media:
            self.processor.check(record)


def open_source(config: DataConfig, context: SourceContext, where: str) -> SampleSource:
    """The source that `where` in a recipe describes.

    Raises:
        TempoError: its file or its factory is missing or damaged.
    """
    if config.factory is None:
        return ConversationSource(config, context.processor)
    source: SampleSource = call_factory(config.factory, where, context, options=config.options)
    return source


def name_of(config: DataConfig, source: SampleSource) -> str:
    """What the log calls a source."""
    if config.name is not None:
        return config.name
    if isinstance(source, ConversationSource):
        return source.file.path.stem
    assert config.factory is not None
    return config.factory.partition(":")[2]
