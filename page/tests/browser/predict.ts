// Predicts recordings in the page, for benchmarks/page.py: FILES (a JSON list) to OUT.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { type BrowserName, open, serve, until } from "./site";

test("predict", async () => {
  const files: string[] = JSON.parse(readFileSync(process.env.FILES!, "utf8"));
  const site = await serve(process.env.SITE!);
  const opened = await open(process.env.BROWSER as BrowserName, null);
  const page = await opened.browser.newPage();
  await page.goto(site.url);
  await until(page, () => document.getElementById("model-state")!.textContent === "Ready");
  const started = performance.now();
  await (await page.$("input#files"))!.uploadFile(...files);
  const isDone = (n: number) =>
    document.querySelectorAll("#recordings li").length === n &&
    document.querySelector("#recordings .all button") !== null;
  while (!(await page.evaluate(isDone, files.length))) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  const seconds = (performance.now() - started) / 1000;
  await page.$eval("#recordings .all button", (button) => (button as HTMLElement).click());
  const name = "timelines.json";
  while (!readdirSync(opened.downloads).includes(name) || !readFileSync(join(opened.downloads, name), "utf8").endsWith("]\n")) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const segments = JSON.parse(readFileSync(join(opened.downloads, name), "utf8"));
  const refused = await page.$$eval("#recordings li span", (items) => items.filter((item) => !/speech/.test(item.textContent!)).length);
  writeFileSync(process.env.OUT!, JSON.stringify({ seconds, refused, segments }));
  await opened.close();
  await site.close();
}, 3_600_000);
