"""Only what the operator named can be opened, and nobody is told where it is."""

import io
import os

import pytest
from PIL import Image

from tempo.errors import TempoError
from tempo.serving.api_errors import ApiError
from tempo.ui.library import Library, check_kind


@pytest.fixture
def films(tmp_path):
    folder = tmp_path / "films"
    (folder / "more").mkdir(parents=True)
    for name in ("b.mp4", "a.MKV", "notes.txt", ".hidden.mp4", "more/c.gif"):
        (folder / name).write_bytes(b"x")
    (tmp_path / "secret.mp4").write_bytes(b"x")
    return folder


def ids(library, words=""):
    found, total = library.search(words)
    assert total == len(found)
    return [one.id for one in found]


def test_what_is_listed_and_found_by_name(films):
    library = Library([films])
    assert ids(library) == ["films/a.MKV", "films/b.mp4", "films/more/c.gif"]
    assert ids(library, "MORE") == ids(library, "gif films") == ["films/more/c.gif"]
    assert ids(library, "nothing") == []
    assert library
    assert not Library()


def test_a_file_that_is_named_itself_opens_at_once(films):
    library = Library([films, films / "b.mp4"])
    assert library.first_file.id == "b.mp4"
    assert library.get("b.mp4").path == library.get("films/b.mp4").path == (films / "b.mp4").resolve()
    assert Library([films]).first_file is None


def test_two_folders_of_one_name_are_told_apart(films, tmp_path):
    other = tmp_path / "other" / "films"
    other.mkdir(parents=True)
    (other / "b.mp4").write_bytes(b"y")
    library = Library([films, other])
    assert library.get("films (2)/b.mp4").path.read_bytes() == b"y"
    assert "films (2)/b.mp4" in ids(library)


@pytest.mark.parametrize(
    "identity",
    [
        "", "films", "films/", "films/..", "films/../secret.mp4", "films/more/../b.mp4", "films//b.mp4",
        "films/.hidden.mp4", "films/notes.txt", "films/gone.mp4", "films/more", "/etc/passwd", "other/b.mp4",
        "films/link.mp4", "films/inside/secret.mp4", "films/b.mp4/x.mp4", "films/\0.mp4",
        "films/" + "a" * 5000 + ".mp4",
    ],
)  # fmt: skip
def test_everything_else_is_refused_in_the_same_words(films, identity):
    (films / "link.mp4").symlink_to(films.parent / "secret.mp4")
    (films / "inside").symlink_to(films.parent)
    with pytest.raises(ApiError, match="not in the library; choose one that is listed") as error:
        Library([films]).get(identity)
    assert error.value.status == 404
    assert ids(Library([films])) == ["films/a.MKV", "films/b.mp4", "films/more/c.gif"]


def test_whoever_types_searches_one_listing(films, monkeypatch):
    walks = []
    walk = os.walk
    monkeypatch.setattr(os, "walk", lambda *arguments: walks.append(arguments) or walk(*arguments))
    library = Library([films])
    for words in ("m", "mo", "mor", "more"):
        assert ids(library, words)
    assert len(walks) == 1
    (films / "more" / "new.mp4").write_bytes(b"x")
    monkeypatch.setattr(library, "_listed_until", 0.0)  # some seconds later
    assert ids(library, "new") == ["films/more/new.mp4"]


def test_a_folder_that_is_not_there(films):
    with pytest.raises(TempoError, match=r"gone: no such file or folder; check the path"):
        Library([films / "gone"])


def test_covers_are_frames_and_what_is_no_video_has_none(film, films):
    library = Library([film, films])
    assert Image.open(io.BytesIO(library.cover(library.first_file))).format == "JPEG"
    assert library.cover(library.get("films/b.mp4")) is None


def test_only_videos_and_images_are_taken():
    check_kind("a.MKV")
    with pytest.raises(ApiError, match=r"notes\.txt: \.txt is not supported; choose a video"):
        check_kind("notes.txt")
    with pytest.raises(ApiError, match="a file without a suffix is not supported"):
        check_kind("film")
