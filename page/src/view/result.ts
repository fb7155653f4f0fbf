// One recording: player, waveform with coloured spans, probabilities, table and downloads.
import WaveSurfer from "wavesurfer.js";
import RegionsPlugin from "wavesurfer.js/plugins/regions";
import { formatPercent, formatTime, labelSegment, summarize, toCsv, toJson, toSrt } from "../formats";
import type { Prediction } from "../recognition/results";
import type { Recording, Result } from "../recordings";
import { download, make, makeSvg } from "./dom";

/** What the closest zoom shows, about. */
const CLOSEST_S = 15;
/** Wider than this, a browser slows down. */
const MAX_STRIP_PX = 40_000;
const HATCH = "repeating-linear-gradient(135deg, var(--hatch) 0 2px, transparent 2px 7px)";
const PLAY = "M4 2.5v11l9-5.5z", PAUSE = "M3 2h4v12H3zM9 2h4v12H9z";

export class ResultView {
  readonly element: HTMLElement;
  private readonly abort = new AbortController();
  private readonly audio: HTMLAudioElement;
  private readonly url: string;
  private wavesurfer: WaveSurfer | null = null;
  private stopAt = Infinity;
  private now: Prediction | null | undefined;

  private readonly wave = make("div", { class: "wave" });
  private readonly cursor = make("div", { class: "cursor" });
  private readonly axis = make("div", { class: "axis", "aria-hidden": "true" });
  private readonly strip = make("div", { class: "strip" });
  private readonly scroll = make("div", { class: "scroll" });
  private readonly clock = make("span", { class: "clock" });
  private readonly heard = make("span", { class: "heard" });
  private readonly playButton = make("button", { type: "button", class: "play" });
  private readonly spanLabels: { label: HTMLElement; segment: Prediction }[] = [];
  private readonly rows = new Map<Prediction, HTMLTableRowElement>();

  constructor(
    private readonly recording: Recording,
    readonly result: Result,
    private readonly labels: string[],
    private readonly colours: Map<string, string>,
  ) {
    this.url = URL.createObjectURL(recording.file);
    this.audio = make("audio", { preload: "metadata", src: this.url });
    this.playButton.addEventListener("click", () => this.toggle());
    this.audio.addEventListener("error", () => {
      this.playButton.disabled = true;
      this.heard.textContent = "This browser cannot play this format.";
    });
    for (const event of ["play", "pause", "timeupdate", "seeked", "ended"]) {
      this.audio.addEventListener(event, () => this.follow());
    }
    this.strip.append(this.wave, this.drawProbabilities(), this.axis, this.cursor);
    this.scroll.append(this.strip);
    const where = recording.where === "browser" ? "predicted in this browser" : "predicted by the server";
    this.element = make(
      "section",
      { class: "card result", "aria-label": `Timeline of ${recording.name}` },
      make("div", { class: "head" }, make("h2", {}, recording.name), make("span", { class: "went" }, where)),
      make("p", { class: "summary" }, `${formatTime(result.durationS, 0)}, ${summarize(result.segments)}`),
      ...result.notes.map((note) => make("p", { class: "hint" }, `Note: ${note}.`)),
      make("div", { class: "player" }, this.playButton, this.clock, this.heard, this.makeZoom()),
      this.scroll,
      this.makeLegend(),
      this.makeDownloads(),
      this.makeTable(),
      this.audio,
    );
    this.makeSlider();
  }

