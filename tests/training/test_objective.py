"""What is trained is what answering computes."""

import numpy as np
import pytest
import torch
from making import processor
from PIL import Image

import clips
import tempo
from tempo.processing.batching import batches
from tempo.training.answer_objective import AnswerObjective
from tempo.training.config import BudgetConfig
from tempo.training.data.llava import ConversationRecord
from tempo.training.data.processor import block_of, normalized_pixels
from tempo.video.video import Video

FIRST = ("What colour is on the left?", "Blue, I think.")
SECOND = ("And how many bars are there? <|im_end|>", "ten")


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """11 seconds: two segments of four seconds and one of three."""
    return clips.write(tmp_path_factory.mktemp("film") / "film.mp4", count=110, rate=10, size=(128, 96))


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("picture") / "picture.png"
    Image.fromarray(clips.picture(5)).save(path)
    return path


@pytest.fixture
def trained(tiny, tiny_of_transformers):
    """The tiny model in the classes that are trained, ready to learn, and left as it was."""
    learner = tempo.Tempo(tiny_of_transformers, tiny.prompts)
    state = {name: tensor.clone() for name, tensor in learner.model.state_dict().items()}
    learner.model.requires_grad_(True)
    yield learner
    learner.model.load_state_dict(state)
    learner.model.requires_grad_(False).zero_grad()
    for layer in learner.model.model.layers:
        layer.gradient_checkpointing = False


def decoder_inputs(model, run):
    """What the decoder is given first while `run` goes on."""
    seen = []
    # Its first layer begins with this, whether one row is read or several side by side.
    first = model.model.layers[0].input_layernorm
    hook = first.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    try:
        run()
    finally:
        hook.remove()
    return seen[0]


@pytest.mark.parametrize("budget", [None, 40])
def test_the_decoder_reads_what_it_reads_when_it_answers(engine, trained, film, budget):
    session = engine.watch(film)
    record = ConversationRecord(str(film), (FIRST, SECOND))
    example = processor(engine).process(record, name="film", seed="1")
    assert example.segments == 3
    objective = AnswerObjective(
        trained.model, BudgetConfig(token_dropout=0.0, tokens=budget), segment_chunk=2
    )
    with torch.no_grad():
        ours_RLH = decoder_inputs(trained.model, lambda: objective([example]))
    options = {"budget": budget, "max_new_tokens": 1}
    for number, (question, answer) in enumerate(record.turns):
        earlier = record.turns[:number]
        answered = decoder_inputs(
            engine.model, lambda e=earlier, q=question: session.stream_after(e, q, **options).answer
        )[0]
        spoken = engine.prompts.decoder.text(answer)
        assert example.questions[number].answer_ids == [*spoken, engine.prompts.end_of_answer]
        length = len(answered)
        torch.testing.assert_close(ours_RLH[number, :length], answered, atol=1e-4, rtol=0)
        with torch.no_grad():
            embedded = engine.model.model.embed_tokens(torch.tensor(spoken))
        torch.testing.assert_close(ours_RLH[number, length : length + len(spoken)], embedded)


def test_a_picture_too(engine, trained, picture):
    session = engine.watch(picture)
    example = processor(engine).process(ConversationRecord(str(picture), (FIRST,)), name="picture", seed="1")
    objective = AnswerObjective(trained.model, BudgetConfig(token_dropout=0.0), segment_chunk=1)
    with torch.no_grad():
        ours_RLH = decoder_inputs(trained.model, lambda: objective([example]))
    answered = decoder_inputs(engine.model, lambda: session.ask(FIRST[0], max_new_tokens=1))[0]
    torch.testing.assert_close(ours_RLH[0, : len(answered)], answered, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["film", "picture"])
def test_pixels_that_waited_as_bytes_are_the_same_to_the_bit(engine, name, request):
    video = Video.open(request.getfixturevalue(name))
    for batch in batches(
        video,
        video.sample(),
        prompts=engine.prompts,
        geometry=engine.geometry,
        segment_frames=8,
        batch_size=2,
    ):
        waited = block_of(batch, engine.geometry).pixels_SPC
        assert waited.dtype == np.uint8
        assert torch.equal(normalized_pixels(torch.from_numpy(waited), engine.geometry), batch.pixels_SPC)


