"""Installs the Debian packages that the suite needs beside those of the default stack; their services are kept from starting."""

from __future__ import annotations

import sys

from slipstream_ops.complaint import Complaint
from slipstream_ops.execution import is_root
from slipstream_ops.layers.contract import Requirement
from slipstream_ops.lifecycle.build import installing, requirements
from slipstream_ops.placement import LAYERS, product_named
from slipstream_ops.stack import available_servers

TOOLS = (
    Requirement("runuser", "util-linux"),
    Requirement("setpriv", "util-linux"),
    Requirement("getfacl", "acl"),
    Requirement("wrk", "wrk"),  # load for the benches
)


def main() -> None:
    products = [product_named(layer, server) for layer in LAYERS for server in available_servers(layer)]
    needed = [*TOOLS, *(requirement for product in products for requirement in product.REQUIREMENTS)]
    missing = requirements.missing(needed)
    if not missing:
        return
    packages = requirements.packages_of(missing)
    if not is_root():
        sys.exit("The suite runs as root (some tests start services as several users): sudo make test")
    print("Installing", *packages, flush=True)
    installing.install_packages(packages)
    if still := requirements.missing(needed):
        sys.exit(f"Still missing after the installation: {', '.join(r.binary for r in still)}")


if __name__ == "__main__":
    try:
        main()
    except Complaint as complaint:
        sys.exit(f"{complaint}\n{complaint.detail}")
