import { defineConfig } from "vitest/config";

// Run by tests/page/test_browser.py, which writes the sites and the recordings.
export default defineConfig({
  test: {
    include: ["tests/browser/*.test.ts"],
    testTimeout: 300_000,
    hookTimeout: 300_000,
    fileParallelism: false,
    bail: 1,
  },
});
