// Attaches a Sigstore bundle to an image in a registry on this machine, with the package that
// actions/attest pushes with (`push-to-registry: true`).
//
// usage: node attach.mjs MODULES-FOLDER IMAGE DIGEST BUNDLE.json PREDICATE-TYPE
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const [modules, imageName, imageDigest, bundle, predicateType] = process.argv.slice(2);
const require = createRequire(join(resolve(modules), "package.json"));
const { attachArtifactToImage } = require("@sigstore/oci");

const { mediaType } = JSON.parse(readFileSync(bundle, "utf-8"));
await attachArtifactToImage({
  credentials: null, // the registry asks for none
  imageName,
  imageDigest,
  artifact: readFileSync(bundle),
  mediaType,
  annotations: {
    "dev.sigstore.bundle.content": "dsse-envelope",
    "dev.sigstore.bundle.predicateType": predicateType,
  },
});
