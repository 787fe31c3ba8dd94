"""What can be read and changed by requests: jobs, pictures, photos and styles that are sent."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from PIL import Image
from support.asking import Browser, connected, let_in, styles_of, told
from support.played_page import Played, picture, reported, served
from support.waiting import wait_for

from nst_daemon.config.recipe import Preset
from nst_daemon.folders.library import BUILT_IN
from nst_daemon.folders.outbox import report_target
from nst_daemon.ledger.jobs import Job, JobState
from nst_daemon.page.outlook import short_names

LIMIT = 200_000  # bytes of a file that is sent


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    more = f"page: {{listen: '127.0.0.1:0', max_upload: {LIMIT}}}\n"
    with served(tmp_path_factory.mktemp("page"), more=more) as played:
        yield played


@pytest.fixture(scope="module")
def browser(played: Played) -> Browser:
    return let_in(played)


@pytest.fixture
def inbox(played: Played) -> Path:
    return played.config.folders[0].inbox


def of_state(played: Played, state: JobState) -> Job:
    return played.ledger.jobs.all(state=state)[-1]


def jpeg(seed: int = 1, size: tuple[int, int] = (96, 64)) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, (seed, 90, 40)).save(stream, "JPEG")
    return stream.getvalue()


# ── jobs ────────────────────────────────────────────────────────────────────────────────────────────────


def test_jobs_come_in_pages_the_newest_first(browser: Browser, played: Played) -> None:
    everything = told(browser.ask("/jobs"))
    numbers = [job["job"] for job in everything["jobs"]]
    assert numbers == sorted(numbers, reverse=True)
    assert not everything["more"]
    done = told(browser.ask(f"/jobs?state=done&before={numbers[-3]}"))["jobs"]
    assert [job["job"] for job in done] == [number for number in numbers if number < numbers[-3]]
    assert {job["state"] for job in done} == {"done"}
    assert browser.ask("/jobs?before=x").status == 400


def test_one_job_tells_its_settings_and_what_may_be_asked_of_it(browser: Browser, played: Played) -> None:
    job = told(browser.ask(f"/jobs/{of_state(played, JobState.DONE).id}"))
    assert job["settings"]["size"] == 64
    assert job["can"] == ["again"]
    assert job["versions"]["photo"] and job["versions"]["result"] and not job["versions"]["preview"]
    running = told(browser.ask(f"/jobs/{of_state(played, JobState.RUNNING).id}"))
    assert running["can"] == ["cancel"] and running["versions"]["preview"]
    assert browser.ask("/jobs/99999").status == 404
    assert browser.ask("/jobs/-1").status == 404
    assert browser.ask(f"/jobs/{10**30}").status == 404
    assert told(browser.ask(f"/jobs?before={10**30}")) == told(browser.ask("/jobs"))


def test_what_is_asked_of_a_job_stands_in_the_ledger(browser: Browser, played: Played) -> None:
    ledger = played.ledger
    first, second = ledger.queue.next(2)
    told(browser.ask(f"/jobs/{second.id}/next", "POST"))
    assert [job.id for job in ledger.queue.next(2)] == [second.id, first.id]
    told(browser.ask(f"/jobs/{second.id}/behind?job={first.id}", "POST"))
    assert [job.id for job in ledger.queue.next(2)] == [first.id, second.id]
    told(browser.ask(f"/jobs/{first.id}/cancel", "POST"))
    assert told(browser.ask(f"/jobs/{first.id}"))["state"] == "cancelled"
    told(browser.ask(f"/jobs/{first.id}/cancel", "POST"))  # two tabs may say so
    done = of_state(played, JobState.DONE)
    assert browser.ask(f"/jobs/{done.id}/cancel", "POST").status == 409
    assert browser.ask(f"/jobs/{first.id}/next", "POST").status == 409
    assert browser.ask(f"/jobs/{first.id}/behind?job={second.id}", "POST").status == 409
    assert browser.ask(f"/jobs/{second.id}/behind?job=99999", "POST").status == 404
    assert browser.ask(f"/jobs/{second.id}/behind", "POST").status == 400
    told(browser.ask(f"/jobs/{first.id}/retry", "POST"))
    assert told(browser.ask(f"/jobs/{first.id}"))["state"] == "queued"
    assert browser.ask(f"/jobs/{first.id}/retry", "POST").status == 409
    told(browser.ask("/pause", "POST"))
    assert ledger.requests.is_paused()
    told(browser.ask("/resume", "POST"))
    assert not ledger.requests.is_paused()
    assert told(browser.ask("/retry-failed", "POST")) == {"count": 1}
    for what in ("cancel", "retry", "next", f"behind?job={second.id}", "again", "open-folder"):
        assert browser.ask(f"/jobs/99999/{what}", "POST").status == 404


def test_a_job_is_painted_again_with_what_is_changed_and_its_own_settings_else(
    browser: Browser, played: Played
) -> None:
    job = of_state(played, JobState.DONE)
    number = told(browser.ask(f"/jobs/{job.id}/again?style=woodcut&preset=draft", "POST"))["job"]
    made = played.ledger.jobs.get(number)
    assert made is not None and made.recipe is not None and job.recipe is not None
    assert (made.style, made.state, made.recipe.preset) == ("woodcut", JobState.QUEUED, Preset.DRAFT)
    assert (made.recipe.size, made.recipe.init) == (64, job.recipe.init)  # set by hand
    assert made.copy.read_bytes() == job.original.read_bytes()
    assert told(browser.ask(f"/jobs/{job.id}/again?style=woodcut&preset=draft", "POST"))["job"] == number
    assert told(browser.ask(f"/jobs/{job.id}/again?size=80", "POST"))["job"] not in (job.id, number)
    assert browser.ask(f"/jobs/{job.id}/again?style=none", "POST").status == 400
    assert browser.ask(f"/jobs/{job.id}/again?size=-4", "POST").status == 400
    assert browser.ask(f"/jobs/{job.id}/again?preset=odd", "POST").status == 400
    held = of_state(played, JobState.HELD)
    assert browser.ask(f"/jobs/{held.id}/again", "POST").status == 409


# ── pictures ────────────────────────────────────────────────────────────────────────────────────────────


def test_each_picture_is_a_jpeg_of_our_own_making(browser: Browser, played: Played) -> None:
    done, running = of_state(played, JobState.DONE), of_state(played, JobState.RUNNING)
    for job, kind in ((done, "photo"), (done, "result"), (running, "photo"), (running, "preview")):
        version = told(browser.ask(f"/jobs/{job.id}"))["versions"][kind]
        for size, width in (("320", 320), ("1280", 480), ("full", 480)):
            answer = browser.ask(f"/jobs/{job.id}/{kind}?size={size}&v={version}")
            assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")
            assert "immutable" in answer.headers["cache-control"]
            with Image.open(io.BytesIO(answer.body)) as image:
                assert (image.format, image.width, dict(image.getexif())) == ("JPEG", width, {})
    assert browser.ask(f"/jobs/{done.id}/photo").headers["cache-control"] == "no-cache"
    assert browser.ask(f"/jobs/{done.id}/photo?size=1").status == 400
    assert browser.ask(f"/jobs/{done.id}/preview").status == 404
    assert browser.ask(f"/jobs/{running.id}/result").status == 404


def test_a_report_is_a_picture_of_its_result_where_there_is_one(browser: Browser, played: Played) -> None:
    plain = of_state(played, JobState.DONE)
    assert told(browser.ask(f"/jobs/{plain.id}"))["versions"]["report"] is None
    job, report = reported(played, "reported.jpg")
    assert told(browser.ask(f"/jobs/{job.id}"))["versions"]["report"] is None  # it was deleted, say
    assert browser.ask(f"/jobs/{job.id}/report").status == 404
    Image.new("RGB", (400, 300), "white").save(report)
    picture(report_target(plain.result or Path()), 9)  # of nobody who was asked for one
    version = told(browser.ask(f"/jobs/{job.id}"))["versions"]["report"]
    answer = browser.ask(f"/jobs/{job.id}/report?size=full&v={version}")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")
    assert "immutable" in answer.headers["cache-control"]
    with Image.open(io.BytesIO(answer.body)) as image:
        assert (image.format, image.size) == ("JPEG", (400, 300))
    assert browser.ask(f"/jobs/{plain.id}/report").status == 404
    report.rename(report.with_suffix(".away"))
    report.symlink_to(report.with_suffix(".away"))
    assert browser.ask(f"/jobs/{job.id}/report?size=320").status == 404


def test_a_picture_is_kept_for_its_owner_alone_and_made_once(browser: Browser, played: Played) -> None:
    job = played.ledger.jobs.all(state=JobState.DONE)[1]
    first = browser.ask(f"/jobs/{job.id}/result?size=320")
    folder = played.config.state_dir / "page"
    assert folder.stat().st_mode & 0o077 == 0
    assert [path for path in folder.iterdir() if path.read_bytes() == first.body]
    assert job.result is not None
    job.result.rename(job.result.with_suffix(".away"))
    assert browser.ask(f"/jobs/{job.id}/result?size=320").body == first.body
    assert browser.ask(f"/jobs/{job.id}/result?size=1280").status == 404
    job.result.with_suffix(".away").rename(job.result)


def test_the_result_itself_is_sent_byte_for_byte(browser: Browser, played: Played) -> None:
    job = of_state(played, JobState.DONE)
    assert job.result is not None
    answer = browser.ask(f"/jobs/{job.id}/file")
    assert answer.body == job.result.read_bytes()
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == f"attachment; filename*=UTF-8''{quote(job.result.name)}"


def test_a_link_in_the_outbox_leads_nowhere(browser: Browser, played: Played, tmp_path: Path) -> None:
    job = played.ledger.jobs.all(state=JobState.DONE)[0]
    assert job.result is not None
    secret = picture(tmp_path / "secret.jpg", 7)
    kept = job.result.read_bytes()
    job.result.unlink()
    job.result.symlink_to(secret)
    for what in ("result?size=1280", "file"):
        assert browser.ask(f"/jobs/{job.id}/{what}").status == 404
    job.result.unlink()
    job.result.write_bytes(b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    assert browser.ask(f"/jobs/{job.id}/result?size=1280").status == 404
    assert browser.ask(f"/jobs/{job.id}/file").headers["content-disposition"].startswith("attachment")
    job.result.write_bytes(kept)


@pytest.mark.parametrize(
    "path",
    [
        *("/static/..%2fserver.py", "/static/%2e%2e/server.py", "/static/../server.py"),
        *("/static/..%5cserver.py", "/static/", "/static/%00", "/static//etc/passwd", "//etc/passwd"),
        *("/jobs/1/..%2f..%2ffile", "/jobs/../jobs/1%2fphoto", "/jobs/1%00/photo"),
        *("/styles/..%2f..%2fetc%2fpasswd/picture", "/styles/%2e%2e/picture"),
    ],
)
def test_no_path_leads_out(path: str, browser: Browser) -> None:
    answer = browser.ask(path)
    assert answer.status in (400, 404)
    assert b"root:" not in answer.body and b"import" not in answer.body


# ── styles and settings ─────────────────────────────────────────────────────────────────────────────────


def test_styles_have_sizes_and_tell_what_they_are_like_and_how_often_they_were_painted_in(
    browser: Browser, played: Played
) -> None:
    styles = {style["name"]: style for style in styles_of(browser)}
    assert set(styles) >= {path.stem for path in BUILT_IN.iterdir()}
    mosaic = styles["mosaic"]
    assert (mosaic["words"], styles["swirling_oil"]["words"]) == ("strong strokes", "")
    assert mosaic["used"] == sum(job.style == "mosaic" for job in played.ledger.jobs.all(state=JobState.DONE))
    answer = browser.ask(f"/styles/mosaic/picture?size=320&v={mosaic['version']}")
    with Image.open(io.BytesIO(answer.body)) as image:
        assert image.size == (mosaic["width"], mosaic["height"])
    assert "immutable" in answer.headers["cache-control"]


def test_a_picture_becomes_a_style_and_never_replaces_one(browser: Browser, played: Played) -> None:
    assert told(browser.ask("/styles?name=My%20Sky.jpg", "POST", body=jpeg())) == {"name": "My Sky"}
    added = played.config.styles / "My Sky.jpg"
    assert added.read_bytes() == jpeg()
    for name in ("My%20Sky.jpg", "my_sky.png", "mosaic.jpg"):
        assert browser.ask(f"/styles?name={name}", "POST", body=jpeg(2)).status == 409
    assert added.read_bytes() == jpeg()
    refused = browser.ask("/styles?name=text.jpg", "POST", body=b"no picture at all")
    assert refused.status == 415
    assert "text.jpg" in json.loads(refused.body)["error"]
    assert not (played.config.styles / "text.jpg").exists()
    assert "My Sky" in [style["name"] for style in styles_of(browser)]


def test_settings_say_in_words_what_the_next_photo_gets(browser: Browser, played: Played) -> None:
    settings = told(browser.ask("/settings"))
    (folder,) = settings["folders"]
    assert "The style is swirling_oil." in folder["words"]
    assert (folder["name"], folder["inbox"]) == ("inbox", str(played.config.folders[0].inbox))
    assert settings["max_upload"] == LIMIT
    source = played.config.source
    before = source.read_text()
    source.write_text(before + "style: mosaic\nset: {strength: 0.5}\n")
    assert told(browser.ask("/settings"))["folders"][0]["style"] == "mosaic"  # as an edit says, at once
    source.write_text(before + "style: [\n")
    assert told(browser.ask("/settings"))["folders"][0]["style"] == "mosaic"  # the last good one
    source.write_text(before)


# ── photos that are sent ────────────────────────────────────────────────────────────────────────────────


def test_a_photo_lies_in_the_inbox_byte_for_byte_with_what_was_chosen(browser: Browser, inbox: Path) -> None:
    sent = jpeg(3)
    assert told(browser.ask("/photos?name=sky.jpg", "POST", body=sent)) == {"name": "sky.jpg"}
    assert (inbox / "sky.jpg").read_bytes() == sent
    assert not (inbox / "sky.jpg.yaml").exists()
    path = "/photos?name=sky.jpg&style=Mosaic&preset=draft&size=256"
    assert told(browser.ask(path, "POST", body=jpeg(4))) == {"name": "sky.2.jpg"}
    assert (
        inbox / "sky.2.jpg.yaml"
    ).read_text() == 'style: "mosaic"\nset: {"preset": "draft", "size": 256}\n'
    assert (inbox / "sky.jpg").read_bytes() == sent
    for wrong in ("style=none", "preset=odd", "size=-1"):
        assert browser.ask(f"/photos?name=x.jpg&{wrong}", "POST", body=jpeg()).status == 400


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("../../evil.jpg", "evil.jpg"),
        ("/etc/cron.d/x.jpg", "x.jpg"),
        ("C:\\Users\\me\\b.jpg", "b.jpg"),
        ("ü und “q”\n.jpg", "ü und “q”_.jpg"),
        ("<img src=x onerror=alert(1)>.jpg", "_img src=x onerror=alert(1)_.jpg"),
        ("..hidden.jpg", "hidden.jpg"),
        ("n" * 200 + ".jpg", "n" * 116 + ".jpg"),
        ("\u202egpj.exe.jpg", "_gpj.exe.jpg"),
        ("a.JPG", "a.JPG"),
    ],
)
def test_a_photo_gets_a_name_of_our_own(name: str, own: str, browser: Browser, inbox: Path) -> None:
    before = set(inbox.parent.rglob("*"))
    answer = browser.ask(f"/photos?name={quote(name)}", "POST", body=jpeg(len(name)))
    assert told(answer) == {"name": own}
    new = {path for path in set(inbox.parent.rglob("*")) - before if "state" not in path.parts}
    assert new == {inbox / own}


@pytest.mark.parametrize(
    "name", ["a.svg", "a.exe", "a", "", ".jpg", "a.jpg.yaml", "a.mask.png", "a.jpg\x00.svg", ".."]
)
def test_what_is_not_called_like_a_photo_is_refused(name: str, browser: Browser, inbox: Path) -> None:
    before = sorted(inbox.iterdir())
    answer = browser.ask(f"/photos?name={quote(name)}", "POST", body=jpeg())
    assert answer.status == 415
    assert json.loads(answer.body)["remedy"]
    assert sorted(inbox.iterdir()) == before


def test_a_photo_is_counted_while_it_comes_whatever_was_said(browser: Browser, inbox: Path) -> None:
    before = sorted(inbox.iterdir())
    assert browser.ask("/photos?name=l.jpg", "POST", headers={"content-length": str(LIMIT + 1)}).status == 413
    blocks = iter([b"x" * 65_536] * 5)  # and nobody said how many
    assert browser.ask("/photos?name=l.jpg", "POST", body=blocks).status == 413
    assert browser.ask("/photos?name=l.jpg", "POST", body=b"").status == 400
    assert sorted(inbox.iterdir()) == before
    told(browser.ask("/photos?name=fits.jpg", "POST", body=iter([b"x" * 50_000] * 4)))
    assert (inbox / "fits.jpg").stat().st_size == LIMIT


def test_a_photo_that_breaks_off_leaves_nothing(browser: Browser, inbox: Path) -> None:
    before = sorted(inbox.iterdir())
    with connected(browser) as connection:
        connection.sendall(browser.photo_head("half.jpg", 100_000) + b"x" * 70_000)
        wait_for(lambda: sorted(inbox.iterdir()) != before)  # it is on its way, hidden
        (draft,) = set(inbox.iterdir()) - set(before)
        assert draft.name.startswith(".nst-")
    wait_for(lambda: sorted(inbox.iterdir()) == before)


def test_of_several_inboxes_the_one_that_was_chosen_gets_the_photo(
    browser: Browser, played: Played, inbox: Path
) -> None:
    source, base = played.config.source, inbox.parent
    before = source.read_text()
    for name in ("family/inbox", "family/outbox"):
        (base / name).mkdir(parents=True)
    pairs = "{inbox: inbox, outbox: outbox}, {inbox: family/inbox, outbox: family/outbox, style: pastel}"
    single = "inbox: inbox\noutbox: outbox\n"
    source.write_text(before.replace(single, f"folders: [{pairs}]\n"))
    first, second = told(browser.ask("/settings"))["folders"]
    assert second["name"] == "family/inbox" and "The style is pastel." in second["words"]
    assert first["name"].endswith("/inbox") and first["name"] != second["name"]
    told(browser.ask(f"/photos?name=aunt.jpg&inbox={second['id']}", "POST", body=jpeg(6)))
    assert (base / "family/inbox/aunt.jpg").read_bytes() == jpeg(6)
    assert not (inbox / "aunt.jpg").exists()
    sheet = told(browser.ask(f"/sheets?job={of_state(played, JobState.DONE).id}", "POST"))["id"]
    path = f"/sheets/{sheet}/paint?style=mosaic&inbox={second['id']}"
    made = played.ledger.jobs.get(told(browser.ask(path, "POST"))["job"])
    assert made is not None and made.outbox == base / "family/outbox"
    told(browser.ask(f"/sheets/{sheet}/cancel", "POST"))
    source.write_text(before)
    for gone in (second["id"], "..%2f..", quote(str(inbox))):
        assert browser.ask(f"/photos?name=aunt.jpg&inbox={gone}", "POST", body=jpeg(6)).status == 409


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/a/inbox"], ["inbox"]),
        (["/a/inbox", "/a/prints"], ["inbox", "prints"]),
        (["/a/inbox", "/b/inbox"], ["a/inbox", "b/inbox"]),
        (["/a/b/c", "/b/c"], ["a/b/c", "/b/c"]),
    ],
)
def test_inboxes_are_called_by_as_much_of_their_path_as_tells_them_apart(
    paths: list[str], names: list[str]
) -> None:
    assert short_names([Path(path) for path in paths]) == names


def test_an_inbox_that_is_not_there_is_said(browser: Browser, inbox: Path) -> None:
    inbox.rename(inbox.with_name("away"))
    answer = browser.ask("/photos?name=a.jpg", "POST", body=jpeg())
    inbox.with_name("away").rename(inbox)
    assert answer.status == 503
    assert json.loads(answer.body)["remedy"]
