// The page in a real browser. SITES is a folder that tests/page/test_browser.py makes: the page with
// the bundled model (`static`) and with a model that takes a voice (`voice`), recordings, and what
// emovox predicts for them in Python.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "puppeteer-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type BrowserName, type Opened, open, serve, shown, type Site, until } from "./site";

const SITES = process.env.SITES!;
const BROWSER = process.env.BROWSER as BrowserName;
const EXPECTED = JSON.parse(readFileSync(join(SITES, "expected.json"), "utf8"));
const ANGRY = join(SITES, "angry.wav");
const LABELS: string[] = EXPECTED.labels;

interface Segment {
  file: string;
  start_s: number;
  end_s: number;
  emotion: string | null;
  abstained: string | null;
  confidence: number | null;
  scores: Record<string, number> | null;
}

let opened: Opened;
let site: Site;

async function load(browser: Opened, url: string): Promise<Page> {
  const page = await browser.browser.newPage();
  page.on("pageerror", (error) => console.error("error in the page:", error));
  await page.goto(url);
  await ready(page);
  return page;
}

async function ready(page: Page): Promise<void> {
  await until(
    page,
    () => document.getElementById("model-state")!.textContent !== "Loading the model…",
  );
  expect(await text(page, "#problem")).toBe("");
  expect(await text(page, "#model-state")).toBe("Ready");
}

function text(page: Page, selector: string): Promise<string> {
  return page.$eval(selector, (element) => element.textContent ?? "");
}

async function choose(page: Page, ...files: string[]): Promise<void> {
  await (await page.$("input#files"))!.uploadFile(...files);
}

/** Choose files, and wait until they have been predicted or refused. */
async function predict(page: Page, ...files: string[]): Promise<void> {
  const before = await countRecordings(page);
  await choose(page, ...files);
  await finished(page, before + files.length);
}

function countRecordings(page: Page): Promise<number> {
  return page.$$eval("#recordings li", (items) => items.length);
}

/** Wait until all recordings of the page have been predicted or refused. */
async function finished(page: Page, n: number): Promise<void> {
  await until(
    page,
    (count) => {
      const items = [...document.querySelectorAll("#recordings li span")];
      const open = items.filter((item) => /waiting|working|^\d+%$/.test(item.textContent ?? ""));
      return items.length >= count && open.length === 0;
    },
    n,
  );
}

