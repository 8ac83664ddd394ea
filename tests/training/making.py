"""Small data for the tests of training: clips whose truth is known, and conversations about them."""

import json

import clips
from tempo.training.config import (
    BatchConfig,
    DataConfig,
    LearningRates,
    ModelConfig,
    Recipe,
    ScheduleConfig,
)
from tempo.training.data.processor import SampleProcessor


def conversation(*texts, **media):
    roles = ("human", "gpt")
    turns = [{"from": roles[i % 2], "value": text} for i, text in enumerate(texts)]
    return {**media, "conversations": turns}


def write_jsonl(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def write_data(folder, *, count=4):
    """Clips of one to three seconds, a picture, and a file of conversations about them."""
    records = []
    for index in range(count):
        clips.write(folder / f"{index}.mp4", count=10 + 10 * (index % 3), rate=10, size=(64, 64))
        records.append(
            conversation(
                "<video>\nWhat colour is on the left?",
                "blue",
                "And on the right?",
                f"red, {index}",
                video=f"{index}.mp4",
            )
        )
    return write_jsonl(folder / "data.jsonl", records)


def processor(engine, **more):
    config = engine.config
    options = {
        "fps": config.fps,
        "max_frames": config.max_frames,
        "min_frames": config.min_frames,
        "max_questions": 4,
    }
    return SampleProcessor(prompts=engine.prompts, config=config, geometry=engine.geometry, **options | more)


def recipe(start, data, out, **more):
    """A recipe for the tiny reference model: quick, exact, everything learns."""
    values = {
        "out": str(out),
        "model": ModelConfig(start=str(start)),
        "learning_rates": LearningRates(
            memory=1e-3, projector=1e-3, vision=1e-3, compressor=1e-3, decoder=1e-3
        ),
        "data": (DataConfig(path=str(data)),),
        "schedule": ScheduleConfig(steps=4, warmup_steps=1),
        "batch": BatchConfig(global_batch_size=2, segment_chunk=2),
        "precision": "float32",
        "device": "cpu",
        "num_workers": 0,
    }
    return Recipe(**values | more)
