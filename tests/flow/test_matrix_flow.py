"""A photo of every format and mode through inbox, reader, ledger, engine process and outbox."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import verdicts
from support.clock import FakeClock
from support.desk import easel_with
from support.matrix import representatives, write_all
from support.pictures import eight, referee
from support.place import SCREAM, STARRY, Place
from support.verdicts import Result

from nst_daemon.engine.process import EngineProcess
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.intake.reader import PhotoReader
from nst_daemon.intake.readers import Readers
from nst_daemon.ledger.jobs import JobState
from nst_daemon.painting.disposal import Disposal
from nst_daemon.painting.worker import Worker

SMALL = {"content_layers": (), "style_layers": ("relu1_1",), "pyramid": 0, "steps": 1, "averaging": 0} | {
    "size": "original",
    "start_colors": "photo",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("flow"), FakeClock())
    made.close()
    stripes = np.tile(np.array([[[0.9, 0.2, 0.1]], [[0.1, 0.3, 0.8]]], np.float32), (16, 32, 1))
    for name in (STARRY, SCREAM):
        Image.fromarray(eight(stripes)).save(made.styles / f"{name}.jpg")
    made.folders = [replace(made.folders[0], set=SMALL, style=SCREAM)]
    with Readers(PhotoReader(idle_seconds=1e9)) as reader:  # one process for all tests here
        made.reader = reader  # type: ignore[assignment]
        made.open()
        yield made
        made.close()


@pytest.fixture(scope="module")
def results(place: Place, cache: Callable[[Path], Path]) -> list[Result]:
    """The paintings of all representatives, and each photo gone from the inbox."""
    wanted = list(representatives())
    write_all(wanted, place.inbox)
    for spare in place.inbox.glob("heic-*.png"):  # what libheif's program made its file of
        spare.unlink()
    place.run(20.0, step=5.0)
    engine = EngineProcess(EngineSettings(device="cpu", cache_dir=cache(place.base / "cache")))
    worker = Worker(
        ledger=place.ledger,
        easel=easel_with(engine, idle_seconds=1e9),
        disposal=Disposal(place.ledger, tuple(place.folders), clock=place.clock),
        state_dir=place.config.state_dir,
        should_stop=lambda: False,
        clock=place.clock,
    )
    try:
        while worker.tick():
            pass
    finally:
        engine.end()
    jobs = {job.original.name: job for job in place.jobs()}
    assert {job.state for job in jobs.values()} == {JobState.DONE}, [job.error for job in jobs.values()]
    paintings = [Path(str(jobs[case.name].result)) for case in wanted]
    found = zip(wanted, paintings, referee(*paintings), strict=True)
    return [verdicts.result(case, painting, facts) for case, painting, facts in found]


@pytest.mark.parametrize("verdict", verdicts.ALL)
def test_every_format_and_mode_goes_the_real_way(
    results: list[Result], verdict: Callable[[Sequence[Result]], None]
) -> None:
    verdict(results)
    assert [each.suffix for each in results] == [each.case.written for each in results]


def test_the_keywords_of_every_photo_chose_its_style_and_the_originals_are_in_the_archive(
    place: Place, results: list[Result]
) -> None:
    assert not list(place.inbox.iterdir())
    archived = {path.name for path in (place.base / "archive").iterdir()}
    assert archived == {each.case.name for each in results}
    for each in results:
        if each.case.has_tags:
            assert each.facts["XMP-nst:Style"] == STARRY


def test_no_painting_is_painted_again(place: Place, results: list[Result]) -> None:
    before = len(place.jobs())
    for each in results:
        place.drop(each.picture.name, each.picture.read_bytes())
    place.run(20.0, step=5.0)
    assert len(place.jobs()) == before
    assert len(list(place.inbox.iterdir())) == len({each.picture.name for each in results})
