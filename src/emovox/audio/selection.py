"""Choose which track and channels of a recording are used, and say what was chosen."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from emovox.audio.channels import (
    EACH,
    MIX,
    ChannelSurvey,
    check_channel,
    parse_channel,
)
from emovox.audio.recording import Recording
from emovox.errors import AudioError

MAX_SEARCHED_CHANNELS = 8
"""More channels are mixed without searching each for speech, which decodes them one by one."""


@dataclass(frozen=True, slots=True)
class Selection:
    """A track, and how its channels become one.

    Attributes:
        track: Number of the track, from 1.
        signs: For each channel 1, -1 if it is inverted, or 0 if it is left out.
        channel: Number of the only channel that was requested, from 1; ``None`` for a mix.
        notes: What was chosen, for the user, where the recording left a choice.
    """

    track: int
    signs: tuple[int, ...]
    channel: int | None = None
    notes: tuple[str, ...] = ()


def select_sound(
    recording: Recording,
    channel: str | int = MIX,
    track: int | None = None,
    has_speech: Callable[[Selection], bool] | None = None,
) -> tuple[Selection, ...]:
    """Choose the track and channels of a recording.

    Without a requested track, the track that is marked as the default is used, or otherwise the
    first; but a silent track, or one without speech, only if all are. A mix leaves out channels
    without speech if others have it, and inverts channels of opposite phase.

    Args:
        recording: The recording.
        channel: ``mix``, ``left``, ``right``, a number from 1, or ``each``.
        track: Number of the track, from 1.
        has_speech: Detects speech in a selection; ``None``: what is not silent counts as speech.

    Returns:
        One selection, or one for each channel.

    Raises:
        AudioError: There is no such channel or track, or the recording cannot be used.
    """
    wanted = parse_channel(channel)
    if track is not None:
        _check_track(track, len(recording.default_tracks))
        return _select_channels(recording, wanted, track, has_speech)
    if len(recording.default_tracks) == 1:
        return _select_channels(recording, wanted, 1, has_speech)
    numbers = range(1, len(recording.default_tracks) + 1)
    ranked = sorted(numbers, key=lambda number: not recording.default_tracks[number - 1])
    chosen = next((n for n in ranked if _is_heard(recording, n, has_speech)), ranked[0])
    if chosen != ranked[0]:
        nothing = "sound" if has_speech is None else "speech"
        reason = f"the first with {nothing}; track {ranked[0]} has none"
    else:
        default = sum(recording.default_tracks) == 1 and recording.default_tracks[chosen - 1]
        reason = "marked as the default" if default else "the first"
    note = (
        f"track {chosen} of {len(numbers)} was used ({reason}); choose another by number (--track)"
    )
    return tuple(
        replace(selection, notes=(note, *selection.notes))
        for selection in _select_channels(recording, wanted, chosen, has_speech)
    )


def _check_track(track: int, n_tracks: int) -> None:
    """Raise AudioError if a recording has no track of this number."""
    if not 1 <= track <= n_tracks:
        count = "1 track" if n_tracks == 1 else f"{n_tracks} tracks"
        raise AudioError(
            f"has {count} of sound, expected track {track}; choose from 1 to {n_tracks}",
            code="audio.no_track",
        )


def _is_heard(
    recording: Recording, track: int, has_speech: Callable[[Selection], bool] | None
) -> bool:
    """Return whether a track has speech, or without a detector, whether it is not silent."""
    if has_speech is None:
        return bool(recording.survey(track).loud)
    return any(map(has_speech, _select_channels(recording, MIX, track, has_speech)))


def _select_channels(
    recording: Recording,
    wanted: str | int,
    track: int,
    has_speech: Callable[[Selection], bool] | None,
) -> tuple[Selection, ...]:
    """Choose the channels of one track."""
    n_channels = recording.count_channels(track)
    if wanted == MIX:
        if n_channels == 1:
            return (Selection(track, (1,)),)
        return (_mix(recording.survey(track), track, has_speech),)
    numbers = range(1, n_channels + 1) if wanted == EACH else (int(wanted),)
    check_channel(numbers[-1], n_channels)
    return tuple(Selection(track, _only(number - 1, n_channels), number) for number in numbers)


def _only(index: int, n_channels: int) -> tuple[int, ...]:
    """Return the signs of one channel alone."""
    return tuple(int(i == index) for i in range(n_channels))


def _mix(
    survey: ChannelSurvey, track: int, has_speech: Callable[[Selection], bool] | None
) -> Selection:
    """Choose which channels are averaged, and which are inverted before."""
    n_channels = len(survey.peaks)
    signs = [-1 if i in survey.opposite else 1 for i in range(n_channels)]
    notes = []
    if survey.opposite:
        notes.append(
            f"{_name_channels(survey.opposite)} of opposite phase to the loudest and inverted "
            "before mixing"
        )
    if survey.different and has_speech is not None and len(survey.loud) <= MAX_SEARCHED_CHANNELS:
        spoken = [i for i in survey.loud if has_speech(Selection(track, _only(i, n_channels)))]
        silent = [i for i in survey.loud if i not in spoken]
        if spoken and silent:
            signs = [0 if i in silent else sign for i, sign in enumerate(signs)]
            notes.append(f"{_name_channels(silent)} left out, since no speech was detected there")
        if len(spoken) > 1:
            notes.append(
                "the channels hold different speech and were mixed; predict them one by one with "
                "the channel 'each' (--channel each)"
            )
    return Selection(track, tuple(signs), notes=tuple(notes))


def _name_channels(indices: tuple[int, ...] | list[int]) -> str:
    """Return the numbers of channels with the verb, such as ``channel 2 was``."""
    numbers = ", ".join(str(i + 1) for i in indices)
    return f"channel {numbers} was" if len(indices) == 1 else f"channels {numbers} were"
