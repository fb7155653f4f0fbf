"""What ``emovox listen`` shows in a terminal: level, emotion, and the last segments."""

from collections import deque
from typing import TYPE_CHECKING

from emovox.cli.predict import LABEL_STYLES
from emovox.recognition.results import Prediction
from emovox.timeline.formats import format_time
from emovox.wording import make_printable

if TYPE_CHECKING:
    from rich.console import Group
    from rich.text import Text

    from emovox.recognition.stream import StreamUpdate

N_SEGMENTS = 6
LOWEST_DBFS = -60.0
BAR_WIDTH = 30


class LiveView:
    """The latest state of a stream, drawn with rich.

    Args:
        source: Name of what is listened to.
        labels: Names of the emotions.
    """

    def __init__(self, source: str, labels: tuple[str, ...]) -> None:
        self._source = make_printable(source)
        self._width = max(10, *map(len, labels))
        self._update: StreamUpdate | None = None
        self._segments: deque[Prediction] = deque(maxlen=N_SEGMENTS)

    def add(self, result: "StreamUpdate | Prediction") -> None:
        """Take what the stream found."""
        if isinstance(result, Prediction):
            self._segments.append(result)
        else:
            self._update = result

    def __rich__(self) -> "Group":
        """Draw it."""
        from rich.console import Group
        from rich.text import Text

        update = self._update
        time_s = update.time_s if update else 0.0
        # The time and how to end come first: a narrow terminal cuts the name.
        head = Text(f"{format_time(time_s)}  Ctrl-C ends  {self._source}", style="dim")
        lines = [head, self._draw_level(), self._draw_emotion(), Text("")]
        lines += [self._draw_segment(segment) for segment in self._segments]
        for line in lines:
            line.no_wrap, line.overflow = True, "ellipsis"
        return Group(*lines)

    def _draw_level(self) -> "Text":
        """Draw the level as a bar."""
        level_dbfs = self._update.level_dbfs if self._update else LOWEST_DBFS
        share = (max(level_dbfs, LOWEST_DBFS) - LOWEST_DBFS) / -LOWEST_DBFS
        shown = f"{max(level_dbfs, LOWEST_DBFS):4.0f} dB"
        return self._draw_bar("level", share, shown, "cyan")

    def _draw_emotion(self) -> "Text":
        """Draw the emotion of the turn with its probability."""
        update = self._update
        if update is None or update.confidence is None:
            return self._draw_bar(update.abstained or "" if update else "", 0.0, "", "dim")
        label = update.emotion or update.abstained or ""
        style = LABEL_STYLES[update.abstained]
        return self._draw_bar(label, update.confidence, f"{update.confidence:7.3f}", style)

    def _draw_bar(self, name: str, share: float, shown: str, style: str) -> "Text":
        """Draw a name, a bar of ASCII characters, which every terminal has, and a number."""
        from rich.text import Text

        n = round(BAR_WIDTH * min(max(share, 0.0), 1.0))
        text = Text(f"{name:<{self._width}} ", style=style)
        text.append("#" * n + "." * (BAR_WIDTH - n))
        return text.append(f" {shown}")

    def _draw_segment(self, segment: Prediction) -> "Text":
        """Draw a segment as a row of the timeline's table."""
        from rich.text import Text

        return Text(format_segment(segment, self._width), style=LABEL_STYLES[segment.abstained])


def format_segment(segment: Prediction, width: int) -> str:
    """Return a segment as a row: start, end, emotion and confidence."""
    times = f"{format_time(segment.start_s):>10} {format_time(segment.end_s):>10}"
    confidence = "-" if segment.confidence is None else f"{segment.confidence:.3f}"
    return f"{times}  {segment.emotion or segment.abstained:<{width}} {confidence:>10}"
