from pathlib import PurePosixPath, PureWindowsPath

import pytest

from nst_daemon.config.globs import matches


@pytest.mark.parametrize(
    ("pattern", "path", "is_match"),
    [
        ("portraits/**", "portraits/a.jpg", True),
        ("portraits/**", "portraits/x/y/a.jpg", True),
        ("portraits/**", "other/portraits/a.jpg", False),
        ("portraits/", "portraits/x/a.jpg", True),
        ("portraits/*.jpg", "portraits/a.jpg", True),
        ("portraits/*.jpg", "portraits/x/a.jpg", False),
        ("**/raw/*", "raw/a.jpg", True),
        ("**/raw/*", "x/y/raw/a.jpg", True),
        ("*.jpg", "x/y/IMG_4711.JPG", True),
        ("*.jpg", "a.png", False),
        ("/*.jpg", "a.jpg", True),
        ("/*.jpg", "x/a.jpg", False),
        ("a?.jpg", "ab.jpg", True),
        ("x/a?b.jpg", "x/a/b.jpg", False),
        ("IMG_[0-4]*.jpg", "IMG_4711.jpg", True),
        ("IMG_[!0-4]*.jpg", "IMG_4711.jpg", False),
        ("a+b (1).jpg", "a+b (1).jpg", True),
        ("étude.jpg", "e\u0301tude.jpg", True),
        ("**", "x/a.jpg", True),
        ("a[.jpg", "a[.jpg", True),
        ("[z-a].jpg", "z.jpg", False),
    ],
)
def test_a_glob_matches_as_documented(pattern: str, path: str, is_match: bool) -> None:
    assert matches(pattern, PurePosixPath(path)) is is_match


def test_a_glob_matches_the_same_on_windows() -> None:
    assert matches("portraits/*.jpg", PureWindowsPath("Portraits\\a.JPG"))
    assert matches("portraits\\*.jpg", PureWindowsPath("portraits/a.jpg"))
