"""Runs in the container in place of the program, and prints what it could do there (JSON)."""

import json
import os
import pathlib

VARIABLES = ("RUNNER_TEMP", "TMPDIR", "HOME", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")
LISTED = sorted(path.name for path in pathlib.Path("dist").iterdir())


def can_write(path: pathlib.Path) -> bool:
    target = path / "written-by-probe" if path.is_dir() else path
    try:
        with target.open("ab"):
            return True
    except OSError:
        return False


places = {name: name for name in (".", "dist", "kept", "/", "/tmp", "/opt/attested-publish")}
places |= {f"dist/{name}": f"dist/{name}" for name in LISTED}
places |= {name: os.environ[name] for name in VARIABLES}
status = pathlib.Path("/proc/self/status").read_text().splitlines()
print(
    json.dumps(
        {
            "uid": os.getuid(),
            "gid": os.getgid(),
            "status": {
                name: value.strip() for name, _, value in (x.partition(":") for x in status)
            },
            "docker_socket": any(
                pathlib.Path(folder, "docker.sock").exists() for folder in ("/run", "/var/run")
            ),
            "listed": LISTED,
            "written": {name: can_write(pathlib.Path(path)) for name, path in places.items()},
            "variables": sorted(os.environ),
        }
    )
)
