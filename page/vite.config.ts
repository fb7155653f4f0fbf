import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

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
