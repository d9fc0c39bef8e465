"""Runs in the image in place of the program, and prints what works there (JSON)."""

import ast
import hashlib
import importlib
import importlib.util
import json
import os
import pathlib
import pkgutil
import pwd
import socket
import ssl
import subprocess
import sys
import threading


def attempt(module):
    try:
        importlib.import_module(module)
    except ImportError as error:
        return str(error)
    return None


def modules_of_ours():
    import attested_publish

    walked = pkgutil.walk_packages(attested_publish.__path__, "attested_publish.")
    return [each.name for each in walked if not each.name.endswith("__main__")]


def imported_from_the_standard_library(paths):
    """Every module of the standard library that a file imports, wherever it does."""
    found = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(node.module)
    return {name for name in found if name.partition(".")[0] in sys.stdlib_module_names}


def text_with(locale):
    """What a Python with a locale prints."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", "import sys; print('✓ é 日本', sys.getfilesystemencoding())"],
        env={"LC_ALL": locale} if locale else {},
        stdout=subprocess.PIPE,
        check=True,
    )
    return done.stdout.decode().strip()


failed = {name: why for name in modules_of_ours() if (why := attempt(name))}
loaded = {
    pathlib.Path(module.__file__)
    for module in list(sys.modules.values())
    if (getattr(module, "__file__", None) or "").startswith(sys.prefix + "/")
    and module.__file__.endswith(".py")
}
standard = sorted(imported_from_the_standard_library(loaded))
failed |= {name: why for name in standard if (why := attempt(name))}
context = ssl.create_default_context()
certificates = sorted(
    hashlib.sha256(each).hexdigest() for each in context.get_ca_certs(binary_form=True)
)
# A thread that goes on while the interpreter ends: the C library needs a library to end it.
threading.Thread(target=lambda: [sum(range(99)) for _ in iter(int, 1)], daemon=True).start()
print(
    json.dumps(
        {
            "modules": len(loaded),
            "standard": len(standard),
            "failed": failed,
            "certificates": certificates,
            "localhost": sorted({each[4][0] for each in socket.getaddrinfo("localhost", 80)}),
            "user": pwd.getpwuid(os.getuid()).pw_name,
            "texts": {name: text_with(name) for name in ("", "C", "C.UTF-8", "en_US.UTF-8")},
            "bytecode": importlib.util.find_spec("attested_publish.fronts.cli").cached,
        },
        ensure_ascii=False,
    )
)
