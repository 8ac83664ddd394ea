"""Only what was uploaded or allowed can be opened."""

import os

import pytest

from tempo.errors import TempoError
from tempo.ui.access import Access


@pytest.fixture
def films(tmp_path):
    folder = tmp_path / "films"
    (folder / "more").mkdir(parents=True)
    for name in ("b.mp4", "a.MKV", "notes.txt", ".hidden.mp4", "more/c.gif"):
        (folder / name).write_bytes(b"x")
    (tmp_path / "secret.mp4").write_bytes(b"x")
    return folder


def test_what_is_listed(films):
    access = Access([films], upload_bytes=10)
    assert [os.path.relpath(path, films) for path in access.listing()] == ["a.MKV", "b.mp4", "more/c.gif"]
    assert access
    assert not Access(upload_bytes=10)


def test_an_allowed_file_and_a_folder_beneath_an_allowed_one(films):
    access = Access([films], upload_bytes=10)
    assert access.allowed(f"  {films}/b.mp4 ") == films / "b.mp4"
    assert access.allowed(f"{films}/more") == films / "more"
    assert Access([films / "b.mp4"], upload_bytes=10).allowed(str(films / "b.mp4")) == films / "b.mp4"


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "{films}/../secret.mp4", "{films}-not", "secret.mp4", "http://a/b.mp4", "\0", "/"]
)
def test_everything_else_is_refused_whether_it_exists_or_not(films, path):
    with pytest.raises(TempoError, match="does not allow this path; upload the file instead"):
        Access([films], upload_bytes=10).allowed(path.format(films=films))


def test_a_link_out_of_an_allowed_folder_is_refused(films):
    (films / "link.mp4").symlink_to(films.parent / "secret.mp4")
    with pytest.raises(TempoError, match="does not allow this path; upload the file instead"):
        Access([films], upload_bytes=10).allowed(str(films / "link.mp4"))


def test_messages_for_what_is_not_there(films):
    access = Access([films], upload_bytes=10)
    with pytest.raises(TempoError, match=r"gone\.mp4: no such file"):
        access.allowed(str(films / "gone.mp4"))
    with pytest.raises(TempoError, match="no file is chosen"):
        access.allowed("  ")
    with pytest.raises(TempoError, match="no such file or folder"):
        Access([films / "gone"], upload_bytes=10)


def test_uploads_are_limited_in_kind_and_size(films):
    access = Access(upload_bytes=10)
    assert access.uploaded(films / "a.MKV") == films / "a.MKV"
    with pytest.raises(TempoError, match=r"notes\.txt: \.txt is not supported; upload a video"):
        access.uploaded(films / "notes.txt")
    (films / "b.mp4").write_bytes(b"x" * 11)
    with pytest.raises(TempoError, match=r"b\.mp4: has 11 bytes; uploads are limited to 10 bytes"):
        access.uploaded(films / "b.mp4")
