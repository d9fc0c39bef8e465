"""Make the commit that names the images, signed by GitHub, and its tag.

    python tools/tag_release.py VERSION FILE…

The commit has the job's commit as its only parent, and each FILE (image.txt, image-shell.txt) at
the top. It is made through GitHub's API without an author, so GitHub signs it as the work of its
own bot. Run again, it finds the tag and is content with it, if that is the same commit in all but
its time, and signed. It prints the commit.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from github_api import GitHubError, Repository


def tag(version: str, files: dict[str, str], repository: Repository) -> str:
    """Tag a version, and return its commit. Raises `ValueError` or `GitHubError`."""
    parent = os.environ["GITHUB_SHA"]
    base = repository.get(f"git/commits/{parent}")["tree"]["sha"]
    entries = [
        {"path": name, "mode": "100644", "type": "blob", "content": content}
        for name, content in files.items()
    ]
    tree = repository.post("git/trees", {"base_tree": base, "tree": entries})["sha"]
    # With an author or a committer, GitHub would not sign it.
    wanted = {"message": f"Release {version}", "tree": tree, "parents": [parent]}
    name = f"tags/v{version}"
    if (existing := repository.find(f"git/ref/{name}")) is not None:
        target = existing["object"]
        if not _is_commit(target, wanted, repository):
            raise ValueError(
                f"The tag v{version} is another commit than this release would be. A tag never "
                "moves: release the next version."
            )
        return str(target["sha"])
    made = repository.post("git/commits", wanted)
    if not made["verification"]["verified"]:
        raise ValueError(f"GitHub did not sign the commit: {made['verification']['reason']}.")
    # If GitHub refuses the tag, a maintainer can make it: then this finds it, and is content.
    print(f"Tagging {made['sha']}", file=sys.stderr)
    repository.post("git/refs", {"ref": f"refs/{name}", "sha": made["sha"]})
    return str(made["sha"])


def _is_commit(target: dict[str, Any], wanted: dict[str, object], repository: Repository) -> bool:
    """Whether a tag leads to the wanted commit, signed; an annotated tag leads to an object."""
    if target["type"] != "commit":
        return False
    commit = repository.get(f"git/commits/{target['sha']}")
    found = {
        "message": commit["message"].strip(),
        "tree": commit["tree"]["sha"],
        "parents": [each["sha"] for each in commit["parents"]],
    }
    return found == wanted and commit["verification"]["verified"] is True


def main() -> None:
    """Tag it."""
    version, *names = sys.argv[1:]
    files = {Path(name).name: Path(name).read_text(encoding="ascii") for name in names}
    try:
        print(tag(version, files, Repository()))
    except (ValueError, GitHubError) as error:
        sys.exit(f"v{version} was not tagged: {error}")


if __name__ == "__main__":
    main()
