// The service of `emovox serve`, if this page comes from one.
import type { Prediction } from "./recognition/results";

export class ServerError extends Error {
  constructor(
    message: string,
    readonly needsKey = false,
  ) {
    super(message);
  }
}

interface ServedSegment extends Omit<Prediction, "scores"> {
  scores: Record<string, number> | null;
  notes: string[];
}

/** Send a recording to the server, and return its segments. */
export async function requestTimeline(
  base: string,
  recording: Blob,
  labels: string[],
  key: string,
  signal: AbortSignal,
): Promise<{ segments: Prediction[]; notes: string[] }> {
  const headers: Record<string, string> = { "content-type": "application/octet-stream" };
  if (key) headers.authorization = `Bearer ${key}`;
  let response: Response;
  try {
    const url = new URL("v1/timeline", base);
    response = await fetch(url, { method: "POST", body: recording, headers, signal });
  } catch {
    throw new ServerError("The server cannot be reached. Start it, or predict in this browser.");
  }
  if (!response.ok) {
    const problem = await response.json().catch(() => null);
    const detail = problem?.detail ?? response.statusText;
    throw new ServerError(
      response.status === 401 ? "The server asks for an API key." : `The server refuses: ${detail}`,
      response.status === 401,
    );
  }
  const found = ((await response.json()) as { segments: ServedSegment[] }).segments;
  return {
    segments: found.map(({ start_s, end_s, emotion, confidence, abstained, scores }) => ({
      start_s, end_s, emotion, confidence, abstained,
      scores: scores && labels.map((label) => scores[label]),
    })),
    notes: found[0]?.notes ?? [],
  };
}
