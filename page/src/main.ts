// The page: wires recording, files, where the sound goes, and the results.
import runtimeUrl from "../node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm?url";
import { MicrophoneError, MicrophoneRecording } from "./audio/record";
import { chooseColours } from "./colours";
import { Engine } from "./engine";
import { summarize, toCsv, toJson } from "./formats";
import type { ModelDescription } from "./recognition/rules";
import { type Recording, Recordings, type Where } from "./recordings";
import { download, find, make } from "./view/dom";
import { LiveView } from "./view/live";
import { ResultView } from "./view/result";

const BASE = new URL("./", location.href).href;
const ENROL_S = 6;

const recordButton = find<HTMLButtonElement>("record");
const chooseButton = find<HTMLButtonElement>("choose");
const filesInput = find<HTMLInputElement>("files");
const enrolButton = find<HTMLButtonElement>("enrol");

const engine = new Engine();
let microphone = null as MicrophoneRecording | null;

void start();

async function start(): Promise<void> {
  if ("serviceWorker" in navigator && import.meta.env.PROD) {
    void navigator.serviceWorker.register(new URL("service-worker.js", BASE)).catch(() => {});
  }
  let model: ModelDescription;
  try {
    model = await engine.open(
      new URL("model/", BASE).href,
      new URL(runtimeUrl, location.href).href,
    );
  } catch (error) {
    find("model-state").textContent = "The model cannot be loaded.";
    return showProblem(`The model cannot be loaded: ${(error as Error).message}`);
  }
  run(model);
  if (model.service) offerServer();
}

