"""Caches and brokers that others run: whether they answer, let us in, and are who they say they are."""

from __future__ import annotations

import datetime
import ipaddress
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from contract_suite import ProductContract
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from workshop import free_port, make_stack, running_layers, temporary_folder

from slipstream_ops import execution
from slipstream_ops.complaint import Complaint
from slipstream_ops.layers.cache import external
from slipstream_ops.layers.cache import redis as own
from slipstream_ops.layers.cache.vitals import CacheVitals
from slipstream_ops.layers.contract import Exchange
from slipstream_ops.placement import Stack

LAYERS = frozenset({"cache", "broker"})


class TestCacheExternal(ProductContract):
    layer, server = "cache", "external"
    config = {"cache": {"server": "external", "urls": ["redis://:p@127.0.0.1:1/0"]}}
    recorded, vitals_type = "redis-cache.txt", CacheVitals

    def make_stack(self, folder: Path) -> Stack:
        return make_stack(folder, self.config, layers=LAYERS)

    def assert_recorded(self, vitals: Any) -> None:
        assert vitals.keys == 3

    def test_starts_answers_tells_its_vitals_reloads_and_stops(self, stack: Stack) -> None:
        """Nothing of it is started: the tests below ask one that runs."""
        assert external.services(stack, stack.hosts[0]) == ()


@pytest.fixture
def running_cache() -> Iterator[Stack]:
    with temporary_folder() as folder:
        stack = make_stack(folder, layers=LAYERS)
        with running_layers(stack, "cache"):
            yield stack


def with_urls(folder: Path, *urls: str) -> Stack:
    return make_stack(folder, {"cache": {"server": "external", "urls": list(urls)}}, layers=LAYERS)


def faults(stack: Stack) -> list[str | None]:
    return [execution.find_fault(wait.probe) for wait in external.preflight(stack, stack.hosts[0])]


def test_it_is_asked_with_its_password(running_cache: Stack) -> None:
    endpoint, (unix_url,) = running_cache.endpoint("cache"), own.offer(running_cache, running_cache.hosts[0])["urls"]
    with temporary_folder() as folder:
        good = f"redis://:{running_cache.secrets.cache_password}@{endpoint.netloc}/0"
        bad = f"redis://default:wrong@{endpoint.netloc}/0"
        stack = with_urls(folder, good, bad, f"redis://127.0.0.1:{free_port()}", unix_url)
        right, wrong, nobody, by_socket = faults(stack)
        assert right is None and by_socket is None
        assert wrong and "WRONGPASS" in wrong
        assert nobody and "refused" in nobody
        assert external.offer(stack, stack.hosts[0])["urls"][0] == good
        sources = external.vitals_sources(stack, stack.hosts[0])
        assert [source.service for source in sources] == ["cache", "cache-2", "cache-3", "cache-4"]
        assert isinstance(sources[0].ask, Exchange)
        assert external.parse(execution.exchange(sources[0].ask).decode()).clients == 1


@pytest.mark.parametrize("url", ["memcached://:hidden@10.0.0.1", "redis://", "redis://:hidden@host:port/0", "unix://:hidden@"])
def test_what_is_no_address_is_refused_without_showing_the_password(url: str) -> None:
    with temporary_folder() as folder:
        stack = with_urls(folder, url)
        with pytest.raises(Complaint, match="is not the URL of a Redis server") as caught:
            external.preflight(stack, stack.hosts[0])
        assert "hidden" not in str(caught.value)


def make_certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def test_over_tls_it_must_be_who_it_says_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with temporary_folder() as folder:
        make_certificate(folder)
        port = free_port()
        tls = ("--tls-cert-file", "certificate.pem", "--tls-key-file", "key.pem", "--tls-auth-clients", "no", "--save", "")
        process = subprocess.Popen(
            ["redis-server", "--port", "0", "--bind", "127.0.0.1", "--tls-port", str(port), "--requirepass", "secret", *tls],
            cwd=folder,
            env={**os.environ, "PATH": execution.search_path()},
            stdout=subprocess.DEVNULL,
        )
        try:
            stack = with_urls(folder, f"rediss://:secret@127.0.0.1:{port}/0")
            (wait,) = external.preflight(stack, stack.hosts[0])

            def is_starting() -> bool:
                return "refused" in str(execution.find_fault(wait.probe))

            execution.wait_for(wait.probe, 10, may_go_on=is_starting)
            fault = execution.find_fault(wait.probe)
            assert fault and "CERTIFICATE_VERIFY_FAILED" in fault
            monkeypatch.setenv("SSL_CERT_FILE", str(folder / "certificate.pem"))
            assert faults(stack) == [None]
            # The tool gives no password to a server that may be anybody, though the project may want to.
            assert external.preflight(with_urls(folder, f"rediss://:secret@127.0.0.1:{port}/0?ssl_cert_reqs=none"), None) == ()
        finally:
            process.kill()
            process.wait()
