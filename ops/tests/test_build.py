"""The pieces that a stack is put together from: state folder, secrets, ports, authority, sizes."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st
from workshop import free_port, make_stack, temporary_folder

from slipstream_ops.complaint import Complaint
from slipstream_ops.execution import is_root
from slipstream_ops.layers.contract import EndpointNeed
from slipstream_ops.lifecycle.build import authority, hosts, ports, state
from slipstream_ops.lifecycle.run import leftovers, starting
from slipstream_ops.lifecycle.run.access import ensure_accounts
from slipstream_ops.placement import LAYERS, Host, State, services_on
from slipstream_ops.sizing import WEIGHTS, app_processes, share_of, warnings_for
from slipstream_ops.stack import HostSection
from slipstream_ops.supervision.supervisord import Supervisor

HERE = Host("local", "127.0.0.1", 2, 4 << 30)


# State -------------------------------------------------------------------------------------------------------------


def test_a_long_path_gets_a_short_run_folder(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 90)
    found = state.locate_state(deep)
    assert found.root == deep / ".slipstream"
    assert len(os.fsencode(found.run)) < 60
    assert state.locate_state(deep) == found
    assert state.locate_state(Path("/srv/site")).run == Path("/srv/site/.slipstream/run")


def test_a_folder_of_another_version_is_refused(tmp_path: Path) -> None:
    opened = state.open_state(tmp_path)
    assert state.open_state(tmp_path) == opened
    (opened.root / "version.json").write_text(json.dumps({"layout": 99, "version": "9.9"}))
    with pytest.raises(Complaint, match=r"made by slipstream 9.9 .*Use that version"):
        state.open_state(tmp_path)
    (opened.root / "version.json").write_text("half a fi")
    with pytest.raises(Complaint, match="cannot be understood"):
        state.open_state(tmp_path)


def test_secrets_are_made_once_kept_private_and_never_shown(tmp_path: Path) -> None:
    opened = state.open_state(tmp_path)
    first = state.keep_secrets(opened)
    assert state.keep_secrets(opened) == first
    path = opened.root / "secrets.env"
    assert path.stat().st_mode & 0o777 == 0o600
    assert len({first.cache_password, first.broker_password, first.database_password, first.bypass_secret}) == 4
    assert first.cache_password not in repr(first)
    assert (opened.root / ".gitignore").read_text().splitlines()[-1] == "*"


def test_what_may_be_personal_is_for_its_own_user_alone() -> None:
    with temporary_folder() as folder:
        opened = state.open_state(folder)
        stack = replace(make_stack(folder), state=opened)
        if is_root():
            ensure_accounts()
        services = services_on(stack, stack.hosts[0])
        for service in services:
            starting.make_folders(service, opened)
        kept = [path for service in services for path in service.folders if path.is_relative_to(opened.data)]
        assert kept
        for path in (opened.logs, *kept):
            assert path.stat().st_mode & 0o777 == 0o700, path


def test_only_one_command_changes_a_stack_at_a_time(tmp_path: Path) -> None:
    opened = state.open_state(tmp_path)
    busy = rf"process {os.getpid()} \(starting the stack\) is changing this stack"
    with state.locked(opened, "starting the stack"), pytest.raises(Complaint, match=busy), state.locked(opened, "reloading"):
        raise AssertionError("two commands held the lock")
    with state.locked(opened, "reloading"):
        pass


def test_a_record_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    """As on a full disk: the file beside it cannot be opened."""
    opened = state.open_state(tmp_path)
    (opened.run / ".processes.json.new").mkdir()
    leftovers.write_down(opened, Supervisor(opened))
    assert not (opened.run / "processes.json").exists()


# What a service says when it cannot start --------------------------------------------------------------------------

UNABLE = """\
spawned worker 1
Traceback (most recent call last):
  File "/site/wsgi.py", line 3, in <module>
    application = get_wsgi_application()
