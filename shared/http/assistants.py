"""The routes of assistants, which are kept in versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import azure.functions as func

from shared.errors import BadRequest
from shared.http.fields import AssistantName, fits
from shared.http.reading import optional_collection_from
from shared.http.route import DELETED, UNRECEIVED, Operation, Parameter, Reply, json_response, read_body
from shared.http.shapes.assistants import AssistantBody, AssistantPage
from shared.models.runs import Assistant

if TYPE_CHECKING:
    from shared.services import Services


async def list_assistants(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    return json_response(200, AssistantPage(assistants=await services.assistants.list()))


async def get_assistant(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    name = assistant_name_from(req.route_params["name"])
    return json_response(200, await services.assistants.find(name))


async def put_assistant(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    wanted = assistant_from(req.route_params["name"], read_body(services, req, AssistantBody))
    return json_response(200, await services.assistants.put(wanted))


async def delete_assistant(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    await services.assistants.delete(assistant_name_from(req.route_params["name"]))
    return func.HttpResponse(status_code=204)


# ---- what comes in -----------------------------------------------------------------------------------------------


def assistant_from(name: str, body: AssistantBody) -> Assistant:
    """The assistant to store; storing it sets its version and time."""
    from shared.runs.assistants import DEFAULT
    from shared.runs.tools import REGISTRY

    if unknown := [function for function in body.functions if function not in REGISTRY]:
        raise BadRequest(
            f"The app has no function {unknown[0][:80]!r}. It has: {', '.join(sorted(REGISTRY))}.",
            code="unknown_function",
        )
    return Assistant(
        name=assistant_name_from(name),
        version=0,
        updated_at=DEFAULT.updated_at,
        model=body.model,
        instructions=body.instructions,
        temperature=body.temperature,
        reasoning=body.reasoning,
        verbosity=body.verbosity,
        max_output_tokens=body.max_output_tokens,
        collection=optional_collection_from(body.collection),
        file_search=body.file_search,
        code_interpreter=body.code_interpreter,
        functions=tuple(dict.fromkeys(body.functions)),
        max_seconds=body.max_seconds,
    )


def assistant_name_from(text: str) -> str:
    if not fits(text, AssistantName):
        raise BadRequest(
            "An assistant's name has 1 to 64 lowercase letters, digits, - and _, and begins with a letter or digit.",
            code="invalid_assistant_name",
        )
    return text


# ---- the description ---------------------------------------------------------------------------------------------

NAME = Parameter(name="name", type=AssistantName)

ASSISTANTS = (
    Operation(
        id="ListAssistants",
        method="GET",
        path="/assistants",
        handler="list_assistants",
        summary="List assistants",
        description="Returns the current version of each assistant.",
        visibility="advanced",
        replies=(Reply(status=200, type=AssistantPage, description="The assistants."),),
    ),
    Operation(
        id="GetAssistant",
        method="GET",
        path="/assistants/{name}",
        handler="get_assistant",
        summary="Get an assistant",
        description="Returns its current version.",
        visibility="advanced",
        parameters=(NAME,),
        replies=(Reply(status=200, type=Assistant, description="The assistant."),),
        problems={400: ("invalid_assistant_name",), 404: ("assistant_not_found",)},
    ),
    Operation(
        id="PutAssistant",
        method="PUT",
        path="/assistants/{name}",
        handler="put_assistant",
        summary="Create or update an assistant",
        description="Stores its next version. Active runs keep the version they started with.",
        visibility="advanced",
        parameters=(NAME,),
        body=AssistantBody,
        example={"instructions": "Answer in one sentence.", "code_interpreter": False},
        replies=(Reply(status=200, type=Assistant, description="The new version."),),
        problems={
            400: ("invalid_assistant_name", "unknown_function", "invalid_collection"),
            409: ("assistant_busy",),
            **UNRECEIVED,
        },
    ),
    Operation(
        id="DeleteAssistant",
        method="DELETE",
        path="/assistants/{name}",
        handler="delete_assistant",
        summary="Delete an assistant",
        description="Active runs keep it; new runs cannot use it.",
        visibility="advanced",
        parameters=(NAME,),
        replies=(DELETED,),
        problems={400: ("invalid_assistant_name",), 404: ("assistant_not_found",), 409: ("assistant_busy",)},
    ),
)
