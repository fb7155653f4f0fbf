import { defineConfig } from "vitest/config";

// Run by tests/page/test_browser.py, benchmarks/page.py and scripts/make_page_pictures.py, which name a
// file and write what it needs.
export default defineConfig({
  test: {
    include: ["tests/browser/*.test.ts", "tests/browser/{predict,screenshots}.ts"],
    testTimeout: 300_000,
    hookTimeout: 300_000,
    fileParallelism: false,
    bail: 1,
  },
});
