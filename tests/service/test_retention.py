"""Retention and consent: who is due is erased, who has no consent is not enrolled where the settings want one."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from likeness.errors import InputError, PersonNotFound, StorageUnreachable
from likeness.recognizer import Recognizer
from likeness.service import EnrolOptions, FoundPhoto, People
from likeness.service.consent import state_consent, withdraw_consent
from likeness.service.elsewhere import Elsewhere
from likeness.service.purging import due, purge, today
from likeness.types import Consent

DAY = timedelta(days=1)


def keep_until(people, name, day):
    return people.gallery.update(people.gallery.person(name).id, retain_until=day)


def test_who_is_due_is_erased_and_nobody_else(people, names):
    keep_until(people, names[0], today() - 3 * DAY)
    keep_until(people, names[1], today() - 9 * DAY)
    keep_until(people, names[2], today())
    keep_until(people, names[3], today() + DAY)
    assert [person.name for person in due(people)] == [names[1], names[0]]
    assert [person.name for person in due(people, today() - 3 * DAY)] == [names[1]]
    fates = list(purge(people))
    assert [fate.as_dict()["outcome"] for fate in fates] == ["erased", "erased"]
    assert [person.name for person in people.find()] == names[2:]
    line = people.gallery.events()[-1]
    assert (line.action, line.details["due"], line.details["erased"], line.details["failed"]) == ("purge", 2, 2, 0)
    assert not any(name in str(fate.as_dict()) for fate in fates for name in names[:2])
    assert list(purge(people)) == []


def test_nobody_is_erased_before_their_day(people, names):
    keep_until(people, names[0], today() + DAY)
    assert [person.name for person in due(people, today() + 2 * DAY)] == [names[0]]
    with pytest.raises(InputError, match="yet to come"):
        list(purge(people, today() + 2 * DAY))
    assert people.gallery.person(names[0]).faces


def test_one_who_cannot_be_erased_keeps_nobody_else_and_is_tried_again(people, names):
    for name in names[:3]:
        keep_until(people, name, today() - DAY)
    hard = people.gallery.person(names[1]).id

    class Away(Elsewhere):
        def erase(self, person):
            if person.id == hard:
                raise StorageUnreachable("the answers of workers cannot be reached")

    people.elsewhere = Away()
    fates = {fate.person.id: fate for fate in purge(people)}
    assert fates[hard].as_dict()["error"]["code"] == "storage_unreachable"
    assert sorted(fate.as_dict()["outcome"] for fate in fates.values()) == ["erased", "erased", "failed"]
    assert people.gallery.events()[-1].details["failed"] == 1
    people.elsewhere = Elsewhere()
    assert [fate.person.id for fate in purge(people) if fate.forgotten] == [hard]


def test_a_purge_that_is_stopped_goes_on_later(people, names):
    for name in names[:3]:
        keep_until(people, name, today() - DAY)
    first = []
    first += purge(people, stop=lambda: bool(first))
    some = purge(people, stop=lambda: False)
    next(some)
    some.close()
    assert people.gallery.events()[-1].action == "purge"
    assert len(list(people.find())) < len(names)
    list(purge(people))
    assert [person.name for person in people.find()] == names[3:]


def test_consent_that_is_taken_back_lets_the_next_purge_erase(people, names):
    stated = state_consent(people, names[0], "signed a form", "front desk", today() + 30 * DAY)
    assert (stated.consent.basis, stated.consent.source) == ("signed a form", "front desk")
    assert due(people) == []
    withdrawn = withdraw_consent(people, names[0])
    assert (withdrawn.consent, withdrawn.retain_until) == (None, today() - DAY)
    assert [event.action for event in people.gallery.events()[-2:]] == ["consent", "withdraw-consent"]
    assert [fate.person.name for fate in purge(people)] == [names[0]]
    with pytest.raises(InputError):
        state_consent(people, names[1], "  ")
    with pytest.raises(InputError, match="has passed"):
        state_consent(people, names[1], "form", "", date(2020, 1, 1))
    with pytest.raises(PersonNotFound):
        withdraw_consent(people, "Nobody At All")


def test_who_consents_again_is_not_due_any_more(people, names):
    withdraw_consent(people, names[0])
    assert state_consent(people, names[0], "signed again").retain_until is None
    assert due(people) == []
    keep_until(people, names[2], today() + DAY)
    assert state_consent(people, names[2], "signed").retain_until == today() + DAY, "a day to come stays"


def test_who_was_given_more_time_while_others_were_erased_is_not_erased(people, names):
    for number, name in enumerate(names[:2]):
        keep_until(people, name, today() - (2 - number) * DAY)
    running = purge(people)
    assert next(running).person.name == names[0]
    keep_until(people, names[1], today() + DAY)
    assert list(running) == []
    assert people.gallery.person(names[1]).faces


def test_where_it_is_required_nobody_is_enrolled_without_consent(people, recognizer, samples, names):
    settings = recognizer.settings.model_copy(update={"require_consent": True})
    strict = People(people.gallery, Recognizer(settings), actor="tests")
    photo = str(samples / "people" / names[0].replace(" ", "_"))
    picture = sorted(str(path) for path in Path(photo).iterdir())[0]
    agreed = EnrolOptions(consent=Consent("signed", people.gallery.person(names[0]).created_at))

    def outcome(name, options=None):
        (only,) = strict.enroll([FoundPhoto(picture, name)], options)
        return only.status if only.error is None else only.error["code"]

    people.forget(names[0])
    assert outcome("Somebody New") == "consent_missing"
    assert outcome("Somebody New") == "consent_missing", "it is asked anew each time"
    assert outcome("Somebody New", agreed) == "added"
    assert outcome("Somebody New", EnrolOptions(again=True)) == "duplicate", "whose consent is on record"
    withdraw_consent(people, "Somebody New")
    assert outcome("Somebody New") == "consent_missing"
