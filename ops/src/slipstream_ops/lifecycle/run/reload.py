"""``reload``: new code, settings and configuration without a lost request; what fails on the way leaves the old site running."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slipstream_ops.complaint import Complaint
from slipstream_ops.layers.contract import Action, Service
from slipstream_ops.lifecycle.build import state as states
from slipstream_ops.lifecycle.build.assemble import Assembled, Wishes, assemble, locate
from slipstream_ops.lifecycle.run import acting, leftovers, starting, up
from slipstream_ops.placement import START_ORDER, Host, Stack, State, product_named, products_on, services_on
from slipstream_ops.supervision.supervisord import Supervisor

Say = Callable[[str], None]


def running_supervisor(state: State, doing: str) -> Supervisor:
    """The process manager of a running stack. Raises ``Complaint`` when none runs."""
    supervisor = Supervisor(state)
    if supervisor.pid is None:
        raise Complaint(doing, "the stack is not running", "Start it with `slipstream up`")
    return supervisor


def reload_everything(wishes: Wishes, say: Say) -> Assembled:
    """Render anew, check, migrate what slipstream made, collect static files, then reload layer by layer."""
    root, _ = locate(wishes)
    state = states.locate_state(root)
    supervisor = running_supervisor(state, "reloading the stack")
    with states.locked(state, "reloading the stack"):
        assembled = assemble(wishes, is_running=True)
        stack, host = assembled.stack, assembled.host
        up.prepare_host(assembled, say)
        up.prepare_files(stack, host, say)
        up.prepare_application(stack, host, False, say)
        up.keep_error_pages(stack, host, say)
        changed = take_over_services(stack, host, supervisor, say)
        for layer in START_ORDER:
            reload_layer(stack, host, layer, supervisor, changed, say)
        leftovers.write_down(state, supervisor)
    return assembled


def take_over_services(stack: Stack, host: Host, supervisor: Supervisor, say: Say) -> set[str]:
    """Services that are new are started, those that are gone are stopped; names of those whose command changed are returned."""
    added, changed, removed = supervisor.read_configuration()
    services = {service.name: service for service in services_on(stack, host)}
    for name in removed:
        say(f"  {name} is gone from the stack")
        supervisor.remove(name)
    for name in added:
        supervisor.add(name)
        starting.start_service(services[name], stack.state, supervisor, lambda started: say(f"  {started} is new and healthy"))
    return set(changed)


def reload_layer(stack: Stack, host: Host, layer: str, supervisor: Supervisor, changed: set[str], say: Say) -> None:
    """Reload the layer's services: by the product's own graceful way, or by a restart behind a drained balancer."""
    server = stack.server_of(layer)
    if server is None or layer not in host.layers:
        return
    product = product_named(layer, server)
    services = {service.name: service for service in product.services(stack, host)}
    replaced = [name for name in services if name in changed]
    for name in replaced:
        replace_service(stack, host, services[name], supervisor)
    if len(replaced) < len(services):
        acting.carry_out(product.reload(stack, host), services.values(), stack.state, supervisor)
        for service in services.values():
            if service.name not in replaced:
                starting.await_health(service, supervisor, stack.state.logs / f"{service.name}.log")
    if services:
        say(f"  {layer} reloaded")


def replace_service(stack: Stack, host: Host, service: Service, supervisor: Supervisor) -> None:
    """Restart a service whose command or environment changed; an app server is drained at the edge first."""
    acting.carry_out(balancer_actions(stack, host, "drain", service), (), stack.state, supervisor)
    supervisor.remove(service.name)
    supervisor.add(service.name)
    starting.start_service(service, stack.state, supervisor)
    acting.carry_out(balancer_actions(stack, host, "ready", service), (), stack.state, supervisor)


def balancer_actions(stack: Stack, host: Host, verb: str, service: Service) -> tuple[Action, ...]:
    """What the edge does to take an app server out of turn ("drain") or back in ("ready"); nothing for other layers."""
    if service.layer != "appserver":
        return ()
    edge: Any = next((product for layer, product in products_on(stack, host) if layer == "edge"), None)
    if edge is None or not hasattr(edge, verb):
        return ()
    actions: tuple[Action, ...] = getattr(edge, verb)(stack, host, service.name)
    return actions


def restart_one(wishes: Wishes, name: str) -> Service:
    """Stop and start one service, an app server behind a drained balancer. Raises ``Complaint`` for an unknown name."""
    from slipstream_ops.complaint import nearest

    root, _ = locate(wishes)
    state = states.locate_state(root)
    supervisor = running_supervisor(state, f"restarting {name}")
    with states.locked(state, f"restarting {name}"):
        assembled = assemble(wishes, is_running=True)
        stack, host = assembled.stack, assembled.host
        services = {service.name: service for service in services_on(stack, host)}
        if name not in services:
            guess = nearest(name, services)
            hint = f'Did you mean "{guess}"?' if guess else "Services: " + ", ".join(services)
            raise Complaint(f"restarting {name}", "there is no such service", hint)
        service = services[name]
        acting.carry_out(balancer_actions(stack, host, "drain", service), (), state, supervisor)
        acting.restart_service(service, state, supervisor)
        acting.carry_out(balancer_actions(stack, host, "ready", service), (), state, supervisor)
        leftovers.write_down(state, supervisor)
    return service