  /** Draw what needs a width; call it once the element is in the page. */
  show(): void {
    const styles = getComputedStyle(document.documentElement);
    const regions = RegionsPlugin.create();
    this.wavesurfer = WaveSurfer.create({
      container: this.wave, height: 120, media: this.audio, peaks: [this.result.peaks],
      duration: Math.max(this.result.durationS, 0.01), normalize: true, cursorWidth: 0,
      waveColor: styles.getPropertyValue("--wave"), progressColor: styles.getPropertyValue("--played"),
      hideScrollbar: true, plugins: [regions],
    });
    this.wavesurfer.on("interaction", () => (this.stopAt = Infinity));
    const addSpans = () => {
      for (const segment of this.result.segments) {
        if (!segment.scores) continue;
        const region = regions.addRegion({
          start: segment.start_s, end: segment.end_s, drag: false, resize: false,
          content: this.makeLabel(segment), color: "transparent",
        });
        if (region.element) {
          const colour = segment.emotion ? this.colours.get(segment.emotion)! : null;
          region.element.style.background = colour
            ? `color-mix(in srgb, ${colour} var(--tint), transparent)`
            : HATCH;
          region.element.style.borderTop = `5px solid ${colour ?? "var(--hatch)"}`;
          region.element.title = describe(segment);
        }
        region.on("click", (event) => {
          event.stopPropagation();
          this.play(segment);
        });
      }
      this.fitLabels();
    };
    if (this.wavesurfer.getDuration()) addSpans();
    else this.wavesurfer.once("ready", addSpans);
    const observer = new ResizeObserver(() => {
      this.drawAxis();
      this.fitLabels();
    });
    observer.observe(this.strip);
    this.abort.signal.addEventListener("abort", () => observer.disconnect());
    matchMedia("(prefers-color-scheme: dark)").addEventListener(
      "change",
      () => {
        const fresh = getComputedStyle(document.documentElement);
        this.wavesurfer?.setOptions({
          waveColor: fresh.getPropertyValue("--wave"),
          progressColor: fresh.getPropertyValue("--played"),
        });
      },
      { signal: this.abort.signal },
    );
    this.follow();
  }

  close(): void {
    this.abort.abort();
    this.audio.pause();
    this.wavesurfer?.destroy();
    URL.revokeObjectURL(this.url);
    this.element.remove();
  }

  toggle(): void {
    this.stopAt = Infinity;
    if (this.audio.paused) void this.audio.play().catch(() => {});
    else this.audio.pause();
  }

  private play(segment: Prediction): void {
    this.stopAt = segment.end_s;
    this.audio.currentTime = segment.start_s;
    void this.audio.play().catch(() => {});
  }

  private seek(timeS: number): void {
    this.stopAt = Infinity;
    this.audio.currentTime = Math.min(Math.max(0, timeS), this.result.durationS);
  }

  /** Show where the player is. */
  private follow(): void {
    const timeS = this.audio.currentTime, { durationS } = this.result;
    if (timeS >= this.stopAt) {
      this.stopAt = Infinity;
      this.audio.pause();
    }
    this.cursor.style.left = `${100 * Math.min(1, timeS / Math.max(durationS, 0.01))}%`;
    this.clock.textContent = `${formatTime(timeS)} / ${formatTime(durationS)}`;
    const now = this.result.segments.find((s) => timeS >= s.start_s && timeS < s.end_s) ?? null;
    if (now !== this.now) {
      if (this.now) this.rows.get(this.now)?.classList.remove("now");
      if (now) this.rows.get(now)?.classList.add("now");
      this.now = now;
      if (!this.playButton.disabled) this.heard.textContent = now ? summarizeSegment(now) : "";
    }
    this.wave.setAttribute("aria-valuenow", timeS.toFixed(1));
    this.wave.setAttribute(
      "aria-valuetext",
      `${formatTime(timeS)}${now ? `, ${summarizeSegment(now)}` : ""}`,
    );
    const isPlaying = !this.audio.paused;
    if (this.playButton.dataset.playing !== String(isPlaying)) {
      this.playButton.dataset.playing = String(isPlaying);
      this.playButton.setAttribute("aria-label", isPlaying ? "Pause" : "Play");
      const icon = makeSvg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" });
      icon.append(makeSvg("path", { d: isPlaying ? PAUSE : PLAY }));
      this.playButton.replaceChildren(icon);
    }
    if (isPlaying) requestAnimationFrame(() => this.abort.signal.aborted || this.follow());
  }

