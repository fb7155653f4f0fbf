import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

/** What the built files contain besides emovox's own code, with where its source is. */
function joinLicences(): string {
  const packages = ["mediabunny", "onnxruntime-web", "wavesurfer.js"];
  const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");
  const parts = packages.map((name) => {
    const { version, license } = JSON.parse(read(`node_modules/${name}/package.json`));
    const source = `https://www.npmjs.com/package/${name}/v/${version}`;
    // The npm package of ONNX Runtime has no licence file.
    const own = name === "onnxruntime-web";
    const text = read(own ? `licences/${name}.txt` : `node_modules/${name}/LICENSE`);
    return `${name} ${version} (${license})\nSource: ${source}\n\n${text.trim()}\n`;
  });
  const line = "-".repeat(72);
  return `This page contains these packages, unchanged.\n\n${parts.join(`\n${line}\n\n`)}`;
}

/** Writes service-worker.js with the names of all built files, and a version that depends on them. */
function listFiles(): Plugin {
  return {
    name: "list-files",
    apply: "build",
    enforce: "post",
    generateBundle(_, bundle) {
      const hash = createHash("sha256");
      const names = Object.keys(bundle).sort();
      for (const name of names) {
        const file = bundle[name];
        hash.update(name).update(file.type === "chunk" ? file.code : file.source);
      }
      const licences = joinLicences();
      this.emitFile({ type: "asset", fileName: "licences.txt", source: licences });
      names.push("licences.txt");
      hash.update(licences);
      const icon = readFileSync(new URL("public/icon.svg", import.meta.url));
      const files = ["./", ...[...names, "icon.svg"].filter((name) => name !== "index.html").map((name) => `./${name}`)];
      const source = readFileSync(new URL("src/service-worker.js", import.meta.url), "utf8")
        .replace("const FILES = [];", `const FILES = ${JSON.stringify(files)};`)
        .replace('const VERSION = "";', `const VERSION = "${hash.update(icon).digest("hex").slice(0, 12)}";`);
      this.emitFile({ type: "asset", fileName: "service-worker.js", source });
    },
  };
}

export default defineConfig({
  base: "./",
  plugins: [listFiles()],
  worker: { format: "es" },
  build: {
    outDir: "../src/emovox/assets/page",
    emptyOutDir: true,
    target: "es2023",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  test: { include: ["tests/*.test.ts"], testTimeout: 120_000 },
});
