import { createReadStream, existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import puppeteer from "puppeteer-core";
// tests/browser/site.ts
const TYPES = {
	".html": "text/html",
	".js": "text/javascript",
	".css": "text/css",
	".svg": "image/svg+xml",
	".json": "application/json",
	".wasm": "application/wasm",
	".txt": "text/plain"
};
/** Serve a folder on loopback. */
async function serve(folder) {
	const requests = [];
	const server = createServer((request, response) => {
		const path = decodeURIComponent(new URL(request.url ?? "/", "http://localhost").pathname);
		requests.push(path);
		const file = join(folder, normalize(path.endsWith("/") ? `${path}index.html` : path));
		if (request.method !== "GET" || !existsSync(file) || !statSync(file).isFile()) {
			response.writeHead(404).end("not found");
			return;
		}
		response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" });
		createReadStream(file).pipe(response);
	});
	await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
	const address = server.address();
	const port = typeof address === "object" && address ? address.port : 0;
	const close = () => new Promise((resolve) => {
		server.close(() => resolve());
		server.closeAllConnections();
	});
	return {
		url: `http://localhost:${port}/`,
		requests,
		close
	};
}
/**
* Start a browser with an empty profile.
*
* @param microphone A WAV file that the microphone hears, `null` for one that is denied. Firefox's
*   fake microphone hears a tone instead.
*/
async function open(name, microphone) {
	const downloads = mkdtempSync(join(tmpdir(), "emovox-page-"));
	const browser = name === "chromium" ? await openChromium(microphone) : await openFirefox(microphone, downloads);
	return {
		browser,
		downloads,
		async close() {
			await browser.close();
			rmSync(downloads, {
				recursive: true,
				force: true
			});
		}
	};
}
function openChromium(microphone) {
	const sound = microphone ? [
		"--use-fake-device-for-media-stream",
		"--use-fake-ui-for-media-stream",
		`--use-file-for-fake-audio-capture=${microphone}`
	] : ["--use-fake-device-for-media-stream", "--deny-permission-prompts"];
	return puppeteer.launch({
		executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
		args: [
			"--no-sandbox",
			"--disable-gpu",
			"--disable-quic",
			"--no-first-run",
			"--disable-background-networking",
			"--disable-component-update",
			"--disable-sync",
			"--autoplay-policy=no-user-gesture-required",
			"--mute-audio",
			...sound
		],
		protocolTimeout: 6e5
	});
}
function openFirefox(microphone, downloads) {
	return puppeteer.launch({
		browser: "firefox",
		executablePath: process.env.FIREFOX ?? "/usr/bin/firefox-esr",
		extraPrefsFirefox: {
			"media.navigator.streams.fake": microphone !== null,
			"media.navigator.permission.disabled": microphone !== null,
			"permissions.default.microphone": microphone === null ? 2 : 1,
			"browser.download.dir": downloads,
			"browser.download.folderList": 2,
			"browser.download.always_ask_before_handling_new_types": false,
			"media.autoplay.default": 0
		},
		protocolTimeout: 6e5
	});
}
// try.ts
const site = await serve(process.argv[2]);
const name = process.argv[3];
const t0 = Date.now();
const log = (...a) => console.log(((Date.now() - t0) / 1e3).toFixed(1), ...a);
const { browser, close } = await open(name, process.argv[5] ?? null);
const page = await browser.newPage();
page.on("console", (m) => log("console", m.type(), m.text()));
page.on("pageerror", (e) => log("pageerror", e.message));
page.on("requestfailed", (r) => log("failed", r.url(), r.failure()?.errorText));
await page.setViewport({
	width: 1280,
	height: 900
});
await page.goto(site.url);
await page.waitForFunction(() => document.getElementById("model-state").textContent !== "Loading the model…", { timeout: 12e4 });
log(await page.$eval("#model-state", (e) => e.textContent), await page.$eval("#problem", (e) => e.textContent));
await page.screenshot({ path: `/work/tmp/page/${name}-start.png` });
const files = process.argv[4].split(",");
await (await page.$("#files")).uploadFile(...files);
await page.waitForFunction((n) => document.querySelectorAll(".result .table tr").length > 0 || document.querySelector("#result .problem"), { timeout: 12e4 });
log(await page.$eval("#result", (e) => e.innerText));
await new Promise((r) => setTimeout(r, 500));
await page.screenshot({
	path: `/work/tmp/page/${name}-result.png`,
	fullPage: true
});
await close();
await site.close();
export {};
