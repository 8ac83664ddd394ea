"""Public data in miniature copies of their released layouts, through to what training reads."""

import json
from collections import Counter

import pytest

from released_layouts import LLAVA_PRETRAIN, LLAVA_VIDEO, QVHIGHLIGHTS, SHAREGPT4VIDEO
from tempo.errors import TempoError
from tempo.training.data.llava import ConversationFile
from tempo.training.data.released import convert, main


@pytest.fixture
def released(tmp_path):
    """Writes records in the way in which they are released, and empty media beside them."""

    def write(name, records, *media):
        file = tmp_path / name
        lines = "".join(json.dumps(one) + "\n" for one in records)
        file.write_text(json.dumps(records) if file.suffix == ".json" else lines)
        for path in media:
            (tmp_path / "media" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "media" / path).touch()
        return file

    return write


def read(out, media):
    file = ConversationFile(out, media)
    return [file.read(index) for index in range(len(file))]


def test_llava_pretrain_keeps_the_pictures_that_are_there(released, tmp_path):
    file = released("blip_laion_cc_sbu_558k.json", LLAVA_PRETRAIN, "00453/004539375.jpg")
    out, refused = tmp_path / "captions.jsonl", Counter()
    assert convert("llava", [file], media=tmp_path / "media", out=out, refused=refused) == 1
    (record,) = read(out, tmp_path / "media")
    assert record.turns[0][0] == "Render a clear and concise summary of the photo."
    assert record.media == str(tmp_path / "media" / "00453/004539375.jpg")
    assert list(refused.values()) == [1]


def test_several_files_of_llava_video_become_one(released, tmp_path):
    files = [released(f"0_30_s_{n}_mc.json", LLAVA_VIDEO, "academic_source/sutd/b1.mp4") for n in range(2)]
    out = tmp_path / "clips.jsonl"
    assert convert("llava", files, media=tmp_path / "media", out=out) == 2
    record = read(out, tmp_path / "media")[1]
    assert record.turns[0] == ("Which car turns?\nA. red.\nB. blue.\nGive the letter.", "B.")
    assert record.turns[1] == ("What happens then?", "It stops.")


def test_sharegpt4video_gives_the_description_of_the_whole(released, tmp_path):
    """Its videos are found by their names, however the archives were unpacked."""
    file = released("sharegpt4video_40k.jsonl", SHAREGPT4VIDEO, "zip/panda_16/j5JqNXjGufw.mp4", "x.mp4")
    out, refused = tmp_path / "detailed.jsonl", Counter()
    assert convert("sharegpt4video", [file], media=tmp_path / "media", out=out, refused=refused) == 1
    (record,) = read(out, tmp_path / "media")
    assert record.turns == (
        ("Describe this video in detail.", "A man stands at a table, then picks up a cup."),
    )
    assert record.media.endswith("zip/panda_16/j5JqNXjGufw.mp4")
    assert refused == {"has no caption of the whole video": 1}


def test_qvhighlights_gives_moments_with_their_evidence(released, tmp_path):
    file = released("highlight_train_release.jsonl", QVHIGHLIGHTS, "bP5KfdFJzC4_660.0_810.0.mp4")
    out = tmp_path / "moments.jsonl"
    assert convert("qvhighlights", [file], media=tmp_path / "media", out=out) == 1
    (record,) = read(out, tmp_path / "media")
    assert record.evidence == ((0, 16), (40.5, 44))
    again = tmp_path / "again.jsonl"  # joined with others
    convert("llava", [out], media=tmp_path / "media", out=again)
    assert read(again, tmp_path / "media")[0].evidence == record.evidence
    assert record.turns == (
        (
            "When can this be seen: A family is playing basketball together on a green court outside?",
            "0 to 16 seconds, 40.5 to 44 seconds",
        ),
    )


def test_stretches_that_are_none_are_refused_like_any_record(released, tmp_path):
    broken = {**QVHIGHLIGHTS[0], "relevant_windows": [[0, 1, 2]]}
    file = released("train.jsonl", [broken, *QVHIGHLIGHTS], "bP5KfdFJzC4_660.0_810.0.mp4")
    refused = Counter()
    options = {"media": tmp_path / "media", "out": tmp_path / "out.jsonl", "refused": refused}
    assert convert("qvhighlights", [file], **options) == 1
    assert list(refused.values()) == [1]


def test_nothing_is_written_where_nothing_can_be_used(released, tmp_path):
    file = released("a.json", LLAVA_PRETRAIN, "other.jpg")
    with pytest.raises(TempoError, match=r"none of the records can be used \(2: is not in"):
        convert("llava", [file], media=tmp_path / "media", out=tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize("content", ["{", "{}", "[1]"])
def test_a_file_of_another_kind_is_one_line(tmp_path, capsys, content):
    (tmp_path / "a.json").write_text(content)
    options = ["--media", str(tmp_path), "--out", str(tmp_path / "o.jsonl")]
    assert main(["llava", str(tmp_path / "a.json"), *options]) == 1
    assert capsys.readouterr().err.startswith(f"tempo: {tmp_path / 'a.json'}: ")
    assert not (tmp_path / "o.jsonl").exists()
