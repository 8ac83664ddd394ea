"""A run's folder as `tempo eval` leaves it, with items whose truth is in the tables below."""

import json

from tempo.evaluation import manifest
from tempo.evaluation.item_log import ItemLog, ItemRecord
from tempo.evaluation.settings import Settings

# Group, seconds, frames, tokens, answer, what lmms-eval reads in it, and the truth.
VIDEOMME = [
    ("short", 50, 100, 200, "A", "A", "A"),
    ("short", 50, 100, 300, "B", "B", "A"),
    ("medium", 500, 1000, 2000, "C. a boat", "C", "C"),
    ("long", 3000, 1024, 4096, "The answer is D", "D", "D"),
    ("long", 3000, 1024, 4096, "Blue", "B", "B"),  # no letter, whatever lmms-eval reads in it
    ("long", 0, 0, 0, None, "", "A"),  # could not be watched
]
MLVU = [("plotQA", "A", "A"), ("plotQA", "A", "A"), ("plotQA", "A", "B"), ("count", "B", "B")]


def write_run(folder, *, budget=8192, limit=None):
    """Write it, and return the folder."""
    folder.mkdir(parents=True)
    values = {
        "tasks": ["videomme", "mlvu_dev", "other"],
        "data": None,
        "settings": Settings(budget=budget).to_json(),
        "limit": limit,
        "seed": 0,
        "lmms_eval": "0.7.3",
    }
    manifest.begin(folder, values)
    results = folder / "lmms-eval" / "20260101_000000_results.json"
    results.parent.mkdir()
    figures = {
        "videomme_local": {"alias": "videomme", "videomme_perception_score,none": 66.67},
        "mlvu_dev": {"mlvu_percetion_score,none": 23.8, "mlvu_percetion_score_stderr,none": "N/A"},
        "other": {"anls,none": 0.5},
    }
    results.write_text(json.dumps({"results": figures}))
    log = ItemLog(folder)
    lines = []
    for item, (group, seconds, frames, tokens, text, said, truth) in enumerate(VIDEOMME):
        log.add(
            record(
                "videomme_local",
                item,
                video=f"{group}.mp4",
                about={"duration": group},
                text=text or "",
                error="gone.mp4: no such file; check the path" if text is None else None,
                duration=float(seconds),
                frames=frames,
                visual_tokens=tokens,
                seconds={"watch": 1.0, "total": 2.0},
            )
        )
        lines.append({"doc_id": item, "videomme_perception_score": {"pred_answer": said, "answer": truth}})
    write_lines(results, "videomme_local", lines)
    lines = []
    for item, (kind, said, answer) in enumerate(MLVU):
        log.add(record("mlvu_dev", item, about={"task_type": kind}, text=said, frames=8, visual_tokens=16))
        lines.append({"doc_id": item, "mlvu_percetion_score": {"pred_answer": said, "answer": answer}})
    write_lines(results, "mlvu_dev", lines)
    log.add(record("other", 0, text="anything", frames=8, visual_tokens=8))
    write_lines(results, "other", [{"doc_id": 0, "anls": 0.5}])
    return folder


def record(task, item, **values):
    return ItemRecord(
        **{"task": task, "item": item, "asked": "a", "question": "?", "video": "v.mp4", **values}
    )


def write_lines(results, task, lines):
    path = results.with_name(results.name.replace("results.json", f"samples_{task}.jsonl"))
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
