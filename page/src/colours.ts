// Colours that people with any colour vision can distinguish (Okabe and Ito, "Color Universal
// Design", https://jfly.uni-koeln.de/color/), as in emovox's figures (src/emovox/timeline/media.py).

const COLOURS: Record<string, string> = {
  angry: "#d55e00",
  happy: "#f0e442",
  sad: "#0072b2",
  calm: "#56b4e9",
  neutral: "#a6a6a6",
  fearful: "#cc79a7",
  disgust: "#009e73",
  surprised: "#e69f00",
};

/** Choose a colour for each emotion of a model; others get those that are left. */
export function chooseColours(labels: string[]): Map<string, string> {
  const unused = Object.keys(COLOURS).filter((label) => !labels.includes(label));
  const left = (unused.length ? unused : Object.keys(COLOURS)).map((label) => COLOURS[label]);
  let next = 0;
  return new Map(
    labels.map((label) => [label, COLOURS[label] ?? left[next++ % left.length]] as const),
  );
}
