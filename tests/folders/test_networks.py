"""Another network is other work: its paintings have another key, and go on from no checkpoint of another."""

import errno
from pathlib import Path

import torch
from support.clock import FakeClock
from support.faults import Faults
from support.place import Place

from nst_daemon.config.recipe import Style, job_key, resolve
from nst_daemon.engine.weights import CONV_NAMES, Weights, identity_of
from nst_daemon.folders.networks import network_of
from nst_daemon.ledger.jobs import JobState

STYLES = (Style(name="dots", path=Path("dots.jpg"), sha256="1" * 64),)


def test_the_keys_of_the_original_network_are_as_they_always_were() -> None:
    """No photo is painted again because of an update."""
    known = "413ed94177e0734524d53d968871361934214d725348c3ef737177649cc69ec6"
    recipe = resolve({"figures": "on", "size": 1024, "tv_weight": 0.3})  # as it was in the beginning
    assert job_key("2" * 64, STYLES, recipe, "0.1.0") == known
    assert job_key("2" * 64, STYLES, recipe, "0.1.0", network=network_of("original")) == known
    assert job_key("2" * 64, STYLES, resolve({}), "0.1.0") != known


def test_each_network_has_keys_of_its_own_and_a_file_is_known_by_its_bytes(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.pth", "b.pth", "copy of a.pth")]
    for path, content in zip(paths, (b"one", b"two", b"one"), strict=True):
        path.write_bytes(content)
    networks = [network_of(weights) for weights in ("original", "torchvision", *map(str, paths))]
    assert len(set(networks)) == 4
    assert networks[2] == networks[4]
    assert len({job_key("2" * 64, STYLES, resolve({}), "1", network=each) for each in networks}) == 4
    paths[0].write_bytes(b"another")
    assert network_of(str(paths[0])) not in networks


def test_a_file_of_weights_is_hashed_once_and_one_that_cannot_be_read_stops_nothing(
    tmp_path: Path, faults: Faults
) -> None:
    path = tmp_path / "a.pth"
    assert network_of(str(path)) == f"file {path}"
    path.write_bytes(b"one")
    known = network_of(str(path))
    faults.fail("open", errno.EIO, at=path)
    assert network_of(str(path)) == known
    path.write_bytes(b"other")
    assert network_of(str(path)) == f"file {path}"
    assert network_of(str(path)) not in (known, f"file {path}")


def test_what_waits_when_the_network_is_changed_is_work_of_the_new_one(
    tmp_path: Path, clock: FakeClock
) -> None:
    place = Place(tmp_path, clock)
    place.drop("a.jpg")
    place.run(10)
    before = place.only_job()
    place.weights = "torchvision"
    place.restart()
    after = place.only_job()
    assert (after.state, after.styles, after.recipe) == (JobState.QUEUED, before.styles, before.recipe)
    assert after.key != before.key
    place.run(300)
    assert place.only_job() == after
    place.weights = "original"
    place.restart()
    assert place.only_job().key == before.key
    place.close()


def test_the_engine_tells_one_network_from_another_by_its_weights() -> None:
    def weights(seed: int) -> Weights:
        generator = torch.Generator().manual_seed(seed)
        return {name: (torch.rand(2, 2, generator=generator), torch.zeros(2)) for name in CONV_NAMES}

    assert identity_of("original", weights(1)) == ""
    assert identity_of("torchvision", weights(1)) == identity_of("a.pth", weights(1))
    assert identity_of("torchvision", weights(1)) != identity_of("torchvision", weights(2))
