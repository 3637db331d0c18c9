"""A photo's way through the steps: to one answer, whatever happens on the way."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from likeness.cli import run
from likeness.errors import QueueUnavailable
from likeness.intake.answers import photo_dict
from likeness.intake.housekeeping import House
from likeness.intake.records import Arrival
from likeness.intake.steps import Bury, Done, Retry
from likeness.service import FoundPhoto
from likeness.storage import open_storage
from redis_server import RedisServer


def answers(pipeline, job) -> list[dict]:
    return photo_dict(pipeline.records, pipeline.records.of_job(job.id))


def left(pipeline) -> dict[str, int]:
    depths = {name: queue.depth() for name, queue in pipeline.queues.items()}
    return {name: d.ready + d.waiting + d.leased for name, d in depths.items()}


def test_a_photo_that_is_sent_gets_the_answer_that_asking_at_once_gives(pipeline, people, group):
    job = pipeline.send(group)
    pipeline.drain()
    [photo] = answers(pipeline, job)
    [asked] = people.identify([FoundPhoto("group.jpg", data=group)])
    assert len(asked.answers) > 3
    assert photo["answers"] == [answer.as_dict() for answer in asked.answers]
    assert photo["answers"][0]["face"]["age"]
    assert photo["state"] == "done"
    ended = pipeline.records.job(job.id)
    assert (ended.state, ended.done, ended.failed) == ("done", 1, 0)


def test_nothing_of_a_photo_is_left_in_spool_or_queues_once_it_is_answered(pipeline, group):
    pipeline.send(group, b"no photo")
    pipeline.drain()
    assert list(pipeline.spool.list()) == []
    assert left(pipeline) == {"detect": 0, "identify": 0, "enrol": 0, "tell": 0}


def test_photos_that_the_queue_does_not_take_leave_nothing_behind(make_pipeline, group, tmp_path):
    server = RedisServer(tmp_path)
    pipeline = make_pipeline(queue=server.uri)
    server.kill()
    with pytest.raises(QueueUnavailable):
        pipeline.send(group, group)
    [job] = pipeline.records.jobs()
    assert (job.state, job.failed) == ("cancelled", 2)
    assert list(pipeline.spool.list()) == []


def test_the_same_photo_twice_is_one_result_and_is_looked_at_once(pipeline, group):
    first = pipeline.send(group)
    pipeline.drain()
    second = pipeline.send(group)
    pipeline.drain()
    [one], [two] = answers(pipeline, first), answers(pipeline, second)
    assert one["answers"] == two["answers"]
    assert one["answered_at"] == two["answered_at"]
    assert sum(count for step, _, count in pipeline.notes if step == "identify") == 1


def test_a_photo_is_answered_anew_where_that_is_asked_for(pipeline, people, group, names):
    first = pipeline.send(group)
    pipeline.drain()
    named = {a["person"]["name"] for a in answers(pipeline, first)[0]["answers"] if a["person"]}
    people.rename(sorted(named)[0], "Somebody Else")
    second = pipeline.send(group, again=True)
    pipeline.drain()
    renamed = {a["person"]["name"] for a in answers(pipeline, second)[0]["answers"] if a["person"]}
    assert "Somebody Else" in renamed
    assert "Somebody Else" not in named


@pytest.mark.parametrize(
    ("data", "code"), [(b"", "photo_empty"), (b"no photo at all", "photo_unsupported"), (b"\xff\xd8\xff\xe0", "photo_")]
)
def test_what_is_no_photo_fails_with_its_reason_and_leaves_a_dead_letter_that_says_it(pipeline, data, code):
    job = pipeline.send(data)
    pipeline.drain()
    [photo] = answers(pipeline, job)
    assert photo["state"] == "failed"
    assert photo["error"]["code"].startswith(code)
    [letter] = pipeline.queues["detect"].dead()
    assert letter.reason == photo["error"]["message"]
    assert pipeline.records.job(job.id).state == "done"


def test_a_photo_without_faces_is_answered_with_none(pipeline, samples):
    job = pipeline.send((samples / "landscape.jpg").read_bytes())
    pipeline.drain()
    [photo] = answers(pipeline, job)
    assert (photo["state"], photo["answers"]) == ("done", [])


def test_a_file_that_arrives_in_a_storage_is_answered_and_stays_there(pipeline, tmp_path, group, samples):
    (tmp_path / "in box").mkdir()
    file = tmp_path / "in box" / "a photo+1.jpg"
    file.write_bytes(group)
    uri = open_storage(tmp_path / "in box").uri_of("a photo+1.jpg")
    pipeline.queues["detect"].send([{"uri": uri}, {"uri": uri.replace("photo", "missing")}])
    pipeline.drain()
    assert pipeline.records.counts() == {"done": 1, "failed": 1}
    assert file.read_bytes() == group
    [letter] = pipeline.queues["detect"].dead()
    assert letter.body["uri"].count("missing") == 1


def test_a_photo_that_arrives_with_a_name_is_enrolled(pipeline, people, samples, tmp_path):
    (tmp_path / "box").mkdir()
    (tmp_path / "box" / "new.jpg").write_bytes((samples / "probes" / "stranger_1.jpg").read_bytes())
    pipeline.queues["detect"].send([{"uri": open_storage(tmp_path / "box").uri_of("new.jpg"), "name": "New Person"}])
    pipeline.drain()
    assert people.show("New Person")["faces"] == 1
    assert pipeline.records.counts() == {"done": 1}


def test_a_message_that_means_nothing_is_buried_with_what_it_said(pipeline):
    pipeline.queues["detect"].send([{"something": "else"}, {"arrival": "unknown"}])
    pipeline.drain()
    reasons = {letter.reason for letter in pipeline.queues["detect"].dead()}
    assert any("something" in reason for reason in reasons)
    assert any("know nothing" in reason for reason in reasons)


@pytest.mark.parametrize("kept", ["sent", "acknowledged"])
def test_a_worker_killed_before_it_sends_or_acknowledges_is_made_good_by_the_next(pipeline, group, kept):
    """What is written down is done, with its messages neither sent nor acknowledged; then the lease ends."""
    job = pipeline.send(group)
    working = pipeline.worker()
    for step in working.steps[:2]:
        queue = pipeline.queues[step.name]
        messages = queue.receive(8, lease_s=0.2)
        [outcome] = step.handle(messages)
        assert isinstance(outcome, Done)
        if kept == "sent":
            for name, body in outcome.then:
                pipeline.queues[name].send([body])
        if step.name == "detect" and kept == "acknowledged":
            pipeline.queues["identify"].send([body for _, body in outcome.then])
    working.close()
    threading.Event().wait(0.3)
    pipeline.drain()
    [photo] = answers(pipeline, job)
    assert photo["state"] == "done"
    assert len(photo["answers"]) > 3
    assert left(pipeline) == {"detect": 0, "identify": 0, "enrol": 0, "tell": 0}


def test_a_dead_letter_is_left_even_where_the_worker_was_killed_after_it_wrote_the_failure_down(pipeline):
    job = pipeline.send(b"no photo")
    working = pipeline.worker(["detect"])
    [outcome] = working.steps[0].handle(pipeline.queues["detect"].receive(8, lease_s=0.2))
    assert isinstance(outcome, Bury)
    working.close()
    threading.Event().wait(0.3)
    pipeline.drain()
    [letter] = pipeline.queues["detect"].dead()
    assert letter.reason == answers(pipeline, job)[0]["error"]["message"]


@pytest.mark.parametrize("name", [None, "New Person"])
def test_a_dead_letter_that_is_revived_gets_its_answer_where_the_photo_is_there_by_then(
    pipeline, samples, tmp_path, name
):
    (tmp_path / "box").mkdir()
    uri = open_storage(tmp_path / "box").uri_of("late.jpg")
    pipeline.queues["detect"].send([{"uri": uri} | ({"name": name} if name else {})])
    pipeline.drain()
    assert pipeline.records.counts() == {"failed": 1}
    (tmp_path / "box" / "late.jpg").write_bytes((samples / "probes" / "stranger_1.jpg").read_bytes())
    assert pipeline.queues["detect"].revive() == 1
    pipeline.drain()
    assert pipeline.records.counts() == {"done": 1}
    assert pipeline.queues["detect"].dead() == []


def test_a_worker_that_does_both_looks_at_what_it_cut_out_without_the_spool(pipeline, group):
    job = pipeline.send(group)
    working = pipeline.worker(["detect", "identify"])
    assert working._once(working.steps[0], 0.0)
    assert answers(pipeline, job)[0]["state"] == "done"
    assert pipeline.queues["identify"].depth().ready == 0
    assert [(step, count) for step, _, count in pipeline.notes] == [("identify", 1), ("detect", 1)]
    working.close()


def test_what_cannot_be_looked_at_now_lies_in_the_spool_for_another_time(pipeline, group):
    first, second = pipeline.send(group), pipeline.send(group + b"\0")
    working = pipeline.worker(["detect", "identify"])
    working.shop.people.gallery.close()
    assert working._once(working.steps[0], 0.0)
    assert len(list(pipeline.spool.list("faces/"))) == 2
    assert pipeline.queues["identify"].depth().ready == 2
    assert pipeline.queues["detect"].depth().ready == pipeline.queues["detect"].depth().leased == 0
    working.close()
    pipeline.drain()
    for job in (first, second):
        assert len(answers(pipeline, job)[0]["answers"]) > 3
    assert list(pipeline.spool.list()) == []


def test_cut_out_faces_that_are_lost_or_damaged_are_cut_out_anew(pipeline, group):
    lost, damaged = pipeline.send(group), pipeline.send(group + b"\0")
    pipeline.drain(["detect"])
    files = sorted(found.key for found in pipeline.spool.list("faces/"))
    assert len(files) == 2
    pipeline.spool.delete(files[0])
    pipeline.spool.write(files[1], b"half a file")
    pipeline.drain()
    for job in (lost, damaged):
        assert len(answers(pipeline, job)[0]["answers"]) > 3


def test_faces_cut_out_for_other_models_wait_for_a_worker_that_has_them(make_pipeline, group):
    pipeline = make_pipeline()
    pipeline.send(group)
    pipeline.drain(["detect"])
    other = make_pipeline(attributes="none")
    del other.recognizer.__dict__["teller"], other.recognizer.__dict__["attribute_network"]
    working = other.worker(["identify"])
    [outcome] = working.steps[0].handle(other.queues["identify"].receive(1))
    assert isinstance(outcome, Retry)
    assert "other models" in outcome.reason
    working.close()


def test_a_person_who_is_erased_leaves_no_answer_that_names_them(pipeline, people, group):
    job = pipeline.send(group)
    pipeline.drain()
    candidates = {c["person_id"] for a in answers(pipeline, job)[0]["answers"] for c in a["candidates"]}
    assert pipeline.records.forget_person(sorted(candidates)[0]) == 1
    [photo] = answers(pipeline, job)
    assert photo["state"] == "erased"
    assert "answers" not in photo
    assert pipeline.records.forget_person(sorted(candidates)[0]) == 0


def test_the_command_that_erases_a_person_reaches_answers_also_under_a_name_merged_into_theirs(
    pipeline, people, group, monkeypatch
):
    job = pipeline.send(group)
    pipeline.drain()
    found = answers(pipeline, job)[0]["answers"][0]["candidates"][0]["person_id"]
    for name in ("gallery", "records"):
        monkeypatch.setenv(f"LIKENESS_{name.upper()}", getattr(pipeline.settings, name))
    other = next(person for person in people.find() if person.id != found)
    assert run(["people", "merge", found, other.id]) == 0
    assert answers(pipeline, job)[0]["state"] == "done"
    assert run(["people", "forget", other.id, "--yes"]) == 0
    [photo] = answers(pipeline, job)
    assert (photo["state"], "answers" in photo) == ("erased", False)


def test_the_command_that_erases_a_person_reaches_what_came_under_their_former_name(
    pipeline, people, names, monkeypatch
):
    for name in ("gallery", "records"):
        monkeypatch.setenv(f"LIKENESS_{name.upper()}", getattr(pipeline.settings, name))
    pipeline.records.note(Arrival("a0", "file:///in/0.jpg", "waiting", name=names[0]))
    assert run(["people", "rename", names[0], "Somebody Renamed"]) == 0
    assert run(["people", "forget", "Somebody Renamed", "--yes"]) == 0
    assert pipeline.records.arrivals(["a0"]) == {}


def test_a_job_that_is_cancelled_gets_no_further_answers(pipeline, group):
    job = pipeline.send(group)
    pipeline.records.cancel(job.id)
    pipeline.drain()
    assert pipeline.records.job(job.id).state == "cancelled"
    assert answers(pipeline, job)[0]["error"]["code"] == "cancelled"
    assert list(pipeline.spool.list()) == []


def tidy(working) -> None:
    House(working.shop, working.queues, working.steps, working._send).tidy()


@pytest.mark.parametrize("kind", ["a photo that was sent", "an event of a storage"])
def test_a_message_that_died_without_a_word_fails_its_photo(pipeline, group, kind):
    if kind == "a photo that was sent":
        pipeline.send(group)
    else:
        pipeline.queues["detect"].send([{"uri": "file:///photos/1.jpg"}])
    for _ in range(5):
        pipeline.queues["detect"].receive(1, lease_s=0.01)
        threading.Event().wait(0.03)
    working = pipeline.worker()
    tidy(working)
    working.close()
    assert pipeline.records.counts() == {"failed": 1}
    assert not [path for path in Path(pipeline.settings.spool).rglob("*") if path.is_file()]


def test_dead_letters_and_what_nobody_answered_go_with_their_time(make_pipeline, group):
    pipeline = make_pipeline(arrivals_keep_days=1e-6)
    job = pipeline.send(group)
    pipeline.queues["identify"].send([{"uri": "file:///photos/anna.jpg"}])
    [message] = pipeline.queues["identify"].receive(1)
    pipeline.queues["identify"].bury(message, "of no use")
    threading.Event().wait(0.2)
    working = pipeline.worker()
    tidy(working)
    assert pipeline.queues["identify"].dead() == []
    assert list(pipeline.spool.list()) == []
    threading.Event().wait(0.2)
    tidy(working)
    working.close()
    assert pipeline.records.counts() == {}
    assert pipeline.records.jobs() == []
    assert job.total == 1


def test_photos_wait_while_the_place_where_they_lie_is_away(pipeline, group, tmp_path):
    box, elsewhere = tmp_path / "box", tmp_path / "elsewhere"
    box.mkdir()
    (box / "photo.jpg").write_bytes(group)
    uri = open_storage(box).uri_of("photo.jpg")
    box.rename(elsewhere)  # as an unmounted disk
    pipeline.queues["detect"].send([{"uri": uri}])
    working = pipeline.worker(["detect"])
    [outcome] = working.steps[0].handle(pipeline.queues["detect"].receive(1, lease_s=0.1))
    working.close()
    assert isinstance(outcome, Retry)
    elsewhere.rename(box)
    threading.Event().wait(0.2)
    pipeline.drain()
    assert pipeline.records.counts() == {"done": 1}


def test_an_answer_about_somebody_who_was_erased_meanwhile_is_erased(pipeline, people, group, names):
    job = pipeline.send(group)
    pipeline.drain(["detect"])
    working = pipeline.worker(["identify"])
    gallery, find = working.shop.people.gallery, working.shop.people.identify_together

    def found_then_erased(asked):
        found = find(asked)
        person = next(answer.match.person_id for each in found for answer in each.answers if answer.match)
        gallery.remove(person)
        return found

    working.shop.people.identify_together = found_then_erased
    assert working._once(working.steps[0], 0.0)
    working.close()
    [photo] = answers(pipeline, job)
    assert photo["state"] == "erased"
    assert "answers" not in photo
