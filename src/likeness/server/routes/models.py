"""The model bundles that the server knows."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path

from likeness.errors import ModelNotFound
from likeness.server.access import KeyFirst
from likeness.server.context import Here, Reader, errors
from likeness.server.schemas import ModelAnswer, ModelsAnswer
from likeness.service.models import ModelFacts, all_models, model_facts, names_in_use
from likeness.settings import Settings

router = APIRouter(prefix="/v1/models", route_class=KeyFirst)


@router.get("", response_model=ModelsAnswer, responses=errors())
async def list_models(actor: Reader, here: Here) -> dict[str, Any]:
    """List the models, their licences and figures."""
    settings = here.engine.people.recognizer.settings

    def listed() -> list[dict[str, Any]]:
        used = _used(settings)
        return [_plain(facts, used) for facts in all_models(settings.library())]

    return {"models": await here.wait(here.engine.call(listed))}


@router.get("/{model}", response_model=ModelAnswer, responses=errors(404))
async def show_model(model: Annotated[str, Path(min_length=1, max_length=200)], actor: Reader, here: Here) -> Any:
    """Show one model."""
    settings = here.engine.people.recognizer.settings

    def shown() -> dict[str, Any]:
        library = settings.library()
        if model not in library.names():  # a name from outside must not be taken for a folder
            raise ModelNotFound(f"no model bundle is called {model!r}", hint="GET /v1/models lists them")
        return _plain(model_facts(library, model), _used(settings))

    return await here.wait(here.engine.call(shown))


def _used(settings: Settings) -> set[str]:
    return names_in_use(settings)


def _plain(facts: ModelFacts, used: set[str]) -> dict[str, Any]:
    """Without its folder and the addresses of its parts, which are this machine's."""
    data: dict[str, Any] = {"name": facts.name, "state": facts.state, "in_use": facts.name in used}
    manifest = facts.manifest
    if manifest is not None:
        data |= {"role": manifest.role, "version": manifest.version}
        data |= {"licence": manifest.licence.model_dump(mode="json")}
        data |= {"metrics": [metric.model_dump(mode="json") for metric in manifest.metrics]}
        if manifest.embedding is not None:
            data |= {"space": manifest.embedding.space, "dimension": manifest.embedding.dimension}
    return data