def test_the_loss_is_the_mean_over_answer_tokens_only(trained, film):
    """Their whole forward with labels, on the decoder's inputs of one question."""
    example = processor(trained).process(ConversationRecord(str(film), (FIRST,)), name="film", seed="1")
    objective = AnswerObjective(trained.model, BudgetConfig(token_dropout=0.0), segment_chunk=2)
    read_1LH = decoder_inputs(trained.model, lambda: objective([example]))
    output = objective([example])
    answer = example.questions[0].answer_ids
    end = trained.model.model.embed_tokens(torch.tensor([[answer[-1]]]))
    story = torch.cat([read_1LH, end], dim=1)
    labels = torch.full(story.shape[:2], -100)
    labels[0, -len(answer) :] = torch.tensor(answer)
    with torch.no_grad():
        theirs = trained.model(inputs_embeds=story, labels=labels).loss
    assert output.totals["answer_tokens"] == objective.counts([example])["loss"] == len(answer)
    torch.testing.assert_close(output.losses["loss"].detach() / len(answer), theirs, atol=1e-5, rtol=1e-5)


def gradients(model):
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_chunks_and_recomputing_change_neither_loss_nor_gradients(trained, film, picture):
    read = processor(trained).process
    examples = [
        read(ConversationRecord(str(film), (FIRST, SECOND), evidence=((0.0, 3.0),)), name="film", seed="1"),
        read(ConversationRecord(str(picture), (SECOND,)), name="picture", seed="2"),
        read(ConversationRecord(str(film), (SECOND, FIRST)), name="again", seed="3"),
    ]
    results = []
    for options in ({"segment_chunk": 1}, {"segment_chunk": 100, "recompute": False}):
        trained.model.zero_grad()
        losses = AnswerObjective(trained.model, BudgetConfig(token_dropout=0.5), **options)(examples).losses
        answers, routing = losses["loss"], losses["routing"]
        (answers + routing).backward()
        results.append((answers.detach(), routing.detach(), gradients(trained.model)))
        for layer in trained.model.model.layers:
            layer.gradient_checkpointing = False
    (answers, routing, ours), (plain, plain_routing, theirs) = results
    torch.testing.assert_close(answers, plain, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(routing, plain_routing, rtol=1e-5, atol=1e-5)
    assert ours.keys() == theirs.keys() == {name for name, _ in trained.model.named_parameters()}
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-3, atol=2e-4)


def test_evidence_says_which_segments_are_relevant(engine, film):
    record = ConversationRecord(str(film), (FIRST,), evidence=((4.2, 5.0), (10.5, 10.6)))
    example = processor(engine).process(record, name="film", seed="1")
    assert example.questions[0].relevant == (False, True, True)


def saved_bytes(model, example, **options):
    """Bytes that autograd keeps from the forward pass for the backward one, each storage once."""
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    objective = AnswerObjective(model, BudgetConfig(token_dropout=0.0, tokens=64), **options)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        kept_alive = objective.compress([example])
    del kept_alive
    return sum(kept.values())


def test_what_is_kept_for_the_gradient_does_not_grow_with_the_chunks(tmp_path):
    """Of a further segment its pixels as bytes and its memory tokens stay, not its activations."""
    nano = tempo.load(device="cpu", dtype="float32")
    nano.model.requires_grad_(True)
    sizes = {}
    for seconds in (8, 24):
        path = clips.write(tmp_path / f"{seconds}.mp4", count=10 * seconds, rate=10, size=(96, 48))
        example = processor(nano).process(ConversationRecord(str(path), (FIRST,)), name="film", seed="1")
        sizes[seconds] = [
            saved_bytes(nano.model, example, segment_chunk=1),
            saved_bytes(nano.model, example, segment_chunk=1, recompute=False),
        ]
    ours, plain = (sizes[24][i] - sizes[8][i] for i in (0, 1))
    assert plain > 50 * ours
