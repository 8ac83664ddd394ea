"""What a client is told when a request cannot be answered, in the shape of OpenAI's errors."""

from __future__ import annotations

from functools import partial
from typing import Any

from tempo.errors import NonFiniteError, NoRoomError, TempoError, UsageError, describe, is_full

_TYPES = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    408: "RequestTimeoutError",
    413: "RequestTooLargeError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
    501: "NotImplementedError",
    503: "ServiceUnavailableError",
}


class ApiError(Exception):
    """A request that cannot be answered.

    Args:
        status: of HTTP.
        message: one sentence that says what is wrong and what to do.
        param: the field of the request that it is about.
    """

    def __init__(self, status: int, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.param = status, message, param

    def __reduce__(self) -> tuple[Any, ...]:  # by default it would be made from its text alone
        return partial(ApiError, param=self.param), (self.status, self.message)

    @property
    def body(self) -> dict[str, Any]:
        """What is sent."""
        kind = _TYPES.get(self.status, "InternalServerError")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.status}}


def as_api_error(error: BaseException) -> ApiError:
    """The same as an error of the API; a fault of the server's own is a 500."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, NoRoomError):
        return ApiError(503, f"{error}; try again later")
    if isinstance(error, TempoError):
        return ApiError(400, str(error))
    if isinstance(error, OSError) and is_full(error):
        return ApiError(503, "the server's disk is full; try again later")
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return ApiError(503, "out of memory for this request; lower max_frames or budget, or try again later")
    return ApiError(500, describe(error))


def watching_error(error: BaseException) -> BaseException:
    """What is said of a video that cannot be watched: it is the video's fault, unless an option's."""
    if isinstance(error, TempoError) and not isinstance(error, UsageError | NoRoomError | NonFiniteError):
        return ApiError(422, f"the video cannot be read ({without_path(str(error))})")
    return error


def without_path(message: str) -> str:
    """Where the server keeps its files is nobody's business."""
    path, colon, rest = message.partition(": ")
    return rest if colon and "/" in path else message
