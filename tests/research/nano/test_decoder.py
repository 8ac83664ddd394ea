"""What the decoder is taught on, against the way it answers; and facts against scripts written by hand."""

import random
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from nano_context import context, packed_prompts
from torch.nn import functional as F
from transformers import AutoTokenizer

from research.nano.datasets.clips import Asked, story_row, story_rows
from research.nano.datasets.storylines import (
    ALONE_SEGMENTS,
    SEGMENTS,
    StoryBatches,
    doubtful,
    drills,
    story,
)
from research.nano.objectives.decoder import read
from research.nano.objectives.packed_objective import moved
from research.nano.packing import IGNORE, PackedPrompts
from research.nano.probe_decoder import share_right
from research.nano.targets import (
    TARGETS,
    Codebook,
    auxiliary_targets,
    name_told,
)
from research.nano.weights import load_trained
from tempo.inference.engine import EMBEDDED
from tempo.modeling import TempoQwenForCausalLM
from tempo.synthetic.expressions import ReferringExpression
from tempo.synthetic.script import (
    Background,
    Scene,
    Script,
    Thing,
)
from tempo.synthetic.vocabulary import (
    ACTIONS,
    CHANGES,
    COLOURS,
    NAMES,
    SHAPES,
    SIZES,
)


@pytest.fixture(scope="module")
def prompts() -> PackedPrompts:
    return packed_prompts()


@pytest.fixture(scope="module")
def model() -> TempoQwenForCausalLM:
    return load_trained(EMBEDDED).eval()


def _thing(shape: str, colour: str, action: str, x: float, start: float, end: float) -> Thing:
    return Thing(shape, colour, "large", action, 0.2, (x, 0.5, x, 0.5), start, end)


@pytest.fixture(scope="module")
def script() -> Script:
    early = (_thing("star", "red", "still", 1.2, 0, 5), _thing("ring", "blue", "left", 0.4, 0, 5))
    late = (_thing("heart", "green", "up", 0.8, 5, 10),)
    scenes = (Scene(0, 5, Background("flat", 1), early), Scene(5, 10, Background("flat", 2), late))
    return Script(10, 16 / 9, scenes)


def _told(row: np.ndarray) -> dict[str, str | int]:
    sorts = ("shape", "picture", "sign")
    names = {
        "sort": sorts,
        "next sort": sorts,
        "change": CHANGES,
        "name": NAMES,
        "next name": NAMES,
        "shape": SHAPES,
        "colour": tuple(COLOURS),
        "size": tuple(SIZES),
        "action": ACTIONS,
        "next shape": SHAPES,
        "next colour": tuple(COLOURS),
    }
    return {
        fact: names[fact][value - 1] if fact in names else int(value)
        for fact, value in zip(TARGETS, row, strict=True)
        if value
    }


def test_the_first_token_tells_of_what_is_asked_about(script: Script) -> None:
    table = auxiliary_targets(script, [ReferringExpression(shape="star")], np.arange(4, 8, 0.5), tokens=6)
    assert _told(table[0]) == {
        "match": 1,
        "number": 2,
        "shape": "star",
        "colour": "red",
        "size": "large",
        "action": "still",
        "next shape": "heart",
        "next colour": "green",
        "sort": "shape",
        "next sort": "shape",
    }
    listed = [(_told(row).get("colour"), _told(row).get("number")) for row in table[1:]]
    assert listed == [("blue", 1), ("red", 1), ("green", 2), (None, None), (None, None)]


def test_of_two_looks_it_tells_which_is_here(script: Script) -> None:
    looks = [ReferringExpression(shape="heart"), ReferringExpression(shape="ring", colour="blue")]
    first, both, last = (
        _told(auxiliary_targets(script, looks, np.arange(start, start + 4, 0.5), tokens=1)[0])
        for start in (0, 3, 6)
    )
    assert (first["match"], first["shape"]) == (2, "ring")
    assert (both["match"], both["shape"]) == (3, "ring")  # the earlier of the two
    assert (last["match"], last["shape"]) == (1, "heart")


