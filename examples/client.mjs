// Use the service from JavaScript: a recording, and a live stream. Runs in Node 22 and later as it is;
// Node 20 needs `node --experimental-websocket`. In a browser, leave out what reads the file.
//
//     emovox serve
//     node examples/client.mjs http://127.0.0.1:8000 call.wav
//
// EMOVOX_KEY holds the API key, if the service asks for one.
import { readFile } from "node:fs/promises";
import { argv, env, exit } from "node:process";

const [url, path] = argv.slice(2);
const key = env.EMOVOX_KEY;

function fail(problem) {
  console.error(`${problem.code}: ${problem.detail}`);
  exit(1);
}

async function predict(recording) {
  const headers = { "content-type": "application/octet-stream" };
  if (key) headers.authorization = `Bearer ${key}`;
  const response = await fetch(`${url}/v1/predict`, { method: "POST", body: recording, headers });
  const found = await response.json();
  if (!response.ok) fail(found); // problem details, with a stable code
  console.log(`predict: ${found.emotion ?? found.abstained} ${found.confidence}`);
}

/** Send the samples of a 16-bit WAV file with a plain header of 44 bytes. */
async function stream(recording) {
  const channels = recording.readUInt16LE(22);
  const rateHz = recording.readUInt32LE(24);
  const socket = new WebSocket(`${url.replace("http", "ws")}/v1/stream`);
  await new Promise((resolve, reject) => {
    socket.onerror = reject;
    socket.onopen = resolve;
  });
  const ended = new Promise((resolve) => (socket.onclose = resolve));
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === "error") fail(message);
    if (message.type === "segment") {
      const label = message.emotion ?? message.abstained;
      console.log(`segment: ${message.start_s.toFixed(2)} to ${message.end_s.toFixed(2)} s: ${label}`);
    }
    if (message.type === "summary") {
      console.log(`summary: ${message.duration_s} s, ${message.segments} segments`);
    }
  };
  // A browser cannot add headers to a WebSocket: the key goes into the first message.
  socket.send(JSON.stringify({ rate_hz: rateHz, channels, ...(key && { key }) }));
  const frameBytes = Math.floor(rateHz / 10) * channels * 2; // 100 ms
  for (let start = 44; start < recording.length; start += frameBytes) {
    socket.send(recording.subarray(start, start + frameBytes));
  }
  socket.send(JSON.stringify({ type: "end" }));
  await ended;
}

const recording = await readFile(path);
await predict(recording);
await stream(recording);