/** Click on a download button, and return the file. */
async function download(page: Page, selector: string, name: string): Promise<string> {
  await page.$eval(selector, (button) => (button as HTMLElement).click());
  const deadline = Date.now() + 60_000;
  for (;;) {
    // A part of a download has another name.
    if (readdirSync(opened.downloads).includes(name)) {
      const content = readFileSync(join(opened.downloads, name), "utf8");
      if (content) return content;
    }
    if (Date.now() > deadline) throw new Error(`${name} was not downloaded`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

beforeAll(async () => {
  site = await serve(join(SITES, "static"));
  opened = await open(BROWSER, ANGRY);
});

afterAll(async () => {
  await opened?.close();
  await site?.close();
});

describe("recordings", () => {
  let page: Page;

  beforeAll(async () => {
    page = await load(opened, site.url);
  });

  test("are predicted as in Python", async () => {
    const files = (EXPECTED.files as string[]).map((file) => join(SITES, file));
    await predict(page, ...files);
    const found: Segment[] = JSON.parse(
      await download(page, "#recordings .all button", "timelines.json"),
    );
    const expected: Segment[] = EXPECTED.segments;
    const outline = (s: Segment) => [s.file, s.emotion, s.abstained];
    expect(found.map(outline)).toEqual(expected.map(outline));
    found.forEach((segment, i) => {
      // Decoders of MP3 begin at different samples.
      if (segment.file.endsWith(".mp3")) return;
      expect(Math.abs(segment.start_s - expected[i].start_s)).toBeLessThan(0.05);
      for (const label of LABELS) {
        const difference = (segment.scores?.[label] ?? 0) - (expected[i].scores?.[label] ?? 0);
        expect(Math.abs(difference), `${segment.file} ${label}`).toBeLessThan(0.02);
      }
    });
  });

  test("never leave the browser", () => {
    expect(site.requests.filter((request) => !request.startsWith("GET "))).toEqual([]);
    const known = /^GET \/(|index\.html|icon\.svg|licences\.txt|favicon\.ico|service-worker\.js|assets\/[\w.-]+|model\/[\w.]+)$/;
    expect(site.requests.filter((request) => !known.test(request))).toEqual([]);
  });

  test("have a table, and a segment plays when its start is selected", async () => {
    const rows = await page.$$eval(".result tbody tr", (found) => found.map((row) => row.textContent));
    expect(rows.length).toBeGreaterThan(0);
    await page.evaluate(() => {
      const row = [...document.querySelectorAll(".result tbody tr")].find((found) => !found.classList.contains("none"))!;
      row.querySelector("button")!.click();
    });
    await until(
    page,
      () => document.querySelector<HTMLAudioElement>(".result audio")!.currentTime > 0.2,
    );
    // Playing stops at the segment's end.
    await until(page, () => document.querySelector<HTMLAudioElement>(".result audio")!.paused);
  });

  test("can be moved through with the keyboard", async () => {
    await page.focus(".result [role=slider]");
    await page.keyboard.press("Home");
    await until(page, () => document.querySelector("[role=slider]")!.ariaValueNow === "0.0");
    await page.keyboard.press("ArrowRight");
    await until(page, () => document.querySelector("[role=slider]")!.ariaValueNow === "1.0");
    const spoken = await page.$eval("[role=slider]", (slider) => slider.ariaValueText);
    expect(spoken).toMatch(/^0:01\.0/);
  });

  test("are downloaded as CSV and SRT", async () => {
    const name = EXPECTED.files[0].replace(/\.\w+$/, "");
    const csv = await download(page, ".downloads button:nth-of-type(2)", `${name}.csv`);
    expect(csv.split("\n")[0]).toBe(`file,start_s,end_s,emotion,confidence,abstained,notes,${LABELS}`);
    const srt = await download(page, ".downloads button:nth-of-type(3)", `${name}.srt`);
    expect(srt).toMatch(/^1\n00:00:00,000 --> 00:00:\d\d,\d\d\d\n/);
  });

  test("are announced to screen readers", async () => {
    expect(await text(page, "[role=status]")).toMatch(/ is predicted\. .* of speech: /);
  });

  test("that are none are refused in words", async () => {
    await predict(page, join(SITES, "letter.wav"));
    expect(await text(page, "#result [role=alert]")).toMatch(/no recording that a browser can read/);
  });

  test("can be dropped onto the page", async () => {
    const content = readFileSync(join(SITES, EXPECTED.files[0])).toString("base64");
    const before = await countRecordings(page);
    await page.evaluate((base64) => {
      const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
      const data = new DataTransfer();
      data.items.add(new File([bytes], "dropped.wav"));
      document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true }));
    }, content);
    await finished(page, before + 1);
    expect(await text(page, "#result h2")).toBe("dropped.wav");
  });

  // Half a minute of computing: in one browser only.
  test.runIf(BROWSER === "chromium")("may last half an hour", async () => {
    await predict(page, join(SITES, "half-hour.wav"));
    expect(await text(page, "#result .summary")).toMatch(/^30:00, /);
    const times = await page.$$eval("#result tbody tr:not(.none) td:first-child", (cells) =>
      cells.map((cell) => cell.textContent!),
    );
    expect(times.length).toBeGreaterThanOrEqual(2);
    expect(times.at(-1)).toMatch(/^29:/);
  });
});

