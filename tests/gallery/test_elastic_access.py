"""Addresses, TLS, keys and versions of clusters, and the vendor's document that the stand-in is held against."""

from __future__ import annotations

import os
import re
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from elastic_contract import Contract, Violation, document_path
from elastic_server import StandIn
from gallery_oracle import DIMENSION, SPACE, new_face, unit
from hypothesis import given
from hypothesis import strategies as st

from likeness.errors import (
    GalleryMissing,
    GalleryUnreachable,
    LikenessError,
    SettingsError,
    StorageFull,
    StorageRefused,
)
from likeness.gallery import open_gallery
from likeness.gallery.elastic import address
from likeness.gallery.elastic.cluster import Cluster

KEY = "c2VjcmV0LWlkOnNlY3JldC1rZXk="


def opened(uri):
    return open_gallery(uri, space=SPACE, dimension=DIMENSION)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for this machine that signs itself, and its key: the paths of two files."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stand-in")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, *plain))
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture(scope="module")
def guarded(certificate):
    """A stand-in that speaks TLS and wants a key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with StandIn(api_key=KEY, tls=context) as server:
        yield server
        assert server.violations == []


def test_over_tls_and_with_a_key_a_gallery_works_and_shows_no_key(guarded, certificate, tmp_path, monkeypatch):
    place = f"elasticsearch+https://:{KEY.replace('=', '%3D')}@{guarded.host}/secret?ca_certs={certificate[0]}"
    with opened(place) as gallery:
        gallery.add([new_face("Ann", 1)])
        assert gallery.search(unit(1)[None], 1)[0][0].name == "Ann"
        assert KEY.rstrip("=") not in str(gallery.info())
    (tmp_path / "key").write_text(KEY + "\n")
    bare = f"elasticsearch+https://{guarded.host}/secret?ca_certs={certificate[0]}"
    with opened(f"{bare}&api_key_file={tmp_path / 'key'}") as gallery:
        assert gallery.info().faces == 1
    monkeypatch.setenv("ELASTIC_API_KEY", KEY)
    with opened(bare) as gallery:
        assert gallery.info().faces == 1


def test_who_has_no_key_or_another_one_is_refused(guarded, certificate, monkeypatch):
    monkeypatch.delenv("ELASTIC_API_KEY", raising=False)
    for account in ("", ":wrong@", "elastic:wrong@"):
        with pytest.raises(StorageRefused, match="nobody of that name or key") as raised:
            opened(f"elasticsearch+https://{account}{guarded.host}/g?ca_certs={certificate[0]}")
        assert "wrong" not in str(raised.value)


def test_a_certificate_that_nobody_vouches_for_is_refused(guarded):
    with pytest.raises(GalleryUnreachable, match="not show a certificate") as raised:
        opened(f"elasticsearch+https://:{KEY.replace('=', '%3D')}@{guarded.host}/g?patience=0.2")
    assert "ca_certs" in raised.value.hint


def test_a_key_does_not_travel_over_the_network_in_the_clear():
    with pytest.raises(SettingsError, match="in the clear"):
        opened("elasticsearch://:key@db.example.org/faces")
    parsed = address.parse("elasticsearch://me:p%40ss@db.example.org/faces?allow_plain=yes", {})
    assert parsed.login == ("me", "p@ss")
    assert "p@ss" not in repr(parsed)
    assert "p%40ss" not in parsed.shown


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("elasticsearch:///faces", "names no host"),
        ("elasticsearch://h/UPPER", "cannot begin"),
        ("elasticsearch://h/a/b", "cannot begin"),
        ("elasticsearch://h/g?shard=2", "no option is called 'shard'"),
        ("elasticsearch://h/g?shards=many", "is a number"),
        ("elasticsearch://h/g?shards=0", "from 1 to"),
        ("elasticsearch://h/g?verify=perhaps", "yes or no"),
        ("elasticsearch://h/g?index=ivf", "is one of"),
        ("elasticsearch://h/g?replicas=all", "is a number, or a range"),
        ("elasticsearch://h:port/g", "no host and port"),
        ("elasticsearch+https://h/g?api_key_file=/nowhere/key", "cannot be read"),
    ],
)
def test_an_address_that_cannot_be_used_says_why(uri, said):
    with pytest.raises(SettingsError) as raised:
        address.parse(uri, {})
    assert said in raised.value.message


def test_an_address_names_several_hosts_and_settings():
    parsed = address.parse(
        "elasticsearch+https://a,b:9201,[::1]/faces?shards=3&verify=no&oversample=2.5", {"ELASTIC_API_KEY": "k"}
    )
    assert parsed.nodes == ("https://a:9200", "https://b:9201", "https://[::1]:9200")
    assert (parsed.prefix, parsed.api_key) == ("faces", "k")
    assert (parsed.options.shards, parsed.options.verify, parsed.options.oversample) == (3, False, 2.5)


@given(st.text(max_size=60))
def test_whatever_stands_in_an_address_is_parsed_or_refused_in_our_words(text):
    try:
        parsed = address.parse(f"elasticsearch://{text}", {})
    except SettingsError:
        return
    assert parsed.nodes


def test_indexes_are_made_as_the_address_says(stand_in):
    with opened(stand_in.address("made", shards=3, replicas=2, index="hnsw", m=24)):
        faces = stand_in.answers.indexes.by_name["made-faces-000001"]
    assert faces.settings == {"number_of_shards": 3, "number_of_replicas": 2}
    vector = faces.mappings["properties"]["vector"]
    assert vector["index_options"] == {"type": "hnsw", "m": 24, "ef_construction": 100}
    assert (vector["dims"], vector["similarity"]) == (DIMENSION, "cosine")
    with opened(stand_in.address("usual")):
        usual = stand_in.answers.indexes.by_name["usual-faces-000001"]
    assert usual.mappings["properties"]["vector"]["index_options"]["type"] == "int8_hnsw"
    assert stand_in.answers.indexes.aliases["usual-faces"] == {"usual-faces-000001"}


def test_a_gallery_is_deleted_with_all_its_indexes_and_no_other(stand_in):
    with opened(stand_in.address("gone")) as gallery, opened(stand_in.address("gone-faces")) as other:
        gallery.add([new_face("Ann", 1)])
        other.add([new_face("Bea", 2)])
        assert gallery.delete() == 5
        with pytest.raises(GalleryMissing):
            gallery.people()
        assert [name for name in stand_in.answers.indexes.by_name if re.fullmatch(r"gone-[a-z]+(-\d+)?", name)] == []
        assert [person.name for person in other.people()] == ["Bea"]
    with pytest.raises(GalleryMissing):
        open_gallery(stand_in.address("gone"), create=False)


def test_a_cluster_before_version_9_is_told_to_be_too_old():
    with StandIn(version="8.17.0") as server, pytest.raises(SettingsError, match="9 or later") as raised:
        opened(server.address())
    assert "upgrade" in raised.value.hint


@pytest.mark.parametrize(
    ("status", "kind", "reason", "error"),
    [
        (429, "cluster_block_exception", "disk usage exceeded flood-stage watermark", StorageFull),
        (403, "security_exception", "action is unauthorized for Ann Lee", StorageRefused),
        (400, "document_parsing_exception", "failed to parse Ann Lee", LikenessError),
    ],
)
def test_what_the_cluster_says_is_put_in_our_words_without_what_it_quotes(status, kind, reason, error):
    import elasticsearch
    from elastic_transport import ApiResponseMeta, HttpHeaders, NodeConfig

    cluster = Cluster(address.parse("elasticsearch://h/g", {}))
    meta = ApiResponseMeta(status, "1.1", HttpHeaders(), 0.1, NodeConfig("http", "h", 9200))
    said = cluster.in_our_words(elasticsearch.ApiError("no", meta, {"error": {"type": kind, "reason": reason}}))
    assert isinstance(said, error)
    assert "Ann Lee" not in str(said)


@pytest.fixture(scope="module")
def contract():
    path = document_path()
    if path is None:
        assert not os.environ.get("CI"), "LIKENESS_SPECS names no folder with the vendor's document"
        pytest.skip("LIKENESS_SPECS names no folder with elasticsearch-openapi.json: requests are not held against it")
    return Contract(path)


@pytest.mark.parametrize(
    ("body", "fine"),
    [
        ({"knn": {"field": "vector", "query_vector": [0.1], "k": 3, "num_candidates": 9}}, True),
        ({"knn": {"field": "vector", "query_vector": [0.1], "k": 3, "candidates": 9}}, False),
        ({"knn": {"query_vector": [0.1], "k": 3}}, False),
        ({"query": {"terms": {"person": ["p"]}}, "size": 3}, True),
        ({"query": {"trems": {"person": ["p"]}}}, False),
        ({"query": {"exists": {"field": "a"}, "ids": {"values": []}}}, False),
        ({"collapse": {"feld": "person"}}, False),
        ({"size": "many"}, False),
    ],
)
def test_the_stand_in_notices_what_the_vendor_does_not_have(contract, body, fine):
    if fine:
        contract.check_request("POST", "/{index}/_search", {"allow_partial_search_results": "false"}, body)
        return
    with pytest.raises(Violation):
        contract.check_request("POST", "/{index}/_search", {}, body)


def test_the_stand_in_notices_strange_calls_and_answers(contract):
    for method, route, query, body in (
        ("POST", "/{index}/_msearch", {}, None),
        ("POST", "/{index}/_search", {"timeot": "1s"}, {}),
        ("PUT", "/_bulk", {}, [{"upsert": {"_index": "a", "_id": "1"}}, {}]),
        ("PUT", "/_bulk", {}, [{"index": {"_index": "a", "_id": "1"}}]),
        ("PUT", "/{index}", {}, {"mappings": {"properties": {"v": {"type": "dense_vector", "dim": 3}}}}),
    ):
        with pytest.raises(Violation):
            contract.check_request(method, route, query, body)
    with pytest.raises(Violation):
        contract.check_answer("POST", "/{index}/_search", 200, {"hits": {"hits": []}})
    contract.check_answer(
        "POST", "/{index}/_count", 200, {"count": 1, "_shards": {"total": 1, "successful": 1, "failed": 0}}
    )
