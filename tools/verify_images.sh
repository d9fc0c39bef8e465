#!/usr/bin/env bash
# Verify what a release says of its images, as docs/verifying-this-action.md does by hand: the
# provenance and the SBOM of each, with gh and with cosign.
#
#     tools/verify_images.sh OWNER/NAME REF COMMIT IMAGE@DIGEST…
#
# They have to be signed by release.yml of that repository, run on that ref and that commit.
set -euo pipefail

repository=$1
ref=$2
commit=$3
shift 3
workflow=$repository/.github/workflows/release.yml

if [[ $# == 0 ]]; then
  echo "No image to verify." >&2
  exit 2
fi

for image in "$@"; do
  for type in https://slsa.dev/provenance/v1 https://cyclonedx.org/bom; do
    printf '%s: %s\n' "$image" "$type"
    gh attestation verify "oci://$image" --bundle-from-oci --repo "$repository" \
      --signer-workflow "$workflow" --source-ref "$ref" --source-digest "$commit" \
      --deny-self-hosted-runners --predicate-type "$type"
    cosign verify-attestation "$image" --new-bundle-format --type "$type" \
      --certificate-oidc-issuer https://token.actions.githubusercontent.com \
      --certificate-identity "https://github.com/$workflow@$ref" \
      --certificate-github-workflow-sha "$commit" >/dev/null
  done
done