function run(model: ModelDescription): void {
  const colours = chooseColours(model.labels);
  const live = new LiveView(model.labels, colours);
  let view: ResultView | null = null;
  let shown: Recording | null = null;
  const recordings = new Recordings(engine, model, BASE, changed, () => {
    find("key-label").hidden = false;
    find<HTMLInputElement>("key").focus();
  });

  find("model-state").textContent = "Ready";
  find("about").textContent = `Model: ${model.name}. ${model.licence}.`;
  recordButton.disabled = chooseButton.disabled = false;
  find("voice").hidden = model.reference === null;

  function changed(recording: Recording): void {
    const isNew = !find(`recording-${recording.id}`);
    if (isNew) find("recordings").querySelector("ul")!.append(makeItem(recording));
    fillItem(recording);
    find("recordings").hidden = recordings.all.length < 2;
    if (shown === null || (isNew && recordings.all.length > 1 && shown.state !== "working")) {
      if (isNew) select(recording);
    }
    if (recording === shown) showResult();
    if (recording.state === "done") {
      announce(`${recording.name} is predicted. ${summarize(recording.result!.segments)}`);
    } else if (recording.state === "failed") announce(`${recording.name}: ${recording.error}`);
    const isBusy = recordings.all.some(({ state }) => state === "waiting" || state === "working");
    const done = recordings.all.filter((found) => found.state === "done");
    const buttons: HTMLElement[] = [];
    if (done.length > 1 && !isBusy) {
      const all = done.map(({ name, result }) => ({
        file: name, segments: result!.segments, notes: result!.notes,
      }));
      const save = (name: string, type: string, write: typeof toJson) =>
        make("button", {
          type: "button", click: () => download(name, type, write(all, model.labels)),
        }, `All as ${name.split(".")[1].toUpperCase()}`);
      buttons.push(
        save("timelines.json", "application/json", toJson), save("timelines.csv", "text/csv", toCsv),
      );
    }
    find("recordings").querySelector(".all")!.replaceChildren(...buttons);
  }

  function makeItem(recording: Recording): HTMLElement {
    const button = make("button", { type: "button", click: () => select(recording) });
    return make("li", { id: `recording-${recording.id}` }, button);
  }

  function fillItem(recording: Recording): void {
    const texts = {
      waiting: "waiting",
      working: recording.progress ? `${Math.round(100 * recording.progress)}%` : "working…",
      done: recording.result ? summarize(recording.result.segments) : "",
      failed: recording.error,
    };
    const button = find(`recording-${recording.id}`).firstElementChild!;
    button.replaceChildren(make("b", {}, recording.name), make("span", {}, texts[recording.state]));
    if (recording === shown) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }

  function select(recording: Recording): void {
    const before = shown;
    shown = recording;
    if (before) fillItem(before);
    fillItem(recording);
    showResult();
  }

  function showResult(): void {
    const recording = shown!, place = find("result");
    if (recording.state === "done" && recording.result) {
      if (view && view.element.isConnected && view.result === recording.result) return;
      view?.close();
      view = new ResultView(recording, recording.result, model.labels, colours);
      place.replaceChildren(view.element);
      return view.show();
    }
    if (recording.state === "working" && place.querySelector("progress")?.id === `progress-${recording.id}`) {
      return fillProgress(recording);
    }
    view?.close();
    view = null;
    const head = make("div", { class: "head" }, make("h2", {}, recording.name));
    const card = make("section", { class: "card", "aria-label": recording.name }, head);
    if (recording.state === "failed") {
      card.append(make("p", { class: "problem", role: "alert" }, recording.error));
    } else {
      card.append(
        make("p", { class: "hint" }, recording.state === "waiting" ? "Waiting…" : "Predicting…"),
        make("progress", { id: `progress-${recording.id}`, max: 1, "aria-label": "Progress" }),
        make("button", { type: "button", click: () => recordings.stop() }, "Stop"),
      );
    }
    place.replaceChildren(card);
    if (recording.state === "working") fillProgress(recording);
  }

  function fillProgress({ id, progress }: Recording): void {
    const bar = find<HTMLProgressElement>(`progress-${id}`);
    if (progress === null) bar.removeAttribute("value");
    else bar.value = progress;
  }

  function addFiles(files: Iterable<File>): void {
    showProblem("");
    recordings.key = find<HTMLInputElement>("key").value;
    for (const file of files) recordings.add(file.name, file, chosenPlace());
  }

  chooseButton.addEventListener("click", () => filesInput.click());
  filesInput.addEventListener("change", () => {
    addFiles(filesInput.files ?? []);
    filesInput.value = "";
  });
  addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) document.body.classList.remove("dropping");
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    addFiles(event.dataTransfer?.files ?? []);
  });

  recordButton.addEventListener("click", async () => {
    if (microphone) return stopRecording();
    const started = await startRecording((samples, rateHz) => {
      live.pushSamples(samples, rateHz);
      engine.pushLive(samples);
    }, stopRecording);
    if (!started) return;
    live.start();
    engine.beginLive(started.rateHz, (update) => live.pushUpdate(update));
    setRecording(true);
    announce("Recording.");
  });

  let nRecorded = 0;
  async function stopRecording(): Promise<void> {
    if (!microphone) return;
    const file = await endRecording();
    engine.endLive();
    live.stop();
    setRecording(false);
    nRecorded += 1;
    recordings.key = find<HTMLInputElement>("key").value;
    recordings.add(`Recording ${nRecorded}.wav`, file, chosenPlace());
    select(recordings.all.at(-1)!);
  }

  enrolButton.addEventListener("click", async () => {
    if (microphone) return stopEnrolment();
    const started = await startRecording(() => {
      if (microphone && microphone.durationS >= ENROL_S) void stopEnrolment();
    }, stopEnrolment);
    if (!started) return;
    recordButton.disabled = true;
    enrolButton.textContent = "Stop";
    find("voice-text").textContent = "Listening: say one sentence in your normal voice.";
  });

  async function stopEnrolment(): Promise<void> {
    if (!microphone) return;
    const file = await endRecording();
    recordButton.disabled = false;
    enrolButton.textContent = "Enrol another sentence";
    try {
      const n = await engine.enrol(file);
      const sentences = n === 1 ? "one sentence" : `${n} sentences`;
      find("voice-text").textContent =
        `Your voice is enrolled from ${sentences}, and is forgotten when you close the page.`;
      find("forget").hidden = false;
      repeatAll();
    } catch (error) {
      find("voice-text").textContent = (error as Error).message;
    }
    announce(find("voice-text").textContent ?? "");
  }

  find("forget").addEventListener("click", () => {
    engine.forgetVoice();
    find("forget").hidden = true;
    enrolButton.textContent = "Enrol your voice";
    find("voice-text").textContent = "Your voice is forgotten.";
    repeatAll();
  });

  function repeatAll(): void {
    for (const recording of recordings.all) {
      if (recording.where === "browser" && recording.state === "done") {
        recordings.repeat(recording, "browser");
      }
    }
  }
}

async function startRecording(
  onSamples: (samples: Float32Array, rateHz: number) => void,
  onEnd: () => void,
): Promise<MicrophoneRecording | null> {
  showProblem("");
  try {
    microphone = await MicrophoneRecording.start(
      (samples) => microphone && onSamples(samples, microphone.rateHz),
      onEnd,
    );
  } catch (error) {
    const message = error instanceof MicrophoneError ? error.message : `The microphone cannot be used: ${(error as Error).message}`;
    showProblem(message);
  }
  return microphone;
}

async function endRecording(): Promise<Blob> {
  const recording = microphone!;
  microphone = null;
  return recording.stop();
}

function setRecording(isOn: boolean): void {
  document.body.classList.toggle("recording", isOn);
  find("record-text").textContent = isOn ? "Stop" : "Record";
  chooseButton.disabled = enrolButton.disabled = isOn;
}

function chosenPlace(): Where {
  return document.querySelector<HTMLInputElement>("input[name=where]:checked")!.value as Where;
}

function offerServer(): void {
  const radio = document.querySelector<HTMLInputElement>("input[value=server]")!;
  radio.disabled = false;
  const text = find("server-text");
  text.replaceChildren(
    make("b", {}, `To ${location.host}.`),
    " Recordings are sent to the server that this page comes from, predicted there, and not kept.",
  );
}

function showProblem(text: string): void {
  const problem = find("problem");
  problem.textContent = text;
  problem.hidden = !text;
}

function announce(text: string): void {
  find("status").textContent = text;
}
