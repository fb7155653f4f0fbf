// Takes the README's pictures of the page, for scripts/make_page_pictures.py.
import { join } from "node:path";
import { test } from "vitest";
import { open, serve, shown, until } from "./site";

test("take pictures", async () => {
  const site = await serve(process.env.SITE!);
  const opened = await open("chromium", process.env.RECORDING!);
  const page = await opened.browser.newPage();
  await page.setViewport({ width: 1120, height: 900 });
  await page.goto(site.url);
  await until(page, () => document.getElementById("model-state")!.textContent === "Ready");
  await (await page.$("input#files"))!.uploadFile(process.env.RECORDING!);
  await shown(page, ".result table");
  await page.$eval(".result audio", (audio) => ((audio as HTMLAudioElement).currentTime = 7.2));
  const settle = () => page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 700)));
  const folder = process.env.IMAGES!;
  for (const scheme of ["light", "dark"]) {
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    for (const [name, width, height] of [["desktop", 1120, 900], ["phone", 390, 844]] as const) {
      await page.setViewport({ width, height, deviceScaleFactor: name === "phone" ? 2 : 1 });
      await settle();
      // The README shows the light ones; ALL=1 takes the others, to look at.
      if (scheme === "light" || process.env.ALL) {
        const file = `page-${name}${scheme === "dark" ? "-dark" : ""}.png`;
        await page.screenshot({ path: join(folder, file) as `${string}.png`, fullPage: Boolean(process.env.ALL) });
      }
    }
  }
  if (process.env.ALL) {
    await page.setViewport({ width: 1120, height: 900 });
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "light" }]);
    await page.click("#record");
    await until(page, () => /0:(1[0-9])/.test(document.getElementById("live-clock")!.textContent!));
    await page.screenshot({ path: join(folder, "page-live.png") as `${string}.png` });
  }
  await opened.close();
  await site.close();
});