def test_of_four_looks_it_tells_which_are_here(script: Script) -> None:
    looks = [
        ReferringExpression(shape="apple"),
        ReferringExpression(shape="star"),
        ReferringExpression(shape="ring"),
        ReferringExpression(shape="heart"),
    ]
    first, both, last = (
        _told(auxiliary_targets(script, looks, np.arange(start, start + 4, 0.5), tokens=1)[0])
        for start in (0, 3, 6)
    )
    assert (first["match"], first["further"]) == (2, 1)
    assert (both["match"], both["further"]) == (2, 3)
    assert (last.get("match"), last["further"]) == (None, 2)


def test_pictures_and_signs_are_told_by_name() -> None:
    apple = Thing("apple", "", "large", "grows", 0.3, (0.4, 0.5, 0.4, 0.5), 0, 5)
    sign = Thing("sign", "red", "large", "left", 0.4, (1.2, 0.5, 1.0, 0.5), 5, 10, text="42")
    scenes = (Scene(0, 5, Background("flat", 1), (apple,)), Scene(5, 10, Background("flat", 2), (sign,)))
    wide = Script(10, 16 / 9, scenes, wide=True)
    table = auxiliary_targets(wide, [ReferringExpression(shape="apple")], np.arange(3, 7, 0.5), tokens=4)
    assert _told(table[0]) == {
        "match": 1,
        "number": 1,
        "size": "large",
        "change": "grows",
        "sort": "picture",
        "name": "apple",
        "next sort": "sign",
        "next colour": "red",
        "next name": "42",
    }
    written = _told(table[2])
    assert (written["sort"], written["colour"], written["name"], written["action"]) == (
        "sign",
        "red",
        "42",
        "left",
    )
    assert [name_told(row) for row in table] == ["apple", "apple", "red sign 42", "nothing"]


def test_where_nothing_matches_it_tells_of_the_first_thing(script: Script) -> None:
    told = _told(
        auxiliary_targets(script, [ReferringExpression(colour="white")], np.arange(0, 4, 0.5), tokens=1)[0]
    )
    assert "match" not in told
    assert (told["colour"], told["shape"]) == ("blue", "ring")  # the leftmost


def test_the_code_tells_what_was_written_in_it(model: TempoQwenForCausalLM, prompts: PackedPrompts) -> None:
    codebook = Codebook(model.model.embed_tokens.weight.detach(), prompts.plain)
    rng = np.random.default_rng(0)
    table = torch.from_numpy(np.stack([rng.integers(n, size=500) for n in TARGETS.values()], 1))
    loss, right = codebook.loss(codebook.embed(Codebook.certain(table)), table, torch.ones(500))
    shares = dict(zip(TARGETS, right.float().mean(0).tolist(), strict=True))
    # Names are more than there are dimensions, and a model without words for them has some that are nearly
    # alike.
    assert {fact for fact, share in shares.items() if share < 1} <= {"name", "next name"}
    assert min(shares["name"], shares["next name"]) > 0.95
    assert loss < 0.2
    weights = doubtful(random.Random(0), table)
    assert torch.allclose(weights.sum(1), torch.full((500,), float(len(TARGETS))), atol=1e-4)
    _, read_back = codebook.loss(codebook.embed(weights), table, torch.ones(500))
    assert read_back.float().mean() > 0.98  # doubt never turns into its opposite