  /** Make the waveform a slider for keyboards and screen readers. */
  private makeSlider(): void {
    const { durationS, segments } = this.result;
    const attributes = {
      role: "slider", tabindex: "0", "aria-valuemin": "0", "aria-valuemax": durationS.toFixed(1),
      "aria-label": "Position; the table below has the same content",
    };
    for (const [key, value] of Object.entries(attributes)) this.wave.setAttribute(key, value);
    this.wave.addEventListener("keydown", (event) => {
      const timeS = this.audio.currentTime;
      const next = segments.find((s) => s.start_s > timeS + 0.01)?.start_s ?? durationS;
      const before = segments.findLast((s) => s.start_s < timeS - 0.5)?.start_s ?? 0;
      const moves: Record<string, number> = {
        ArrowRight: timeS + 1, ArrowLeft: timeS - 1, ArrowUp: next, ArrowDown: before,
        PageUp: timeS + 10, PageDown: timeS - 10, Home: 0, End: durationS,
      };
      if (event.key === " " || event.key === "Enter") this.toggle();
      else if (event.key in moves) this.seek(moves[event.key]);
      else return;
      event.preventDefault();
    });
  }

  private makeLabel(segment: Prediction): HTMLElement {
    const label = make("span", {}, labelSegment(segment));
    Object.assign(label.style, {
      display: "block", textOverflow: "clip", whiteSpace: "nowrap",
      font: `${segment.emotion ? 600 : 400} .8rem/1.5 system-ui, sans-serif`,
      color: "var(--ink)", maxWidth: "100%", pointerEvents: "none",
    });
    this.spanLabels.push({ label, segment });
    return label;
  }

  /** Let a label reach into the pause after its span, but not into the next span. */
  private fitLabels(): void {
    const perSecond = this.wave.clientWidth / Math.max(this.result.durationS, 0.01);
    this.spanLabels.forEach(({ label, segment }, at) => {
      const next = this.spanLabels[at + 1]?.segment.start_s ?? this.result.durationS;
      const fits = (next - segment.start_s) * perSecond > 8 * labelSegment(segment).length + 10;
      label.style.overflow = fits ? "visible" : "hidden";
      label.style.padding = fits ? "0 .3rem" : "0 .1rem";
    });
  }

  private drawProbabilities(): SVGElement {
    const { hops, durationS } = this.result;
    const paths = this.labels.map(() => "");
    for (const hop of hops) {
      let low = 0;
      hop.scores?.forEach((score, i) => {
        const high = low + score;
        paths[i] += `M${hop.start_s.toFixed(3)} ${(1 - low).toFixed(4)}H${hop.end_s.toFixed(3)}`;
        paths[i] += `V${(1 - high).toFixed(4)}H${hop.start_s.toFixed(3)}Z`;
        low = high;
      });
    }
    const svg = makeSvg("svg", {
      class: "probabilities", viewBox: `0 0 ${Math.max(durationS, 0.01)} 1`,
      preserveAspectRatio: "none", "shape-rendering": "crispEdges", "aria-hidden": "true",
    });
    this.labels.forEach((label, i) =>
      svg.append(makeSvg("path", { fill: this.colours.get(label)!, d: paths[i] })),
    );
    svg.addEventListener("click", (event) => {
      const box = svg.getBoundingClientRect();
      this.seek((durationS * ((event as MouseEvent).clientX - box.left)) / box.width);
    });
    return svg;
  }

  private makeLegend(): HTMLElement {
    const items = this.labels.map((label) =>
      make("li", { "--colour": this.colours.get(label)! }, make("i"), label),
    );
    items.push(make("li", {}, make("i", { class: "hatched" }), "uncertain or too short"));
    const text = "Below the waveform: the probability of each emotion in each second.";
    return make("ul", { class: "legend", title: text }, ...items);
  }

  private makeZoom(): HTMLElement {
    const range = make("input", { type: "range", min: 0, step: 0.1, value: 0 });
    const { durationS } = this.result;
    const max = Math.log2(Math.max(1, Math.min(durationS / CLOSEST_S, MAX_STRIP_PX / innerWidth)));
    range.max = max.toFixed(1);
    range.addEventListener("input", () => {
      const middle =
        (this.scroll.scrollLeft + this.scroll.clientWidth / 2) / this.strip.clientWidth;
      this.strip.style.width = `${100 * 2 ** Number(range.value)}%`;
      this.scroll.scrollLeft = middle * this.strip.clientWidth - this.scroll.clientWidth / 2;
    });
    return make("label", { class: "zoom", hidden: max < 0.1 }, "Zoom", range);
  }

