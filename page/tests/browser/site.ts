// A static web server with no backend, and browsers as they are installed.
import { spawn } from "node:child_process";
import { createReadStream, existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import puppeteer, { type Browser, type Page } from "puppeteer-core";

const TYPES: Record<string, string> = {
  ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml",
  ".json": "application/json", ".wasm": "application/wasm", ".txt": "text/plain",
};

export interface Site {
  url: string;
  /** Method and path of all requests. */
  requests: string[];
  close(): Promise<void>;
}

/** Answers to requests that are not for a file, by method and path. */
export type Answers = Record<
  string,
  (body: Buffer, headers: IncomingHttpHeaders) => { status: number; body: unknown }
>;

/** Serve a folder on loopback. */
export async function serve(folder: string, answers: Answers = {}): Promise<Site> {
  const requests: string[] = [];
  const server: Server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? "/", "http://localhost").pathname);
    requests.push(`${request.method} ${path}`);
    const answer = answers[`${request.method} ${path}`];
    if (answer) {
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => {
        const { status, body } = answer(Buffer.concat(parts), request.headers);
        response.writeHead(status, { "content-type": "application/json" });
        response.end(JSON.stringify(body));
      });
      return;
    }
    const file = join(folder, normalize(path.endsWith("/") ? `${path}index.html` : path));
    if (request.method !== "GET" || !existsSync(file) || !statSync(file).isFile()) {
      response.writeHead(404).end("not found");
      return;
    }
    response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" });
    createReadStream(file).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : 0;
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { url: `http://localhost:${port}/`, requests, close };
}

export type BrowserName = "chromium" | "firefox";

export interface Opened {
  browser: Browser;
  downloads: string;
  close(): Promise<void>;
}

/**
 * Start a browser with an empty profile.
 *
 * @param microphone A WAV file that the microphone hears, `null` for one that is denied. Firefox's
 *   fake microphone hears a tone instead.
 */
export async function open(name: BrowserName, microphone: string | null): Promise<Opened> {
  const downloads = mkdtempSync(join(tmpdir(), "emovox-page-"));
  const sound = name === "firefox" ? await startSound() : null;
  const browser = sound
    ? await openFirefox(microphone, downloads, sound.runtime)
    : await openChromium(microphone, downloads);
  return {
    browser,
    downloads,
    async close() {
      await browser.close();
      sound?.stop();
      rmSync(downloads, { recursive: true, force: true });
    },
  };
}

/** Start a sound server without a device: where there is none, Firefox starts no AudioContext. */
async function startSound(): Promise<{ runtime: string; stop(): void }> {
  const runtime = mkdtempSync(join(tmpdir(), "emovox-sound-"));
  const modules = ["module-null-sink", "module-native-protocol-unix"].flatMap((name) => ["-L", name]);
  const server = spawn(
    "pulseaudio",
    ["-n", "--daemonize=no", "--exit-idle-time=-1", ...modules],
    { env: { ...process.env, XDG_RUNTIME_DIR: runtime, HOME: runtime }, stdio: "ignore" },
  );
  const ended = new Promise<never>((_, reject) => {
    server.on("error", reject);
    server.on("exit", (code) => reject(new Error(`pulseaudio ended with ${code}`)));
  });
  ended.catch(() => {});
  const started = (async () => {
    while (!existsSync(join(runtime, "pulse", "native"))) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  })();
  await Promise.race([started, ended]);
  return {
    runtime,
    stop() {
      server.kill();
      rmSync(runtime, { recursive: true, force: true });
    },
  };
}

function openChromium(microphone: string | null, downloads: string): Promise<Browser> {
  const sound = microphone
    ? [
        "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
        `--use-file-for-fake-audio-capture=${microphone}`,
      ]
    : ["--use-fake-device-for-media-stream", "--deny-permission-prompts"];
  return puppeteer.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync",
      "--autoplay-policy=no-user-gesture-required", "--mute-audio", ...sound,
    ],
    downloadBehavior: { policy: "allow", downloadPath: downloads },
    protocolTimeout: 600_000,
  });
}

async function openFirefox(
  microphone: string | null,
  downloads: string,
  runtime: string,
): Promise<Browser> {
  return puppeteer.launch({
    browser: "firefox",
    env: { ...process.env, XDG_RUNTIME_DIR: runtime },
    executablePath: process.env.FIREFOX ?? "/usr/bin/firefox-esr",
    extraPrefsFirefox: {
      "media.navigator.streams.fake": microphone !== null,
      "media.navigator.permission.disabled": microphone !== null,
      "permissions.default.microphone": microphone === null ? 2 : 1,
      "browser.download.dir": downloads,
      "browser.download.folderList": 2,
      "browser.download.always_ask_before_handling_new_types": false,
      "media.autoplay.default": 0,
    },
    // This Firefox has no command for it.
    defaultViewport: null,
    args: ["--width=1280", "--height=900"],
    protocolTimeout: 600_000,
  });
}

/**
 * Wait until a function returns true in a page.
 *
 * Puppeteer's own waiting makes functions of text there, which the page's Content-Security-Policy
 * forbids in Firefox.
 */
export async function until<Args extends unknown[]>(
  page: Page,
  isTrue: (...args: Args) => boolean | undefined | Promise<boolean>,
  ...args: Args
): Promise<void> {
  const deadline = Date.now() + 240_000;
  while (!(await page.evaluate(isTrue as (...args: unknown[]) => unknown, ...args))) {
    if (Date.now() > deadline) {
      const seen = await page.evaluate(() => document.body.innerText);
      throw new Error(`never true: ${isTrue}\n\n${seen}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Wait until a page has an element. */
export function shown(page: Page, selector: string): Promise<void> {
  return until(page, (wanted) => document.querySelector(wanted) !== null, selector);
}
