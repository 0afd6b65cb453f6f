"""The protocol is pure: it can be imported, and so explored, where no Django is."""

import subprocess
import sys

IMPORT_ALL = """
import pkgutil, sys
import slipstream.freshness.protocol as protocol
for module in pkgutil.iter_modules(protocol.__path__, protocol.__name__ + "."):
    __import__(module.name)
print(*sorted(name for name in sys.modules if name.split(".")[0] in ("django", "slipstream_ops")), sep="\\n")
"""


def test_protocol_imports_no_django() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
