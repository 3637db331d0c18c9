"""A better model comes into force by exchanging one link; the gallery follows, and the model before it is kept."""

from __future__ import annotations

import hashlib
import shutil
from datetime import UTC, datetime
from pathlib import Path

from likeness.bundle import Bundle, place_folder
from likeness.data.dataset import storage_error
from likeness.errors import Conflict, GalleryMissing
from likeness.flows.home import Home, Model, copy_bundle, offer
from likeness.flows.learn import MEMORY, MODELS
from likeness.flows.order import Facts, Tell
from likeness.flows.waiting import learning_digest
from likeness.flows.work import RECORD, Work
from likeness.recognizer import Recognizer
from likeness.service import open_people
from likeness.service.people import People
from likeness.settings import Settings

ACTOR = "flow:refresh"
MOST_DECLINED = 20


def publish(work: Work) -> Facts:
    """Let the new model be in force if it is better; note that the same need not be tried again if it is not."""
    home, verdict = work.home, work.record.done["judge"]
    state = home.state()
    if state.run == work.record.run and state.phase == "judged":  # exchanged, and killed before that was noted
        return {"published": verdict["better"]}
    if not verdict["better"]:
        learn = work.record.done["learn"]
        if learn["trained"] or learn.get("known"):
            declined = _with(state.declined, learning_digest(home, state))
            told = {"run": work.record.run, "phase": "judged", "declined": declined}
            home.switch(state.model_copy(update=told), home.photos().values())
        return {"published": False}
    model = Model(
        name=work.record.model,
        data=state.data,
        date=datetime.now(UTC).date().isoformat(),
        figures={key: verdict[key] for key in ("figure", "before", "after", "gain", "people")},
        learnt=learning_digest(home, state),
    )
    for made, target in ((MODELS + "/" + model.name, home.bundle(model)), (MEMORY, home.memory(model))):
        _move(work.folder / made, target)
    first = state.models or (_begun(work),)
    offer(home, Path(work.settings.models).expanduser(), work.order.name)
    after = {
        "run": work.record.run,
        "phase": "judged",
        "made": state.made + 1,
        "models": (*first, model),
        "withdrawn": None,
    }
    if not verdict["same_space"]:  # nobody can search meanwhile, so that time must be short
        embed_gallery(work.settings, Bundle.read(home.bundle(model)), work.base, work.tell)
    work.tell.reached("before the exchange")
    home.switch(state.model_copy(update=after), home.photos().values())
    work.tell.reached("after the exchange")
    return {"published": True}


def _begun(work: Work) -> Model:
    """The bundle that the first refresh began with as a model of the folder's own: what can be rolled back to."""
    model = Model(name=f"{work.order.name}-0", data=0, date=datetime.now(UTC).date().isoformat())
    target = work.home.bundle(model)
    if not target.exists():
        place_folder(target, lambda aside: copy_bundle(work.base.folder, aside))
    return model


def embed(work: Work) -> Facts:
    """Embed the gallery by the model that was published."""
    model = work.home.state().model
    if not work.record.done["publish"]["published"] or model is None:
        return {"embedded": 0}
    return embed_gallery(work.settings, Bundle.read(work.home.bundle(model)), work.base, work.tell)


def roll_back(home: Home, settings: Settings, tell: Tell) -> Facts:
    """Let the model before the present one be in force again, and embed the gallery by it.

    The data set stays. What the withdrawn model had learnt is not learnt again, until more photos come or it is
    asked for.

    Raises:
        Conflict: no model is in force, none is kept from before it, or a refresh is unfinished.
    """
    state = home.state()
    if (home.work / RECORD).is_file():
        raise Conflict(
            f"a refresh in {str(home.folder)!r} is not finished", hint="finish it, or drop it with --fresh, before"
        )
    if state.model is None:
        raise Conflict(f"{str(home.folder)!r} has published no model yet: there is nothing to roll back")
    gone, rest = state.model, state.models[:-1]
    if not rest or not home.bundle(rest[-1]).is_dir():
        raise Conflict(
            f"no model from before {gone.name} is kept in {str(home.folder)!r}",
            hint="only one is; the next refresh publishes again",
        )
    told = embed_gallery(settings, Bundle.read(home.bundle(rest[-1])), Bundle.read(home.bundle(gone)), tell)
    tell.reached("before the exchange")
    after = {"phase": "rolled back", "models": rest, "withdrawn": gone, "declined": _with(state.declined, gone.learnt)}
    home.switch(state.model_copy(update=after), home.photos().values())
    return {"withdrawn": gone.name, "in_force": rest[-1].name, **told}


def _with(declined: tuple[str, ...], digest: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*declined, digest)))[-MOST_DECLINED:]


def embed_gallery(settings: Settings, bundle: Bundle, before: Bundle, tell: Tell) -> Facts:
    """Embed the gallery of the settings by another bundle, unless that has been done; one of another model stays.

    Returns:
        How many faces were embedded, and why none was.
    """
    spaces = {each.manifest.embedding.space for each in (bundle, before) if each.manifest.embedding is not None}
    chosen = settings.model_copy(update={"embedder": str(bundle.folder.absolute())})
    try:
        people: People = open_people(
            recognizer=Recognizer(chosen, say=tell.say, threads=1), with_model=False, actor=ACTOR, say=tell.say
        )
    except GalleryMissing:
        return {"embedded": 0, "gallery": "there is none"}
    with people as opened, tell.watch("re-embedding") as progress:
        if opened.gallery.extent().space not in spaces:
            tell.say("The gallery goes with another model: it stays as it is.")
            return {"embedded": 0, "gallery": "it goes with another model"}
        maker = hashlib.sha256(bundle.fingerprint.encode()).hexdigest()[:16]
        try:
            return {"embedded": opened.reembed(maker=maker, progress=progress)}
        except Conflict as error:
            if len(spaces) > 1:
                raise
            tell.say(f"The gallery stays as it is, and can be searched: {error.message}")
            return {"embedded": 0, "gallery": "faces came without a picture"}


def _move(made: Path, target: Path) -> None:
    """Have what was made at its place; where it is there already the work was killed after moving it."""
    try:
        if made.exists():
            shutil.rmtree(target, ignore_errors=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            made.replace(target)
    except OSError as error:
        raise storage_error(error, target) from error
