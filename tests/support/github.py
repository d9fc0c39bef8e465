"""GitHub's REST API as far as the release needs it, over a real git repository.

It stands in for GitHub, which cannot be reached from a test: requests, answers and statuses follow
GitHub's documentation ("REST API endpoints for Git trees", "… commits", "… references",
"… deployment environments", "… workflow runs").
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

REPOSITORY = "attested-publish/attested-publish"
TOKEN = "of-the-job"

_ROUTES = Map(
    [
        Rule("/", endpoint="repository"),
        Rule("/environments/<name>", endpoint="environment"),
        Rule("/environments/<name>/deployment-branch-policies", endpoint="policies"),
        Rule("/actions/workflows/<name>/runs", endpoint="runs"),
        Rule("/git/ref/<path:name>", endpoint="ref", methods=["GET"]),
        Rule("/git/refs", endpoint="new_ref", methods=["POST"]),
        Rule("/git/commits/<sha>", endpoint="commit", methods=["GET"]),
        Rule("/git/commits", endpoint="new_commit", methods=["POST"]),
        Rule("/git/trees", endpoint="new_tree", methods=["POST"]),
    ],
    strict_slashes=False,
)


def protected(*branches: str) -> dict[str, Any]:
    """Return an environment with reviewers, for some branches only."""
    return {
        "protection_rules": [
            {
                "type": "required_reviewers",
                "prevent_self_review": True,
                "reviewers": [{"type": "User"}],
            },
            {"type": "branch_policy"},
        ],
        "can_admins_bypass": False,
        "deployment_branch_policy": {"protected_branches": False, "custom_branch_policies": True},
        "branch_policies": [{"name": branch, "type": "branch"} for branch in branches],
    }


@dataclass
class GitHub:
    """A repository at GitHub: its git repository, its environments, and what CI has passed."""

    folder: Path
    environments: dict[str, dict[str, Any]] = field(default_factory=dict)
    passed: set[str] = field(default_factory=set)
    """Commits of `main` for which CI has passed when they were pushed."""
    passed_for_pull_requests: set[str] = field(default_factory=set)
    signs: bool = True
    signed: set[str] = field(default_factory=set)
    """Commits that it has made and signed itself."""

    def git(self, *words: str, given: str | None = None, index: Path | None = None) -> str:
        """Run git in the repository, and return what it prints."""
        who = {"NAME": "GitHub", "EMAIL": "noreply@example.com"}
        environment = os.environ | {
            f"GIT_{role}_{name}": value
            for role in ("AUTHOR", "COMMITTER")
            for name, value in who.items()
        }
        if index is not None:
            environment["GIT_INDEX_FILE"] = str(index)
        done = subprocess.run(
            ["git", *words],
            cwd=self.folder,
            env=environment,
            input=given,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def __call__(self, environ: Any, start_response: Any) -> Any:
        with Request(environ) as request:
            return self._answer(request)(environ, start_response)

    def _answer(self, request: Request) -> Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _said(401, message="Bad credentials")
        environ = dict(request.environ)
        environ["PATH_INFO"] = request.path.removeprefix(f"/repos/{REPOSITORY}") or "/"
        try:
            endpoint, parts = _ROUTES.bind_to_environ(environ).match()
            given = request.get_json() if request.method == "POST" else request.args
            status, answer = getattr(self, f"_{endpoint}")(given, **parts)
        except HTTPException as error:
            return _said(error.code or 500, message=error.name)
        return _said(status, **answer)

    def _repository(self, given: Any) -> tuple[int, dict[str, Any]]:
        return 200, {"default_branch": "main", "full_name": REPOSITORY}

    def _environment(self, given: Any, name: str) -> tuple[int, dict[str, Any]]:
        if name not in self.environments:
            return 404, {"message": "Not Found"}
        shown = {
            key: value for key, value in self.environments[name].items() if key != "branch_policies"
        }
        return 200, {"name": name, **shown}

    def _policies(self, given: Any, name: str) -> tuple[int, dict[str, Any]]:
        policies = self.environments[name]["branch_policies"]
        return 200, {"total_count": len(policies), "branch_policies": policies}

    def _runs(self, given: Any, name: str) -> tuple[int, dict[str, Any]]:
        runs = [{"head_sha": each, "event": "push", "branch": "main"} for each in self.passed]
        runs += [
            {"head_sha": each, "event": "pull_request", "branch": "main"}
            for each in self.passed_for_pull_requests
        ]
        # Whatever is not asked for is not compared.
        wanted = {key: given[key] for key in ("head_sha", "event", "branch") if key in given}
        count = sum(wanted.items() <= run.items() for run in runs)
        is_asked = name == "ci.yml" and given["status"] == "success"
        return 200, {"total_count": count if is_asked else 0, "workflow_runs": []}

    def _ref(self, given: Any, name: str) -> tuple[int, dict[str, Any]]:
        try:
            sha = self.git("rev-parse", "--verify", "--quiet", f"refs/{name}")
        except subprocess.CalledProcessError:
            return 404, {"message": "Not Found"}
        return 200, {"ref": f"refs/{name}", "object": self._object(sha)}

    def _new_ref(self, given: Any) -> tuple[int, dict[str, Any]]:
        try:
            # Forty zeros: only if there is none.
            self.git("update-ref", given["ref"], given["sha"], "0" * 40)
        except subprocess.CalledProcessError:
            return 422, {"message": "Reference already exists"}
        return 201, {"ref": given["ref"], "object": self._object(given["sha"])}

    def _object(self, sha: str) -> dict[str, str]:
        return {"type": self.git("cat-file", "-t", sha), "sha": sha}

    def _commit(self, given: Any, sha: str) -> tuple[int, dict[str, Any]]:
        if self.git("cat-file", "-t", sha) != "commit":
            return 404, {"message": "Not Found"}
        tree, *parents = self.git("log", "-1", "--format=%T %P", sha).split()
        is_signed = sha in self.signed
        return 200, {
            "sha": sha,
            "message": self.git("log", "-1", "--format=%B", sha),
            "tree": {"sha": tree},
            "verification": {
                "verified": is_signed,
                "reason": "valid" if is_signed else "unsigned",
            },
            "parents": [{"sha": parent} for parent in parents],
        }

    def _new_commit(self, given: Any) -> tuple[int, dict[str, Any]]:
        parents = [word for parent in given["parents"] for word in ("-p", parent)]
        sha = self.git("commit-tree", given["tree"], *parents, "-m", given["message"])
        if self.signs and not {"author", "committer"} & set(given):
            self.signed.add(sha)
        _, commit = self._commit(None, sha)
        return 201, commit

    def _new_tree(self, given: Any) -> tuple[int, dict[str, Any]]:
        index = self.folder / ".git" / "index-of-the-tree"
        self.git("read-tree", given["base_tree"], index=index)
        for entry in given["tree"]:
            blob = self.git("hash-object", "-w", "--stdin", given=entry["content"])
            info = f"{entry['mode']},{blob},{entry['path']}"
            self.git("update-index", "--add", "--cacheinfo", info, index=index)
        return 201, {"sha": self.git("write-tree", index=index)}


def _said(status: int, **answer: Any) -> Response:
    return Response(json.dumps(answer), status, content_type="application/json")