  private drawAxis(): void {
    const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
    const { durationS } = this.result;
    const perSecond = this.strip.clientWidth / Math.max(durationS, 0.01);
    const step = steps.find((s) => s * perSecond >= 70) ?? 14_400;
    const marks: HTMLElement[] = [];
    for (let t = 0; t < durationS - 40 / perSecond; t += step) {
      const mark = make("span", {}, formatTime(t, 0));
      mark.style.left = `${(100 * t) / durationS}%`;
      marks.push(mark);
    }
    this.axis.replaceChildren(...marks);
  }

  private makeDownloads(): HTMLElement {
    const { name } = this.recording;
    const stem = name.replace(/\.[^.]+$/, "") || name;
    const timeline = { file: name, segments: this.result.segments, notes: this.result.notes };
    const button = (text: string, save: () => void) =>
      make("button", { type: "button", click: save }, text);
    return make(
      "div",
      { class: "downloads", role: "group", "aria-label": "Download" },
      "Download",
      button("JSON", () => download(`${stem}.json`, "application/json", toJson([timeline], this.labels))),
      button("CSV", () => download(`${stem}.csv`, "text/csv", toCsv([timeline], this.labels))),
      button("SRT", () => download(`${stem}.srt`, "application/x-subrip", toSrt(this.result.segments))),
    );
  }

  private makeTable(): HTMLElement {
    const body = make("tbody");
    for (const segment of this.result.segments) {
      const row = this.makeRow(segment);
      this.rows.set(segment, row);
      body.append(row);
    }
    const head = (text: string, name = "") => make("th", { scope: "col", class: name }, text);
    const columns = [
      head("start"), head("end"), head("emotion"), head("confidence", "number"),
      head("runner-up", "runner"),
    ];
    return make(
      "div",
      { class: "table", tabindex: "0", role: "region", "aria-label": "Segments as a table" },
      make(
        "table",
        {},
        make("caption", {}, "The same as a table. Select a start time to play the segment."),
        make("thead", {}, make("tr", {}, ...columns)),
        body,
      ),
    );
  }

  private makeRow(segment: Prediction): HTMLTableRowElement {
    const kind = segment.scores ? (segment.emotion ? "" : "hatched") : "silent";
    const colour = segment.emotion ? this.colours.get(segment.emotion)! : "transparent";
    const label = labelSegment(segment);
    const start = formatTime(segment.start_s);
    const playing = { type: "button", "aria-label": `Play ${label} at ${start}` };
    return make(
      "tr",
      { class: segment.emotion ? "" : "none" },
      make("td", {}, make("button", { ...playing, click: () => this.play(segment) }, start)),
      make("td", {}, formatTime(segment.end_s)),
      make("td", { "--colour": colour }, make("i", { class: kind }), segment.emotion ? make("b", {}, label) : label),
      make("td", { class: "number" }, segment.confidence === null ? "" : formatPercent(segment.confidence)),
      make("td", { class: "runner" }, this.nameRunnerUp(segment)),
    );
  }

  private nameRunnerUp({ scores, emotion }: Prediction): string {
    if (!scores) return "";
    const ranked = scores.map((score, i) => ({ score, label: this.labels[i] }));
    ranked.sort((a, b) => b.score - a.score);
    const { label, score } = ranked[emotion ? 1 : 0];
    return `${label} ${formatPercent(score)}`;
  }
}

function summarizeSegment(segment: Prediction): string {
  const confidence = segment.confidence === null ? "" : ` ${formatPercent(segment.confidence)}`;
  return `${labelSegment(segment)}${confidence}`;
}

function describe(segment: Prediction): string {
  return `${summarizeSegment(segment)} (${formatTime(segment.start_s)}–${formatTime(segment.end_s)})`;
}
