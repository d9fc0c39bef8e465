// Verifies Sigstore bundles with the packages behind `npm install sigstore`.
//
// usage: node verify.mjs MODULES-FOLDER TRUSTED-ROOT.json BUNDLE.json...
//
// Prints a JSON array with one verdict for each bundle: what its certificate says, or why it
// is refused. Anything but a refusal ends the script with a failure.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const [modules, trustedRootFile, ...bundleFiles] = process.argv.slice(2);
const require = createRequire(join(resolve(modules), "package.json"));
const { bundleFromJSON } = require("@sigstore/bundle");
const { TrustedRoot } = require("@sigstore/protobuf-specs");
const { toSignedEntity, toTrustMaterial, VerificationError, Verifier } =
  require("@sigstore/verify");

const readJSON = (file) => JSON.parse(readFileSync(file, "utf-8"));
const verifier = new Verifier(
  toTrustMaterial(TrustedRoot.fromJSON(readJSON(trustedRootFile))),
);

const verdicts = bundleFiles.map((file) => {
  try {
    const signer = verifier.verify(toSignedEntity(bundleFromJSON(readJSON(file))));
    return {
      accepted: true,
      subject: signer.identity.subjectAlternativeName,
      issuer: signer.identity.extensions.issuer,
    };
  } catch (error) {
    if (error instanceof VerificationError) {
      return { accepted: false, code: error.code, message: error.message };
    }
    throw error;
  }
});
console.log(JSON.stringify(verdicts));