def test_a_shared_storyline_is_read_as_each_question_alone(
    model: TempoQwenForCausalLM, prompts: PackedPrompts
) -> None:
    group = [
        Asked("colour", "What colour is the star?", "red", (True, False, True)),
        Asked("when", "When does it appear?", "12.5 seconds", (True, False, True)),
        Asked("shape", "Which one?\nA. a ring\nB. a star", "B", (True, False, True)),
    ]
    counts, stamps = [3, 1, 2], ["2.0", "6.0", "9.5"]
    torch.manual_seed(0)
    states = torch.randn(sum(counts), model.config.hidden_size)
    rows = story_rows([story_row(prompts, stamps, counts, group)], [group], prompts)
    assert rows.kinds == ["colour", "when", "shape letter"]
    with torch.no_grad():
        together, _ = read(model, rows, model.projector(states))
        losses, weights = [], []
        tags = [prompts.plain(f"<{stamp} seconds>") for stamp in stamps]
        moments = list(zip(tags, states.split(counts), strict=True))
        for asked in group:
            branch = prompts.answering(asked.text, asked.answer)
            story = model.decoder_inputs(prompts.decoder_open, moments, branch.ids)
            logits = model(inputs_embeds=story[None]).logits[0, -len(branch.ids) :]
            labels = torch.tensor(branch.labels)
            learnt = labels != IGNORE
            losses.append(F.cross_entropy(logits[learnt], labels[learnt], reduction="none"))
            weights.append(torch.full((int(learnt.sum()),), float(learnt.sum()) ** -0.75))
    expected = (torch.cat(losses) * torch.cat(weights)).sum() / torch.cat(weights).sum()
    assert together.item() == pytest.approx(expected.item(), abs=1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_reads_as_the_cpu_does(prompts: PackedPrompts) -> None:
    """It attends by another way."""
    batch = StoryBatches(context(seed=5, steps=10), segments=(1, 8, 32), questions=4)[9]
    losses, sizes = [], []
    for device in (torch.device("cpu"), torch.device("cuda")):
        model = load_trained(EMBEDDED, device)
        codebook = Codebook(model.model.embed_tokens.weight.detach().clone(), prompts.plain)
        here = moved(batch, device)
        loss, _ = read(model, here.story, codebook.embed(here.weights_NV))
        loss.backward()
        losses.append(loss.item())
        sizes.append(torch.nn.utils.clip_grad_norm_(model.model.parameters(), 1.0).item())
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    assert sizes[1] == pytest.approx(sizes[0], rel=1e-2)


def test_batches_are_the_same_for_the_same_seed(prompts: PackedPrompts) -> None:
    one, two = (StoryBatches(context(seed=5, steps=10), segments=SEGMENTS, questions=4)[9] for _ in range(2))
    assert torch.equal(one.story.packed.ids_T, two.story.packed.ids_T)
    assert torch.equal(one.weights_NV, two.weights_NV)
    assert len(one.weights_NV) == int(one.story.packed.video_T.sum())


def test_names_come_first_where_the_world_is_wide(prompts: PackedPrompts) -> None:
    def kinds(wide: float, step: int) -> set[str]:
        batches = StoryBatches(context(seed=3, steps=10), segments=(1, 2), questions=3, wide=wide, naming=2)
        return set(batches[step].story.kinds)

    first = {"naming", "describe"}
    assert kinds(0.5, 0) <= first
    assert kinds(0.5, 1) <= first
    assert kinds(0.5, 2) - first
    assert kinds(0.0, 0) - first


def test_names_then_basics_then_short_stories_come_first() -> None:
    """Behind names and basics begins what is easiest, however long they took."""
    batches = StoryBatches(context(seed=4, steps=100), wide=0.5, naming=20, basics=20, tokens=2000)

    def kinds_at(step: int) -> list[str]:
        return batches[step].story.kinds

    named = {"naming", "describe"}
    assert set(kinds_at(19)) <= named
    basics = [kind for step in (20, 30, 39) for kind in kinds_at(step)]
    assert {"drill letter", "letters", "reading"} <= set(basics)
    # A story that is read out is asked two questions.
    others = [kind for kind in basics if kind not in named | {"drill letter", "letters", "reading"}]
    assert len(others) <= 2 * basics.count("reading")
    lengths = {
        step: sum(batches[step + n].story.packed.positions_3T.max() for n in range(8)) for step in (40, 90)
    }
    assert lengths[90] > 1.5 * lengths[40]
    open_questions = [kind for step in range(40, 44) for kind in kinds_at(step)]
    assert {"colour", "direction"} <= set(open_questions)


def test_a_story_is_read_out_as_it_stands(prompts: PackedPrompts) -> None:
    """A part for each segment, in order, and those marked that show what the questions name."""
    tokenizer = AutoTokenizer.from_pretrained(EMBEDDED)
    rng = random.Random(5)
    marked = 0
    for segments in (2, 3, 6, 12) * 4:
        found = story(rng, prompts, segments=segments, questions=2, choice=0.0, wide=0.5, reading=True)
        if found is None:
            continue
        row, _, asked = found
        *others, reading = asked
        parts = reading.answer.split("; ")
        storyline = tokenizer.decode([i for i in row.prefix if i != prompts.video_id])
        assert [part.split(" ")[0] for part in parts] == re.findall(r"<([\d.]+) seconds>", storyline)
        if others[0].expressions:
            assert [part.endswith("!") for part in parts] == list(others[0].shown)
            marked += sum(others[0].shown)
    assert marked > 10


@pytest.mark.parametrize("kind", list(ALONE_SEGMENTS))
def test_one_kind_is_asked_alone(prompts: PackedPrompts, kind: str) -> None:
    batches = StoryBatches(context(seed=3, steps=2), segments=(1, 2), questions=3, wide=0.5, alone=kind)
    kinds = [found for step in range(2) for found in batches[step].story.kinds]
    # A description goes with the shortest stories.
    assert set(kinds) - {"describe"} == {kind}
    assert len(kinds) > 10


def test_a_long_story_is_asked_more(prompts: PackedPrompts) -> None:
    """Its storyline costs as much as dozens of questions; six of each were too few to learn order from."""

    def most(segments: int) -> int:
        batches = StoryBatches(context(seed=1, steps=4), segments=(segments,), questions=6)
        groups = [group for n in range(4) for group in batches[n].story.packed.layout.groups]
        long = [group for group in groups if 8 * segments < len(group.earlier_PP) < 20 * segments]
        rows = [torch.cat([behind.row_N for behind in group.branches]) for group in long]
        return max(int(row_N.bincount().max()) for row_N in rows)

    assert most(8) <= 7  # one of them asks for a description
    assert most(64) == 18


def test_the_measure_tells_a_decoder_that_reads_from_one_that_does_not(
    prompts: PackedPrompts, model: TempoQwenForCausalLM
) -> None:
    codebook = Codebook(model.model.embed_tokens.weight.detach().clone(), prompts.plain)
    other = Codebook(model.model.embed_tokens.weight.detach().flip(1).clone(), prompts.plain)
    right, wrong = (
        share_right(model, told, prompts, "shape", segments=8, alike=1.0, stories=8)
        for told in (codebook, other)
    )
    assert right >= 0.75
    assert wrong <= 0.5


def test_a_damaged_folder_is_named(tmp_path: Path) -> None:
    from tempo.errors import TempoError

    with pytest.raises(TempoError, match=str(tmp_path)):
        load_trained(tmp_path)


def test_drills_name_the_letter_that_stands_before_the_option(prompts: PackedPrompts) -> None:
    row, memory, asked = drills(random.Random(2), prompts, questions=40)
    tokenizer = AutoTokenizer.from_pretrained(EMBEDDED)
    assert len(memory) == 0
    assert {item.kind for item in asked} == {"drill", "letters"}
    for item, branch in zip(asked, row.branches, strict=True):
        first, *lines = item.text.split("\n")
        learnt = tokenizer.decode([label for label in branch.labels if label != IGNORE])
        if item.kind == "drill":
            said = first.removeprefix("Which letter stands for ").removesuffix("?")
            assert f"{item.answer}. {said}" in lines
            assert learnt == f"{item.answer}<|im_end|>"
        else:
            answers = tokenizer.decode(branch.ids).split("assistant\n")[1]
            order = sorted(lines, key=lambda line: answers.index(line[2:] + line[0]))
            assert answers == "".join(line[2:] + line[0] for line in order)
            assert learnt == "".join(line[0] for line in order)
