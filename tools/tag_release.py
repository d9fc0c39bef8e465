"""Make the commit that names the images, signed by GitHub, and its tag.

    python tools/tag_release.py VERSION FILE…

The commit has the job's commit as its only parent, and each FILE (image.txt, image-shell.txt) at
the top. It is made through GitHub's API without an author, so GitHub signs it as the work of its
own bot. Run again, it finds the tag and is content with it, if that is the same commit in all but
its time. It prints the commit.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from github_api import Refused, Repository


def tag(version: str, files: dict[str, str], repository: Repository) -> str:
    """Tag a version, and return its commit. Raises `ValueError`, `Refused` or `OSError`."""
    parent = os.environ["GITHUB_SHA"]
    base = repository.get(f"git/commits/{parent}")["tree"]["sha"]
    entries = [
        {"path": name, "mode": "100644", "type": "blob", "content": content}
        for name, content in files.items()
    ]
    tree = repository.post("git/trees", {"base_tree": base, "tree": entries})["sha"]
    name = f"tags/v{version}"
    if (existing := repository.find(f"git/ref/{name}")) is not None:
        commit = repository.get(f"git/commits/{existing['object']['sha']}")
        found = commit["tree"]["sha"], [each["sha"] for each in commit["parents"]]
        if found != (tree, [parent]):
            raise ValueError(
                f"The tag v{version} is another commit than this release would be. A tag never "
                "moves: release the next version."
            )
        return str(commit["sha"])
    # With an author or a committer, GitHub would not sign it.
    wanted = {"message": f"Release {version}", "tree": tree, "parents": [parent]}
    made = repository.post("git/commits", wanted)
    if not made["verification"]["verified"]:
        raise ValueError(f"GitHub did not sign the commit: {made['verification']['reason']}.")
    # If GitHub refuses the tag, a maintainer can make it: then this finds it, and is content.
    print(f"Tagging {made['sha']}", file=sys.stderr)
    repository.post("git/refs", {"ref": f"refs/{name}", "sha": made["sha"]})
    return str(made["sha"])


def main() -> None:
    """Tag it."""
    version, *names = sys.argv[1:]
    files = {Path(name).name: Path(name).read_text(encoding="ascii") for name in names}
    try:
        print(tag(version, files, Repository()))
    except (ValueError, Refused, OSError) as error:
        sys.exit(f"v{version} was not tagged: {error}")


if __name__ == "__main__":
    main()
