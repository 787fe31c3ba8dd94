"""How long those rest who wait for a job: few of them look often, many of them more seldom."""

import pytest

from nst_daemon.ledger.news import News


@pytest.mark.parametrize(("others", "rest"), [(0, 0.2), (4, 0.2), (9, 0.4), (99, 1.0)])
def test_many_who_wait_look_together_as_often_as_a_few(
    monkeypatch: pytest.MonkeyPatch, others: int, rest: float
) -> None:
    news, rests = News(), []
    news._waiting = others
    monkeypatch.setattr(news._has_come, "wait_for", lambda condition, seconds: rests.append(seconds))
    news.wait(0, 0.2)
    assert rests == [pytest.approx(rest)]
    assert news._waiting == others


def test_who_rests_for_long_anyway_does_so_among_many(monkeypatch: pytest.MonkeyPatch) -> None:
    news, rests = News(), []
    news._waiting = 99
    monkeypatch.setattr(news._has_come, "wait_for", lambda condition, seconds: rests.append(seconds))
    news.wait(0, 3600.0)
    assert rests == [3600.0]
