"""What the page answers beside pages and pictures: JSON, and every error as words with a remedy."""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from nst_daemon.errors import ConditionError, NstError

UNKNOWN = "There is nothing here."
OPEN_AGAIN = "Open the page again from the tray, or with `nst-daemon page`."


class RefusedError(Exception):
    """A request that is not done, with the status that says why."""

    def __init__(self, status: int, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.remedy = remedy


def refusal(status: int, message: str, remedy: str = "") -> JSONResponse:
    """Return an error as every route answers it."""
    return JSONResponse({"error": message, "remedy": remedy}, status_code=status)


def on_refused(_: Request, error: Exception) -> Response:
    """Answer what a route refused."""
    assert isinstance(error, RefusedError)
    return refusal(error.status, error.message, error.remedy)


def on_error(_: Request, error: Exception) -> Response:
    """Answer an error of ours: of the machine, or of what was asked for."""
    assert isinstance(error, NstError)
    return refusal(503 if isinstance(error, ConditionError) else 400, error.message, error.remedy)


def on_http(_: Request, error: Exception) -> Response:
    """Answer what no route is for."""
    assert isinstance(error, HTTPException)
    words = {404: UNKNOWN, 405: "This cannot be done here."}
    answer = refusal(error.status_code, words.get(error.status_code, error.detail))
    answer.headers.update(error.headers or {})
    return answer


def on_bug(_: Request, error: Exception) -> Response:
    """Answer a bug of ours; the log has it."""
    return refusal(500, f"The page met an error of its own: {type(error).__name__}.", "`nst-daemon logs`")


HANDLERS: dict[Any, Any] = {
    RefusedError: on_refused,
    NstError: on_error,
    HTTPException: on_http,
    Exception: on_bug,
}
