// Keeps the page for use without a network. Sound never passes through here: only files of the page.
// The build fills in the files, and a version that changes with any of them.
const FILES = ["./","./assets/index-Ch6HqXUx.css","./assets/index-HlMQc6_q.js","./assets/ort-wasm-simd-threaded-CxTQ5xH-.wasm","./assets/recorder.worklet-CcMFEMr4.js","./assets/worker-qxi-fzYK.js","./licences.txt","./icon.svg"];
const VERSION = "26837789b74d";

const CACHE = `emovox-${VERSION}`;
const MODEL = "emovox-model";
const scope = new URL("./", self.location.href);

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches.open(CACHE).then((cache) => cache.addAll(FILES)).then(() => self.skipWaiting()),
  );
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    const names = await caches.keys();
    const old = names.filter((name) => name.startsWith("emovox-") && ![CACHE, MODEL].includes(name));
    await Promise.all(old.map((name) => caches.delete(name)));
    await self.clients.claim();
    await Promise.all((await self.clients.matchAll()).map(keepModel));
  })());
});

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || !url.href.startsWith(scope.href)) return;
  const path = url.href.slice(scope.href.length);
  if (path.startsWith("model/")) event.respondWith(answerModel(event.request, path));
  else if (path === "" || path === "index.html" || FILES.includes(`./${path}`)) {
    event.respondWith(answerFile(event.request));
  }
});

/** Answer from the cache: a new version of the page comes with a new service worker. */
async function answerFile(request) {
  const cache = await caches.open(CACHE);
  const isPage = request.mode === "navigate";
  return (await cache.match(isPage ? "./" : request)) ?? fetch(request);
}

/** Ask the server for the description, and for a model file only if it is another one. */
async function answerModel(request, path) {
  const cache = await caches.open(MODEL);
  if (path !== "model/model.json") {
    const kept = await cache.match(request);
    if (kept) return kept;
  }
  try {
    const response = await fetch(request, { cache: "no-cache" });
    if (response.ok) {
      if (path !== "model/model.json") {
        const name = path.split("?")[0];
        for (const old of await cache.keys()) {
          if (new URL(old.url).pathname.endsWith(name)) await cache.delete(old);
        }
      }
      await cache.put(request, response.clone());
    }
    return response;
  } catch (error) {
    const kept = await cache.match(request);
    if (kept) return kept;
    throw error;
  }
}

/** The first visit loads the model before this worker is there: load it once more, from the HTTP cache. */
async function keepModel() {
  const cache = await caches.open(MODEL);
  const description = await fetch(new URL("model/model.json", scope), { cache: "no-cache" });
  if (!description.ok) return;
  const { files } = await description.clone().json();
  await cache.put(new URL("model/model.json", scope), description);
  for (const [name, { sha256 }] of Object.entries(files)) {
    const url = new URL(`model/${name}?${sha256.slice(0, 16)}`, scope);
    if (!(await cache.match(url))) await cache.add(url);
  }
}