RuntimeError: only for DEBUG
no app loaded. GAME OVER
goodbye
"""


def test_the_projects_error_is_quoted_not_what_the_server_says_after_it(tmp_path: Path) -> None:
    log = tmp_path / "app-1.log"
    log.write_text(UNABLE + "one more line\n" * 40)
    quoted = starting.last_words(log)
    assert quoted.startswith("Traceback") and starting.error_in(quoted) == "RuntimeError: only for DEBUG"
    log.write_text("bind: address in use\ngiving up\n")
    assert starting.last_words(log).endswith("giving up")
    assert starting.error_in(starting.last_words(log)) == ""


# Ports -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def opened(tmp_path: Path) -> State:
    return state.open_state(tmp_path)


def test_a_busy_port_is_replaced_and_said(opened: State) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        given = ports.assign([EndpointNeed("edge.https", port, public=True)], HERE, "127.0.0.1", opened, False)
        assert given.endpoints["edge.https"].port != port
        assert f"(pid {os.getpid()})" in given.notes[0]
        again = ports.assign([EndpointNeed("edge.https", port, public=True)], HERE, "127.0.0.1", opened, False)
        assert again.endpoints == given.endpoints, "a remembered port is kept"


def test_a_busy_pinned_port_is_refused_with_its_holder(opened: State) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        with pytest.raises(Complaint, match=rf"pid {os.getpid()}\) already listens there.*--port"):
            ports.assign([EndpointNeed("edge.https", port, pinned=True, public=True)], HERE, "127.0.0.1", opened, False)


def test_a_pinned_port_that_cannot_be_opened_says_why(opened: State) -> None:
    """Nobody holds these; the first is for root alone, the second address (for documentation, RFC 5737) is not here."""
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) > 443:
        effective = os.geteuid()
        if effective == 0:
            os.seteuid(65534)
        try:
            with pytest.raises(Complaint, match="an ordinary user may not open ports under 1024"):
                ports.refuse_pinned("127.0.0.1", EndpointNeed("edge.https", 443, pinned=True, public=True))
        finally:
            os.seteuid(effective)
    with pytest.raises(Complaint, match=r"192.0.2.1 is no address of this machine"):
        ports.refuse_pinned("192.0.2.1", EndpointNeed("edge.https", free_port(), pinned=True, public=True))
    with pytest.raises(Complaint, match=r"192.0.2.1 is no address of this machine"):
        ports.assign([EndpointNeed("edge.https", free_port(), public=True)], HERE, "192.0.2.1", opened, False)


def test_a_running_stack_keeps_its_ports(opened: State) -> None:
    need = EndpointNeed("cache", free_port())
    mine = ports.assign([need], HERE, "127.0.0.1", opened, False).endpoints["cache"].port
    with socket.create_server(("127.0.0.1", mine)):
        assert ports.assign([need], HERE, "127.0.0.1", opened, True).endpoints["cache"].port == mine
        assert ports.assign([need], HERE, "127.0.0.1", opened, False).endpoints["cache"].port != mine


def test_two_stacks_that_start_together_never_choose_the_same_port(tmp_path: Path) -> None:
    preferred = free_port()
    script = f"""
import sys
from pathlib import Path
from slipstream_ops.layers.contract import EndpointNeed
from slipstream_ops.lifecycle.build import ports, state
from slipstream_ops.placement import Host
given = ports.assign([EndpointNeed("a", {preferred}), EndpointNeed("b", {preferred})],
                     Host("local", "127.0.0.1", 1, 1 << 30), "127.0.0.1", state.open_state(Path(sys.argv[1])), False)
