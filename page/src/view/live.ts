// The live trace: level and emotion of the last half minute, while the microphone records.
import { formatPercent, formatTime } from "../formats";
import type { LiveUpdate } from "../messages";
import { find, make } from "./dom";

const SHOWN_S = 20;
const PEAKS_PER_S = 20;

export class LiveView {
  private readonly canvas = find<HTMLCanvasElement>("live-trace");
  private peaks: number[] = [];
  private updates: LiveUpdate[] = [];
  private nInPeak = 0;
  private nSamples = 0;
  private peak = 0;
  private isOn = false;
  private readonly bars: { bar: HTMLElement; number: HTMLElement }[];

  constructor(
    labels: string[],
    private readonly colours: Map<string, string>,
  ) {
    this.bars = labels.map((label) => {
      const bar = make("i", { "--colour": colours.get(label)! });
      const number = make("span", { class: "number" });
      find("live-bars").append(make("li", {}, make("span", {}, label), bar, number));
      return { bar, number };
    });
    this.showScores(null);
  }

  start(): void {
    this.peaks = [];
    this.updates = [];
    this.nInPeak = this.peak = this.nSamples = 0;
    this.isOn = true;
    find("live-clock").textContent = formatTime(0, 0);
    find("live").hidden = false;
    find("live-emotion").textContent = "Listening…";
    find("live-detail").textContent = "";
    this.showScores(null);
    this.draw();
  }

  stop(): void {
    this.isOn = false;
    find("live").hidden = true;
  }

  pushSamples(samples: Float32Array, rateHz: number): void {
    this.nSamples += samples.length;
    find("live-clock").textContent = formatTime(Math.floor(this.nSamples / rateHz), 0);
    for (const x of samples) {
      this.peak = Math.max(this.peak, Math.abs(x));
      if (++this.nInPeak >= rateHz / PEAKS_PER_S) {
        this.peaks.push(this.peak);
        this.nInPeak = this.peak = 0;
      }
    }
  }

  pushUpdate(update: LiveUpdate): void {
    this.updates.push(update);
    const { emotion, abstained, confidence } = update;
    find("live-emotion").textContent = emotion ?? abstained ?? "";
    find("live-detail").textContent = confidence === null ? "" : formatPercent(confidence);
    this.showScores(update.scores);
  }

  private showScores(scores: number[] | null): void {
    this.bars.forEach(({ bar, number }, i) => {
      bar.style.transform = `scaleX(${scores?.[i] ?? 0})`;
      number.textContent = scores ? formatPercent(scores[i]) : "";
    });
  }

  private draw(): void {
    if (!this.isOn) return;
    requestAnimationFrame(() => this.draw());
    const { canvas } = this;
    const context = canvas.getContext("2d");
    if (!context) return;
    const scale = devicePixelRatio, width = canvas.clientWidth, height = canvas.clientHeight;
    if (canvas.width !== Math.round(width * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
    }
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    const endS = this.peaks.length / PEAKS_PER_S;
    const startS = Math.max(0, endS - SHOWN_S);
    const x = (timeS: number) => ((timeS - startS) * width) / SHOWN_S;
    for (const { timeS, emotion, confidence } of this.updates) {
      if (timeS < startS || !emotion) continue;
      context.globalAlpha = 0.25 + 0.5 * (confidence ?? 0);
      context.fillStyle = this.colours.get(emotion) ?? "transparent";
      context.fillRect(x(timeS - 0.5), 0, width * (0.5 / SHOWN_S) + 0.5, height);
    }
    context.globalAlpha = 1;
    context.fillStyle = getComputedStyle(canvas).color;
    const first = Math.floor(startS * PEAKS_PER_S);
    for (let i = first; i < this.peaks.length; i++) {
      // Soft speech is visible too.
      const tall = Math.max(1, Math.min(1, Math.sqrt(this.peaks[i])) * height * 0.9);
      context.fillRect(x(i / PEAKS_PER_S), (height - tall) / 2, Math.max(1, width / (SHOWN_S * PEAKS_PER_S) - 1), tall);
    }
  }
}
