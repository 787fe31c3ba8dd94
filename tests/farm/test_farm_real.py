"""A farm with the real network over TLS: a photo painted at a seat is the one of home, to the byte."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from support.farms import logs
from support.real import config_of, files_in, jobs_of, picture, run_once, running
from support.real import home as real_home
from support.seats import Machine, free_port
from support.waiting import WAIT_SECONDS, wait_for

from nst_daemon.config.addresses import Address
from nst_daemon.farm import joining
from nst_daemon.farm.keys import make_farm
from nst_daemon.ledger.jobs import JobState

__all__ = ["logs", "real_home"]

SIDECAR = "style: [stripes, {dots: 0.5}]\nset: {format: png, report: false}\nmask: süß.mask.png\n"


def test_a_photo_painted_at_a_seat_is_the_one_painted_at_home_to_the_byte(
    real_home: Path, cache: Callable[[Path], Path]
) -> None:
    picture(real_home / "styles" / "dots.png", seed=8)
    for name in ("süß", "zwei\nZeilen"):
        picture(real_home / "inbox" / f"{name}.png", seed=len(name))
    picture(real_home / "inbox" / "süß.mask.png", seed=2)
    (real_home / "inbox" / "süß.png.yaml").write_text(SIDECAR)
    assert run_once(real_home) == 0
    at_home = {name: (real_home / "outbox" / name).read_bytes() for name in files_in(real_home / "outbox")}
    assert len(at_home) == 2

    port = free_port()
    address = Address.parse(f"tls://127.0.0.1:{port}")
    for folder in ("outbox", "state"):
        shutil.rmtree(real_home / folder)
    (real_home / "outbox").mkdir()
    cache(real_home / "state" / "weights")
    for original in (real_home / "archive").iterdir():
        original.rename(real_home / "inbox" / original.name)
    with (real_home / "config.yaml").open("a") as config:
        config.write(f"farm: {{listen: '{address}', local: false}}\n")
    join = make_farm(config_of(real_home).state_dir, address).join
    cache(joining.home_of("gpu1") / "weights")
    machine = Machine(join, "gpu1", engine="real")
    try:
        with running(real_home):
            wait_for(
                lambda: [job.state for job in jobs_of(real_home).values()] == [JobState.DONE] * 2,
                seconds=WAIT_SECONDS,
                what="both paintings",
            )
            assert {job.seat for job in jobs_of(real_home).values()} == {"gpu1/cpu"}
    finally:
        assert machine.end() == 0
    outbox = {name: (real_home / "outbox" / name).read_bytes() for name in files_in(real_home / "outbox")}
    assert outbox == at_home
    assert not any(re.search(rb"gpu1|127\.0\.0\.1", content) for content in outbox.values())
