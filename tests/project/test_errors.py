import pickle

import pytest

from nst_daemon.errors import ConditionError, JobError, PhotoError, with_section, without_section


@pytest.mark.parametrize(
    "error",
    [
        ConditionError("Full.", remedy="Make room.", code="disk_full"),
        PhotoError("Too large.", remedy="Scale it down."),
        JobError("Odd."),
    ],
)
def test_an_error_crosses_from_process_to_process_with_all_it_says(error: JobError | ConditionError) -> None:
    came = pickle.loads(pickle.dumps(error))
    assert (type(came), str(came)) == (type(error), str(error))
    assert (came.remedy, came.code) == (error.remedy, error.code)


def test_the_section_is_kept_behind_the_words_and_can_be_left_out() -> None:
    kept = with_section("a.jpg breaks off. (It does.)", "photo_refused")
    assert kept == "a.jpg breaks off. (It does.) (docs/errors.md#photo_refused)"
    assert without_section(kept) == "a.jpg breaks off. (It does.)"
    assert without_section("a.jpg breaks off. (It does.)") == "a.jpg breaks off. (It does.)"