print(*(e.port for e in given.endpoints.values()), flush=True)
sys.stdin.read()
"""
    starting = []
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        starting.append(
            subprocess.Popen([sys.executable, "-c", script, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
    chosen = [int(word) for process in starting for word in (process.stdout.readline() if process.stdout else "").split()]
    for process in starting:
        process.communicate()
    assert len(chosen) == len(set(chosen)) == 6


def test_two_needs_never_share_a_port(opened: State) -> None:
    preferred = free_port()
    needs = [EndpointNeed(f"app-{n}", preferred) for n in range(5)]
    given = ports.assign(needs, HERE, "127.0.0.1", opened, False)
    assert len({e.port for e in given.endpoints.values()}) == 5


# The local authority -----------------------------------------------------------------------------------------------


def test_a_certificate_is_believed_once_the_authority_is(tmp_path: Path) -> None:
    folder, current = tmp_path / "authority", tmp_path / "leaf.pem"
    text = authority.certificate_for(["shop.example.org"], folder, current)
    current.write_text(text)
    assert (folder / "authority.key").stat().st_mode & 0o777 == 0o600
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(current)
    client = ssl.create_default_context(cafile=str(folder / "authority.pem"))
    for name in ("shop.example.org", "localhost", "127.0.0.1"):
        shake_hands(server, client, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server, client, "other.example.org")
    assert authority.certificate_for(["shop.example.org"], folder, current) == text, "kept while it fits"
    renewed = authority.certificate_for(["new.example.org"], folder, current)
    assert renewed != text
    authority_certificate = x509.load_pem_x509_certificate((folder / "authority.pem").read_bytes())
    x509.load_pem_x509_certificate(renewed.encode()).verify_directly_issued_by(authority_certificate)


def shake_hands(server_context: ssl.SSLContext, client_context: ssl.SSLContext, name: str) -> None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    client = client_context.wrap_bio(to_client, to_server, server_hostname=name)
    for _ in range(3):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    client.getpeercert()
    assert client.version() == "TLSv1.3"


def test_a_broken_authority_is_a_sentence(tmp_path: Path) -> None:
    authority.keep_authority(tmp_path)
    (tmp_path / "authority.key").write_text("nothing")
    with pytest.raises(Complaint, match="Remove that folder"):
        authority.certificate_for(["localhost"], tmp_path, tmp_path / "leaf.pem")


# Sizes -------------------------------------------------------------------------------------------------------------


@given(st.integers(1 << 28, 1 << 38), st.sets(st.sampled_from(sorted(WEIGHTS)), min_size=1))
def test_shares_never_exceed_the_budget(memory: int, layers: set[str]) -> None:
    host = Host("h", "10.0.0.1", 4, memory, frozenset(layers))
    shares = [share_of(host, layer).bytes for layer in LAYERS]
    assert sum(shares) <= memory
    assert all(share_of(host, layer).bytes > 0 for layer in layers)


def test_what_is_written_wins_and_a_host_of_its_own_is_used_whole() -> None:
    assert share_of(HERE, "cache", 123).bytes == 123
    alone = Host("db", "10.0.0.2", 8, 64 << 30, frozenset({"database"}))
    assert share_of(alone, "database").bytes == 64 << 30


@pytest.mark.parametrize(
    ("cores", "layers", "instances", "each"),
    [(2, LAYERS, 2, 2), (8, LAYERS, 2, 5), (4, ("appserver", "application"), 2, 4), (1, LAYERS, 2, 1), (4, LAYERS, 1, 5)],
)
def test_processes_follow_the_cores(cores: int, layers: tuple[str, ...], instances: int, each: int) -> None:
    host = Host("h", "10.0.0.1", cores, 8 << 30, frozenset(layers))
    assert app_processes(host, None, instances).value == each
    assert app_processes(host, 7, instances).value == 7


def test_little_memory_is_warned_of() -> None:
    assert warnings_for([Host("h", "127.0.0.1", 1, 512 << 20)])
    assert not warnings_for([HERE])


def test_this_machine_within_its_control_group() -> None:
    found = hosts.this_machine(HostSection())
    assert 0 < found.memory_bytes <= hosts.machine_memory()
    assert hosts.this_machine(HostSection(memory=1 << 30, cores=3)) == Host(
        "local", "127.0.0.1", 3, 1 << 30, frozenset(LAYERS), os.geteuid() == 0
    )