test("the microphone is traced live, and the recording predicted", async () => {
  const page = await load(opened, site.url);
  await page.click("#record");
  await until(page, () => document.getElementById("live-emotion")!.textContent !== "Listening…");
  // The clock of the live trace: so much has been recorded.
  await until(page, () => /0:(0[5-9]|[1-5])/.test(document.getElementById("live-clock")!.textContent!));
  await page.click("#record");
  await shown(page, ".result table");
  const emotions = await page.$$eval(".result tbody tr:not(.none) b", (cells) => cells.map((cell) => cell.textContent));
  // Firefox's microphone hears a tone.
  if (BROWSER === "chromium") expect(emotions).toContain("angry");
  else expect(emotions).toEqual([]);
  await page.close();
});

test("a denied microphone is explained", async () => {
  const denied = await open(BROWSER, null);
  try {
    const page = await load(denied, site.url);
    await page.click("#record");
    await until(page, () => document.getElementById("problem")!.textContent !== "");
    expect(await text(page, "#problem")).toMatch(/microphone is blocked|No microphone was found/);
  } finally {
    await denied.close();
  }
});

test("the page works without a network after the first visit", async () => {
  const own = await serve(join(SITES, "static"));
  const page = await load(opened, own.url);
  await until(
    page,
    async () => {
      const cache = await caches.open("emovox-model");
      return navigator.serviceWorker.controller !== null && (await cache.keys()).length === 3;
    },
  );
  await own.close();
  await page.reload();
  await ready(page);
  await choose(page, join(SITES, EXPECTED.files[0]));
  await shown(page, ".result table");
  await page.close();
});

test("a voice is enrolled, changes predictions, and is forgotten", async () => {
  const own = await serve(join(SITES, "voice"));
  const page = await load(opened, own.url);
  const predicted = (wanted: string) =>
    until(page, (text) => document.querySelector(".result tbody b")?.textContent === text, wanted);
  if (BROWSER === "chromium") {
    await choose(page, ANGRY);
    await predicted(LABELS[0]);
    await page.click("#enrol");
    await until(page, () => /is enrolled from one sentence/.test(document.getElementById("voice-text")!.textContent!));
    await predicted(LABELS[1]);
    await page.click("#forget");
    await predicted(LABELS[0]);
  } else {
    // A tone is no speech.
    await page.click("#enrol");
    await until(page, () => /Too little speech/.test(document.getElementById("voice-text")!.textContent!));
  }
  await page.close();
  await own.close();
});

test("recordings go to the server only if its user says so, with the key", async () => {
  const model = JSON.parse(readFileSync(join(SITES, "static/model/model.json"), "utf8"));
  const received: Buffer[] = [];
  const segment = {
    start_s: 0, end_s: 2, emotion: "sad", confidence: 0.9, abstained: null, channel: null,
    scores: Object.fromEntries(LABELS.map((label) => [label, label === "sad" ? 0.9 : 0.1 / 7])), notes: [],
  };
  const own = await serve(join(SITES, "static"), {
    "GET /model/model.json": () => ({ status: 200, body: { ...model, service: true } }),
    "POST /v1/timeline": (body, headers) => {
      if (headers.authorization !== "Bearer secret") {
        return { status: 401, body: { detail: "the API key is missing" } };
      }
      received.push(body);
      return { status: 200, body: { segments: [segment] } };
    },
  });
  const page = await load(opened, own.url);
  expect(await page.$eval("input[value=browser]", (radio) => (radio as HTMLInputElement).checked)).toBe(true);
  await page.click("input[value=server]");
  expect(await text(page, "#server-text")).toMatch(/Recordings are sent to the server/);
  await choose(page, ANGRY);
  await shown(page, "#result [role=alert]");
  expect(await text(page, "#result [role=alert]")).toMatch(/asks for an API key/);
  await page.type("#key", "secret");
  await choose(page, ANGRY);
  await shown(page, ".result table");
  expect(received.length).toBe(1);
  expect(received[0].equals(readFileSync(ANGRY))).toBe(true);
  expect(await text(page, ".result .went")).toBe("predicted by the server");
  await page.close();
  await own.close();
});
