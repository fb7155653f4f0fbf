// Where speech begins and ends, and turns: docs/runtime.md, "Spans" and "Turns".
import { roundEven, roundTo6 } from "./numbers";
import type { Rules } from "./rules";

export interface Span {
  start_s: number;
  end_s: number;
  /** How much of it is speech, in seconds; 0 in a pause. */
  speech_s: number;
}

/** Finds spans of speech and of pauses in the probabilities of frames. */
export class SpanFinder {
  private done = 0;
  private at = 0;
  private heard: number[] = [];
  private quiet = 0;
  private readonly frameS: number;

  constructor(private readonly rules: Rules) {
    this.frameS = rules.voice_activity.frame_samples / rules.voice_activity.rate_hz;
  }

  /** Start of the speech that has not ended, if it is long enough to count. */
  get openStartS(): number | null {
    const { min_speech_s } = this.rules.spans;
    if ((this.heard.length - this.quiet) * this.frameS <= min_speech_s) return null;
    return this.begin(this.at - this.heard.length);
  }

  push(probabilities: ArrayLike<number>): Span[] {
    const { speech_probability, pause_probability, min_speech_s, min_silence_s, padding_s } =
      this.rules.spans;
    const F = this.frameS;
    const found: Span[] = [];
    for (let i = 0; i < probabilities.length; i++) {
      const p = probabilities[i];
      this.at += 1;
      if (this.heard.length || p >= speech_probability) this.heard.push(p);
      if (p >= speech_probability) this.quiet = 0;
      else if (this.heard.length && (this.quiet || p < pause_probability)) this.quiet += 1;
      if ((this.quiet - 1) * F >= min_silence_s && p < pause_probability) {
        const start = this.at - this.heard.length, end = this.at - this.quiet;
        this.heard = [];
        this.quiet = 0;
        if ((end - start) * F > min_speech_s) {
          const startS = this.begin(start);
          this.pause(found, startS);
          this.done = roundTo6(end * F + padding_s);
          found.push(speech(startS, this.done));
        }
      } else if (this.heard.length * F >= this.rules.turns.max_turn_s) {
        const startS = this.begin(this.at - this.heard.length);
        this.heard = this.heard.slice(this.findCut());
        this.pause(found, startS);
        this.done = roundTo6((this.at - this.heard.length) * F);
        found.push(speech(startS, this.done));
      }
    }
    const quietS = roundTo6((this.at - this.heard.length) * F - padding_s);
    if (quietS > Math.max(this.done, min_silence_s)) this.pause(found, quietS);
    return found;
  }

  finish(endS: number): Span[] {
    const found: Span[] = [];
    const start = this.at - this.heard.length;
    if (this.heard.length && endS - start * this.frameS > this.rules.spans.min_speech_s) {
      const startS = this.begin(start);
      this.pause(found, startS);
      found.push(speech(startS, endS));
    } else {
      this.pause(found, endS);
    }
    return found;
  }

  private begin(frame: number): number {
    const startS = roundTo6(frame * this.frameS - this.rules.spans.padding_s);
    return Math.max(startS >= this.rules.spans.min_silence_s ? startS : 0, this.done);
  }

  private pause(found: Span[], endS: number): void {
    if (endS > this.done) {
      found.push({ start_s: this.done, end_s: endS, speech_s: 0 });
      this.done = endS;
    }
  }

  /** Return where to cut a long turn: after the frame that is least probably speech, if late. */
  private findCut(): number {
    const { look_back_s, kept_frames } = this.rules.turns;
    const end = this.heard.length - kept_frames;
    let cut = end - 1;
    for (let i = cut; i >= end - roundEven(look_back_s / this.frameS); i--) {
      if (this.heard[i] < this.heard[cut]) cut = i;
    }
    return cut + 1;
  }
}

function speech(start_s: number, end_s: number): Span {
  return { start_s, end_s, speech_s: end_s - start_s };
}

/** Joins spans of speech that are separated by short pauses. */
export class TurnJoiner {
  private turn: Span | null = null;
  private pauses: Span[] = [];

  constructor(private readonly rules: Rules) {}

  /** Start of the turn that has not ended. */
  get startS(): number | null {
    return this.turn?.start_s ?? null;
  }

  push(span: Span): Span[] {
    const { turn_pause_s, max_turn_s } = this.rules.turns;
    const turn = this.turn;
    if (turn === null) {
      if (!span.speech_s) return [span];
      this.turn = span;
      return [];
    }
    if (span.speech_s && span.end_s - turn.start_s <= max_turn_s) {
      this.turn = { ...turn, end_s: span.end_s, speech_s: turn.speech_s + span.speech_s };
      this.pauses = [];
      return [];
    }
    if (!span.speech_s && span.end_s - turn.end_s < turn_pause_s) {
      this.pauses.push(span);
      return [];
    }
    const done = [turn, ...this.pauses];
    this.pauses = [];
    this.turn = span.speech_s ? span : null;
    return span.speech_s ? done : [...done, span];
  }

  finish(): Span[] {
    return this.turn ? [this.turn, ...this.pauses] : [];
  }
}
