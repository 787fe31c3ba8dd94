import os
from hashlib import sha256
from pathlib import Path, PurePath

import pytest

from nst_daemon import config
from nst_daemon.config import Config
from nst_daemon.errors import ConfigError, MissingError, PhotoError
from nst_daemon.folders.copies import sweep_copies
from nst_daemon.folders.library import Library
from nst_daemon.intake.pairing import Paired, Unpaired
from nst_daemon.intake.submission import choices_of, copy_of, known_styles, proposal_for


@pytest.fixture
def library(tmp_path: Path) -> Library:
    built_in = tmp_path / "styles"
    built_in.mkdir()
    for style in ("mosaic", "woodcut"):
        (built_in / f"{style}.jpg").write_bytes(style.encode())
    return Library(None, built_in=built_in)


@pytest.fixture
def loaded(tmp_path: Path) -> Config:
    text = """
    style: mosaic
    set: {size: 64}
    folders:
      - {inbox: a/in, outbox: a/out}
      - {inbox: b/in, outbox: b/out, style: woodcut, rules: [{match: "x/**", set: {steps: 7}}]}
    """
    return config.parse(text, tmp_path / "config.yaml")


def test_a_photo_in_an_inbox_follows_the_rules_of_that_inbox(loaded: Config, library: Library) -> None:
    photo = loaded.folders[1].inbox / "x" / "a.jpg"
    proposal = proposal_for(photo, config=loaded, library=library, keywords=())
    assert (proposal.folder, proposal.photo) == (loaded.folders[1], PurePath("x/a.jpg"))
    assert isinstance(proposal.outcome, Paired)
    assert proposal.outcome.choices[0].blend == (("woodcut", 1.0),)
    assert proposal.outcome.choices[0].settings == {"size": 64, "steps": 7}


def test_a_photo_from_elsewhere_follows_the_first_inbox(
    loaded: Config, library: Library, tmp_path: Path
) -> None:
    proposal = proposal_for(tmp_path / "woodcut" / "a.jpg", config=loaded, library=library, keywords=())
    assert (proposal.folder, proposal.photo) == (loaded.folders[0], PurePath("a.jpg"))


def test_a_named_style_goes_before_one_that_is_unknown(
    loaded: Config, library: Library, tmp_path: Path
) -> None:
    proposal = proposal_for(tmp_path / "a.jpg", config=loaded, library=library, keywords=("nst|lost",))
    assert isinstance(proposal.outcome, Unpaired)
    (choice,) = choices_of(proposal, style=(("woodcut", 1.0),), settings={"steps": 3})
    assert choice.settings == {"size": 64, "steps": 3}
    with pytest.raises(ConfigError, match="lost"):
        choices_of(proposal, style=None, settings={})


def test_the_pictures_of_a_blend_carry_their_shares(library: Library) -> None:
    styles = known_styles((("Mosaic", 1.0), ("woodcut", 0.4)), library)
    assert [(style.name, style.weight) for style in styles] == [("mosaic", 1.0), ("woodcut", 0.4)]
    with pytest.raises(ConfigError, match="Did you mean woodcut"):
        known_styles((("wodcut", 1.0),), library)


def test_a_private_copy_is_whole_and_known_by_its_hash(loaded: Config, tmp_path: Path) -> None:
    photo = tmp_path / "A.JPG"
    photo.write_bytes(b"a cat")
    copy, digest = copy_of(photo, loaded)
    assert copy.read_bytes() == b"a cat"
    assert (copy.suffix, digest) == (".jpg", sha256(b"a cat").hexdigest())
    assert list((loaded.state_dir / "photos").iterdir()) == [copy]


def test_no_sweep_takes_a_copy_before_its_job_is_in_the_ledger(loaded: Config, tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"a cat")
    copy, _ = copy_of(photo, loaded)
    os.utime(copy, (0, 0))  # of an old job
    assert copy_of(photo, loaded)[0] == copy
    assert sum(sweep_copies(copy.parent, list)) == 0
    assert copy.exists()


def test_a_photo_that_cannot_be_read_is_not_taken(loaded: Config, tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match=r"gone\.jpg"):
        copy_of(tmp_path / "gone.jpg", loaded)
    assert list((loaded.state_dir / "photos").iterdir()) == []


def test_a_state_folder_that_cannot_be_made_is_said_to_be_missing(loaded: Config, tmp_path: Path) -> None:
    loaded.state_dir.mkdir(parents=True)
    (loaded.state_dir / "photos").write_text("no folder")
    (tmp_path / "a.jpg").write_bytes(b"a cat")
    with pytest.raises(MissingError, match="photos"):
        copy_of(tmp_path / "a.jpg", loaded)
