"""The OpenAI Images API as values: requests in, bodies and errors out, in its own words.

Differences on purpose: `model` names the lane; `seed` is an extension; `size` must be one that the lane
serves; `response_format: url` is refused because nothing is stored for clients.
"""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from controller.core.spec import ModelSpec
from serving.providers.protocol import Fault

MAX_BODY_BYTES: Final = 64 * 1024
MAX_PROMPT: Final = 4000
MAX_IMAGES: Final = 4
MAX_SEED: Final = 2**53 - 2**8
_SIZE: Final = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})")


class ApiError(Exception):
    """An answer other than images: HTTP status and the four members of OpenAI's error object."""

    def __init__(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None, kind: str = ""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param
        self.kind = kind or ("invalid_request_error" if status < 500 else "server_error")

    def body(self) -> dict[str, Any]:
        """Return the JSON body."""
        error = {"message": str(self), "type": self.kind, "param": self.param, "code": self.code}
        return {"error": error}


class ImagesRequest(BaseModel):
    """What a client may send to /v1/images/generations."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str
    prompt: Annotated[str, Field(max_length=MAX_PROMPT)]
    n: Annotated[int, Field(ge=1, le=MAX_IMAGES)] | None = None
    size: str | None = None
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = None
    response_format: Literal["b64_json", "url"] | None = None
    user: str | None = None


def parse_request(body: bytes) -> ImagesRequest:
    """Return the request; ApiError says which parameter is wrong and what is allowed."""
    if len(body) > MAX_BODY_BYTES:
        raise ApiError(413, f"The body is larger than {MAX_BODY_BYTES} bytes.", code="body_too_large")
    try:
        request = ImagesRequest.model_validate_json(body)
    except ValidationError as error:
        raise _invalid(error) from None
    if not request.prompt.strip():
        raise ApiError(400, "'prompt' is empty: say what to draw.", param="prompt", code="empty_prompt")
    if request.response_format == "url":
        message = "'response_format' url is not offered here: images are not stored. Use b64_json."
        raise ApiError(400, message, param="response_format", code="unsupported_response_format")
    return request


def size_px(size: str | None, spec: ModelSpec) -> tuple[int, int]:
    """Return width and height of a request: the one size that the lane's incumbent serves."""
    served = spec.sampling.width_px, spec.sampling.height_px
    found = _SIZE.fullmatch(size) if size not in {None, "auto"} else None
    if size in {None, "auto"} or (found and (int(found[1]), int(found[2])) == served):
        return served
    message = f"'size' {size!r} is not served here; allowed: '{served[0]}x{served[1]}' or 'auto'."
    raise ApiError(400, message, param="size", code="invalid_size")


def unknown_model(name: str, lanes: Sequence[str]) -> ApiError:
    """Return the error for a lane that there is not."""
    message = f"The model {name!r} does not exist; served here: {', '.join(sorted(lanes)) or 'none yet'}."
    return ApiError(404, message, param="model", code="model_not_found")


def images_body(images: Sequence[bytes], seeds: Sequence[int], created_s: int) -> bytes:
    """Return the JSON body of an answer; assembled by hand because base64 needs no escaping."""
    data = b",".join(b'{"b64_json":"' + base64.b64encode(png) + b'"}' for png in images)
    head = f'{{"created":{created_s},"swapgate":{{"seeds":{json.dumps(list(seeds))}}},"data":['
    return head.encode() + data + b"]}"


_FAULTS: Final[Mapping[Fault, tuple[int, str, str]]] = {
    Fault.REFUSED: (400, "content_policy_violation", "The content policy refused this request."),
    Fault.THROTTLED: (429, "rate_limit_exceeded", "Too many requests wait already; try again in a moment."),
    Fault.DEADLINE: (504, "timeout", "No image was ready in time; try again."),
}


def fault_error(fault: Fault) -> ApiError:
    """Return the error for a request that nobody could answer."""
    status, code, message = _FAULTS.get(fault, (503, "model_unavailable", "The model can't answer now."))
    kinds = {400: "image_generation_user_error", 429: "rate_limit_error"}
    return ApiError(status, message, code=code, kind=kinds.get(status, ""))


def _invalid(error: ValidationError) -> ApiError:
    first = error.errors(include_url=False, include_input=False)[0]
    param = str(first["loc"][0]) if first["loc"] else None
    match first["type"]:
        case "json_invalid":
            return ApiError(400, "The body is not valid JSON.", code="invalid_json")
        case "extra_forbidden":
            known = ", ".join(ImagesRequest.model_fields)
            message = f"Unknown parameter: {param!r}; known: {known}."
            return ApiError(400, message, param=param, code="unknown_parameter")
        case "missing":
            message = f"Missing required parameter: {param!r}."
            return ApiError(400, message, param=param, code="missing_required_parameter")
        case _:
            message = f"Invalid value for {param!r}: {first['msg']}."
            return ApiError(400, message, param=param, code="invalid_value")
